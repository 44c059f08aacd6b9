// Reading manifests strictly.

#include "TestExecutable.h"

#include "runtime/CommandLine.h"
#include "runtime/CpuFeatures.h"
#include "runtime/Manifest.h"
#include "runtime/Sha256.h"

#include <gmock/gmock.h>

#include <cmath>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

static std::string errorOf(const OrderedJson &manifest) {
  return readManifest(jsonText(manifest)).status().message();
}

TEST(Manifest, ReadsTheWholeFormat) {
  OrderedJson json = fakeManifest();
  json["inputs"][0]["classes"] = 7;
  json["accumulate"] = "any";
  json["globals"][0]["strides"] = {2};
  Result<Manifest> manifest = readManifest(jsonText(json));
  ASSERT_TRUE(manifest.ok()) << manifest.status().message();
  EXPECT_EQ(manifest->accumulate, 0);
  EXPECT_EQ(manifest->inputs[0].classes, 7);
  EXPECT_EQ(manifest->labels()->name, "y");
  EXPECT_EQ(manifest->globals[0].bytes, 20);
  EXPECT_NE(manifest->result("eval", "prediction"), nullptr);
  EXPECT_EQ(manifest->result("last", "prediction"), nullptr);
  EXPECT_EQ(manifest->options[0], std::make_pair(std::string("loss"), std::string("mse")));
}

TEST(Manifest, RefusesWhatDoesNotHold) {
  struct Case {
    const char *pointer;
    OrderedJson value;
    const char *message;
  } cases[] = {
      {"/format", 2, "has format 2 and this runner reads 1"},
      {"/abi", 99, "ABI 99"},
      {"/format", "1", "manifest.format: is not a 64-bit integer"},
      {"/spaces/io", -1, "out of range"},
      {"/spaces/io", 1e300, "not a 64-bit integer"},
      {"/spaces/state", 100, "manifest.globals[2].offset: reaches past the end"},
      {"/micro_batch", 0, "is not positive"},
      {"/micro_batch", 5, "does not begin with the micro-batch 5"},
      {"/accumulate", 0, "neither a positive number"},
      {"/inputs/0/dtype", "f31", "\"f31\" is not an element type"},
      {"/inputs/0/offset", 2, "not aligned"},
      {"/inputs/0/offset", 9223372036854775807, "out of range"},
      {"/inputs/0/shape", {4, 1099511627776, 1099511627776}, "too many elements"},
      {"/inputs/0/role", "labels", "two inputs of role labels"},
      {"/inputs/0/name", "y", "stands twice"},
      {"/inputs/0/strides", {3, 1}, "an input is dense"},
      {"/inputs/0/space", "arena", "is not the one of inputs"},
      {"/results/last/0/space", "memory", "is \"memory\", no space"},
      {"/results/last/0/space", "arena", "reaches past the end"},
      {"/globals/0/space", "io", "is not the one of globals"},
      {"/globals/0/role", "frozen", "is not trained"},
      {"/globals/0/strides", {1, 1}, "another rank"},
      {"/globals/0/strides", {70368744177663}, "reach too far"},
      {"/globals/0/bytes", 8, "less than the shape needs"},
      {"/globals/3/shape", {2}, "not a scalar"},
      {"/run_time_values/0/global", "acc", "not a global of role runtime"},
      {"/run_time_values/0/flag", "lr", "does not begin with --"},
      {"/results/last/0/shape", {2}, "last's loss is not one number"},
      {"/results/last/0/name", "lost", "last does not return loss"},
      {"/weights/file", "../w.safetensors", "has a slash"},
      {"/ops", 3, "is not a list"},
      {"/entries/0", 3, "not a string"},
  };
  for (const Case &test : cases) {
    Json manifest = fakeManifest();
    manifest[Json::json_pointer(test.pointer)] = test.value;
    EXPECT_THAT(errorOf(manifest), HasSubstr(test.message)) << test.pointer;
  }
}

TEST(Manifest, SurvivesMissingAndForeignMembers) {
  // Every member replaced by null, a number, a string and a list: an error or a value, no crash.
  const OrderedJson flat = fakeManifest().flatten();
  for (auto item = flat.begin(); item != flat.end(); ++item) {
    for (const OrderedJson &value :
         {OrderedJson(), OrderedJson(-7), OrderedJson("text"), OrderedJson::array({1})}) {
      OrderedJson changed = flat;
      if (value.is_array()) {
        Json sorted = fakeManifest();
        sorted[Json::json_pointer(item.key())] = value;
        changed = sorted;
      } else {
        changed[item.key()] = value;
        changed = changed.unflatten();
      }
      (void)errorOf(changed);
    }
  }
}

TEST(Json, RefusesDuplicatesAndDepth) {
  EXPECT_THAT(parseJson("{\"a\":1,\"a\":2}").status().message(), HasSubstr("stands twice"));
  EXPECT_TRUE(parseJson("{\"a\":{\"b\":1},\"c\":{\"b\":1}}").ok());
  EXPECT_THAT(parseJson(std::string(65, '[') + std::string(65, ']')).status().message(),
              HasSubstr("nested"));
  EXPECT_TRUE(parseJson(std::string(64, '[') + std::string(64, ']')).ok());
  for (const char *text : {"", "{", "nul", "{\"a\":}", "1 2", "\"\xff\"", "1e999"}) {
    EXPECT_TRUE(parseJson(text).failed()) << text;
  }
}

TEST(Sha256, IsFips180) {
  EXPECT_EQ(Sha256::hex("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256::hex("abc", 3),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string million(1000000, 'a');
  EXPECT_EQ(Sha256::hex(million.data(), million.size()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // In pieces of every size, across block borders.
  for (size_t piece : {1, 3, 63, 64, 65, 127, 1000}) {
    Sha256 hash;
    for (size_t at = 0; at < 5000; at += piece) {
      hash.update(million.data() + at, std::min(piece, 5000 - at));
    }
    Sha256 whole;
    whole.update(million.data(), 5000);
    EXPECT_EQ(hash.finish(), whole.finish());
  }
}

TEST(Tensor, HalfTypesRoundToNearestEven) {
  std::byte bytes[2];
  // Every finite half is its own image.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    for (Dtype dtype : {DSC_F16, DSC_BF16}) {
      auto narrow = static_cast<uint16_t>(bits);
      std::memcpy(bytes, &narrow, 2);
      double value = loadAsDouble(dtype, bytes, 0);
      if (std::isnan(value)) {
        continue;
      }
      std::byte again[2];
      storeFromDouble(dtype, again, 0, value);
      ASSERT_EQ(std::memcmp(bytes, again, 2), 0) << dtypeName(dtype) << " " << bits;
    }
  }
  auto rounded = [&](Dtype dtype, double value) {
    storeFromDouble(dtype, bytes, 0, value);
    return loadAsDouble(dtype, bytes, 0);
  };
  EXPECT_EQ(rounded(DSC_F16, 2049), 2048);
  EXPECT_EQ(rounded(DSC_F16, 2051), 2052);
  EXPECT_EQ(rounded(DSC_F16, 65519.99), 65504);
  EXPECT_EQ(rounded(DSC_F16, 65520), INFINITY);
  EXPECT_EQ(rounded(DSC_F16, 0x1p-25), 0);
  EXPECT_EQ(rounded(DSC_F16, 0x1.8p-25), 0x1p-24);
  EXPECT_EQ(rounded(DSC_BF16, 1 + 0x1p-8), 1);
  // Halfway in f32 only after a first rounding: must not round twice.
  EXPECT_EQ(rounded(DSC_BF16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
  EXPECT_TRUE(std::isnan(rounded(DSC_BF16, NAN)));
  EXPECT_TRUE(std::isnan(rounded(DSC_F16, NAN)));
}

TEST(Tensor, CountsWithoutOverflow) {
  EXPECT_EQ(elementCount({}), 1);
  EXPECT_EQ(elementCount({0, INT64_MAX}), std::nullopt);
  EXPECT_EQ(elementCount({INT64_MAX, INT64_MAX}), std::nullopt);
  EXPECT_EQ(elementCount({-1}), std::nullopt);
  EXPECT_EQ(elementCount({2, 0, 3}), 0);
  EXPECT_EQ(byteCount(DSC_F64, {maxBytes / 4}), std::nullopt);
}

TEST(CompileLine, ReplacesTheFlagItNames) {
  const char *line = "dsc compile m.onnx --loss=mse --dim batch=8 --zero 1 --fp16 -o 'a b'";
  EXPECT_EQ(compileLineWith(line, "--loss", "l1"),
            "dsc compile m.onnx --dim batch=8 --zero 1 --fp16 -o 'a b' --loss=l1");
  EXPECT_EQ(compileLineWith(line, "--zero", "2"),
            "dsc compile m.onnx --loss=mse --dim batch=8 --fp16 -o 'a b' --zero=2");
  EXPECT_EQ(compileLineWith(line, "--dim", "seq=4"),
            "dsc compile m.onnx --loss=mse --dim batch=8 --zero 1 --fp16 -o 'a b' --dim=seq=4");
  EXPECT_EQ(compileLineWith("", "--freeze", "a|b"), "dsc compile MODEL.onnx --freeze='a|b'");
}

TEST(CpuFeatures, KnowWhatTheCompilerKnows) {
  EXPECT_TRUE(missingCpuFeatures("").empty());
  EXPECT_TRUE(missingCpuFeatures("+sse3,+popcnt,-avx512f,+unheard-of").empty());
  EXPECT_EQ(missingCpuFeatures("+avx2").empty(), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(missingCpuFeatures("+avx512f,+avx512vl").empty(),
            __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"));
}

TEST(Numbers, AreWholeOrNothing) {
  EXPECT_EQ(parseInteger("12"), 12);
  for (const char *text : {"", " 1", "1 ", "1.5", "0x10", "99999999999999999999", "one"}) {
    EXPECT_EQ(parseInteger(text), std::nullopt) << text;
  }
  EXPECT_EQ(parseNumber("1e-3"), 1e-3);
  for (const char *text : {"", "nan", "inf", "1e999", "1,5", "3x"}) {
    EXPECT_EQ(parseNumber(text), std::nullopt) << text;
  }
}
