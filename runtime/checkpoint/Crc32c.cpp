// Checksums that ranks compute of parts and join.

#include "runtime/checkpoint/Crc32c.h"

#include <array>
#include <cstring>
#include <nmmintrin.h>

using namespace dsc;

/// The polynomial without its x^32, the coefficient of x^31 in the lowest bit.
static constexpr uint32_t polynomial = 0x82f63b78;
static constexpr uint32_t one = uint32_t(1) << 31;

/// a * b mod the polynomial.
static constexpr uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = one; bit; bit >>= 1) {
    product ^= a & bit ? b : 0;
    b = (b >> 1) ^ (b & 1 ? polynomial : 0);
  }
  return product;
}

/// x^(8 * 2^k) for k = 0, 1, ..
static constexpr std::array<uint32_t, 63> makePowers() {
  std::array<uint32_t, 63> powers = {};
  powers[0] = one >> 8;
  for (size_t k = 1; k < powers.size(); ++k) {
    powers[k] = multiply(powers[k - 1], powers[k - 1]);
  }
  return powers;
}
static constexpr std::array<uint32_t, 63> powers = makePowers();

uint32_t dsc::crc32cRemainder(const void *data, int64_t bytes, uint32_t before) {
  const char *at = static_cast<const char *>(data);
  uint64_t state = before;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto rest = static_cast<uint32_t>(state);
  for (; bytes > 0; --bytes, ++at) {
    rest = _mm_crc32_u8(rest, static_cast<unsigned char>(*at));
  }
  return rest;
}

uint32_t dsc::crc32cShifted(uint32_t remainder, int64_t bytes) {
  for (size_t k = 0; bytes; ++k, bytes >>= 1) {
    if (bytes & 1) {
      remainder = multiply(remainder, powers[k]);
    }
  }
  return remainder;
}

uint32_t dsc::crc32cOfParts(uint32_t remainders, int64_t bytes) {
  return ~(crc32cShifted(~uint32_t(0), bytes) ^ remainders);
}

uint32_t dsc::crc32c(const void *data, int64_t bytes) {
  return ~crc32cRemainder(data, bytes, ~uint32_t(0));
}
