// How the C library gives memory back: mallopt(3).
#include <malloc.h>

#include <algorithm>

#include "async.h"

namespace ddi {
namespace {

// (bytes): so much freed memory stays with the process, and all of its threads share it
Napi::Value KeepFreed(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, Int(info, 0));
  mallopt(M_ARENA_MAX, 1);
  // Larger pieces are mapped one by one, and given back at once; glibc before 2.35 takes no higher threshold than this.
  mallopt(M_MMAP_THRESHOLD, std::min(Int(info, 0), 32 * 1024 * 1024));
#endif
  return info.Env().Undefined();
}

}  // namespace

void ExportMemory(Napi::Env env, Napi::Object exports) {
  exports["keepFreedMemory"] = Napi::Function::New(env, KeepFreed);
}

}  // namespace ddi
