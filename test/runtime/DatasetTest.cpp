// The user's samples, good and hostile.

#include "TestExecutable.h"

#include "runtime/Dataset.h"
#include "runtime/TokenFile.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

using namespace dsc;
using namespace dsc::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
class DatasetTest : public testing::Test {
protected:
  DatasetTest() {
    manifest.microBatch = 2;
    manifest.lossKind = "cross-entropy";
    addInput("x", DSC_F32, {2, 2}, InputRole::Input, 0);
    addInput("labels", DSC_I64, {2}, InputRole::Labels, 3);
  }

  void addInput(const char *name, Dtype dtype, Shape shape, InputRole role, int64_t classes) {
    InputSpec input;
    input.name = name;
    input.dtype = dtype;
    input.shape = shape;
    input.role = role;
    input.classes = classes;
    manifest.inputs.push_back(input);
  }

  void takeTokens(int64_t length, int64_t classes) {
    manifest.inputs.clear();
    addInput("input_ids", DSC_I64, {2, length}, InputRole::Input, classes);
    addInput("labels", DSC_I64, {2, length}, InputRole::Labels, classes);
    manifest.tokensPerSample = length;
  }

  std::string openError(const std::string &path, DataOptions options = {}) {
    options.path = path;
    Result<std::unique_ptr<Dataset>> data = Dataset::open(manifest, options);
    if (data.failed()) {
      EXPECT_EQ(data.status().exitCode(), ExitCode::User);
      return data.status().message();
    }
    return (*data)->checkValues().message();
  }

  std::unique_ptr<Dataset> open(const std::string &path, DataOptions options = {}) {
    options.path = path;
    Result<std::unique_ptr<Dataset>> data = Dataset::open(manifest, options);
    EXPECT_TRUE(data.ok()) << data.status().message();
    return data.ok() ? std::move(*data) : nullptr;
  }

  std::vector<int64_t> integers(const Dataset &data, size_t input, int64_t sample) {
    int64_t count = *elementCount(manifest.inputs[input].shape) / 2;
    std::vector<int64_t> values(static_cast<size_t>(count));
    Status status = data.copy(input, sample, reinterpret_cast<std::byte *>(values.data()), 0);
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
  }

  Array x(Dtype dtype, int64_t samples, std::string bytes) {
    return {"x", dtype, {samples, 2}, std::move(bytes)};
  }
  const Array x2 = x(DSC_F32, 2, bytesOf<float>({1, 2, 3, 4}));

  TemporaryFolder folder;
  Manifest manifest;
};
} // namespace

TEST_F(DatasetTest, ReadsAllKindsOfFiles) {
  Array labels{"labels", DSC_I32, {2}, bytesOf<int32_t>({2, -100})};
  writeArrays(folder / "a.npz", {x2, labels});
  writeArrays(folder / "a.safetensors", {x2, labels});
  std::filesystem::create_directory(folder / "arrays");
  writeFile(folder / "arrays/x.npy", npyFile(x2));
  writeFile(folder / "arrays/labels.npy", npyFile(labels));
  std::filesystem::create_directory(folder / "shards");
  writeArrays(folder / "shards/1.npz", {x2, labels});
  writeArrays(folder / "shards/0.npz",
              {x(DSC_F32, 1, bytesOf<float>({7, 8})), {"labels", DSC_U8, {1}, "\1"}});
  for (const char *name : {"a.npz", "a.safetensors", "arrays"}) {
    auto data = open(folder / name);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->samples(), 2);
    EXPECT_THAT(integers(*data, 1, 0), ElementsAre(2));
    EXPECT_THAT(integers(*data, 1, 1), ElementsAre(-100));
    EXPECT_TRUE(data->checkValues().ok());
    EXPECT_TRUE(data->notes().empty());
  }
  auto shards = open(folder / "shards");
  ASSERT_TRUE(shards);
  EXPECT_EQ(shards->samples(), 3);
  EXPECT_THAT(integers(*shards, 1, 0), ElementsAre(1));
  EXPECT_THAT(integers(*shards, 1, 1), ElementsAre(2));
  EXPECT_THAT(integers(*shards, 1, 2), ElementsAre(-100));
}

TEST_F(DatasetTest, NotesWhatItDoesToTheData) {
  writeArrays(folder / "a.npz", {x(DSC_F64, 1, bytesOf<double>({1, 2})),
                                 {"labels", DSC_I64, {1}, bytesOf<int64_t>({0})},
                                 {"more", DSC_F32, {1}, bytesOf<float>({0})}});
  auto data = open(folder / "a.npz");
  ASSERT_TRUE(data);
  EXPECT_THAT(data->notes(), ElementsAre("array \"x\" is f64 and is rounded to f32",
                                         "array \"more\" is not used by the program"));
}

TEST_F(DatasetTest, NotesNaNInInputs) {
  writeArrays(folder / "a.npz", {x(DSC_F32, 2, bytesOf<float>({1, 2, 3, NAN})),
                                 {"labels", DSC_I64, {2}, bytesOf<int64_t>({0, 0})}});
  auto data = open(folder / "a.npz");
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->checkValues().ok());
  EXPECT_THAT(data->notes(), ElementsAre("array \"x\" has NaN, first at [1, 1]"));
}

TEST_F(DatasetTest, RefusesArraysThatDoNotFit) {
  Array labels{"labels", DSC_I64, {2}, bytesOf<int64_t>({0, 1})};
  auto check = [&](const std::vector<Array> &arrays, const char *message) {
    writeArrays(folder / "a.npz", arrays);
    EXPECT_THAT(openError(folder / "a.npz"), HasSubstr(message));
  };
  check({labels}, "--bind x=VALUE");
  check({x2}, "--labels");
  check({x2, {"labels", DSC_I64, {3}, bytesOf<int64_t>({0, 1, 2})}},
        "has 3 samples and array \"x\" has 2");
  check({{"x", DSC_F32, {4}, bytesOf<float>({1, 2, 3, 4})}, labels}, "takes samples of [2]");
  check({{"x", DSC_F32, {}, bytesOf<float>({1})}, labels}, "takes samples of [2]");
  check({{"x", DSC_I32, {2, 2}, bytesOf<int32_t>({1, 2, 3, 4})}, labels},
        "has type i32 and the program takes f32");
  check({x2, {"labels", DSC_F32, {2}, bytesOf<float>({0, 1})}},
        "has type f32 and the program takes i64");
  check({x2, {"labels", DSC_I64, {2}, bytesOf<int64_t>({0, 3})}},
        "array \"labels\" at [1]: the value 3 is outside 0..2 and is not the ignored -100");
  check({x2, {"labels", DSC_I64, {2}, bytesOf<int64_t>({-1, 1})}}, "at [0]: the value -1");
  check({x2, {"labels", DSC_U64, {2}, bytesOf<uint64_t>({1, UINT64_MAX})}}, "at [1]");
  check({x(DSC_F64, 2, bytesOf<double>({1, 2, 1e300, 4})), labels},
        "array \"x\" at [1, 0]: the value 1e+300 is outside f32");
  check({x(DSC_F32, 0, ""), {"labels", DSC_I64, {0}, ""}}, "holds no samples");
}

TEST_F(DatasetTest, RefusesLabelsThatAreNotNumbers) {
  manifest.inputs.pop_back();
  addInput("labels", DSC_F32, {2}, InputRole::Labels, 0);
  for (auto [value, word] : {std::pair{NAN, "NaN"}, {INFINITY, "infinite"}}) {
    writeArrays(folder / "a.npz", {x2, {"labels", DSC_F32, {2}, bytesOf<float>({0, value})}});
    EXPECT_THAT(openError(folder / "a.npz"), HasSubstr(format("at [1]: the value is %s", word)));
  }
}

TEST_F(DatasetTest, NarrowsIntegersWhereEveryValueFits) {
  manifest.inputs[0].dtype = DSC_I8;
  Array labels{"labels", DSC_I64, {1}, bytesOf<int64_t>({0})};
  writeArrays(folder / "a.npz", {x(DSC_I64, 1, bytesOf<int64_t>({-128, 127})), labels});
  EXPECT_EQ(openError(folder / "a.npz"), "");
  writeArrays(folder / "a.npz", {x(DSC_I64, 1, bytesOf<int64_t>({-128, 128})), labels});
  EXPECT_THAT(openError(folder / "a.npz"), HasSubstr("at [0, 1]: the value 128 is outside i8"));
}

TEST_F(DatasetTest, RefusesOtherFilesAndFolders) {
  writeFile(folder / "a.csv", "1,2");
  EXPECT_THAT(openError(folder / "a.csv"), HasSubstr("is not data that dsc reads"));
  EXPECT_THAT(openError(folder / "none"), HasSubstr("No such file"));
  EXPECT_THAT(openError(folder.path), HasSubstr("holds no .npy"));
  writeFile(folder / "x.npy", "");
  EXPECT_THAT(openError(folder.path), HasSubstr("x.npy: is empty"));
  writeFile(folder / "x.npz", "");
  EXPECT_THAT(openError(folder.path), HasSubstr("several kinds"));
}

TEST_F(DatasetTest, CutsTokensIntoWindows) {
  takeTokens(3, 100);
  writeFile(folder / "a.bin", bytesOf<uint16_t>({0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_THAT(openError(folder / "a.bin"), HasSubstr("--tokens=u16"));
  DataOptions options;
  options.tokenWidth = DSC_U16;
  auto data = open(folder / "a.bin", options);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->samples(), 2);
  EXPECT_THAT(integers(*data, 0, 1), ElementsAre(3, 4, 5));
  EXPECT_THAT(integers(*data, 1, 1), ElementsAre(4, 5, 6));
  // Exactly one window and its last label.
  writeFile(folder / "a.bin", bytesOf<uint16_t>({0, 1, 2, 3}));
  EXPECT_EQ(open(folder / "a.bin", options)->samples(), 1);
  writeFile(folder / "a.bin", bytesOf<uint16_t>({0, 1, 2}));
  EXPECT_THAT(openError(folder / "a.bin", options),
              HasSubstr("has 3 tokens and one window needs 4"));
  writeFile(folder / "a.bin", bytesOf<uint16_t>({0, 1, 2, 3, 4, 100, 6}));
  EXPECT_THAT(openError(folder / "a.bin", options),
              HasSubstr("a.bin: token 5: the value 100 is outside 0..99"));
}

TEST_F(DatasetTest, ReadsTheTokenHeader) {
  takeTokens(2, 0);
  std::vector<uint32_t> header(256, 0);
  header[0] = 20240520;
  header[1] = 1;
  header[2] = 3;
  const std::string tokens = bytesOf<uint16_t>({7, 8, 9});
  writeFile(folder / "a.bin", bytesOf(header) + tokens);
  auto data = open(folder / "a.bin");
  ASSERT_TRUE(data);
  EXPECT_THAT(integers(*data, 1, 0), ElementsAre(8, 9));
  DataOptions wide;
  wide.tokenWidth = DSC_U32;
  EXPECT_THAT(openError(folder / "a.bin", wide), HasSubstr("--tokens says u32"));
  writeFile(folder / "a.bin", bytesOf(header) + tokens + "x");
  EXPECT_THAT(openError(folder / "a.bin"), HasSubstr("truncated or damaged"));
  header[2] = 0xffffffff;
  writeFile(folder / "a.bin", bytesOf(header) + tokens);
  EXPECT_THAT(openError(folder / "a.bin"),
              HasSubstr("says 4294967295 tokens and the file holds 3"));
  header[1] = 2;
  writeFile(folder / "a.bin", bytesOf(header) + tokens);
  EXPECT_THAT(openError(folder / "a.bin"), HasSubstr("version 2"));
  header = std::vector<uint32_t>(256, 0);
  header[0] = 20240801;
  header[1] = 7;
  header[2] = 3;
  writeFile(folder / "a.bin", bytesOf(header) + bytesOf<uint32_t>({70000, 2, 3}));
  data = open(folder / "a.bin");
  ASSERT_TRUE(data);
  EXPECT_THAT(integers(*data, 0, 0), ElementsAre(70000, 2));
  writeFile(folder / "a.bin", "");
  EXPECT_THAT(openError(folder / "a.bin", wide), HasSubstr("is empty"));
  writeFile(folder / "a.bin", "12345");
  EXPECT_THAT(openError(folder / "a.bin", wide), HasSubstr("not a whole number"));
}

TEST_F(DatasetTest, TokensNeedOneInput) {
  DataOptions options;
  options.tokenWidth = DSC_U16;
  writeFile(folder / "a.bin", bytesOf<uint16_t>({0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_THAT(openError(folder / "a.bin", options), HasSubstr("needs an integer input"));
  takeTokens(2, 0);
  addInput("positions", DSC_I64, {2, 2}, InputRole::Input, 0);
  EXPECT_THAT(openError(folder / "a.bin", options), HasSubstr("choose with --tokens-to"));
  options.tokensTo = "input_ids";
  EXPECT_THAT(openError(folder / "a.bin", options), HasSubstr("--bind positions=VALUE"));
  options.tokensTo = "nothing";
  EXPECT_THAT(openError(folder / "a.bin", options), HasSubstr("has no such input"));
  takeTokens(2, 0);
  options.tokensTo = "";
  manifest.shiftLabels = true;
  EXPECT_THAT(openError(folder / "a.bin", options), HasSubstr("--shift-labels"));
}
