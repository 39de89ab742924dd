// Memory: when the C library returns what was freed to the kernel, mallopt(3), and files that are nowhere else,
// memfd_create(2).
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>

#include "async.h"

// glibc alone has it.
extern "C" int mallopt(int, int) __attribute__((weak));

namespace ddi {
namespace {

// (bytes): keeps that much freed memory in the process, shared by all of its threads
Napi::Value KeepFreed(const Napi::CallbackInfo& info) {
  if (!mallopt) return info.Env().Undefined();
  mallopt(M_TRIM_THRESHOLD, Int(info, 0));
  mallopt(M_ARENA_MAX, 1);
  // Larger pieces are mapped separately and returned at once; glibc before 2.35 refuses a higher threshold.
  mallopt(M_MMAP_THRESHOLD, std::min(Int(info, 0), 32 * 1024 * 1024));
  return info.Env().Undefined();
}

// (name) -> descriptor
Napi::Value MakeMemoryFile(const Napi::CallbackInfo& info) {
  const int fd = memfd_create(Text(info, 0).c_str(), MFD_CLOEXEC);
  if (fd < 0) throw Napi::Error(info.Env(), ToError(info.Env(), KernelError{errno, "memfd_create", ""}));
  return Napi::Number::New(info.Env(), fd);
}

}  // namespace

void ExportMemory(Napi::Env env, Napi::Object exports) {
  exports["keepFreedMemory"] = Napi::Function::New(env, KeepFreed);
  exports["makeMemoryFile"] = Napi::Function::New(env, MakeMemoryFile);
}

}  // namespace ddi
