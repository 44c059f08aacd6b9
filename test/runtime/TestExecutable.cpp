// Folders, data files and executables for runtime tests.

#include "TestExecutable.h"

#include "runtime/Npy.h"
#include "runtime/Npz.h"
#include "runtime/Safetensors.h"
#include "runtime/Sha256.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dsc;
using namespace dsc::test;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "dsc-test-XXXXXX").string();
  path = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::string test::readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::vector<Json> test::logLines(const std::string &path) {
  std::vector<Json> events;
  std::istringstream lines(readFile(path));
  for (std::string line; std::getline(lines, line);) {
    Result<Json> event = parseJson(line);
    EXPECT_TRUE(event.ok()) << line;
    events.push_back(*event);
  }
  return events;
}

void test::writeFile(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string test::npyFile(const Array &array) {
  return npyHeader(array.dtype, array.shape) + array.bytes;
}

void test::writeArrays(const std::string &path, const std::vector<Array> &arrays) {
  if (std::filesystem::path(path).extension() == ".npz") {
    NpzWriter writer;
    ASSERT_TRUE(writer.open(path).ok());
    std::vector<size_t> numbers;
    for (const Array &array : arrays) {
      Result<size_t> number = writer.add(array.name, array.dtype, array.shape);
      ASSERT_TRUE(number.ok()) << number.status().message();
      numbers.push_back(*number);
    }
    for (size_t i = 0; i < arrays.size(); ++i) {
      ASSERT_TRUE(writer
                      .append(numbers[i], arrays[i].bytes.data(),
                              static_cast<int64_t>(arrays[i].bytes.size()))
                      .ok());
    }
    Status status = writer.commit();
    ASSERT_TRUE(status.ok()) << status.message();
    return;
  }
  std::vector<TensorToWrite> tensors;
  for (const Array &array : arrays) {
    tensors.push_back({array.name, array.dtype, array.shape,
                       [&array](FileWriter &writer) { return writer.write(array.bytes); }});
  }
  Status status = writeSafetensors(path, tensors, {});
  ASSERT_TRUE(status.ok()) << status.message();
}

static OrderedJson tensor(const char *name, const char *dtype, Shape shape, int64_t offset) {
  return {{"name", name}, {"dtype", dtype}, {"shape", shape}, {"offset", offset}};
}

static OrderedJson with(OrderedJson object, const OrderedJson &more) {
  object.update(more);
  return object;
}

OrderedJson test::fakeManifest() {
  auto runTime = [](const char *name, const char *dtype, int64_t offset) {
    return with(tensor(name, dtype, {}, offset), {{"role", "runtime"}});
  };
  OrderedJson manifest = {
      {"format", 1},
      {"abi", 1},
      {"name", "model"},
      {"version", "0.1.0"},
      {"compile_command", "dsc compile model.onnx --loss=mse -o model"},
      {"options", {{"loss", "mse"}, {"optimizer", "sgd"}}},
      {"target", {{"kind", "cpu"}, {"features", ""}, {"lanes", 16}}},
      {"spaces", {{"state", 704}, {"arena", 128}, {"constants", 0}, {"io", 576}}},
      {"entries", {"micro", "last", "eval"}},
      {"accumulate", 3},
      {"micro_batch", 4},
      {"loss", {{"kind", "mse"}}},
      {"tokens_per_sample", 0}};
  manifest["inputs"] = {
      with(tensor("x", "f32", {4, 3}, 0), {{"role", "input"}}),
      with(tensor("y", "f32", {4}, 64), {{"role", "labels"}}),
      with(tensor("sample_weight", "f32", {4}, 128), {{"role", "sample_weight"}})};
  manifest["results"] = {
      {"last",
       {tensor("loss", "f32", {}, 192), tensor("grad_norm", "f32", {}, 256),
        tensor("skipped", "f32", {}, 320)}},
      {"eval",
       {tensor("loss_sum", "f32", {}, 384), tensor("loss_weight", "f32", {}, 448),
        tensor("prediction", "f32", {4}, 512)}}};
  manifest["gradients"] = {tensor("linear.weight", "f32", {3}, 0),
                           tensor("linear.bias", "f32", {1}, 64)};
  manifest["globals"] = {
      with(tensor("linear.weight", "f32", {3}, 0), {{"role", "trained"},
                                                    {"onnx_names", {"onnx::MatMul_7"}},
                                                    {"init", {{"weights", "linear.weight"}}}}),
      with(tensor("linear.bias", "f32", {1}, 64),
           {{"role", "trained"}, {"init", {{"weights", "linear.bias"}}}}),
      with(tensor("acc", "f32", {5}, 128),
           {{"role", "state"}, {"kind", "accumulator"}, {"init", {{"fill", 0.0}}}}),
      runTime("rt.lr", "f32", 320),
      runTime("rt.micro_batches", "f32", 384),
      runTime("rt.micro_index", "i64", 448),
      runTime("rt.step", "i64", 512),
      runTime("rt.seed", "i64", 576),
      runTime("rt.sample_base", "i64", 640)};
  manifest["run_time_values"] = {{{"name", "lr"},
                                  {"global", "rt.lr"},
                                  {"default", 0.05},
                                  {"min", 0.0},
                                  {"flag", "--lr"},
                                  {"help", "learning rate"}}};
  manifest["ops"] = {{{"name", "linear/MatMul"},
                      {"kind", "elementwise"},
                      {"onnx", {"MatMul_0"}},
                      {"flops", 24},
                      {"bytes", 64}},
                     {{"name", "reduce_scatter gradients"}, {"kind", "collective"}},
                     {{"name", "all_gather gradients"}, {"kind", "collective"}}};
  manifest["max_ranks"] = 8;
  for (const char *kind : {"reduce_scatter", "all_gather"}) {
    manifest["collectives"].push_back({{"name", std::string(kind) + " gradients"},
                                       {"kind", kind},
                                       {"entry", "last"},
                                       {"dtype", "f32"},
                                       {"chunks", 5},
                                       {"chunk_elements", 1},
                                       {"elements", 5}});
  }
  manifest["weights"] = {{"file", "model.weights.safetensors"}};
  return manifest;
}

static void pad(std::string &bytes) { bytes.append((4096 - bytes.size() % 4096) % 4096, '\0'); }

std::string test::packExecutable(const std::string &runner, const std::string &program,
                                 const std::string &constants, const std::string &manifest) {
  std::string file = runner, trailer = "DSCEXE01";
  pad(file);
  size_t begin = file.size();
  for (const std::string *section : {&program, &constants, &manifest}) {
    pad(file);
    for (uint64_t value : {uint64_t(file.size()), uint64_t(section->size())}) {
      trailer.append(reinterpret_cast<const char *>(&value), 8);
    }
    file += *section;
  }
  Sha256 hash;
  hash.update(file.data() + begin, file.size() - begin);
  trailer.append(reinterpret_cast<const char *>(hash.finish().data()), 8);
  return file + trailer;
}

std::string test::makeExecutable(const TemporaryFolder &folder, OrderedJson manifest) {
  std::string weights = folder / "model.weights.safetensors";
  writeArrays(weights, {{"linear.weight", DSC_F32, {3}, bytesOf<float>({0, 0, 0})},
                        {"linear.bias", DSC_F32, {1}, bytesOf<float>({0})}});
  std::string bytes = readFile(weights);
  manifest["weights"]["sha256"] = Sha256::hex(bytes.data(), bytes.size());
  std::string path = folder / "model";
  writeFile(path, packExecutable(readFile(DSC_RUNNER), readFile(DSC_FAKE_PROGRAM), "",
                                 jsonText(manifest)));
  chmod(path.c_str(), 0755);
  return path;
}

RunResult test::run(const std::vector<std::string> &command, int signalAfter,
                    const std::map<std::string, std::string> &environment) {
  TemporaryFolder folder;
  std::string out = folder / "out", err = folder / "err";
  pid_t child = fork();
  if (child == 0) {
    for (auto [path, target] : {std::pair{&out, 1}, {&err, 2}}) {
      dup2(open(path->c_str(), O_WRONLY | O_CREAT, 0600), target);
    }
    std::vector<char *> arguments;
    for (const std::string &word : command) {
      arguments.push_back(const_cast<char *>(word.c_str()));
    }
    arguments.push_back(nullptr);
    unsetenv("WORLD_SIZE");
    for (const auto &[name, value] : environment) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  if (signalAfter > 0) {
    usleep(static_cast<useconds_t>(signalAfter) * 1000);
    kill(child, SIGTERM);
  }
  int status = 0;
  waitpid(child, &status, 0);
  RunResult result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = readFile(out);
  result.err = readFile(err);
  return result;
}
