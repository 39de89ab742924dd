// Another kernel in this one's place: kexec_file_load(2). reboot(2) starts it (machine.cc).
#include <linux/kexec.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async.h"

namespace ddi {
namespace {

// (kernelFd, path, initrdFd, commandLine)
Napi::Value KexecFileLoad(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(
      info.Env(),
      [kernel = Int(info, 0), path = Text(info, 1), initrd = Int(info, 2), line = Text(info, 3)]() -> Outcome<Nothing> {
        // Its length has the terminating zero.
        if (syscall(SYS_kexec_file_load, kernel, initrd, line.size() + 1, line.c_str(), 0UL) < 0)
          return KernelError{errno, "kexec_file_load", path};
        return Nothing{};
      });
}

}  // namespace

void ExportKexec(Napi::Env env, Napi::Object exports) {
  exports["kexecFileLoad"] = Napi::Function::New(env, KexecFileLoad);
}

}  // namespace ddi
