// Several ranks of a program for CUDA, with a driver and an NCCL that the tests made: GPU memory is
// the host's, and collectives go through a file. What is asked of NCCL, in which order, and what is
// said where it is not there.

#include "runtime/Safetensors.h"
#include "test/runtime/TestExecutable.h"

#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <future>
#include <sstream>
#include <unistd.h>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

namespace {
class RanksOnGpusTest : public testing::Test {
protected:
  void SetUp() override {
    std::filesystem::create_directory(libraries);
    std::filesystem::copy_file(DSC_FAKE_DRIVER, libraries + "/libcuda.so.1");
    std::filesystem::copy_file(DSC_FAKE_NCCL, libraries + "/libnccl.so.2");
    OrderedJson manifest = fakeManifest();
    manifest["target"] = {{"kind", "cuda"}, {"features", "sm_90"}};
    model = makeExecutable(folder, manifest);
    std::vector<float> x, y;
    for (int i = 0; i < 24; ++i) {
      float a = static_cast<float>(i % 7) / 7, b = static_cast<float>(i * 3 % 7) / 7;
      float c = static_cast<float>(i * 5 % 11) / 11;
      x.insert(x.end(), {a, b, c});
      y.push_back(a - 2 * b + 0.5f * c + 3);
    }
    writeArrays(folder / "data.npz",
                {{"x", DSC_F32, {24, 3}, bytesOf(x)}, {"y", DSC_F32, {24}, bytesOf(y)}});
  }

  /// The made-up driver captures nothing, so there are no graphs.
  RunResult train(const std::string &save, const std::vector<std::string> &more, int gpus = 2) {
    std::vector<std::string> command = {model,    "train",       "--data",   folder / "data.npz",
                                        "--save", folder / save, "--lr=0.05"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command, 0,
               {{"DSC_CUDA_PATH", libraries},
                {"DSC_CUDA_GRAPHS", "off"},
                {"FAKE_GPUS", std::to_string(gpus)},
                {"FAKE_NCCL", folder / "nccl"}});
  }

  std::vector<std::string> calls(int rank) {
    std::vector<std::string> lines;
    std::istringstream text(readFile(folder / ("nccl." + std::to_string(rank))));
    for (std::string line; std::getline(text, line);) {
      lines.push_back(line);
    }
    return lines;
  }

  /// The one paragraph that a start which the machine lacks something for ends with.
  std::string message(const std::vector<std::string> &more, int gpus) {
    RunResult result = train("none", more, gpus);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err;
  }

  TemporaryFolder folder;
  std::string libraries = folder / "libraries", model;
};
} // namespace

TEST_F(RanksOnGpusTest, TrainByCollectivesInThePlannedOrder) {
  RunResult two = train("two", {"--steps=6", "--ranks=2", "--accumulate=1", "--no-shuffle"});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.out, HasSubstr("2 ranks from --ranks"));
  // Five numbers, in slices of three: the gather is of bytes, the mean (4) of f32 (7).
  std::vector<std::string> expected;
  for (int step = 0; step < 6; ++step) {
    expected.push_back("reduce_scatter 3 of type 7 by 4 in place");
    expected.push_back("all_gather 12 of type 1 in place");
  }
  expected.push_back("destroy");
  EXPECT_EQ(calls(0), expected);
  EXPECT_EQ(calls(1), expected);

  RunResult one = train("one", {"--steps=6", "--accumulate=2", "--no-shuffle"});
  ASSERT_EQ(one.code, 0) << one.err;
  Result<Safetensors> a = Safetensors::open(folder / "one/latest/weights.safetensors");
  Result<Safetensors> b = Safetensors::open(folder / "two/latest/weights.safetensors");
  ASSERT_TRUE(a.ok() && b.ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(loadAsDouble(DSC_F32, a->find("linear.weight")->data, i),
                loadAsDouble(DSC_F32, b->find("linear.weight")->data, i), 1e-5);
  }
}

TEST_F(RanksOnGpusTest, ScatteredShardsAreGatheredBetweenTheGpusWhereTheyAreSaved) {
  // Single elements of its file lie apart: other layouts are written without gathering.
  // Three chunks of eight numbers: rank 0 has two of them, rank 1 one, and slices are of two.
  OrderedJson manifest = fakeManifest();
  manifest["target"] = {{"kind", "cuda"}, {"features", "sm_90"}};
  manifest["spaces"]["shard"] = 128;
  manifest["shards"] = {{{"name", "bucket.0"}, {"chunks", 3}, {"chunk_bytes", 32}}};
  manifest["globals"].push_back({{"name", "embedding"},
                                 {"dtype", "f32"},
                                 {"shape", {3, 8}},
                                 {"strides", {1, 3}},
                                 {"offset", 0},
                                 {"space", "shard"},
                                 {"role", "trained"},
                                 {"init", {{"normal", 1.0}}}});
  model = makeExecutable(folder, manifest);
  std::vector<double> values[2];
  for (int ranks : {1, 2}) {
    const std::string save = "sharded" + std::to_string(ranks);
    RunResult result = train(save, {"--steps=1", "--ranks=" + std::to_string(ranks)});
    ASSERT_EQ(result.code, 0) << result.err;
    Result<Safetensors> file = Safetensors::open(folder / (save + "/latest/weights.safetensors"));
    ASSERT_TRUE(file.ok()) << file.status().message();
    for (int i = 0; i < 24; ++i) {
      values[ranks - 1].push_back(loadAsDouble(DSC_F32, file->find("embedding")->data, i));
    }
  }
  EXPECT_EQ(values[0], values[1]);
  EXPECT_NE(values[0][0], values[0][23]);
  // 64 bytes a rank, from the shard into the arena.
  EXPECT_THAT(calls(1), testing::Contains("all_gather 64 of type 1"));
}

TEST_F(RanksOnGpusTest, MoreRanksThanGpus) {
  EXPECT_THAT(message({"--steps=1", "--ranks=3"}, 2),
              HasSubstr("3 ranks were started on this machine and it has 2 GPUs; start one rank a "
                        "GPU"));
}

TEST_F(RanksOnGpusTest, RanksThatSeeTheSameGpu) {
  EXPECT_THAT(message({"--steps=1", "--ranks=2"}, 1),
              HasSubstr("ranks 0 and 1 have the same GPU, Fake GPU: 2 ranks are on this machine"));
}

TEST_F(RanksOnGpusTest, NcclIsMissing) {
  if (void *nccl = dlopen("libnccl.so.2", RTLD_LAZY)) {
    dlclose(nccl);
    GTEST_SKIP() << "this machine has NCCL";
  }
  std::filesystem::remove(libraries + "/libnccl.so.2");
  std::string text = message({"--steps=1", "--ranks=2"}, 2);
  EXPECT_THAT(text, HasSubstr("NCCL cannot be loaded: looked for libnccl.so.2 in "));
  EXPECT_THAT(text, HasSubstr("pip install nvidia-nccl-cu13"));
  EXPECT_THAT(text, HasSubstr("so say 2 of 2 ranks"));
  // One rank needs none.
  EXPECT_EQ(train("one", {"--steps=1"}).code, 0);
}

TEST_F(RanksOnGpusTest, NcclIsTooOld) {
  std::filesystem::remove(libraries + "/libnccl.so.2");
  std::filesystem::copy_file(DSC_EMPTY_LIBRARY, libraries + "/libnccl.so.2");
  EXPECT_THAT(message({"--steps=1", "--ranks=2"}, 2),
              HasSubstr("has no function 'ncclGetVersion': it is too old; install 2.10 or newer"));
}

TEST_F(RanksOnGpusTest, AProblemOfOneRankEndsAllAndIsToldOnce) {
  RunResult result = run({model, "train", "--data", folder / "data.npz", "--steps=1", "--ranks=2"},
                         0, {{"DSC_CUDA_PATH", libraries}, {"FAKE_GPUS", "2"}});
  EXPECT_EQ(result.code, 3) << result.err; // without FAKE_NCCL the first rank cannot start it
  EXPECT_THAT(result.err, HasSubstr("NCCL failed to start: a made-up failure"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST_F(RanksOnGpusTest, InfoTellsTheVersion) {
  RunResult result = run({model, "info"}, 0, {{"DSC_CUDA_PATH", libraries}});
  EXPECT_THAT(result.out, HasSubstr("NCCL: 2.28.9, " + libraries + "/libnccl.so.2"));
}

TEST_F(RanksOnGpusTest, BenchCountsPayloadAndThePaddingOfEqualSlices) {
  RunResult result = run({model, "bench", "--steps=2", "--ranks=2", "--json"}, 0,
                         {{"DSC_CUDA_PATH", libraries},
                          {"DSC_CUDA_GRAPHS", "off"},
                          {"FAKE_GPUS", "2"},
                          {"FAKE_NCCL", folder / "nccl"}});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Json> json = parseJson(result.out);
  ASSERT_TRUE(json.ok()) << result.out;
  // Chunks of one number count as scalars: each rank sends three twice.
  EXPECT_EQ((*json)["wire"]["scalar_bytes"], 2 * 2 * 3 * 4);
}

TEST_F(RanksOnGpusTest, AKilledRankEndsTheOtherWhichNamesTheCollective) {
  auto running = std::async(std::launch::async, [&] {
    return train("killed", {"--steps=100000000", "--ranks=2", "--timeout=5", "--log",
                            folder / "run.jsonl", "--log-every=1000000"});
  });
  // The process whose calls are the second log's.
  pid_t victim = 0;
  for (int tries = 0; tries < 400 && !victim; ++tries) {
    usleep(25000);
    std::error_code ignored;
    if (!std::filesystem::exists(folder / "run.jsonl") ||
        readFile(folder / "run.jsonl").find("\"step\"") == std::string::npos) {
      continue;
    }
    for (const auto &entry : std::filesystem::directory_iterator("/proc", ignored)) {
      if (std::filesystem::read_symlink(entry.path() / "exe", ignored) == model &&
          readFile(entry.path() / "environ").find(std::string("\0RANK=1\0", 8)) !=
              std::string::npos) {
        victim = std::stoi(entry.path().filename());
      }
    }
  }
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  RunResult result = running.get();
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_THAT(result.err, testing::ContainsRegex("rank 1 \\([^)]*\\) died; rank 0 was in step "
                                                 "[0-9]+ and waited for (reduce_scatter|all_gather)"
                                                 " gradients"));
}
