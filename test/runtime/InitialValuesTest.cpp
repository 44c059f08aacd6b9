// Random weights to start from.

#include "runtime/InitialValues.h"

#include "runtime/Philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

using namespace dsc;

// The known answers of Random123, the authors' library: counter and key of zeros, of ones, and of
// the digits of pi.
TEST(Philox, GivesTheKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0U, ~0U, ~0U, ~0U}, ~0U, ~0U),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

static std::vector<float> values(Randomness random, double scale, const char *name, int64_t seed,
                                 int64_t first, int64_t count) {
  GlobalSpec spec;
  spec.name = name;
  spec.random = random;
  spec.scale = scale;
  std::vector<float> out(static_cast<size_t>(count));
  randomValues(spec, seed, first, count, out.data());
  return out;
}

// Means within four standard errors of 2^16 numbers.
TEST(InitialValues, AreSpreadAsAsked) {
  constexpr int64_t count = 1 << 16;
  const double deviations = 4 / std::sqrt(double(count));
  for (auto [random, scale, variance] : {std::tuple(Randomness::Uniform, 0.25, 0.25 * 0.25 / 3),
                                         std::tuple(Randomness::Normal, 0.02, 0.02 * 0.02)}) {
    double sum = 0, squares = 0, largest = 0;
    for (float value : values(random, scale, "h.0.weight", 7, 0, count)) {
      sum += value;
      squares += double(value) * value;
      largest = std::max(largest, std::fabs(double(value)));
    }
    EXPECT_LT(std::fabs(sum / count), deviations * std::sqrt(variance));
    EXPECT_LT(std::fabs(squares / count - variance), deviations * variance * std::sqrt(2));
    if (random == Randomness::Uniform) {
      EXPECT_LE(largest, scale);
    }
  }
}

TEST(InitialValues, DependOnNameSeedAndElementAlone) {
  auto whole = values(Randomness::Normal, 1, "w", 1, 0, 1002);
  auto part = values(Randomness::Normal, 1, "w", 1, 502, 500);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 502));
  EXPECT_NE(values(Randomness::Normal, 1, "w", 2, 0, 8),
            values(Randomness::Normal, 1, "w", 1, 0, 8));
  EXPECT_NE(values(Randomness::Normal, 1, "v", 1, 0, 8),
            values(Randomness::Normal, 1, "w", 1, 0, 8));
}

// Computed from the text of abi.h in numpy's float32, which rounds each operation once.
TEST(InitialValues, NormalNumbersHaveTheseBits) {
  const std::pair<int64_t, std::array<uint32_t, 4>> expected[] = {
      {0, {0xbcd7a86b, 0x3b2b50b4, 0xbc8d6787, 0x3b4c2141}},
      {4, {0xbcc6f167, 0xbb8f6d17, 0xbb96a841, 0xb880cc60}},
      {1000000, {0xbc553fd8, 0xbb24e5a2, 0xbb5f4172, 0xbcc3ec78}}};
  for (const auto &[first, bits] : expected) {
    std::vector<float> found = values(Randomness::Normal, 0.02, "h.0.weight", 7, first, 4);
    EXPECT_EQ(std::memcmp(found.data(), bits.data(), sizeof bits), 0) << "from element " << first;
  }
}

// Of Box and Muller's formula in f64, on the same words: the radius is at most sqrt(48 log 2)
// = 5.8, and each value is off by a few roundings of it.
TEST(InitialValues, NormalNumbersAreBoxAndMullers) {
  constexpr int64_t count = 1 << 16;
  std::vector<float> found = values(Randomness::Normal, 1, "w", 3, 0, count);
  std::vector<float> words = values(Randomness::Uniform, 1, "w", 3, 0, count);
  for (size_t i = 0; i < count; i += 2) {
    const double u = (words[i] + 1.0) / 2, v = (words[i + 1] + 1.0) / 2;
    const double radius = std::sqrt(-2 * std::log(1 - u));
    ASSERT_NEAR(found[i], radius * std::cos(2 * M_PI * v), 4 * 5.8 * 0x1p-24) << i;
    ASSERT_NEAR(found[i + 1], radius * std::sin(2 * M_PI * v), 4 * 5.8 * 0x1p-24) << i;
  }
}
