// SHA-256 by the cryptographic extension of ARMv8. Chosen at run time, so no other file may use these instructions.
#include "sha256.h"

#if defined(__aarch64__)

#pragma GCC target("+crypto")

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

namespace ddi {
namespace {

struct Lane {
  uint32x4_t abcd, efgh;
  const uint8_t* data;
};

template <int Lanes>
inline void Compress(Lane (&lanes)[Lanes], size_t count) {
  for (; count > 0; count--) {
    uint32x4_t abcd[Lanes], efgh[Lanes], w[Lanes][4];
    for (int l = 0; l < Lanes; l++) {
      abcd[l] = lanes[l].abcd;
      efgh[l] = lanes[l].efgh;
    }
#pragma GCC unroll 16
    for (int group = 0; group < 16; group++) {
      const uint32x4_t k = vld1q_u32(kSha256Round + 4 * group);
#pragma GCC unroll 2
      for (int l = 0; l < Lanes; l++) {
        uint32x4_t& now = w[l][group & 3];
        if (group < 4) {
          now = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(lanes[l].data + 16 * group)));
        } else {
          now = vsha256su1q_u32(vsha256su0q_u32(now, w[l][(group + 1) & 3]), w[l][(group + 2) & 3],
                                w[l][(group + 3) & 3]);
        }
        uint32x4_t sum = vaddq_u32(now, k);
        uint32x4_t before = lanes[l].abcd;
        lanes[l].abcd = vsha256hq_u32(before, lanes[l].efgh, sum);
        lanes[l].efgh = vsha256h2q_u32(lanes[l].efgh, before, sum);
      }
    }
    for (int l = 0; l < Lanes; l++) {
      lanes[l].abcd = vaddq_u32(lanes[l].abcd, abcd[l]);
      lanes[l].efgh = vaddq_u32(lanes[l].efgh, efgh[l]);
      lanes[l].data += 64;
    }
  }
}

inline Lane Enter(const uint32_t state[8], const uint8_t* data) {
  return Lane{vld1q_u32(state), vld1q_u32(state + 4), data};
}

inline void Leave(const Lane& lane, uint32_t state[8]) {
  vst1q_u32(state, lane.abcd);
  vst1q_u32(state + 4, lane.efgh);
}

void One(uint32_t state[8], const uint8_t* data, size_t count) {
  Lane lanes[1] = {Enter(state, data)};
  Compress(lanes, count);
  Leave(lanes[0], state);
}

void Two(uint32_t a[8], const uint8_t* dataA, uint32_t b[8], const uint8_t* dataB, size_t count) {
  Lane lanes[2] = {Enter(a, dataA), Enter(b, dataB)};
  Compress(lanes, count);
  Leave(lanes[0], a);
  Leave(lanes[1], b);
}

constexpr Sha256Implementation kArmv8{"armv8", One, Two};

}  // namespace

const Sha256Implementation* Sha256Arm() { return (getauxval(AT_HWCAP) & HWCAP_SHA2) ? &kArmv8 : nullptr; }

}  // namespace ddi

#else

const ddi::Sha256Implementation* ddi::Sha256Arm() { return nullptr; }

#endif
