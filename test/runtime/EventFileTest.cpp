// Event files, byte by byte; test/e2e/run_display.py has TensorBoard read one.

#include "runtime/EventFile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <dirent.h>
#include <fstream>
#include <sstream>

using namespace dsc;

/// CRC-32C of RFC 3720, B.4, and of "123456789", behind TFRecord's mask.
TEST(EventFile, ChecksumsAreMaskedCrc32c) {
  auto masked = [](uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; };
  EXPECT_EQ(maskedCrc32c("123456789"), masked(0xe3069283u));
  EXPECT_EQ(maskedCrc32c(std::string(32, '\0')), masked(0x8a9136aau));
  EXPECT_EQ(maskedCrc32c(std::string(32, '\xff')), masked(0x62a8ab43u));
}

/// The records of the one file in `folder`, with their checksums verified.
static std::vector<std::string> recordsIn(const std::string &folder) {
  std::string path;
  DIR *directory = opendir(folder.c_str());
  while (dirent *entry = readdir(directory)) {
    if (std::string(entry->d_name).rfind("events.out.tfevents.", 0) == 0) {
      path = folder + "/" + entry->d_name;
    }
  }
  closedir(directory);
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const std::string bytes = text.str();
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length;
    uint32_t crc;
    std::memcpy(&length, &bytes[at], 8);
    std::memcpy(&crc, &bytes[at + 8], 4);
    EXPECT_EQ(crc, maskedCrc32c(std::string_view(bytes).substr(at, 8)));
    records.push_back(bytes.substr(at + 12, length));
    std::memcpy(&crc, &bytes[at + 12 + length], 4);
    EXPECT_EQ(crc, maskedCrc32c(records.back()));
    at += 16 + length;
  }
  return records;
}

TEST(EventFile, HoldsItsVersionAndScalars) {
  const std::string folder = testing::TempDir() + "/events-" + std::to_string(getpid());
  {
    EventFile events;
    ASSERT_TRUE(events.scalars(1, {{"nowhere", 1}}).ok()) << "writes nothing without a file";
    ASSERT_TRUE(events.open(folder).ok());
    ASSERT_TRUE(events.scalars(300, {{"a", 1}, {"bc", -0.5}}).ok());
  }
  std::vector<std::string> records = recordsIn(folder);
  ASSERT_EQ(records.size(), 2u);
  // Field 1 (fixed64) is the time; field 3 the version.
  EXPECT_EQ(records[0].substr(0, 1), "\x09");
  EXPECT_EQ(records[0].substr(9), std::string("\x1a\x0d") + "brain.Event:2");
  // Field 2 is the step, 300 as a varint; field 5 a summary with two values of tag and
  // simple_value.
  const std::string expected("\x10\xac\x02"
                             "\x2a\x15"
                             "\x0a\x08\x0a\x01"
                             "a\x15\x00\x00\x80\x3f"
                             "\x0a\x09\x0a\x02"
                             "bc\x15\x00\x00\x00\xbf",
                             26);
  EXPECT_EQ(records[1].substr(9), expected);
}

TEST(EventFile, SaysWhyItCannotBeMade) {
  EventFile events;
  Status status = events.open("/proc/nowhere");
  ASSERT_TRUE(status.failed());
  EXPECT_THAT(status.message(), testing::HasSubstr("--tensorboard /proc/nowhere"));
}
