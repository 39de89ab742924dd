// Runs a blocking kernel call on libuv's thread pool and settles a promise with what came of it.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ddi {

// What a failed call leaves: the shape of Node's own system errors, of which TypeScript adds `code` and the message.
struct KernelError {
  int number;
  std::string syscall;
  std::string device;
};

struct Nothing {};

template <typename Value>
using Outcome = std::variant<Value, KernelError>;

inline Napi::Value ToJs(Napi::Env env, const Nothing&) { return env.Undefined(); }
inline Napi::Value ToJs(Napi::Env env, double value) { return Napi::Number::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, const std::string& value) { return Napi::String::New(env, value); }

inline Napi::Object ToError(Napi::Env env, const KernelError& error) {
  Napi::Object value = Napi::Error::New(env, error.syscall + " " + error.device).Value();
  value["errno"] = Napi::Number::New(env, -error.number);
  value["syscall"] = Napi::String::New(env, error.syscall);
  value["path"] = Napi::String::New(env, error.device);
  return value;
}

template <typename Value>
class Task : public Napi::AsyncWorker {
 public:
  using Work = std::function<Outcome<Value>()>;

  static Napi::Promise Run(Napi::Env env, Work work) {
    auto* task = new Task(env, std::move(work));
    Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override { outcome_ = work_(); }

  void OnOK() override {
    Napi::HandleScope scope(Env());
    if (auto* error = std::get_if<KernelError>(&outcome_)) {
      deferred_.Reject(ToError(Env(), *error));
    } else {
      deferred_.Resolve(ToJs(Env(), std::get<Value>(outcome_)));
    }
  }

  // What `work` may throw is std::bad_alloc.
  void OnError(const Napi::Error& error) override {
    deferred_.Reject(ToError(Env(), KernelError{ENOMEM, error.Message(), ""}));
  }

 private:
  Task(Napi::Env env, Work work)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)) {}

  Napi::Promise::Deferred deferred_;
  Work work_;
  Outcome<Value> outcome_{KernelError{ECANCELED, "", ""}};
};

// Argument readers. TypeScript types the calls (bindings/addon.ts is the only caller), so these only convert.
inline int Int(const Napi::CallbackInfo& info, size_t index) { return info[index].ToNumber().Int32Value(); }
inline double Number(const Napi::CallbackInfo& info, size_t index) { return info[index].ToNumber().DoubleValue(); }
inline std::string Text(const Napi::CallbackInfo& info, size_t index) { return info[index].ToString().Utf8Value(); }
inline bool Flag(const Napi::CallbackInfo& info, size_t index) { return info[index].ToBoolean().Value(); }

// Bytes that a task keeps alive while it runs on another thread: its own copy.
inline std::string Bytes(const Napi::Value& value) {
  Napi::Uint8Array array = value.As<Napi::Uint8Array>();
  return std::string(reinterpret_cast<const char*>(array.Data()), array.ByteLength());
}

// Whether some bytes, at least one, are all zeroes.
inline bool IsZero(const uint8_t* bytes, size_t size) {
  return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

// Bytes that a task uses in place, and keeps from being collected until it ends. The caller must not change them
// before.
struct Pinned {
  explicit Pinned(const Napi::Value& value)
      : reference(std::make_shared<Napi::Reference<Napi::Uint8Array>>(Napi::Persistent(value.As<Napi::Uint8Array>()))),
        data(reference->Value().Data()),
        size(reference->Value().ByteLength()) {}

  std::shared_ptr<Napi::Reference<Napi::Uint8Array>> reference;
  uint8_t* data;
  size_t size;
};

inline std::vector<Pinned> PinAll(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<Pinned> all;
  for (uint32_t i = 0; i < array.Length(); i++) all.emplace_back(array.Get(i));
  return all;
}

void ExportBlkid(Napi::Env env, Napi::Object exports);
void ExportBlockDevice(Napi::Env env, Napi::Object exports);
void ExportCryptsetup(Napi::Env env, Napi::Object exports);
void ExportDeviceMapper(Napi::Env env, Napi::Object exports);
void ExportExtendedAttribute(Napi::Env env, Napi::Object exports);
void ExportKexec(Napi::Env env, Napi::Object exports);
void ExportLoop(Napi::Env env, Napi::Object exports);
void ExportMachine(Napi::Env env, Napi::Object exports);
void ExportMemory(Napi::Env env, Napi::Object exports);
void ExportModule(Napi::Env env, Napi::Object exports);
void ExportMount(Napi::Env env, Napi::Object exports);
void ExportPartitionScan(Napi::Env env, Napi::Object exports);
void ExportProcess(Napi::Env env, Napi::Object exports);
void ExportSha256Stream(Napi::Env env, Napi::Object exports);
void ExportCopyRange(Napi::Env env, Napi::Object exports);
void ExportSparseWrite(Napi::Env env, Napi::Object exports);
void ExportUdevCookie(Napi::Env env, Napi::Object exports);
void ExportVerityHash(Napi::Env env, Napi::Object exports);
void ExportLz4(Napi::Env env, Napi::Object exports);
void ExportXz(Napi::Env env, Napi::Object exports);
void ExportZstd(Napi::Env env, Napi::Object exports);

}  // namespace ddi
