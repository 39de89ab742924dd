// The frame decoder of libzstd. Interface: zstd.h of zstd 1.4, whose ABI is stable.
#include "decoder.h"

namespace ddi {
namespace {

struct Context;
constexpr int kWindowLogMax = 100;

struct Output {
  void* data;
  size_t size, written;
};

struct Input {
  const void* data;
  size_t size, read;
};

struct Library {
  Context* (*create)();
  size_t (*destroy)(Context*);
  size_t (*setParameter)(Context*, int parameter, int value);
  size_t (*decompress)(Context*, Output*, Input*);
  unsigned (*isError)(size_t code);
  const char* (*errorName)(size_t code);

  // Null if it is not installed.
  static const Library* Load() {
    static const Library library = [] {
      Library found{};
      void* handle = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
      Find(handle, "ZSTD_createDCtx", found.create);
      Find(handle, "ZSTD_freeDCtx", found.destroy);
      Find(handle, "ZSTD_DCtx_setParameter", found.setParameter);
      Find(handle, "ZSTD_decompressStream", found.decompress);
      Find(handle, "ZSTD_isError", found.isError);
      Find(handle, "ZSTD_getErrorName", found.errorName);
      return found;
    }();
    const bool complete = library.create && library.destroy && library.setParameter && library.decompress &&
                          library.isError && library.errorName;
    return complete ? &library : nullptr;
  }
};

struct Decoder {
  explicit Decoder(const Library* library) : library(library), context(library->create()) {}
  ~Decoder() { library->destroy(context); }
  Decoder(const Decoder&) = delete;

  const Library* library;
  Context* context;
};

// (logarithm of the largest window) -> a decoder, or undefined without libzstd
Napi::Value Open(const Napi::CallbackInfo& info) {
  const Library* library = Library::Load();
  if (!library) return info.Env().Undefined();
  auto decoder = std::make_shared<Decoder>(library);
  if (!decoder->context) return info.Env().Undefined();
  if (library->isError(library->setParameter(decoder->context, kWindowLogMax, Int(info, 0))))
    return info.Env().Undefined();
  return Hold(info.Env(), std::move(decoder));
}

// (decoder, output, input) -> [hint or error, bytes written, bytes read]; one call at a time per decoder
Napi::Value Decode(const Napi::CallbackInfo& info) {
  return Task<Progress>::Run(
      info.Env(),
      [decoder = Held<Decoder>(info[0]), output = Pinned(info[1]), input = Pinned(info[2])]() -> Outcome<Progress> {
        const Library& library = *decoder->library;
        Output to{output.data, output.size, 0};
        Input from{input.data, input.size, 0};
        const size_t hint = library.decompress(decoder->context, &to, &from);
        const char* error = library.isError(hint) ? library.errorName(hint) : nullptr;
        return Progress{static_cast<double>(hint), error, to.written, from.read};
      });
}

}  // namespace

void ExportZstd(Napi::Env env, Napi::Object exports) {
  exports["zstdOpen"] = Napi::Function::New(env, Open);
  exports["zstdDecode"] = Napi::Function::New(env, Decode);
}

}  // namespace ddi
