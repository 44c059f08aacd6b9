// SHA-256.

#include "runtime/Sha256.h"

#include <cpuid.h>
#include <cstring>
#include <immintrin.h>

using namespace dsc;

alignas(16) static const uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t value, int count) {
  return (value >> count) | (value << (32 - count));
}

static void compressPlain(uint32_t *state, const uint8_t *data, size_t blocks) {
  for (; blocks; --blocks, data += 64) {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i) {
      w[i] = static_cast<uint32_t>(data[4 * i]) << 24 |
             static_cast<uint32_t>(data[4 * i + 1]) << 16 |
             static_cast<uint32_t>(data[4 * i + 2]) << 8 | data[4 * i + 3];
    }
    for (int i = 16; i < 64; ++i) {
      uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) +
             (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
    }
    uint32_t v[8];
    std::memcpy(v, state, sizeof(v));
    for (int i = 0; i < 64; ++i) {
      uint32_t sigma1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
      uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
      uint32_t first = v[7] + sigma1 + choice + roundConstants[i] + w[i];
      uint32_t sigma0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
      uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
      v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + first;
      v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = first + sigma0 + majority;
    }
    for (int i = 0; i < 8; ++i) {
      state[i] += v[i];
    }
  }
}

__attribute__((target("sha,sse4.1"))) static void compressSha(uint32_t *state, const uint8_t *data,
                                                              size_t blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions want the state as (A, B, E, F) and (C, D, G, H).
  __m128i low = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<__m128i *>(state)), 0xb1);
  __m128i high = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<__m128i *>(state + 4)), 0x1b);
  __m128i abef = _mm_alignr_epi8(low, high, 8);
  __m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
  for (; blocks; --blocks, data += 64) {
    __m128i abefBefore = abef, cdghBefore = cdgh, w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(data) + i), swap);
    }
    for (int i = 0; i < 16; ++i) {
      __m128i words = w[i & 3];
      __m128i sum = _mm_add_epi32(
          words, _mm_load_si128(reinterpret_cast<const __m128i *>(roundConstants) + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
      if (i < 12) {
        // The four schedule words that round group i + 4 will use.
        __m128i next = _mm_sha256msg1_epu32(words, w[(i + 1) & 3]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
        w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
      }
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }
  low = _mm_shuffle_epi32(abef, 0x1b);
  high = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state), _mm_blend_epi16(low, high, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state + 4), _mm_alignr_epi8(high, low, 8));
}

static void compress(uint32_t *state, const uint8_t *data, size_t blocks) {
  static const bool hasSha = [] {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
  }();
  if (hasSha) {
    compressSha(state, data, blocks);
  } else {
    compressPlain(state, data, blocks);
  }
}

void Sha256::update(const void *data, size_t bytes) {
  auto *begin = static_cast<const uint8_t *>(data);
  total += bytes;
  if (pendingBytes) {
    size_t take = bytes < 64 - pendingBytes ? bytes : 64 - pendingBytes;
    std::memcpy(pending + pendingBytes, begin, take);
    pendingBytes += take, begin += take, bytes -= take;
    if (pendingBytes < 64) {
      return;
    }
    compress(state, pending, 1);
    pendingBytes = 0;
  }
  compress(state, begin, bytes / 64);
  pendingBytes = bytes % 64;
  if (pendingBytes) {
    std::memcpy(pending, begin + bytes - pendingBytes, pendingBytes);
  }
}

std::array<uint8_t, 32> Sha256::finish() {
  uint64_t bits = total * 8;
  uint8_t padding[72] = {0x80};
  size_t zeros = (pendingBytes < 56 ? 56 : 120) - pendingBytes;
  for (size_t i = 0; i < 8; ++i) {
    padding[zeros + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  }
  update(padding, zeros + 8);
  std::array<uint8_t, 32> digest;
  for (size_t i = 0; i < 32; ++i) {
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

std::string Sha256::hex(const void *data, size_t bytes) {
  Sha256 hash;
  hash.update(data, bytes);
  std::string text;
  for (uint8_t byte : hash.finish()) {
    for (int nibble : {byte >> 4, byte & 15}) {
      text += "0123456789abcdef"[nibble];
    }
  }
  return text;
}
