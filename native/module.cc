// Kernel modules: finit_module(2).
#include <linux/module.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async.h"

namespace ddi {
namespace {

// (fd, path, parameters, compressed)
Napi::Value LoadModule(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(),
                            [fd = Int(info, 0), path = Text(info, 1), parameters = Text(info, 2),
                             flags = Flag(info, 3) ? MODULE_INIT_COMPRESSED_FILE : 0]() -> Outcome<Nothing> {
                              if (syscall(SYS_finit_module, fd, parameters.c_str(), flags) < 0)
                                return KernelError{errno, "finit_module", path};
                              return Nothing{};
                            });
}

}  // namespace

void ExportModule(Napi::Env env, Napi::Object exports) { exports["loadModule"] = Napi::Function::New(env, LoadModule); }

}  // namespace ddi
