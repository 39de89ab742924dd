// The decoder of liblzma, whose threads decompress several blocks of a stream at once. Interface: lzma/base.h and
// lzma/container.h of xz 5.4, whose ABI is stable.
#include <thread>

#include "decoder.h"

namespace ddi {
namespace {

struct Stream {
  const uint8_t* next_in;
  size_t avail_in;
  uint64_t total_in;
  uint8_t* next_out;
  size_t avail_out;
  uint64_t total_out;
  const void* allocator;
  void* internal;
  void* reserved_pointers[4];
  uint64_t seek_pos;
  uint64_t reserved_integer;
  size_t reserved_sizes[2];
  int reserved_enums[2];
};
static_assert(sizeof(void*) != 8 || sizeof(Stream) == 136);

struct Threads {
  uint32_t flags;
  uint32_t threads;
  uint64_t block_size;
  uint32_t timeout;
  uint32_t preset;
  const void* filters;
  int check;
  int reserved_enums[3];
  uint32_t reserved_integers[4];
  uint64_t memlimit_threading;
  uint64_t memlimit_stop;
  uint64_t reserved_longs[2];
  void* reserved_pointers[4];
};
static_assert(sizeof(void*) != 8 || sizeof(Threads) == 128);

constexpr int kOk = 0;
enum Action { kRun = 0, kFinish = 3 };
constexpr uint32_t kConcatenated = 0x08;

struct Library {
  int (*single)(Stream*, uint64_t memoryLimit, uint32_t flags);
  int (*alone)(Stream*, uint64_t memoryLimit);
  int (*threaded)(Stream*, const Threads*);
  int (*code)(Stream*, int action);
  void (*end)(Stream*);

  // Null if it is not installed.
  static const Library* Load() {
    static const Library library = [] {
      Library found{};
      void* handle = dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
      Find(handle, "lzma_stream_decoder", found.single);
      Find(handle, "lzma_alone_decoder", found.alone);
      // Since xz 5.4.
      Find(handle, "lzma_stream_decoder_mt", found.threaded);
      Find(handle, "lzma_code", found.code);
      Find(handle, "lzma_end", found.end);
      return found;
    }();
    return library.single && library.alone && library.code && library.end ? &library : nullptr;
  }
};

struct Decoder {
  explicit Decoder(const Library* library) : library(library) {}
  ~Decoder() { library->end(&stream); }
  Decoder(const Decoder&) = delete;

  const Library* library;
  Stream stream{};
};

// (.lzma?, memory limit of all threads, of one) -> a decoder, or undefined without liblzma
Napi::Value Open(const Napi::CallbackInfo& info) {
  const Library* library = Library::Load();
  if (!library) return info.Env().Undefined();
  const bool isAlone = Flag(info, 0);
  auto decoder = std::make_shared<Decoder>(library);
  Threads options{};
  options.flags = kConcatenated;
  // One more than there are processors: one may be waiting for its next block.
  options.threads = std::thread::hardware_concurrency() + 1;
  options.memlimit_threading = static_cast<uint64_t>(Number(info, 1));
  options.memlimit_stop = static_cast<uint64_t>(Number(info, 2));
  Stream* stream = &decoder->stream;
  const int result = isAlone             ? library->alone(stream, options.memlimit_stop)
                     : library->threaded ? library->threaded(stream, &options)
                                         : library->single(stream, options.memlimit_stop, kConcatenated);
  if (result != kOk) return info.Env().Undefined();
  return Hold(info.Env(), std::move(decoder));
}

// (decoder, output, input, last?) -> [lzma_ret, bytes written, bytes read]; one call at a time per decoder
Napi::Value Decode(const Napi::CallbackInfo& info) {
  return Task<Progress>::Run(info.Env(),
                             [decoder = Held<Decoder>(info[0]), output = Pinned(info[1]), input = Pinned(info[2]),
                              last = Flag(info, 3)]() -> Outcome<Progress> {
                               Stream& stream = decoder->stream;
                               stream.next_in = input.data;
                               stream.avail_in = input.size;
                               stream.next_out = output.data;
                               stream.avail_out = output.size;
                               const int result = decoder->library->code(&stream, last ? kFinish : kRun);
                               return Progress{static_cast<double>(result), nullptr, output.size - stream.avail_out,
                                               input.size - stream.avail_in};
                             });
}

}  // namespace

void ExportXz(Napi::Env env, Napi::Object exports) {
  exports["xzOpen"] = Napi::Function::New(env, Open);
  exports["xzDecode"] = Napi::Function::New(env, Decode);
}

}  // namespace ddi
