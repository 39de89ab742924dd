// Opens LUKS2 devices by libcryptsetup. Interface: libcryptsetup.h, API version 2.
#include "library.h"

namespace ddi {
namespace {

struct Context;
constexpr int kAnyKeySlot = -1;
constexpr uint32_t kReadOnly = 1 << 0, kAllowDiscards = 1 << 3;
// CRYPT_FLAGS_ACTIVATION: those that a header has for each activation.
constexpr int kActivation = 0;

struct Library {
  int (*init)(Context**, const char* device);
  int (*load)(Context*, const char* type, void* parameters);
  int (*activate)(Context*, const char* name, int keySlot, const char* passphrase, size_t size, uint32_t flags);
  int (*setFlags)(Context*, int type, uint32_t flags);
  void (*free)(Context*);

  static const Library& Load(Napi::Env env) {
    static const Library library = [env] {
      Library found{};
      void* handle = OpenLibrary(env, "libcryptsetup.so.12");
      Need(env, handle, "crypt_init", found.init);
      Need(env, handle, "crypt_load", found.load);
      Need(env, handle, "crypt_activate_by_passphrase", found.activate);
      Need(env, handle, "crypt_persistent_flags_set", found.setFlags);
      Need(env, handle, "crypt_free", found.free);
      return found;
    }();
    return library;
  }
};

// Does something with a LUKS2 header that is loaded. What it returns is negative if it failed.
template <typename Work>
Outcome<Nothing> WithHeader(const Library& library, const std::string& device, const char* call, Work work) {
  Context* context = nullptr;
  if (const int failed = library.init(&context, device.c_str()); failed < 0)
    return KernelError{-failed, "crypt_init", device};
  const std::unique_ptr<Context, void (*)(Context*)> held(context, library.free);
  if (const int failed = library.load(context, "LUKS2", nullptr); failed < 0)
    return KernelError{-failed, "crypt_load", device};
  if (const int failed = work(context); failed < 0) return KernelError{-failed, call, device};
  return Nothing{};
}

// (device, name, passphrase, read-only?)
Napi::Value Activate(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(
      info.Env(), [&library = Library::Load(info.Env()), device = Text(info, 0), name = Text(info, 1),
                   passphrase = Bytes(info[2]), flags = Flag(info, 3) ? kReadOnly : 0] {
        return WithHeader(library, device, "crypt_activate_by_passphrase", [&](Context* context) {
          return library.activate(context, name.c_str(), kAnyKeySlot, passphrase.data(), passphrase.size(), flags);
        });
      });
}

// (device)
Napi::Value PersistDiscards(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [&library = Library::Load(info.Env()), device = Text(info, 0)] {
    return WithHeader(library, device, "crypt_persistent_flags_set",
                      [&](Context* context) { return library.setFlags(context, kActivation, kAllowDiscards); });
  });
}

}  // namespace

void ExportCryptsetup(Napi::Env env, Napi::Object exports) {
  exports["activateLuks"] = Napi::Function::New(env, Activate);
  exports["persistLuksDiscards"] = Napi::Function::New(env, PersistDiscards);
}

}  // namespace ddi
