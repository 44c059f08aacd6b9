// Philox4x32-10 (Salmon et al., SC'11): four random words as a pure function of a counter and a
// key. Plain arithmetic without state, so that a device can compute the same words.

#ifndef DSC_RUNTIME_PHILOX_H
#define DSC_RUNTIME_PHILOX_H

#include <array>
#include <cstdint>

namespace dsc {

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint32_t key0,
                                      uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t(0xd2511f53) * counter[0];
    uint64_t product1 = uint64_t(0xcd9e8d57) * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  return counter;
}

} // namespace dsc

#endif // DSC_RUNTIME_PHILOX_H
