// The addon's table of exports; bindings/addon.ts types and documents each.
#include "async.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  ddi::ExportBlkid(env, exports);
  ddi::ExportBlockDevice(env, exports);
  ddi::ExportCryptsetup(env, exports);
  ddi::ExportDeviceMapper(env, exports);
  ddi::ExportExtendedAttribute(env, exports);
  ddi::ExportKexec(env, exports);
  ddi::ExportLoop(env, exports);
  ddi::ExportMachine(env, exports);
  ddi::ExportMemory(env, exports);
  ddi::ExportModule(env, exports);
  ddi::ExportMount(env, exports);
  ddi::ExportPartitionScan(env, exports);
  ddi::ExportProcess(env, exports);
  ddi::ExportSha256Stream(env, exports);
  ddi::ExportSparseWrite(env, exports);
  ddi::ExportCopyRange(env, exports);
  ddi::ExportUdevCookie(env, exports);
  ddi::ExportVerityHash(env, exports);
  ddi::ExportLz4(env, exports);
  ddi::ExportXz(env, exports);
  ddi::ExportZstd(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(ddi, Init)
