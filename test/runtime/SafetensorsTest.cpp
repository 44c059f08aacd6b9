// Strict reading and whole writing of safetensors.

#include "TestExecutable.h"

#include "runtime/Safetensors.h"
#include "runtime/Weights.h"

#include <gmock/gmock.h>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

static std::string fileOf(const std::string &header, const std::string &data) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

static std::string entry(const char *dtype, const char *shape, const char *offsets) {
  return format("{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}", dtype, shape, offsets);
}

TEST(Safetensors, ReadsWhatItWrites) {
  TemporaryFolder folder;
  std::string path = folder / "a.safetensors";
  writeArrays(path, {{"b", DSC_F32, {2, 2}, bytesOf<float>({1, 2, 3, 4})},
                     {"empty", DSC_I64, {0, 3}, ""},
                     {"scalar", DSC_BF16, {}, bytesOf<uint16_t>({0x3f80})},
                     {"a\"\\\n", DSC_BOOL, {1}, std::string(1, '\1')}});
  Result<Safetensors> file = Safetensors::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->metadata().at("producer"), "dsc");
  EXPECT_EQ(loadAsDouble(DSC_F32, file->find("b")->data, 3), 4);
  EXPECT_EQ(loadAsDouble(DSC_BF16, file->find("scalar")->data, 0), 1);
  EXPECT_EQ(file->find("empty")->shape, Shape({0, 3}));
  EXPECT_NE(file->find("a\"\\\n"), nullptr);
  EXPECT_EQ(file->find("none"), nullptr);
  EXPECT_TRUE(checkOverwritesOwnSafetensors(path).ok());
}

TEST(Safetensors, RefusesLies) {
  const std::string data(16, '\0');
  struct Case {
    std::string bytes;
    const char *message;
  } cases[] = {
      {"", "has 0 bytes"},
      {"1234567", "has 7 bytes"},
      {std::string(8, '\xff') + data, "header's length"},
      {fileOf("{}", "").substr(0, 9), "header's length"},
      {fileOf("[]", ""), "not a JSON object"},
      {fileOf("{", ""), "not JSON"},
      {fileOf("{\"a\":" + entry("F32", "[4]", "[0,16]") +
                  ",\"a\":" + entry("F32", "[4]", "[0,16]") + "}",
              data),
       "stands twice"},
      {fileOf("{\"a\":" + entry("F32", "[4]", "[0,15]") + "}", data), "needs 16 bytes"},
      {fileOf("{\"a\":" + entry("F32", "[4]", "[16,0]") + "}", data), "needs 16 bytes"},
      {fileOf("{\"a\":" + entry("F32", "[8]", "[0,32]") + "}", data), "truncated"},
      {fileOf("{\"a\":" + entry("F32", "[4]", "[4,20]") + "}", data + "1234"),
       "must follow each other"},
      {fileOf("{\"a\":" + entry("F32", "[4]", "[0,16]") +
                  ",\"b\":" + entry("F32", "[2]", "[8,16]") + "}",
              data),
       "must follow each other"},
      {fileOf("{\"a\":" + entry("F32", "[2]", "[0,8]") + "}", data), "the file holds 16"},
      {fileOf("{\"a\":" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", ""), "too large"},
      {fileOf("{\"a\":" + entry("F32", "[-1]", "[0,16]") + "}", data), "not a list of sizes"},
      {fileOf("{\"a\":" + entry("F32", "[1.5]", "[0,16]") + "}", data), "not a list of sizes"},
      {fileOf("{\"a\":" + entry("F32", "[18446744073709551615]", "[0,16]") + "}", data),
       "not a list of sizes"},
      {fileOf("{\"a\":" + entry("F8", "[4]", "[0,16]") + "}", data), "dtype \"F8\""},
      {fileOf("{\"a\":{\"dtype\":\"F32\"}}", ""), "header entry"},
      {fileOf("{\"a\":3}", ""), "header entry"},
      {fileOf("{\"__metadata__\":{\"a\":1}}", ""), "something else than strings"},
      {fileOf(std::string(100000, '['), ""), "nested"},
  };
  TemporaryFolder folder;
  std::string path = folder / "a.safetensors";
  for (const Case &test : cases) {
    writeFile(path, test.bytes);
    Result<Safetensors> file = Safetensors::open(path);
    ASSERT_TRUE(file.failed()) << test.message;
    EXPECT_THAT(file.status().message(), HasSubstr(test.message));
    EXPECT_THAT(file.status().message(), HasSubstr(path));
  }
  EXPECT_TRUE(checkOverwritesOwnSafetensors(path).failed());
}

TEST(Safetensors, SurvivesEveryTruncationAndByteFlip) {
  TemporaryFolder folder;
  std::string path = folder / "a.safetensors";
  writeArrays(path, {{"a", DSC_F32, {3}, bytesOf<float>({1, 2, 3})},
                     {"b", DSC_I64, {1, 2}, bytesOf<int64_t>({1, 2})}});
  const std::string whole = readFile(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    writeFile(path, whole.substr(0, length));
    EXPECT_TRUE(Safetensors::open(path).failed()) << length;
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit : {0, 3, 7}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      writeFile(path, changed);
      Result<Safetensors> file = Safetensors::open(path);
      for (size_t i = 0; file.ok() && i < file->tensors().size(); ++i) {
        const TensorView &tensor = file->tensors()[i];
        for (int64_t k = 0; k < tensor.elements(); ++k) {
          loadAsDouble(tensor.dtype, tensor.data, k); // stays inside the mapping
        }
      }
    }
  }
}

TEST(Safetensors, RefusesWhatIsNotAFile) {
  TemporaryFolder folder;
  EXPECT_THAT(Safetensors::open(folder.path).status().message(), HasSubstr("not a regular file"));
  EXPECT_THAT(Safetensors::open("/dev/zero").status().message(), HasSubstr("not a regular file"));
  EXPECT_THAT(Safetensors::open(folder / "no").status().message(), HasSubstr("No such file"));
}

TEST(TensorSet, ReadsShardsOfAnIndexAndRefusesPaths) {
  TemporaryFolder folder;
  writeArrays(folder / "model-1.safetensors", {{"a", DSC_F32, {1}, bytesOf<float>({1})}});
  writeArrays(folder / "model-2.safetensors", {{"b", DSC_F32, {1}, bytesOf<float>({2})}});
  std::string index = folder / "model.safetensors.index.json";
  writeFile(index, R"({"metadata": {}, "weight_map": {"a": "model-1.safetensors",
                                                      "b": "model-2.safetensors"}})");
  Result<TensorSet> set = TensorSet::open(folder.path);
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_EQ(loadAsDouble(DSC_F32, set->find("b")->data, 0), 2);
  for (auto [text, message] :
       {std::pair{R"({"weight_map": {"a": "../model-1.safetensors"}})", "no plain file name"},
        {R"({"weight_map": {"a": "model-2.safetensors"}})", "does not hold it"},
        {R"({"weight_map": {"a": 1}})", "no plain file name"},
        {R"({"weight_map": []})", "no weight_map"},
        {R"({"weight_map": {"a": "none.safetensors"}})", "No such file"},
        {"{", "not JSON"}}) {
    writeFile(index, text);
    EXPECT_THAT(TensorSet::open(index).status().message(), HasSubstr(message));
  }
}
