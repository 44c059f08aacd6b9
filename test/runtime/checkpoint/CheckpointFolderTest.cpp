// What a folder of checkpoints shows, whatever was going on when a process died.

#include "runtime/checkpoint/CheckpointFolder.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace dsc;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {
class CheckpointFolderTest : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/dsc-checkpoints-XXXXXX";
    folder = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  /// A checkpoint without tensors, as far as its publication.
  void writeAside(int64_t step) {
    ASSERT_TRUE(makeAside(folder, step).ok());
    CheckpointManifest manifest;
    manifest.run.step = step;
    std::ofstream(asidePath(folder, step) + "/" + manifestFile) << manifest.text();
  }
  void write(int64_t step) {
    writeAside(step);
    ASSERT_TRUE(publishCheckpoint(folder, step).ok());
  }

  std::string folder;
};
} // namespace

TEST_F(CheckpointFolderTest, OnlyPublishedOnesAreSeen) {
  EXPECT_THAT(checkpointsIn(folder), IsEmpty());
  EXPECT_FALSE(holdsCheckpoint(folder));
  write(9);
  write(100000000);
  writeAside(200);
  EXPECT_THAT(checkpointsIn(folder), ElementsAre(9, 100000000));
  EXPECT_EQ(linkedStep(folder, "latest"), 100000000);
  EXPECT_EQ(linkedStep(folder, "best"), -1);
  EXPECT_EQ(*findCheckpoint(folder), folder + "/step-100000000");
  EXPECT_EQ(openCheckpoint(folder + "/latest")->run.step, 100000000);
  removeLeftovers(folder);
  EXPECT_FALSE(std::filesystem::exists(asidePath(folder, 200)));
  EXPECT_THAT(checkpointsIn(folder), ElementsAre(9, 100000000));
}

TEST_F(CheckpointFolderTest, NamesOfOthersAreNoCheckpoints) {
  for (const char *name : {"step-", "step-1", "step-0000000x", "step-000000001", "step--0000001"}) {
    std::filesystem::create_directory(folder + "/" + name);
  }
  std::ofstream(folder + "/step-00000007") << "a file";
  EXPECT_THAT(checkpointsIn(folder), IsEmpty());
  EXPECT_THAT(findCheckpoint(folder).status().message(), HasSubstr("holds none"));
  EXPECT_THAT(findCheckpoint(folder + "/step-00000007").status().message(),
              HasSubstr("is a file and no checkpoint"));
  EXPECT_THAT(findCheckpoint(folder + "/none").status().message(), HasSubstr("No such file"));
}

TEST_F(CheckpointFolderTest, RemovedOnesAreGoneAtOnce) {
  write(1);
  write(2);
  ASSERT_TRUE(removeCheckpoint(folder, 1).ok());
  EXPECT_THAT(checkpointsIn(folder), ElementsAre(2));
  // What a process that died in the middle leaves.
  std::filesystem::create_directory(folder + "/.step-00000003.removed");
  std::ofstream(folder + "/.step-00000003.removed/weights.safetensors") << "x";
  std::ofstream(folder + "/.seen-12-34") << "";
  std::filesystem::create_symlink("step-00000002", folder + "/.latest.partial");
  std::ofstream(folder + "/.mine") << "not ours";
  removeLeftovers(folder);
  for (const char *name : {"/.step-00000003.removed", "/.seen-12-34", "/.latest.partial"}) {
    EXPECT_FALSE(std::filesystem::exists(folder + name)) << name;
  }
  EXPECT_TRUE(std::filesystem::exists(folder + "/.mine"));
}

TEST_F(CheckpointFolderTest, LinksMoveAndDoNotDangle) {
  write(1);
  write(2);
  ASSERT_TRUE(linkCheckpoint(folder, "best", 1).ok());
  ASSERT_TRUE(linkCheckpoint(folder, "best", 2).ok());
  EXPECT_EQ(linkedStep(folder, "best"), 2);
  ASSERT_TRUE(removeCheckpoint(folder, 2).ok());
  EXPECT_EQ(linkedStep(folder, "best"), -1);
}

TEST_F(CheckpointFolderTest, AMissingFileIsNamed) {
  ASSERT_TRUE(makeAside(folder, 5).ok());
  CheckpointManifest manifest;
  manifest.run.step = 5;
  manifest.tensors = {{"w", weightsFile, "trained", "", "", DSC_F32, {1000}, 1}};
  std::ofstream(asidePath(folder, 5) + "/" + manifestFile) << manifest.text();
  ASSERT_TRUE(publishCheckpoint(folder, 5).ok());
  EXPECT_THAT(openCheckpoint(folder + "/latest").status().message(),
              HasSubstr("weights.safetensors: No such file"));
  std::ofstream(folder + "/latest/" + weightsFile) << "short";
  EXPECT_THAT(openCheckpoint(folder + "/latest").status().message(),
              HasSubstr("has 5 bytes and its tensors alone 4000: the file was cut"));
}

TEST(RetentionTest, KeepsTheLastAndWhatIsKeptOtherwise) {
  const std::vector<int64_t> steps = {10, 20, 30, 40, 50};
  EXPECT_THAT(retiredSteps(steps, 0, {}), IsEmpty());
  EXPECT_THAT(retiredSteps(steps, 2, {}), ElementsAre(10, 20, 30));
  EXPECT_THAT(retiredSteps(steps, 2, {20}), ElementsAre(10, 30));
  // The best does not count, even where it is the last.
  EXPECT_THAT(retiredSteps(steps, 1, {50}), ElementsAre(10, 20, 30));
  EXPECT_THAT(retiredSteps(steps, 9, {10}), IsEmpty());
  EXPECT_THAT(retiredSteps({}, 1, {-1}), IsEmpty());
}
