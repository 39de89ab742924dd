// What belongs to the whole machine: its end, reboot(2), and its clock, clock_settime(2).
#include <sys/reboot.h>
#include <unistd.h>

#include <ctime>

#include "async.h"

namespace ddi {
namespace {

// (command)
Napi::Value Reboot(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(),
                            [command = static_cast<int>(static_cast<uint32_t>(Number(info, 0)))]() -> Outcome<Nothing> {
                              sync();
                              if (reboot(command) < 0) return KernelError{errno, "reboot", ""};
                              return Nothing{};
                            });
}

// (seconds)
Napi::Value SetClock(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [seconds = static_cast<time_t>(Number(info, 0))]() -> Outcome<Nothing> {
    timespec time{seconds, 0};
    if (clock_settime(CLOCK_REALTIME, &time) < 0) return KernelError{errno, "clock_settime", ""};
    return Nothing{};
  });
}

}  // namespace

void ExportMachine(Napi::Env env, Napi::Object exports) {
  exports["reboot"] = Napi::Function::New(env, Reboot);
  exports["setClock"] = Napi::Function::New(env, SetClock);
}

}  // namespace ddi
