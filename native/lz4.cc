// The frame decoder of liblz4. Interface: lz4frame.h of lz4 1.9, whose ABI is stable.
#include "decoder.h"

namespace ddi {
namespace {

struct Context;
constexpr unsigned kVersion = 100;

struct Library {
  size_t (*create)(Context**, unsigned version);
  size_t (*destroy)(Context*);
  size_t (*decompress)(Context*, void* output, size_t* outputSize, const void* input, size_t* inputSize, const void*);
  unsigned (*isError)(size_t code);
  const char* (*errorName)(size_t code);

  // Null if it is not installed.
  static const Library* Load() {
    static const Library library = [] {
      Library found{};
      void* handle = dlopen("liblz4.so.1", RTLD_NOW | RTLD_LOCAL);
      Find(handle, "LZ4F_createDecompressionContext", found.create);
      Find(handle, "LZ4F_freeDecompressionContext", found.destroy);
      Find(handle, "LZ4F_decompress", found.decompress);
      Find(handle, "LZ4F_isError", found.isError);
      Find(handle, "LZ4F_getErrorName", found.errorName);
      return found;
    }();
    const bool complete =
        library.create && library.destroy && library.decompress && library.isError && library.errorName;
    return complete ? &library : nullptr;
  }
};

struct Decoder {
  explicit Decoder(const Library* library) : library(library) {}
  ~Decoder() { library->destroy(context); }
  Decoder(const Decoder&) = delete;

  const Library* library;
  Context* context = nullptr;
};

// () -> a decoder, or undefined without liblz4
Napi::Value Open(const Napi::CallbackInfo& info) {
  const Library* library = Library::Load();
  if (!library) return info.Env().Undefined();
  auto decoder = std::make_shared<Decoder>(library);
  if (library->isError(library->create(&decoder->context, kVersion))) return info.Env().Undefined();
  return Hold(info.Env(), std::move(decoder));
}

// (decoder, output, input) -> [hint or error, bytes written, bytes read]; one call at a time per decoder
Napi::Value Decode(const Napi::CallbackInfo& info) {
  return Task<Progress>::Run(
      info.Env(),
      [decoder = Held<Decoder>(info[0]), output = Pinned(info[1]), input = Pinned(info[2])]() -> Outcome<Progress> {
        const Library& library = *decoder->library;
        size_t produced = output.size, consumed = input.size;
        const size_t hint =
            library.decompress(decoder->context, output.data, &produced, input.data, &consumed, nullptr);
        const char* error = library.isError(hint) ? library.errorName(hint) : nullptr;
        return Progress{static_cast<double>(hint), error, produced, consumed};
      });
}

}  // namespace

void ExportLz4(Napi::Env env, Napi::Object exports) {
  exports["lz4Open"] = Napi::Function::New(env, Open);
  exports["lz4Decode"] = Napi::Function::New(env, Decode);
}

}  // namespace ddi
