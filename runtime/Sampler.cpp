// The order of samples.

#include "runtime/Sampler.h"

using namespace dsc;

static constexpr int rounds = 6;

/// splitmix64's finisher: every input bit reaches every output bit.
static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

Sampler::Sampler(int64_t samples, uint64_t seed, bool shuffle)
    : samples(samples > 0 ? samples : 1), seed(seed), shuffle(shuffle) {
  while (halfBits < 31 && (uint64_t(1) << (2 * halfBits)) < static_cast<uint64_t>(this->samples)) {
    ++halfBits;
  }
}

uint64_t Sampler::scramble(uint64_t value, uint64_t key) const {
  // A balanced Feistel network is a permutation whatever its round function is.
  uint64_t mask = (uint64_t(1) << halfBits) - 1;
  uint64_t left = value >> halfBits, right = value & mask;
  for (uint64_t round = 0; round < rounds; ++round) {
    uint64_t next = left ^ (mix(key + mix(right + (round << 56))) & mask);
    left = right;
    right = next;
  }
  return left << halfBits | right;
}

int64_t Sampler::at(int64_t position) const {
  auto index = static_cast<uint64_t>(position % samples);
  if (!shuffle) {
    return static_cast<int64_t>(index);
  }
  uint64_t key = mix(mix(seed) ^ static_cast<uint64_t>(epoch(position)));
  // The network permutes a power of four; walking on until the value is in range permutes [0, n).
  do {
    index = scramble(index, key);
  } while (index >= static_cast<uint64_t>(samples));
  return static_cast<int64_t>(index);
}
