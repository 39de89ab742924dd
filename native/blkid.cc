// The safe probe of libblkid. Interface: blkid.h of util-linux, whose ABI is stable.
#include "library.h"

namespace ddi {
namespace {

struct Handle;
enum SuperblockFlags { kLabel = 1 << 1, kUuid = 1 << 3, kType = 1 << 5 };

struct Library {
  Handle* (*create)();
  void (*destroy)(Handle*);
  int (*enableSuperblocks)(Handle*, int on);
  int (*setSuperblocksFlags)(Handle*, int flags);
  int (*enablePartitions)(Handle*, int on);
  int (*setDevice)(Handle*, int fd, int64_t offset, int64_t size);
  int (*probe)(Handle*);
  int (*lookUp)(Handle*, const char* name, const char** value, size_t* length);

  static const Library& Load(Napi::Env env) {
    static const Library library = [env] {
      Library found{};
      void* handle = OpenLibrary(env, "libblkid.so.1");
      Need(env, handle, "blkid_new_probe", found.create);
      Need(env, handle, "blkid_free_probe", found.destroy);
      Need(env, handle, "blkid_probe_enable_superblocks", found.enableSuperblocks);
      Need(env, handle, "blkid_probe_set_superblocks_flags", found.setSuperblocksFlags);
      Need(env, handle, "blkid_probe_enable_partitions", found.enablePartitions);
      Need(env, handle, "blkid_probe_set_device", found.setDevice);
      Need(env, handle, "blkid_do_safeprobe", found.probe);
      Need(env, handle, "blkid_probe_lookup_value", found.lookUp);
      return found;
    }();
    return library;
  }
};

struct Probe {
  explicit Probe(const Library& library) : library(library), handle(library.create()) {
    if (!handle) throw std::bad_alloc();
  }
  ~Probe() { library.destroy(handle); }
  Probe(const Probe&) = delete;

  const Library& library;
  Handle* handle;
};

// (partition tables too?) -> a probe
Napi::Value Open(const Napi::CallbackInfo& info) {
  auto probe = std::make_shared<Probe>(Library::Load(info.Env()));
  probe->library.enableSuperblocks(probe->handle, 1);
  if (Flag(info, 0)) probe->library.enablePartitions(probe->handle, 1);
  probe->library.setSuperblocksFlags(probe->handle, kLabel | kUuid | kType);
  return Hold(info.Env(), std::move(probe));
}

// (probe, fd, offset, size) -> values by name, or what blkid_do_safeprobe() returned if it found none; -1 is an error
Napi::Value Run(const Napi::CallbackInfo& info) {
  const auto probe = Held<Probe>(info[0]);
  const Library& library = probe->library;
  const auto offset = static_cast<int64_t>(Number(info, 2)), size = static_cast<int64_t>(Number(info, 3));
  if (library.setDevice(probe->handle, Int(info, 1), offset, size) != 0) return Napi::Number::New(info.Env(), -1);
  const int found = library.probe(probe->handle);
  if (found != 0) return Napi::Number::New(info.Env(), found);
  Napi::Object values = Napi::Object::New(info.Env());
  for (const char* name : {"TYPE", "LABEL", "UUID", "BLOCK_SIZE", "PTTYPE"}) {
    const char* value;
    if (library.lookUp(probe->handle, name, &value, nullptr) == 0) values[name] = Napi::String::New(info.Env(), value);
  }
  return values;
}

}  // namespace

void ExportBlkid(Napi::Env env, Napi::Object exports) {
  exports["blkidOpen"] = Napi::Function::New(env, Open);
  exports["blkidProbe"] = Napi::Function::New(env, Run);
}

}  // namespace ddi
