// Checksums of parts give that of the whole.

#include "runtime/checkpoint/Crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

using namespace dsc;

TEST(Crc32cTest, IsTheOneOfTheStandard) {
  // RFC 3720, B.4, and the check value of the catalogues.
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43u);
  EXPECT_EQ(crc32c("", 0), 0u);
}

TEST(Crc32cTest, PartsInAnyOrderJoin) {
  std::mt19937 random(1);
  for (int64_t bytes : {1, 7, 64, 1000, 70001}) {
    std::string data(static_cast<size_t>(bytes), '\0');
    for (char &c : data) {
      c = static_cast<char>(random());
    }
    uint32_t sum = 0;
    for (int64_t begin = 0; begin < bytes;) {
      const int64_t count = std::min<int64_t>(1 + random() % 9999, bytes - begin);
      sum ^= crc32cShifted(crc32cRemainder(data.data() + begin, count), bytes - begin - count);
      begin += count;
    }
    EXPECT_EQ(crc32cOfParts(sum, bytes), crc32c(data.data(), bytes)) << bytes;
  }
}

TEST(Crc32cTest, ManyBytesBehindAPartAreZeros) {
  const uint32_t remainder = crc32cRemainder("damage", 6);
  // Over 2^40 bytes in two ways.
  uint32_t twice = crc32cShifted(crc32cShifted(remainder, (int64_t(1) << 40) - 5), 5);
  EXPECT_EQ(twice, crc32cShifted(remainder, int64_t(1) << 40));
  const std::string zeros(1000, '\0');
  EXPECT_EQ(crc32cShifted(remainder, 1000), crc32cRemainder(zeros.data(), 1000, remainder));
}
