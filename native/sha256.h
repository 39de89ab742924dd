// SHA-256 compression (FIPS 180-4), portable and by the processor's own instructions, one stream or two at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ddi {

constexpr uint32_t kSha256Initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
extern const uint32_t kSha256Round[64];

struct Sha256Implementation {
  const char* name;
  // Folds `count` 64-byte blocks at `data` into `state`.
  void (*one)(uint32_t state[8], const uint8_t* data, size_t count);
  // The same for two independent streams, interleaved so that neither waits for the other's latency.
  void (*two)(uint32_t a[8], const uint8_t* dataA, uint32_t b[8], const uint8_t* dataB, size_t count);
};

// The implementations that this processor runs, fastest first; "portable" is always the last.
const std::vector<const Sha256Implementation*>& Sha256Implementations();

// null if the processor lacks the instructions (or the build is for another architecture)
const Sha256Implementation* Sha256X86();
const Sha256Implementation* Sha256Arm();

}  // namespace ddi
