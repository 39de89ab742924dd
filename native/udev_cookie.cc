// The cookies by which device-mapper, udev's rules and we meet: a System V semaphore whose key is
// 0x0D4D in the upper half and a random base in the lower. Every ioctl that makes the kernel send an event
// raises it, `dmsetup udevcomplete` in 95-dm-notify.rules lowers it, and who waits for zero knows that udev is done.
// The protocol is libdevmapper's (libdm-common.c, dm_udev_create_cookie and dm_udev_wait).
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/sem.h>

#include <ctime>

#include "async.h"

namespace ddi {
namespace {

constexpr uint32_t kMagic = 0x0D4D;

std::string Name(uint32_t cookie) { return "udev cookie " + std::to_string(cookie); }

Outcome<Nothing> Add(uint32_t cookie, int16_t amount, int16_t flags, const timespec* timeout) {
  int id = semget(static_cast<key_t>(cookie), 1, 0);
  if (id < 0) return KernelError{errno, "semget", Name(cookie)};
  sembuf operation{0, amount, flags};
  while (semtimedop(id, &operation, 1, timeout) < 0) {
    if (errno == EINTR) continue;
    if (errno == EIDRM && amount == 0) return Nothing{};
    return KernelError{errno, "semtimedop", Name(cookie)};
  }
  return Nothing{};
}

// () -> cookie, the semaphore at 1 (our own hold)
Napi::Value Create(const Napi::CallbackInfo& info) {
  return Task<double>::Run(info.Env(), []() -> Outcome<double> {
    for (;;) {
      uint16_t base = 0;
      if (getrandom(&base, sizeof base, 0) != sizeof base) return KernelError{errno, "getrandom", ""};
      if (base == 0) continue;
      uint32_t cookie = kMagic << 16 | base;
      int id = semget(static_cast<key_t>(cookie), 1, 0600 | IPC_CREAT | IPC_EXCL);
      if (id < 0 && errno == EEXIST) continue;
      if (id < 0) return KernelError{errno, "semget", Name(cookie)};
      if (semctl(id, 0, SETVAL, 1) < 0) {
        int number = errno;
        semctl(id, 0, IPC_RMID);
        return KernelError{number, "semctl", Name(cookie)};
      }
      return static_cast<double>(cookie);
    }
  });
}

// (cookie, +1 before an ioctl that sends an event | -1 if it sent none or failed)
Napi::Value Adjust(const Napi::CallbackInfo& info) {
  uint32_t cookie = info[0].ToNumber().Uint32Value();
  return Task<Nothing>::Run(info.Env(), [cookie, amount = Int(info, 1)] {
    return Add(cookie, static_cast<int16_t>(amount), IPC_NOWAIT, nullptr);
  });
}

// (cookie, seconds): gives up our own hold, waits for udev's, removes the semaphore. EAGAIN when udev did not answer.
Napi::Value Wait(const Napi::CallbackInfo& info) {
  uint32_t cookie = info[0].ToNumber().Uint32Value();
  return Task<Nothing>::Run(info.Env(), [cookie, seconds = Int(info, 1)]() -> Outcome<Nothing> {
    timespec timeout{seconds, 0};
    Outcome<Nothing> outcome = Add(cookie, -1, IPC_NOWAIT, nullptr);
    if (!std::holds_alternative<KernelError>(outcome)) outcome = Add(cookie, 0, 0, &timeout);
    int id = semget(static_cast<key_t>(cookie), 1, 0);
    if (id >= 0) semctl(id, 0, IPC_RMID);
    return outcome;
  });
}

}  // namespace

void ExportUdevCookie(Napi::Env env, Napi::Object exports) {
  exports["udevCookieCreate"] = Napi::Function::New(env, Create);
  exports["udevCookieAdjust"] = Napi::Function::New(env, Adjust);
  exports["udevCookieWait"] = Napi::Function::New(env, Wait);
}

}  // namespace ddi
