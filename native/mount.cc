// Mounting: mount(2), umount2(2), openat2(2) within a root, idmapped clones of mounts (mount_setattr(2)), and
// syncfs(2).
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async.h"

// <sys/mount.h> clashes with <linux/mount.h> in glibc before 2.37.
extern "C" int mount(const char*, const char*, const char*, unsigned long, const void*);
extern "C" int umount2(const char*, int);

namespace ddi {
namespace {

// (source, target, type, flags, data)
Napi::Value Mount(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(
      info.Env(),
      [source = Text(info, 0), target = Text(info, 1), type = Text(info, 2),
       flags = static_cast<unsigned long>(Number(info, 3)), data = Text(info, 4)]() -> Outcome<Nothing> {
        if (::mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags,
                    data.empty() ? nullptr : data.c_str()) < 0)
          return KernelError{errno, "mount", target};
        return Nothing{};
      });
}

// (target, flags)
Napi::Value Unmount(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [target = Text(info, 0), flags = Int(info, 1)]() -> Outcome<Nothing> {
    if (umount2(target.c_str(), flags) < 0) return KernelError{errno, "umount2", target};
    return Nothing{};
  });
}

// (root fd, path, flags, mode) -> fd; symbolic links and `..` do not lead out of the root
Napi::Value OpenInRoot(const Napi::CallbackInfo& info) {
  return Task<double>::Run(
      info.Env(),
      [root = Int(info, 0), path = Text(info, 1), flags = Int(info, 2), mode = Int(info, 3)]() -> Outcome<double> {
        open_how how{};
        how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
        how.mode = static_cast<uint64_t>(mode);
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        long fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
        if (fd < 0) return KernelError{errno, "openat2", path};
        return static_cast<double>(fd);
      });
}

// (target, user namespace fd): covers a mount with a clone of it whose owners are mapped
Napi::Value MapOwners(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [target = Text(info, 0), ns = Int(info, 1)]() -> Outcome<Nothing> {
    long tree = syscall(SYS_open_tree, AT_FDCWD, target.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) return KernelError{errno, "open_tree", target};
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(ns);
    const char* step = "mount_setattr";
    long result = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
    if (result == 0) {
      step = "move_mount";
      // The target may be the path of a descriptor, which is a link.
      result =
          syscall(SYS_move_mount, tree, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
    }
    int error = errno;
    close(static_cast<int>(tree));
    if (result < 0) return KernelError{error, step, target};
    return Nothing{};
  });
}

// (fd, path)
Napi::Value SyncFileSystem(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), path = Text(info, 1)]() -> Outcome<Nothing> {
    if (syncfs(fd) < 0) return KernelError{errno, "syncfs", path};
    return Nothing{};
  });
}

}  // namespace

void ExportMount(Napi::Env env, Napi::Object exports) {
  exports["mount"] = Napi::Function::New(env, Mount);
  exports["unmount"] = Napi::Function::New(env, Unmount);
  exports["openInRoot"] = Napi::Function::New(env, OpenInRoot);
  exports["syncFileSystem"] = Napi::Function::New(env, SyncFileSystem);
  exports["mapOwners"] = Napi::Function::New(env, MapOwners);
}

}  // namespace ddi
