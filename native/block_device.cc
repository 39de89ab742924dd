// Block devices of any driver: <linux/fs.h>, <linux/blkpg.h>, and the nodes that name them.
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

#include "async.h"

namespace ddi {
namespace {

struct Geometry {
  double size;
  double sectorSize;
  bool readOnly;
};

Napi::Value ToJs(Napi::Env env, const Geometry& geometry) {
  Napi::Object value = Napi::Object::New(env);
  value["size"] = Napi::Number::New(env, geometry.size);
  value["sectorSize"] = Napi::Number::New(env, geometry.sectorSize);
  value["readOnly"] = Napi::Boolean::New(env, geometry.readOnly);
  return value;
}

// BLKGETSIZE64, BLKSSZGET, BLKROGET(fd, device) -> {size, sectorSize, readOnly}
Napi::Value GetGeometry(const Napi::CallbackInfo& info) {
  return Task<Geometry>::Run(info.Env(), [fd = Int(info, 0), device = Text(info, 1)]() -> Outcome<Geometry> {
    uint64_t size = 0;
    int sector = 0;
    int readOnly = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) < 0) return KernelError{errno, "BLKGETSIZE64", device};
    if (ioctl(fd, BLKSSZGET, &sector) < 0) return KernelError{errno, "BLKSSZGET", device};
    if (ioctl(fd, BLKROGET, &readOnly) < 0) return KernelError{errno, "BLKROGET", device};
    return Geometry{static_cast<double>(size), static_cast<double>(sector), readOnly != 0};
  });
}

Napi::Promise Partition(const Napi::CallbackInfo& info, int operation, const char* name, double start, double length) {
  return Task<Nothing>::Run(info.Env(),
                            [fd = Int(info, 0), device = Text(info, 1), number = Int(info, 2), operation, name, start,
                             length]() -> Outcome<Nothing> {
                              blkpg_partition partition{};
                              partition.pno = number;
                              partition.start = static_cast<long long>(start);
                              partition.length = static_cast<long long>(length);
                              blkpg_ioctl_arg argument{};
                              argument.op = operation;
                              argument.datalen = sizeof partition;
                              argument.data = &partition;
                              if (ioctl(fd, BLKPG, &argument) < 0) return KernelError{errno, name, device};
                              return Nothing{};
                            });
}

// BLKPG_ADD_PARTITION(fd, device, number, start in bytes, length in bytes)
Napi::Value AddPartition(const Napi::CallbackInfo& info) {
  return Partition(info, BLKPG_ADD_PARTITION, "BLKPG_ADD_PARTITION", Number(info, 3), Number(info, 4));
}

// BLKPG_DEL_PARTITION(fd, device, number)
Napi::Value DeletePartition(const Napi::CallbackInfo& info) {
  return Partition(info, BLKPG_DEL_PARTITION, "BLKPG_DEL_PARTITION", 0, 0);
}

// mknod(path, major, minor): a block device node, mode 0600
Napi::Value MakeNode(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(),
                            [path = Text(info, 0), major = Int(info, 1), minor = Int(info, 2)]() -> Outcome<Nothing> {
                              if (mknod(path.c_str(), S_IFBLK | 0600, makedev(major, minor)) < 0)
                                return KernelError{errno, "mknod", path};
                              return Nothing{};
                            });
}

// BLKPG_RESIZE_PARTITION(fd, device, number, start in bytes, length in bytes)
Napi::Value ResizePartition(const Napi::CallbackInfo& info) {
  return Partition(info, BLKPG_RESIZE_PARTITION, "BLKPG_RESIZE_PARTITION", Number(info, 3), Number(info, 4));
}

// flock(fd, LOCK_EX | LOCK_NB): as udev's rules ask of who writes to a block device
// (https://systemd.io/BLOCK_DEVICE_LOCKING)
Napi::Value Lock(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [fd = Int(info, 0), path = Text(info, 1)]() -> Outcome<Nothing> {
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return KernelError{errno, "flock", path};
    return Nothing{};
  });
}

Napi::Promise Allocate(const Napi::CallbackInfo& info, int mode) {
  return Task<Nothing>::Run(info.Env(),
                            [fd = Int(info, 0), path = Text(info, 1), offset = Number(info, 2),
                             length = Number(info, 3), mode]() -> Outcome<Nothing> {
                              if (fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) < 0)
                                return KernelError{errno, "fallocate", path};
                              return Nothing{};
                            });
}

// fallocate(fd, FALLOC_FL_INSERT_RANGE, offset, length): moves what is behind `offset`, without copying it
Napi::Value InsertRange(const Napi::CallbackInfo& info) { return Allocate(info, FALLOC_FL_INSERT_RANGE); }

// fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length): what is there reads as zeroes, and a block
// device has discarded it
Napi::Value PunchHole(const Napi::CallbackInfo& info) {
  return Allocate(info, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

}  // namespace

void ExportBlockDevice(Napi::Env env, Napi::Object exports) {
  exports["blockGeometry"] = Napi::Function::New(env, GetGeometry);
  exports["blockAddPartition"] = Napi::Function::New(env, AddPartition);
  exports["blockDeletePartition"] = Napi::Function::New(env, DeletePartition);
  exports["blockResizePartition"] = Napi::Function::New(env, ResizePartition);
  exports["insertRange"] = Napi::Function::New(env, InsertRange);
  exports["punchHole"] = Napi::Function::New(env, PunchHole);
  exports["lockExclusively"] = Napi::Function::New(env, Lock);
  exports["makeBlockNode"] = Napi::Function::New(env, MakeNode);
}

}  // namespace ddi
