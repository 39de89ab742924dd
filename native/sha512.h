// SHA-512 compression (FIPS 180-4), portable: 64-bit processors run it well without special instructions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ddi {

constexpr uint64_t kSha512Initial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                        0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

// Folds `count` 128-byte blocks at `data` into `state`.
void Sha512Compress(uint64_t state[8], const uint8_t* data, size_t count);

}  // namespace ddi
