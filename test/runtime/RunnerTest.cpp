// The training executable end to end, without the compiler.

#include "TestExecutable.h"

#include "runtime/Npz.h"
#include "runtime/Safetensors.h"

#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

namespace {
class RunnerTest : public testing::Test {
protected:
  void SetUp() override {
    model = makeExecutable(folder);
    writeData(folder / "data.npz", 10);
  }

  /// y = x . (1, -2, 0.5) + 3 on values that repeat with period 7.
  void writeData(const std::string &path, int64_t samples) {
    std::vector<float> x, y;
    for (int64_t i = 0; i < samples; ++i) {
      float a = static_cast<float>(i % 7) / 7, b = static_cast<float>(i * 3 % 7) / 7;
      float c = static_cast<float>(i * 5 % 7) / 7;
      x.insert(x.end(), {a, b, c});
      y.push_back(a - 2 * b + 0.5f * c + 3);
    }
    writeArrays(path,
                {{"x", DSC_F32, {samples, 3}, bytesOf(x)}, {"y", DSC_F32, {samples}, bytesOf(y)}});
  }

  RunResult model_(std::vector<std::string> arguments, int signalAfter = 0) {
    // One thread: these steps are too small to share, and a team that waits fights over busy cores.
    bool runs = !arguments.empty() && (arguments[0] == "train" || arguments[0] == "eval");
    arguments.insert(arguments.begin(), model);
    if (runs) {
      arguments.push_back("--threads=1");
    }
    return run(arguments, signalAfter);
  }

  TemporaryFolder folder;
  std::string model;
};
} // namespace

TEST_F(RunnerTest, TrainsToTheSolution) {
  RunResult result = model_({"train", "--data", folder / "data.npz", "--steps", "3000", "--lr=0.3",
                             "--log", folder / "run.jsonl", "--log-every=1000"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("step 3000/3000"));
  Result<Safetensors> trained = Safetensors::open(folder / "model.trained.safetensors");
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  const TensorView *weight = trained->find("linear.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_NEAR(loadAsDouble(DSC_F32, weight->data, 0), 1, 1e-3);
  EXPECT_NEAR(loadAsDouble(DSC_F32, weight->data, 1), -2, 1e-3);
  EXPECT_NEAR(loadAsDouble(DSC_F32, trained->find("linear.bias")->data, 0), 3, 1e-3);

  std::vector<Json> events = logLines(folder / "run.jsonl");
  ASSERT_EQ(events.size(), 3003u);
  EXPECT_EQ(events[0]["event"], "start");
  EXPECT_EQ(events[1]["step"], 1);
  EXPECT_EQ(events[1]["samples"], 12);
  EXPECT_EQ(events[1]["epoch"], 1);
  EXPECT_FLOAT_EQ(events[1]["lr"].get<float>(), 0.3f);
  EXPECT_GT(events[1]["grad_norm"].get<double>(), 0);
  EXPECT_EQ(events[1]["skipped"], false);
  EXPECT_EQ(events[1]["peak_bytes"], 704 + 128 + 576);
  EXPECT_EQ(events[3001]["event"], "save");
  EXPECT_EQ(events[3002]["event"], "end");
  EXPECT_EQ(events[3002]["reason"], "done");
}

TEST_F(RunnerTest, TwoRunsGiveTheSameBitsAndAnotherSeedDoesNot) {
  std::string saved[3];
  for (int i = 0; i < 3; ++i) {
    std::string save = folder / ("save" + std::to_string(i));
    RunResult result = model_({"train", "--data", folder / "data.npz", "--epochs", "2", "--save",
                               save, "--seed", i == 2 ? "1" : "0", "--accumulate", "1"});
    ASSERT_EQ(result.code, 0) << result.err;
    saved[i] = readFile(save + "/weights.safetensors");
  }
  EXPECT_EQ(saved[0], saved[1]);
  EXPECT_NE(saved[0], saved[2]);
}

TEST_F(RunnerTest, ATraceHasThreeSteps) {
  std::string trace = folder / "trace.json";
  RunResult result = model_(
      {"train", "--data", folder / "data.npz", "--steps", "7", "--profile", trace, "--force"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("a trace of steps 3 to 5 is in "));
  Result<Json> json = parseJson(readFile(trace));
  ASSERT_TRUE(json.ok()) << json.status().message();
  int calls = 0;
  double reached = 0;
  for (const Json &event : (*json)["traceEvents"]) {
    if (event["ph"] != "X" || event["cat"] == "collective") {
      continue;
    }
    ++calls;
    EXPECT_EQ(event["name"], "linear/MatMul");
    EXPECT_EQ(event["args"]["onnx"][0], "MatMul_0");
    EXPECT_GE(event["ts"].get<double>(), reached);
    reached = event["ts"].get<double>() + event["dur"].get<double>();
  }
  // Three micro-batches a step, one call each.
  EXPECT_EQ(calls, 9);

  writeFile(trace, "something else");
  result = model_({"train", "--data", folder / "data.npz", "--steps=7", "--profile", trace});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("is there and is no trace"));
}

TEST_F(RunnerTest, ZeroStepsWriteTheInitialWeights) {
  RunResult result =
      model_({"train", "--data", folder / "data.npz", "--steps=0", "--save", folder / "start"});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Safetensors> file = Safetensors::open(folder / "start/weights.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(loadAsDouble(DSC_F32, file->find("linear.weight")->data, 0), 0);
}

TEST_F(RunnerTest, EvaluatesEverySampleOnce) {
  RunResult result =
      model_({"eval", "--data", folder / "data.npz", "--json", "--outputs", folder / "out.npz"});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Json> json = parseJson(result.out);
  ASSERT_TRUE(json.ok()) << result.out;
  // The weights are zero, so that the loss is the mean of y squared.
  double sum = 0;
  for (int64_t i = 0; i < 10; ++i) {
    double a = static_cast<double>(i % 7) / 7, b = static_cast<double>(i * 3 % 7) / 7;
    double c = static_cast<double>(i * 5 % 7) / 7;
    sum += std::pow(a - 2 * b + 0.5 * c + 3, 2);
  }
  EXPECT_EQ((*json)["samples"], 10);
  EXPECT_NEAR((*json)["loss"].get<double>(), sum / 10, 1e-5);
  EXPECT_NEAR((*json)["rmse"].get<double>(), std::sqrt(sum / 10), 1e-5);
  Result<Npz> outputs = Npz::open(folder / "out.npz");
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  ASSERT_EQ(outputs->tensors().size(), 1u);
  EXPECT_EQ(outputs->tensors()[0].shape, Shape({10}));
  EXPECT_TRUE(outputs->verify().ok());
  // Written by us, so that it may be written again.
  EXPECT_EQ(model_({"eval", "--data", folder / "data.npz", "--outputs", folder / "out.npz"}).code,
            0);
}

TEST_F(RunnerTest, EvaluatesWhileTraining) {
  RunResult result =
      model_({"train", "--data", folder / "data.npz", "--eval-data", folder / "data.npz",
              "--eval-every=2", "--steps=5", "--log", folder / "run.jsonl"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::vector<int64_t> steps;
  for (const Json &event : logLines(folder / "run.jsonl")) {
    if (event["event"] == "eval") {
      steps.push_back(event["step"]);
    }
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{2, 4, 5}));
}

TEST_F(RunnerTest, GradientsAreThoseOfTheFirstSamples) {
  RunResult result = model_({"gradients", "--data", folder / "data.npz", "-o",
                             folder / "g.safetensors", "--accumulate=1"});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Safetensors> file = Safetensors::open(folder / "g.safetensors");
  ASSERT_TRUE(file.ok());
  double expected = 0;
  for (int64_t i = 0; i < 4; ++i) {
    double a = static_cast<double>(i % 7) / 7, b = static_cast<double>(i * 3 % 7) / 7;
    double c = static_cast<double>(i * 5 % 7) / 7;
    expected -= 2 * (a - 2 * b + 0.5 * c + 3) / 4;
  }
  EXPECT_NEAR(loadAsDouble(DSC_F32, file->find("linear.bias")->data, 0), expected, 1e-5);
}

TEST_F(RunnerTest, StartsFromOtherWeightsByTheirOnnxName) {
  writeArrays(folder / "w.safetensors",
              {{"onnx::MatMul_7", DSC_F64, {3}, bytesOf<double>({1, -2, 0.5})},
               {"linear.bias", DSC_F32, {1}, bytesOf<float>({3})}});
  RunResult result = model_(
      {"eval", "--data", folder / "data.npz", "--json", "--weights", folder / "w.safetensors"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("f64 is rounded to f32"));
  Result<Json> json = parseJson(result.out);
  ASSERT_TRUE(json.ok());
  EXPECT_NEAR((*json)["loss"].get<double>(), 0, 1e-10);
}

TEST_F(RunnerTest, ContinuesFromTheWeightsItSaved) {
  ASSERT_EQ(
      model_({"train", "--data", folder / "data.npz", "--steps=3", "--save", folder / "a"}).code,
      0);
  ASSERT_EQ(model_({"train", "--data", folder / "data.npz", "--steps=0", "--weights", folder / "a",
                    "--save", folder / "b"})
                .code,
            0);
  auto bytes = [&](const char *name) {
    Result<Safetensors> file = Safetensors::open(folder / name);
    EXPECT_TRUE(file.ok());
    const TensorView *weight = file->find("linear.weight");
    return std::string(reinterpret_cast<const char *>(weight->data), 12);
  };
  EXPECT_EQ(bytes("a/weights.safetensors"), bytes("b/weights.safetensors"));
  EXPECT_NE(bytes("a/weights.safetensors"), bytes("model.weights.safetensors"));
}

TEST_F(RunnerTest, FilesHoldPaddedWeightsWithoutThePadding) {
  OrderedJson manifest = fakeManifest();
  manifest["globals"][0]["strides"] = {2};
  model = makeExecutable(folder, manifest);
  writeArrays(folder / "w.safetensors", {{"linear.weight", DSC_F32, {3}, bytesOf<float>({1, 2, 3})},
                                         {"linear.bias", DSC_F32, {1}, bytesOf<float>({4})}});
  ASSERT_EQ(model_({"train", "--data", folder / "data.npz", "--steps=0", "--weights",
                    folder / "w.safetensors", "--save", folder / "a"})
                .code,
            0);
  Result<Safetensors> file = Safetensors::open(folder / "a/weights.safetensors");
  ASSERT_TRUE(file.ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(loadAsDouble(DSC_F32, file->find("linear.weight")->data, i), i + 1);
  }
}

TEST_F(RunnerTest, PartsOfOneParameterDoNotOverwriteEachOther) {
  OrderedJson manifest = fakeManifest();
  std::swap(manifest["globals"][0], manifest["globals"][1]); // the bias is loaded first,
  manifest["globals"][1]["strides"] = {2};
  manifest["globals"][0]["offset"] =
      manifest["globals"][1]["offset"].get<int64_t>() + 4; // and lies between the weight's elements
  model = makeExecutable(folder, manifest);
  writeArrays(folder / "w.safetensors", {{"linear.weight", DSC_F32, {3}, bytesOf<float>({1, 2, 3})},
                                         {"linear.bias", DSC_F32, {1}, bytesOf<float>({4})}});
  ASSERT_EQ(model_({"train", "--data", folder / "data.npz", "--steps=0", "--weights",
                    folder / "w.safetensors", "--save", folder / "a"})
                .code,
            0);
  Result<Safetensors> file = Safetensors::open(folder / "a/weights.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(loadAsDouble(DSC_F32, file->find("linear.bias")->data, 0), 4);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(loadAsDouble(DSC_F32, file->find("linear.weight")->data, i), i + 1);
  }
}

TEST_F(RunnerTest, RefusesAMachineThatCannotRunTheProgram) {
  OrderedJson manifest = fakeManifest();
  manifest["spaces"]["arena"] = int64_t(1) << 45;
  model = makeExecutable(folder, manifest);
  RunResult result = model_({"bench"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("and this machine has"));
  manifest = fakeManifest();
  manifest["target"]["kind"] = "cuda";
  model = makeExecutable(folder, manifest);
  EXPECT_EQ(model_({"bench"}).code, 2);
}

TEST_F(RunnerTest, ListsWeightsThatDoNotFit) {
  writeArrays(folder / "w.safetensors", {{"linear.weight", DSC_F32, {2}, bytesOf<float>({1, 2})},
                                         {"other", DSC_F32, {1}, bytesOf<float>({3})}});
  std::vector<std::string> command = {"eval", "--data", folder / "data.npz", "--weights",
                                      folder / "w.safetensors"};
  RunResult result = model_(command);
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("missing (1): linear.bias"));
  EXPECT_THAT(result.err, HasSubstr("unexpected (1): other"));
  EXPECT_THAT(result.err, HasSubstr("linear.weight is f32 [2] there and f32 [3] here"));
  writeArrays(folder / "w.safetensors", {{"linear.weight", DSC_F32, {3}, bytesOf<float>({1, 2, 3})},
                                         {"other", DSC_F32, {1}, bytesOf<float>({3})}});
  command.push_back("--partial");
  result = model_(command);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("loaded in part"));
}

TEST_F(RunnerTest, RefusesWeightsOfAnotherExecutable) {
  writeArrays(folder / "model.weights.safetensors",
              {{"linear.weight", DSC_F32, {3}, bytesOf<float>({0, 0, 1})},
               {"linear.bias", DSC_F32, {1}, bytesOf<float>({0})}});
  RunResult result = model_({"eval", "--data", folder / "data.npz"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("its SHA-256 differs"));
}

TEST_F(RunnerTest, FindsItsWeightsThroughALink) {
  std::string link = folder / "link";
  ASSERT_EQ(symlink(model.c_str(), link.c_str()), 0);
  EXPECT_EQ(run({link, "eval", "--data", folder / "data.npz"}).code, 0);
}

TEST_F(RunnerTest, FindsItsWeightsWhenRenamed) {
  // The executable alone, then both, moved to another folder.
  std::string renamed = folder / "other";
  ASSERT_EQ(rename(model.c_str(), renamed.c_str()), 0);
  EXPECT_EQ(run({renamed, "eval", "--data", folder / "data.npz"}).code, 0);
  TemporaryFolder elsewhere;
  writeFile(elsewhere / "best.weights.safetensors", readFile(folder / "model.weights.safetensors"));
  std::string moved = elsewhere / "best";
  ASSERT_EQ(rename(renamed.c_str(), moved.c_str()), 0);
  EXPECT_EQ(run({moved, "eval", "--data", folder / "data.npz"}).code, 0);
  ASSERT_EQ(unlink((elsewhere / "best.weights.safetensors").c_str()), 0);
  RunResult result = run({moved, "eval", "--data", folder / "data.npz"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("model.weights.safetensors or "));
  EXPECT_THAT(result.err, HasSubstr("best.weights.safetensors: the weights that belong"));
}

TEST_F(RunnerTest, StartsAtRandomWithoutAWeightsFile) {
  OrderedJson manifest = fakeManifest();
  manifest["globals"][0]["init"] = {{"uniform", 0.5}};
  manifest["globals"][1]["init"] = {{"normal", 0.02}};
  model = makeExecutable(folder, manifest);
  ASSERT_EQ(unlink((folder / "model.weights.safetensors").c_str()), 0);
  auto initial = [&](const char *seed, const char *threads) {
    std::string save = folder / (std::string("init") + seed + threads);
    RunResult result = run({model, "train", "--data", folder / "data.npz", "--steps", "0", "--save",
                            save, "--seed", seed, "--threads", threads});
    EXPECT_EQ(result.code, 0) << result.err;
    return readFile(save + "/weights.safetensors");
  };
  std::string first = initial("3", "1");
  EXPECT_EQ(first, initial("3", "2"));
  EXPECT_NE(first, initial("4", "1"));
  // What was saved is what training starts from again.
  std::string saved = folder / "init31/weights.safetensors";
  EXPECT_EQ(model_({"eval", "--data", folder / "data.npz", "--weights", saved}).code, 0);
}

TEST_F(RunnerTest, StopsOnASignalWithWeightsOnDisk) {
  RunResult result = model_(
      {"train", "--data", folder / "data.npz", "--steps", "1000000000", "--log-every=100000000"},
      500);
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_THAT(result.err, HasSubstr("stopped by SIGTERM"));
  EXPECT_TRUE(Safetensors::open(folder / "model.trained.safetensors").ok());
}

TEST_F(RunnerTest, FollowsTheSchedule) {
  RunResult result = model_({"train", "--data", folder / "data.npz", "--steps=10", "--lr=0.1",
                             "--schedule=linear,warmup=0.2", "--log", folder / "run.jsonl"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::vector<double> rates;
  for (const Json &event : logLines(folder / "run.jsonl")) {
    if (event["event"] == "step") {
      rates.push_back(event["lr"]);
    }
  }
  ASSERT_EQ(rates.size(), 10u);
  EXPECT_DOUBLE_EQ(rates[0], 0.05);
  EXPECT_DOUBLE_EQ(rates[1], 0.1);
  EXPECT_DOUBLE_EQ(rates[5], 0.05);
  EXPECT_DOUBLE_EQ(rates[9], 0);
  result = model_({"lr", "--steps=10", "--schedule=cosine,end=0.1", "--lr=1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("          10  0.1\n"));
  for (auto [schedule, message] : {std::pair{"step", "is not constant, linear, cosine"},
                                   {"linear,warm=3", "\"warm\" is not one of its keys"},
                                   {"constant,end=0", "\"end\" is not one of its keys"},
                                   {"linear,warmup=1.5", "neither steps nor a fraction"},
                                   {"linear,warmup=-1", "is not key=number"},
                                   {"cosine,end=2", "at most 1"}}) {
    result = model_({"lr", "--steps=10", "--schedule", schedule});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(message));
  }
}

TEST_F(RunnerTest, SkipsAStepWithoutAFiniteGradient) {
  std::vector<float> x(12, INFINITY), y(4, 1);
  writeArrays(folder / "inf.npz",
              {{"x", DSC_F32, {4, 3}, bytesOf(x)}, {"y", DSC_F32, {4}, bytesOf(y)}});
  RunResult result = model_({"train", "--data", folder / "inf.npz", "--steps=2", "--log",
                             folder / "run.jsonl", "--accumulate=1"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::vector<Json> events = logLines(folder / "run.jsonl");
  EXPECT_TRUE(events[1]["loss"].is_null());
  EXPECT_EQ(events[1]["skipped"], true);
  EXPECT_EQ(events[2]["event"], "warning");
}

TEST_F(RunnerTest, BenchPrintsThePlanAndTheKernels) {
  RunResult result = model_({"bench", "--steps=5", "--kernels"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("arena 128,"));
  EXPECT_THAT(result.out, HasSubstr("linear/MatMul"));
}

TEST_F(RunnerTest, InfoAndDataDescribe) {
  RunResult result = model_({"info"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("4 trained in 2 tensors"));
  EXPECT_TRUE(parseJson(model_({"info", "--json"}).out).ok());
  result = model_({"data", folder / "data.npz"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("10 samples"));
  EXPECT_THAT(result.out, HasSubstr("x f32 [3]: 0 0 0"));
}

TEST_F(RunnerTest, HelpHasTheRunTimeValues) {
  RunResult result = model_({"train", "--help"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("--lr=0.05"));
  EXPECT_THAT(result.out, HasSubstr("--eval-every"));
  EXPECT_EQ(model_({"--help"}).code, 0);
  EXPECT_EQ(model_({}).code, 1);
}

TEST_F(RunnerTest, ErrorsNameTheThingAndTheWayOut) {
  const std::string data = folder / "data.npz";
  struct Case {
    std::vector<std::string> arguments;
    const char *message;
  };
  const Case cases[] = {
      {{"tran"}, "did you mean train?"},
      {{"train", "--data", data}, "needs either --steps N or --epochs N"},
      {{"train", "--steps=1"}, "needs --data PATH"},
      {{"train", "--data", data, "--step=1"}, "did you mean --steps?"},
      {{"train", "--data", data, "--steps", "x"}, "--steps x: is not an integer"},
      {{"train", "--data", data, "--steps=-1"}, "--steps -1"},
      {{"train", "--data", data, "--steps=1", "--lr=-1"}, "--lr -1: must be at least 0"},
      {{"train", "--data", data, "--steps=1", "--lr=nan"}, "is not a finite number"},
      {{"train", "--data", data, "--steps=1", "--lr=1,2"}, "has 2 values"},
      {{"train", "--data", data, "--steps=1", "--accumulate=4"}, "compiled for at most 3"},
      {{"train", "--data", data, "--steps=1", "--steps=1"}, "is given twice"},
      {{"train", "--data", data, "--steps=1", "--resume", "auto"}, "later version"},
      {{"train", "--data", data, "--steps=1", "--ranks=0"}, "--ranks 0: is not an integer"},
      {{"train", "--data", data, "--steps=1", "--ranks=9"}, "compiled for at most 8"},
      {{"train", "--data", data, "--steps=1", "--ranks=2", "--timeout=1"}, "--timeout 1: is not"},
      {{"train", "--data", data, "--steps=1", "--eval-every=1"}, "needs --eval-data"},
      {{"train", "--data", data, "--steps=1", "--save", folder.path}, "is not an empty folder"},
      {{"train", "--data", folder / "no.npz", "--steps=1"}, "No such file"},
      {{"values", "--data", data, "-o", folder / "v"}, "--keep-values"},
      {{"gradients", "--data", data}, "needs -o"},
      {{"gradients", "--data", data, "-o", data}, "was not written by dsc"},
      {{"eval", "--data", data, "--partial"}, "needs --weights"},
      {{"eval", "--data", data, "--loss", "mae"}, "dsc compile model.onnx -o model --loss=mae"},
      {{"eval", "--data", data, "extra"}, "\"extra\" is not expected"},
  };
  for (const Case &test : cases) {
    RunResult result = model_(test.arguments);
    EXPECT_EQ(result.code, 1) << test.message;
    EXPECT_THAT(result.err, HasSubstr(test.message));
    EXPECT_THAT(result.err, testing::StartsWith("error: "));
  }
}

TEST_F(RunnerTest, AForeignFileIsNotOverwritten) {
  writeFile(folder / "model.trained.safetensors", "mine");
  RunResult result = model_({"train", "--data", folder / "data.npz", "--steps=1"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("was not written by dsc"));
  EXPECT_EQ(readFile(folder / "model.trained.safetensors"), "mine");
  EXPECT_EQ(model_({"train", "--data", folder / "data.npz", "--steps=1", "--force"}).code, 0);
}

TEST_F(RunnerTest, DamagedExecutablesAreRefused) {
  std::string whole = readFile(model);
  auto fails = [&](const std::string &bytes, const char *message) {
    writeFile(folder / "damaged", bytes);
    chmod((folder / "damaged").c_str(), 0755);
    RunResult result = run({folder / "damaged", "info"});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(message));
  };
  fails(whole.substr(0, whole.size() - 1), "no compiled program");
  std::string changed = whole;
  changed[whole.size() - 100] ^= 1;
  fails(changed, "hash differs");
  changed = whole;
  std::memset(changed.data() + whole.size() - 48, 0xff, 8);
  fails(changed, "does not fit");
  fails(readFile(DSC_RUNNER), "bare runner");
  OrderedJson manifest = fakeManifest();
  manifest["abi"] = 2;
  fails(packExecutable(readFile(DSC_RUNNER), "", "", jsonText(manifest)),
        "was compiled for ABI 2 and this runner has 1");
  fails(packExecutable(readFile(DSC_RUNNER), "", "", "{"), "manifest: not JSON");
}
