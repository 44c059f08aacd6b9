// The runner's commands on a GPU that a driver made by the test stands in for: what they say on
// machines that cannot run the program, and a whole training run whose GPU memory is the host's.

#include "runtime/InitialValues.h"
#include "runtime/Safetensors.h"
#include "runtime/cuda/Symbols.h"
#include "test/runtime/TestExecutable.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <sstream>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

namespace {
class CudaStartTest : public testing::Test {
protected:
  void SetUp() override {
    std::filesystem::copy_file(DSC_FAKE_DRIVER, folder / "libcuda.so.1");
    setenv("DSC_CUDA_PATH", folder.path.c_str(), 1);
    OrderedJson manifest = fakeManifest();
    manifest["target"] = {{"kind", "cuda"}, {"features", "sm_90"}};
    model = makeExecutable(folder, manifest);
  }
  void TearDown() override {
    unsetenv("DSC_CUDA_PATH");
    unsetenv("FAKE_CUDA");
  }

  /// The one paragraph that `bench` ends with; its exit code is 2.
  std::string message(const char *what) {
    setenv("FAKE_CUDA", what, 1);
    RunResult result = run({model, "bench", "--steps=1"});
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_EQ(result.err.find("error: "), 0u);
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1);
    return result.err;
  }

  TemporaryFolder folder;
  std::string model;
};
} // namespace

TEST_F(CudaStartTest, DriverTooOld) {
  EXPECT_THAT(message("old"), HasSubstr("knows CUDA up to 11.4 and this program needs one that "
                                        "knows 12.0; install driver 525 or newer"));
}

TEST_F(CudaStartTest, NoGpu) {
  EXPECT_THAT(message("no_device"), HasSubstr("sees no GPU"));
  EXPECT_THAT(message("no_device"), HasSubstr("--target=cpu"));
}

TEST_F(CudaStartTest, DriverThatDoesNotStart) {
  EXPECT_THAT(message("broken"), HasSubstr("failed to start: a made-up failure"));
}

TEST_F(CudaStartTest, WrongArchitecture) {
  EXPECT_THAT(message("chip"), HasSubstr("compiled for sm_90 and this machine's Fake GPU is of "
                                         "sm_80; compile the model with --arch=sm_80"));
}

TEST_F(CudaStartTest, TooLittleMemory) {
  // State 704, arena 128, io 576; the batch is small and needs no room of its
  // own.
  EXPECT_THAT(message("memory"), HasSubstr("needs 1408 bytes of GPU memory (1408 planned, 0 for "
                                           "the next batch) and Fake GPU has 1000 free of "
                                           "1073741824"));
}

TEST_F(CudaStartTest, NoDriver) {
  unsetenv("DSC_CUDA_PATH");
  if (void *driver = dlopen("libcuda.so.1", RTLD_LAZY)) {
    dlclose(driver);
    GTEST_SKIP() << "this machine has NVIDIA's driver";
  }
  std::string text = message("");
  EXPECT_THAT(text, HasSubstr("NVIDIA's driver cannot be loaded: looked for libcuda.so.1, "
                              "libcuda.so in "));
  EXPECT_THAT(text, HasSubstr("Install NVIDIA's driver"));
}

TEST_F(CudaStartTest, DriverThatLacksAFunction) {
  std::filesystem::remove(folder / "libcuda.so.1");
  std::filesystem::copy_file(DSC_EMPTY_LIBRARY, folder / "libcuda.so.1");
  EXPECT_THAT(message(""), HasSubstr("has no function 'cuInit': it is too old"));
}

TEST_F(CudaStartTest, LibrariesAreSaidToBeTooOldOrMissing) {
  std::filesystem::copy_file(DSC_EMPTY_LIBRARY, folder / "libcublasLt.so.13");
  Result<const CublasLtTable *> table = loadCublasLt(13000);
  ASSERT_TRUE(table.failed());
  EXPECT_EQ(table.status().exitCode(), ExitCode::Machine);
  EXPECT_THAT(table.status().message(), HasSubstr("has no function 'cublasLtCreate'"));
  EXPECT_THAT(table.status().message(), HasSubstr(folder / "libcublasLt.so.13"));
}

TEST_F(CudaStartTest, InfoTellsWhatIsThereAndWhatIsNot) {
  setenv("FAKE_CUDA", "", 1);
  RunResult result = run({model, "info"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Fake GPU (sm_90)"));
  EXPECT_THAT(result.out, HasSubstr("CUDA 13.0"));
  setenv("FAKE_CUDA", "no_device", 1);
  result = run({model, "info"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("sees no GPU"));
}

TEST_F(CudaStartTest, TrainsWithBatchesStagedAndResultsReadBehind) {
  setenv("FAKE_CUDA", "", 1);
  // The made-up driver captures nothing.
  setenv("DSC_CUDA_GRAPHS", "off", 1);
  std::vector<float> x, y;
  for (int i = 0; i < 10; ++i) {
    float a = static_cast<float>(i % 7) / 7, b = static_cast<float>(i * 3 % 7) / 7;
    float c = static_cast<float>(i * 5 % 7) / 7;
    x.insert(x.end(), {a, b, c});
    y.push_back(a - 2 * b + 0.5f * c + 3);
  }
  writeArrays(folder / "data.npz",
              {{"x", DSC_F32, {10, 3}, bytesOf(x)}, {"y", DSC_F32, {10}, bytesOf(y)}});
  RunResult result =
      run({model, "train", "--data", folder / "data.npz", "--steps=3000", "--lr=0.3", "--log",
           folder / "run.jsonl", "--eval-data", folder / "data.npz", "--eval-every=1000"});
  unsetenv("DSC_CUDA_GRAPHS");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Fake GPU"));
  Result<Safetensors> trained = Safetensors::open(folder / "model.trained.safetensors");
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  const TensorView *weight = trained->find("linear.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_NEAR(loadAsDouble(DSC_F32, weight->data, 0), 1, 1e-3);
  EXPECT_NEAR(loadAsDouble(DSC_F32, weight->data, 1), -2, 1e-3);
  EXPECT_NEAR(loadAsDouble(DSC_F32, trained->find("linear.bias")->data, 0), 3, 1e-3);
  // Every step once, in order, and evaluations behind the steps that they follow.
  std::istringstream lines(readFile(folder / "run.jsonl"));
  int64_t step = 0, evaluations = 0;
  for (std::string line; std::getline(lines, line);) {
    Result<Json> event = parseJson(line);
    ASSERT_TRUE(event.ok()) << line;
    if ((*event)["event"] == "step") {
      EXPECT_EQ((*event)["step"], ++step);
    } else if ((*event)["event"] == "eval") {
      EXPECT_EQ((*event)["step"], step);
      EXPECT_EQ((*event)["samples"], 10);
      ++evaluations;
    }
  }
  EXPECT_EQ(step, 3000);
  EXPECT_EQ(evaluations, 3);
}

TEST_F(CudaStartTest, RandomWeightsAreDrawnByTheProgramsKernels) {
  setenv("FAKE_CUDA", "", 1);
  OrderedJson manifest = fakeManifest();
  manifest["target"] = {{"kind", "cuda"}, {"features", "sm_90"}};
  // Six numbers in two columns of a storage with three: the third stays 0.
  manifest["spaces"]["state"] = 1024;
  manifest["globals"].push_back({{"name", "part"},
                                 {"dtype", "f32"},
                                 {"shape", {3, 2}},
                                 {"space", "state"},
                                 {"offset", 768},
                                 {"bytes", 32},
                                 {"strides", {3, 1}},
                                 {"role", "trained"},
                                 {"init", {{"uniform", 0.125}}}});
  manifest["globals"][0]["init"] = {{"uniform", 0.5}};
  manifest["globals"][1]["init"] = {{"fill", 2.0}};
  model = makeExecutable(folder, manifest);
  RunResult result = run({model, "export", "-o", folder / "start.safetensors", "--seed=5"});
  ASSERT_EQ(result.code, 0) << result.err;
  Result<Safetensors> start = Safetensors::open(folder / "start.safetensors");
  ASSERT_TRUE(start.ok()) << start.status().message();
  for (auto [name, scale, count] :
       {std::tuple("linear.weight", 0.5, 3), std::tuple("part", 0.125, 6)}) {
    GlobalSpec spec;
    spec.name = name;
    spec.random = Randomness::Uniform;
    spec.scale = scale;
    std::vector<float> expected(static_cast<size_t>(count));
    randomValues(spec, 5, 0, count, expected.data());
    const TensorView *found = start->find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(std::memcmp(found->data, expected.data(), expected.size() * 4), 0) << name;
  }
}

TEST_F(CudaStartTest, WeightsThatTheDeviceRoundsToInfinityAreNamed) {
  setenv("FAKE_CUDA", "", 1);
  OrderedJson manifest = fakeManifest();
  manifest["target"] = {{"kind", "cuda"}, {"features", "sm_90"}};
  manifest["spaces"]["state"] = 1024;
  manifest["globals"].push_back({{"name", "linear.weight.f16"},
                                 {"dtype", "f16"},
                                 {"shape", {3}},
                                 {"space", "state"},
                                 {"offset", 768},
                                 {"bytes", 6},
                                 {"role", "compute"},
                                 {"kind", "compute"},
                                 {"of", "linear.weight"},
                                 {"init", {{"fill", 0.0}}}});
  model = makeExecutable(folder, manifest);
  for (float last : {6e4f, 7e4f}) {
    std::vector<float> weight = {1, 2, last}, bias = {0};
    writeArrays(folder / "given.safetensors", {{"linear.weight", DSC_F32, {3}, bytesOf(weight)},
                                               {"linear.bias", DSC_F32, {1}, bytesOf(bias)}});
    RunResult result = run({model, "export", "-o", folder / "out.safetensors", "--force",
                            "--weights", folder / "given.safetensors"});
    if (last < 65504) {
      EXPECT_EQ(result.code, 0) << result.err;
    } else {
      EXPECT_EQ(result.code, 1);
      EXPECT_THAT(result.err, HasSubstr("weight \"linear.weight\": element 2: "));
    }
  }
}

TEST_F(CudaStartTest, LibrariesInPythonPackagesAreFound) {
  std::string packages = folder / "venv/lib/python3.11/site-packages/nvidia/cu13/lib";
  std::filesystem::create_directories(packages);
  setenv("VIRTUAL_ENV", (folder / "venv").c_str(), 1);
  EXPECT_THAT(cudaLibraryFolders(), testing::Contains(packages));
  unsetenv("VIRTUAL_ENV");
}
