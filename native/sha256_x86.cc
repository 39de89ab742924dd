// SHA-256 by the SHA extensions of x86-64. Chosen at run time, so the file is built for any x86-64.
#include "sha256.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace ddi {
namespace {

#define DDI_SHA __attribute__((target("sha,sse4.1,ssse3"), always_inline)) inline

// The instructions keep the eight words as {A,B,E,F} and {C,D,G,H}.
struct Lane {
  __m128i abef, cdgh;
  const uint8_t* data;
};

DDI_SHA void Enter(Lane& lane, const uint32_t state[8], const uint8_t* data) {
  __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
  __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
  lane.abef = _mm_alignr_epi8(cdab, efgh, 8);
  lane.cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  lane.data = data;
}

DDI_SHA void Leave(const Lane& lane, uint32_t state[8]) {
  __m128i feba = _mm_shuffle_epi32(lane.abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(lane.cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

template <int Lanes>
DDI_SHA void Compress(Lane (&lanes)[Lanes], size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  for (; count > 0; count--) {
    __m128i abef[Lanes], cdgh[Lanes], w[Lanes][4];
#pragma GCC unroll 2
    for (int l = 0; l < Lanes; l++) {
      abef[l] = lanes[l].abef;
      cdgh[l] = lanes[l].cdgh;
    }
#pragma GCC unroll 16
    for (int group = 0; group < 16; group++) {
      const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kSha256Round + 4 * group));
#pragma GCC unroll 2
      for (int l = 0; l < Lanes; l++) {
        __m128i& now = w[l][group & 3];
        if (group < 4) {
          now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(lanes[l].data) + group), swap);
        } else {
          __m128i last = w[l][(group + 3) & 3];
          __m128i seven = _mm_alignr_epi8(last, w[l][(group + 2) & 3], 4);
          now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, w[l][(group + 1) & 3]), seven), last);
        }
        __m128i sum = _mm_add_epi32(now, k);
        lanes[l].cdgh = _mm_sha256rnds2_epu32(lanes[l].cdgh, lanes[l].abef, sum);
        lanes[l].abef = _mm_sha256rnds2_epu32(lanes[l].abef, lanes[l].cdgh, _mm_shuffle_epi32(sum, 0x0E));
      }
    }
#pragma GCC unroll 2
    for (int l = 0; l < Lanes; l++) {
      lanes[l].abef = _mm_add_epi32(lanes[l].abef, abef[l]);
      lanes[l].cdgh = _mm_add_epi32(lanes[l].cdgh, cdgh[l]);
      lanes[l].data += 64;
    }
  }
}

__attribute__((target("sha,sse4.1,ssse3"))) void One(uint32_t state[8], const uint8_t* data, size_t count) {
  Lane lanes[1];
  Enter(lanes[0], state, data);
  Compress(lanes, count);
  Leave(lanes[0], state);
}

__attribute__((target("sha,sse4.1,ssse3"))) void Two(uint32_t a[8], const uint8_t* dataA, uint32_t b[8],
                                                     const uint8_t* dataB, size_t count) {
  Lane lanes[2];
  Enter(lanes[0], a, dataA);
  Enter(lanes[1], b, dataB);
  Compress(lanes, count);
  Leave(lanes[0], a);
  Leave(lanes[1], b);
}

bool Supported() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

constexpr Sha256Implementation kShaNi{"sha-ni", One, Two};

}  // namespace

const Sha256Implementation* Sha256X86() { return Supported() ? &kShaNi : nullptr; }

}  // namespace ddi

#else

const ddi::Sha256Implementation* ddi::Sha256X86() { return nullptr; }

#endif
