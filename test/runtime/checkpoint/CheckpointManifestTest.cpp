// What is read of a checkpoint.json is what was written, or nothing.

#include "runtime/checkpoint/CheckpointManifest.h"

#include <gmock/gmock.h>

using namespace dsc;
using testing::HasSubstr;

namespace {
CheckpointManifest example() {
  CheckpointManifest manifest;
  manifest.run = {500, 6000, 2, 400, "loss", 0.1, 300, 1};
  manifest.reason = "schedule";
  manifest.steps = 1000;
  manifest.model = "m\"\xc3\xa9";
  manifest.version = "0.1.0";
  manifest.flags = {{"--lr", "0.001"}, {"--no-shuffle", ""}};
  manifest.options = {{"precision", "fp16"}};
  manifest.dataSamples = 700;
  manifest.dataFingerprint = "700 samples, hash 12";
  manifest.samplesPerStep = 12;
  manifest.ranks = 4;
  manifest.zero = 3;
  manifest.choices = {{"sm_90 a", "00ff"}};
  manifest.tensors = {{"w", weightsFile, "trained", "", "", DSC_F32, {3, 4}, 0xdeadbeef},
                      {"w.exp_avg", optimizerFile, "state", "w", "exp_avg", DSC_F32, {3, 4}, 7}};
  return manifest;
}
} // namespace

TEST(CheckpointManifestTest, ReadsWhatItWrote) {
  const CheckpointManifest written = example();
  Result<CheckpointManifest> read = readCheckpointManifest("c", written.text());
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->text(), written.text());
  EXPECT_EQ(read->run.samples, 6000);
  EXPECT_EQ(read->run.skippedInRow, 2);
  EXPECT_EQ(read->run.best, 0.1);
  EXPECT_EQ(read->find(optimizerFile, "w.exp_avg")->checksum, 7u);
  EXPECT_EQ(read->find(weightsFile, "w.exp_avg"), nullptr);
  EXPECT_THAT(written.text(), HasSubstr("\"sample_in_epoch\": 400"));
}

TEST(CheckpointManifestTest, ADamagedByteIsFound) {
  const std::string text = example().text();
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      continue; // space between values says nothing
    }
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_TRUE(readCheckpointManifest("c", damaged).failed()) << "byte " << i;
  }
  for (size_t length = 0; length + 2 < text.size(); length += 17) {
    EXPECT_TRUE(readCheckpointManifest("c", text.substr(0, length)).failed()) << length;
  }
}

TEST(CheckpointManifestTest, OtherFilesAreRefusedByReason) {
  auto said = [](const std::string &text) {
    return readCheckpointManifest("c", text).status().message();
  };
  EXPECT_THAT(said("{}"), HasSubstr("c: was not written by dsc"));
  EXPECT_THAT(said("[1]"), HasSubstr("was not written by dsc"));
  EXPECT_THAT(said("{\"format\": 2, \"producer\": \"dsc\"}"), HasSubstr("has format 2"));
  EXPECT_THAT(said("{\"format\": 1, \"producer\": \"dsc\", \"crc32c\": \"00000000\"}"),
              HasSubstr("is damaged: its checksum"));
  EXPECT_THAT(said("half a fi"), HasSubstr("is damaged"));
}
