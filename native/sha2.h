// The compression function that SHA-256 and SHA-512 share (FIPS 180-4, 6.2.2 and 6.4.2), portable.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ddi {

// How far the functions of FIPS 180-4, 4.1.2 and 4.1.3 rotate; the last of the small ones is a shift.
struct Sha2Rotations {
  int big0[3], big1[3], small0[3], small1[3];
};

inline uint32_t FromBigEndian(uint32_t value) { return __builtin_bswap32(value); }
inline uint64_t FromBigEndian(uint64_t value) { return __builtin_bswap64(value); }

template <Sha2Rotations kBy, const auto& kRound, typename Word>
void Sha2Compress(Word state[8], const uint8_t* data, size_t count) {
  constexpr int kRounds = sizeof kRound / sizeof(Word);
  for (; count > 0; count--, data += 16 * sizeof(Word)) {
    Word w[kRounds];
    memcpy(w, data, 16 * sizeof(Word));
    for (int i = 0; i < 16; i++) w[i] = FromBigEndian(w[i]);
    for (int i = 16; i < kRounds; i++) {
      Word s0 =
          std::rotr(w[i - 15], kBy.small0[0]) ^ std::rotr(w[i - 15], kBy.small0[1]) ^ (w[i - 15] >> kBy.small0[2]);
      Word s1 = std::rotr(w[i - 2], kBy.small1[0]) ^ std::rotr(w[i - 2], kBy.small1[1]) ^ (w[i - 2] >> kBy.small1[2]);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    Word a = state[0], b = state[1], c = state[2], d = state[3];
    Word e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < kRounds; i++) {
      Word s1 = std::rotr(e, kBy.big1[0]) ^ std::rotr(e, kBy.big1[1]) ^ std::rotr(e, kBy.big1[2]);
      Word t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      Word s0 = std::rotr(a, kBy.big0[0]) ^ std::rotr(a, kBy.big0[1]) ^ std::rotr(a, kBy.big0[2]);
      Word t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

}  // namespace ddi
