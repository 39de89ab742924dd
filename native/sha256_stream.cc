// SHA-256 (FIPS 180-4) of a stream, piece by piece, on a thread of the pool.
#include <algorithm>
#include <cstring>

#include "async.h"
#include "sha256.h"

namespace ddi {
namespace {

// The state after some pieces; JavaScript holds it as bytes.
struct State {
  uint32_t words[8];
  uint8_t pending[64];
  uint64_t length;

  void Update(const uint8_t* data, size_t size) {
    const auto compress = Sha256Implementations().front()->one;
    if (const size_t held = length % 64; held > 0) {
      const size_t part = std::min(size, 64 - held);
      memcpy(pending + held, data, part);
      length += part;
      data += part;
      size -= part;
      if (length % 64 > 0) return;
      compress(words, pending, 1);
    }
    compress(words, data, size / 64);
    memcpy(pending, data + size / 64 * 64, size % 64);
    length += size;
  }

  void Digest(uint8_t* digest) const {
    State copy = *this;
    const uint64_t bits = __builtin_bswap64(length * 8);
    const uint8_t padding[64] = {0x80};
    copy.Update(padding, 64 - (length + 8) % 64);
    copy.Update(reinterpret_cast<const uint8_t*>(&bits), sizeof bits);
    for (size_t i = 0; i < 8; i++) {
      const uint32_t word = __builtin_bswap32(copy.words[i]);
      memcpy(digest + i * sizeof word, &word, sizeof word);
    }
  }
};

State* From(const Napi::Value& value) { return reinterpret_cast<State*>(value.As<Napi::Uint8Array>().Data()); }

// () -> the state of an empty stream
Napi::Value Begin(const Napi::CallbackInfo& info) {
  Napi::Uint8Array bytes = Napi::Uint8Array::New(info.Env(), sizeof(State));
  State* state = From(bytes);
  std::copy_n(kSha256Initial, 8, state->words);
  state->length = 0;
  return bytes;
}

// (state, chunks): one call at a time per state
Napi::Value Update(const Napi::CallbackInfo& info) {
  return Task<Nothing>::Run(info.Env(), [state = Pinned(info[0]), chunks = PinAll(info[1])]() -> Outcome<Nothing> {
    for (const Pinned& chunk : chunks) reinterpret_cast<State*>(state.data)->Update(chunk.data, chunk.size);
    return Nothing{};
  });
}

// (state) -> 32 bytes
Napi::Value Digest(const Napi::CallbackInfo& info) {
  Napi::Uint8Array digest = Napi::Uint8Array::New(info.Env(), 32);
  From(info[0])->Digest(digest.Data());
  return digest;
}

}  // namespace

void ExportSha256Stream(Napi::Env env, Napi::Object exports) {
  exports["sha256Begin"] = Napi::Function::New(env, Begin);
  exports["sha256Update"] = Napi::Function::New(env, Update);
  exports["sha256Digest"] = Napi::Function::New(env, Digest);
}

}  // namespace ddi
