// Several ranks of the training executable, as processes, without the compiler.

#include "TestExecutable.h"

#include "runtime/Npz.h"
#include "runtime/Safetensors.h"
#include "runtime/comm/Socket.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>
#include <unistd.h>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

namespace {
class RanksTest : public testing::Test {
protected:
  void SetUp() override {
    model = makeExecutable(folder);
    writeData(folder / "data.npz", 22, 3);
  }

  void writeData(const std::string &path, int64_t samples, float offset) {
    std::vector<float> x, y;
    for (int64_t i = 0; i < samples; ++i) {
      float a = static_cast<float>(i % 7) / 7, b = static_cast<float>(i * 3 % 7) / 7;
      float c = static_cast<float>(i * 5 % 11) / 11;
      x.insert(x.end(), {a, b, c});
      y.push_back(a - 2 * b + 0.5f * c + offset);
    }
    writeArrays(path,
                {{"x", DSC_F32, {samples, 3}, bytesOf(x)}, {"y", DSC_F32, {samples}, bytesOf(y)}});
  }

  std::vector<std::string> train(const std::string &save, std::vector<std::string> more) {
    std::vector<std::string> command = {model,    "train",       "--data",      folder / "data.npz",
                                        "--save", folder / save, "--threads=1", "--lr=0.01"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  std::vector<double> weightsOf(const std::string &save) {
    Result<Safetensors> file = Safetensors::open(folder / (save + "/latest/weights.safetensors"));
    EXPECT_TRUE(file.ok()) << file.status().message();
    std::vector<double> values;
    for (int i = 0; file.ok() && i < 4; ++i) {
      const TensorView *tensor = file->find(i < 3 ? "linear.weight" : "linear.bias");
      values.push_back(loadAsDouble(DSC_F32, tensor->data, i % 3));
    }
    return values;
  }

  /// The environment of one rank of a launcher like torchrun.
  static std::map<std::string, std::string> environment(int rank, int ranks, int port) {
    return {{"RANK", std::to_string(rank)},       {"WORLD_SIZE", std::to_string(ranks)},
            {"LOCAL_RANK", std::to_string(rank)}, {"LOCAL_WORLD_SIZE", std::to_string(ranks)},
            {"MASTER_ADDR", "localhost"},         {"MASTER_PORT", std::to_string(port)}};
  }

  static int freePort() {
    int port = 0;
    EXPECT_TRUE(listenOn(0, 1, port).ok());
    return port;
  }

  /// Starts each rank with its own command, and returns when all have ended.
  std::vector<RunResult> runEach(const std::vector<std::vector<std::string>> &commands) {
    const int port = freePort(), ranks = static_cast<int>(commands.size());
    std::vector<std::future<RunResult>> running;
    for (int rank = 0; rank < ranks; ++rank) {
      running.push_back(std::async(std::launch::async, [&, rank] {
        return run(commands[static_cast<size_t>(rank)], 0, environment(rank, ranks, port));
      }));
    }
    std::vector<RunResult> results;
    for (std::future<RunResult> &result : running) {
      results.push_back(result.get());
    }
    return results;
  }

  /// The process of rank `rank` of a run that was started with --ranks, once it trains.
  pid_t processOf(int rank) {
    const std::string wanted = "RANK=" + std::to_string(rank);
    for (int tries = 0; tries < 400; ++tries) {
      usleep(25000);
      if (!std::filesystem::exists(folder / "run.jsonl") ||
          readFile(folder / "run.jsonl").find("\"step\"") == std::string::npos) {
        continue;
      }
      std::error_code ignored;
      for (const auto &entry : std::filesystem::directory_iterator("/proc", ignored)) {
        const std::string id = entry.path().filename();
        if (std::filesystem::read_symlink(entry.path() / "exe", ignored) != model) {
          continue;
        }
        std::istringstream variables(readFile(entry.path() / "environ"));
        for (std::string variable; std::getline(variables, variable, '\0');) {
          if (variable == wanted) {
            return std::stoi(id);
          }
        }
      }
    }
    ADD_FAILURE() << "rank " << rank << " does not train";
    return 0;
  }

  TemporaryFolder folder;
  std::string model;
};
} // namespace

TEST_F(RanksTest, TrainAsOneRankWithAsManyMoreMicroBatches) {
  RunResult alone =
      run(train("alone", {"--steps=7", "--accumulate=2", "--log", folder / "1.jsonl"}));
  ASSERT_EQ(alone.code, 0) << alone.err;
  RunResult two = run(train("two", {"--steps=7", "--accumulate=1", "--ranks=2", "--log",
                                    folder / "2.jsonl", "--log-every=1"}));
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.out,
              HasSubstr("2 ranks from --ranks, 1 node, 1 thread each; 22 samples, 8 a step"));
  // Once, and not by each rank.
  EXPECT_EQ(two.out.find("step 7/7"), two.out.rfind("step 7/7"));
  const std::vector<double> expected = weightsOf("alone"), found = weightsOf("two");
  for (size_t i = 0; i < 4; ++i) {
    // 7 steps of sums over 8 samples whose order differs.
    EXPECT_NEAR(found[i], expected[i], 8 * 0x1p-24 * 7 * std::sqrt(8.0) * 4) << i;
  }
  const std::vector<Json> one = logLines(folder / "1.jsonl"), both = logLines(folder / "2.jsonl");
  ASSERT_EQ(one.size(), both.size());
  EXPECT_EQ(both[0]["ranks"], 2);
  for (size_t i = 1; i < 8; ++i) {
    EXPECT_EQ(one[i]["samples"], both[i]["samples"]);
    EXPECT_NEAR(one[i]["loss"].get<double>(), both[i]["loss"].get<double>(), 1e-4);
  }
}

TEST_F(RanksTest, EvaluateEverySampleOnceWithTheBitsOfOneRank) {
  const std::vector<std::string> command = {
      model, "eval", "--data", folder / "data.npz", "--json", "--threads=1", "--outputs"};
  auto evaluate = [&](const char *outputs, const char *ranks) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {folder / outputs, "--ranks", ranks});
    return run(words);
  };
  RunResult one = evaluate("1.npz", "1");
  ASSERT_EQ(one.code, 0) << one.err;
  // Six batches of four, the last with two samples: on four ranks two of them run along.
  for (const char *ranks : {"2", "4"}) {
    RunResult several = evaluate("n.npz", ranks);
    ASSERT_EQ(several.code, 0) << several.err;
    EXPECT_EQ(several.out, one.out);
    EXPECT_EQ(readFile(folder / "n.npz"), readFile(folder / "1.npz"));
  }
}

TEST_F(RanksTest, BenchCountsTheBytesOnTheWire) {
  RunResult result = run({model, "bench", "--steps=3", "--ranks=2", "--json", "--threads=1"});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Json> json = parseJson(result.out);
  ASSERT_TRUE(json.ok()) << result.out;
  EXPECT_EQ((*json)["ranks"], 2);
  // Over both ranks: each collective moves each of the five numbers once.
  EXPECT_EQ((*json)["wire"]["scalar_bytes"], 2 * 5 * 4);
  EXPECT_EQ((*json)["wire"]["payload_bytes"], 0);
  result = run({model, "bench", "--steps=3", "--ranks=2", "--threads=1"});
  EXPECT_THAT(result.out, HasSubstr("on the wire a step: 0 bytes payload"));
}

TEST_F(RanksTest, ATraceHasTheCollectivesOnATrackOfTheirOwn) {
  RunResult result = run(train(
      "traced", {"--steps=6", "--ranks=2", "--accumulate=1", "--profile", folder / "trace.json"}));
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Json> json = parseJson(readFile(folder / "trace.json"));
  ASSERT_TRUE(json.ok()) << json.status().message();
  std::map<std::string, int> calls;
  for (const Json &event : (*json)["traceEvents"]) {
    if (event["ph"] == "X" && event["cat"] == "collective" && event["tid"] == 2) {
      ++calls[event["name"].get<std::string>()];
      EXPECT_GT(event["args"]["bytes sent"].get<int>(), 0);
    }
  }
  EXPECT_THAT(calls, testing::ElementsAre(testing::Pair("all_gather gradients", 3),
                                          testing::Pair("reduce_scatter gradients", 3)));
}

TEST_F(RanksTest, LaunchersAreRecognised) {
  const std::vector<std::string> command = train("launched", {"--steps=2", "--force"});
  std::vector<RunResult> results = runEach({command, command, command});
  for (const RunResult &result : results) {
    EXPECT_EQ(result.code, 0) << result.err;
  }
  EXPECT_THAT(results[0].out, HasSubstr("3 ranks from torchrun, 1 node"));
  EXPECT_EQ(results[1].out + results[1].err + results[2].out + results[2].err, "");
}

TEST_F(RanksTest, MpirunStartsThem) {
  const std::string mpirun = "/usr/bin/mpirun";
  if (access(mpirun.c_str(), X_OK) != 0) {
    GTEST_SKIP() << mpirun << " is not there (Debian: apt-get install openmpi-bin)";
  }
  std::vector<std::string> command = {mpirun, "--allow-run-as-root", "--oversubscribe", "-np", "2"};
  const std::vector<std::string> own = train("mpirun", {"--steps=2"});
  command.insert(command.end(), own.begin(), own.end());
  RunResult result = run(command);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 ranks from mpirun, 1 node"));
}

TEST_F(RanksTest, DifferentRunTimeValuesEndAllRanksAndAreNamed) {
  std::vector<RunResult> results =
      runEach({train("differ", {"--steps=2"}), train("differ", {"--steps=2"}),
               train("differ", {"--steps=2", "--seed=7"})});
  for (const RunResult &result : results) {
    EXPECT_EQ(result.code, 1);
  }
  EXPECT_THAT(results[0].err, testing::ContainsRegex("the ranks differ in --seed: rank 2 \\(.*\\) "
                                                     "has 7 and the other 2 have 0"));
  EXPECT_EQ(results[1].err, "");
}

TEST_F(RanksTest, DifferentDataAndProgramsAreNamed) {
  writeData(folder / "other.npz", 22, 4);
  std::vector<std::string> other = train("data", {"--steps=2"});
  other[3] = folder / "other.npz";
  std::vector<RunResult> results = runEach({train("data", {"--steps=2"}), other});
  EXPECT_EQ(results[0].code, 1);
  EXPECT_EQ(results[1].code, 1);
  EXPECT_THAT(results[0].err, HasSubstr("the ranks differ in the data: rank 1 ("));

  TemporaryFolder elsewhere;
  OrderedJson manifest = fakeManifest();
  manifest["compile_command"] = "dsc compile another.onnx";
  other = train("program", {"--steps=2"});
  other[0] = makeExecutable(elsewhere, manifest);
  results = runEach({train("program", {"--steps=2"}), other});
  EXPECT_EQ(results[0].code, 1);
  EXPECT_THAT(results[0].err, HasSubstr("the ranks differ in the executable's hash: rank 1 ("));
}

TEST_F(RanksTest, AnErrorOfOneRankIsToldByTheFirst) {
  std::vector<std::string> other = train("missing", {"--steps=2"});
  other[3] = folder / "missing.npz";
  std::vector<RunResult> results = runEach({train("missing", {"--steps=2"}), other});
  EXPECT_EQ(results[0].code, 1);
  EXPECT_EQ(results[1].code, 1);
  EXPECT_THAT(results[0].err,
              testing::ContainsRegex("error: rank 1 \\(.*\\): .*missing.npz.*No such"));
  // One line, whatever the number of ranks, where all say the same.
  RunResult all = run({model, "train", "--data", folder / "missing.npz", "--steps=1", "--ranks=3"});
  EXPECT_EQ(all.code, 1);
  EXPECT_EQ(std::count(all.err.begin(), all.err.end(), '\n'), 1) << all.err;
}

TEST_F(RanksTest, AKilledRankEndsTheOthersWithItsNameTheStepAndTheCollective) {
  auto running = std::async(std::launch::async, [&] {
    return run(train("killed", {"--steps=100000000", "--ranks=3", "--log", folder / "run.jsonl",
                                "--log-every=1000000"}));
  });
  const pid_t victim = processOf(1);
  ASSERT_GT(victim, 0);
  const auto began = std::chrono::steady_clock::now();
  kill(victim, SIGKILL);
  RunResult result = running.get();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr(format("rank 1 (process %d) was ended by signal 9", victim)));
  EXPECT_THAT(result.err, testing::ContainsRegex("error: rank 1 \\([^)]*\\) died.*in step [0-9]+.*"
                                                 "(reduce_scatter|all_gather) gradients"));
  EXPECT_THAT(result.err,
              testing::ContainsRegex("error: rank 2 \\([^)]*\\): rank 1 \\([^)]*\\) died"));
  // Weights that a step broke off in are not written.
  EXPECT_FALSE(std::filesystem::exists(folder / "killed/latest/weights.safetensors"));
  const std::vector<Json> events = logLines(folder / "run.jsonl");
  EXPECT_EQ(events.back()["reason"], "rank");
}

TEST_F(RanksTest, RanksDoNotOutliveTheirLauncher) {
  auto running = std::async(std::launch::async, [&] {
    return run(train("orphans", {"--steps=100000000", "--ranks=2", "--log", folder / "run.jsonl",
                                 "--log-every=1000000"}));
  });
  const pid_t rank = processOf(1);
  ASSERT_GT(rank, 0);
  std::string status = readFile(format("/proc/%d/stat", rank));
  int launcher = 0;
  ASSERT_EQ(std::sscanf(status.c_str() + status.rfind(')'), ") %*c %d", &launcher), 1);
  kill(launcher, SIGKILL);
  EXPECT_EQ(running.get().code, 128 + SIGKILL);
  for (int tries = 0; tries < 100 && kill(rank, 0) == 0; ++tries) {
    usleep(20000);
  }
  // Gone, or a zombie of whoever adopts orphans.
  status = readFile(format("/proc/%d/stat", rank));
  EXPECT_TRUE(status.empty() || status[status.rfind(')') + 2] == 'Z') << status;
}

TEST_F(RanksTest, AnErrorInTheMiddleEndsAllRanks) {
  // One bad label, in data that is too large to be checked before the first step.
  std::vector<std::string> command = train("middle", {"--steps=100000", "--ranks=2", "--no-shuffle",
                                                      "--accumulate=1", "--log-every=1000000"});
  const int64_t samples = 6 << 20;
  std::vector<float> x(static_cast<size_t>(3 * samples), 0.5f), y(static_cast<size_t>(samples), 1);
  y[8 * 100 + 5] = NAN; // in the second micro-batch of step 101: rank 1's
  writeArrays(folder / "large.safetensors",
              {{"x", DSC_F32, {samples, 3}, bytesOf(x)}, {"y", DSC_F32, {samples}, bytesOf(y)}});
  command[3] = folder / "large.safetensors";
  RunResult result = run(command);
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.err,
              testing::ContainsRegex("error: rank 1 \\([^)]*\\): .*at .805.: the value is NaN"));
  EXPECT_THAT(result.err, HasSubstr("ended with exit code 1"));
}

TEST_F(RanksTest, StepsThatAllFindBadEndTogetherWithTheirWeights) {
  std::vector<float> x(24, INFINITY), y(8, 1);
  writeArrays(folder / "inf.npz",
              {{"x", DSC_F32, {8, 3}, bytesOf(x)}, {"y", DSC_F32, {8}, bytesOf(y)}});
  std::vector<std::string> command =
      train("together", {"--steps=1000", "--ranks=2", "--accumulate=1", "--log-every=1000000"});
  command[3] = folder / "inf.npz";
  RunResult result = run(command);
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("for the 100th time in a row"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_EQ(weightsOf("together").size(), 4u);
}

TEST_F(RanksTest, TheFirstRankMayDieToo) {
  auto running = std::async(std::launch::async, [&] {
    return run(train("first", {"--steps=100000000", "--ranks=2", "--log", folder / "run.jsonl",
                               "--log-every=1000000"}));
  });
  const pid_t victim = processOf(0);
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  RunResult result = running.get();
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err,
              testing::ContainsRegex("error: rank 1 \\([^)]*\\): rank 0 \\([^)]*\\) died"));
}

TEST_F(RanksTest, ARankThatHangsEndsTheOthersWithinTheTimeout) {
  for (const int hangs : {1, 0}) {
    std::filesystem::remove(folder / "run.jsonl");
    auto running = std::async(std::launch::async, [&] {
      return run(train(format("hangs%d", hangs),
                       {"--steps=100000000", "--ranks=2", "--log", folder / "run.jsonl",
                        "--log-every=1000000", "--timeout=3"}));
    });
    const pid_t victim = processOf(hangs);
    ASSERT_GT(victim, 0);
    const auto began = std::chrono::steady_clock::now();
    kill(victim, SIGSTOP);
    RunResult result = running.get();
    // The others, and what --ranks needs to end the one that hangs.
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(3000 + 2500));
    EXPECT_EQ(result.code, 3);
    EXPECT_THAT(result.err,
                testing::ContainsRegex(
                    format("rank %d \\([^)]*\\) has given no sign of life for [0-9.]+ s", hangs)));
    EXPECT_THAT(result.err, HasSubstr("gradients"));
  }
}

TEST_F(RanksTest, ASignalStopsAllRanksBehindOneStepAndWritesTheWeights) {
  auto running = std::async(std::launch::async, [&] {
    return run(train("stopped", {"--steps=100000000", "--ranks=3", "--log", folder / "run.jsonl",
                                 "--log-every=1000000"}));
  });
  // To one rank alone: the others learn of it.
  const pid_t asked = processOf(2);
  ASSERT_GT(asked, 0);
  kill(asked, SIGUSR1);
  usleep(200000);
  kill(asked, SIGTERM);
  RunResult result = running.get();
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_THAT(result.err, HasSubstr("stopped by SIGTERM after step "));
  EXPECT_EQ(weightsOf("stopped").size(), 4u);
  int saves = 0;
  for (const Json &event : logLines(folder / "run.jsonl")) {
    saves += event["event"] == "save";
  }
  EXPECT_EQ(saves, 2);
}

TEST_F(RanksTest, ASignalToTheLauncherReachesTheRanks) {
  RunResult result =
      run(train("launcher", {"--steps=100000000", "--ranks=2", "--log-every=1000000"}), 1500);
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_EQ(weightsOf("launcher").size(), 4u);
}

TEST_F(RanksTest, ANonFiniteStepIsExplainedByTheRankThatFoundIt) {
  std::vector<float> x(24, 1), y(8, 1);
  x[5 * 3] = INFINITY; // a sample of rank 1's
  writeArrays(folder / "inf.npz",
              {{"x", DSC_F32, {8, 3}, bytesOf(x)}, {"y", DSC_F32, {8}, bytesOf(y)}});
  OrderedJson manifest = fakeManifest();
  manifest["ops"][0]["results"] = {
      {{"name", "prediction"}, {"dtype", "f32"}, {"shape", {4}}, {"space", "io"}, {"offset", 512}}};
  model = makeExecutable(folder, manifest);
  std::vector<std::string> command =
      train("inf", {"--steps=1", "--ranks=2", "--accumulate=1", "--no-shuffle"});
  command[3] = folder / "inf.npz";
  RunResult result = run(command);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("warning: step 1: the loss or the gradient is not finite"));
  EXPECT_THAT(result.out, HasSubstr("on rank 1 the first op that gives NaN is linear/MatMul"));
}
