// When the C library returns freed memory to the kernel: mallopt(3).
#include <malloc.h>

#include <algorithm>

#include "async.h"

namespace ddi {
namespace {

// (bytes): keeps that much freed memory in the process, shared by all of its threads
Napi::Value KeepFreed(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, Int(info, 0));
  mallopt(M_ARENA_MAX, 1);
  // Larger pieces are mapped separately and returned at once; glibc before 2.35 refuses a higher threshold.
  mallopt(M_MMAP_THRESHOLD, std::min(Int(info, 0), 32 * 1024 * 1024));
#endif
  return info.Env().Undefined();
}

}  // namespace

void ExportMemory(Napi::Env env, Napi::Object exports) {
  exports["keepFreedMemory"] = Napi::Function::New(env, KeepFreed);
}

}  // namespace ddi
