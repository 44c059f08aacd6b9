// A GPU for tests, or the reason why there is none.
// Plans are made first, then operands are placed one after the other in the
// arena, as a program does. Values of half types are rounded on the host, so
// that references start from what the GPU sees.

#ifndef DSC_TEST_RUNTIME_CUDA_CUDATESTDEVICE_H
#define DSC_TEST_RUNTIME_CUDA_CUDATESTDEVICE_H

#include "runtime/Context.h"
#include "runtime/cuda/CudaDevice.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include <cstdlib>
#include <cstring>
#include <string>

namespace dsc::testing {

inline constexpr double f16Roundoff = 0x1p-11;
inline constexpr double bf16Roundoff = 0x1p-8;

inline double roundoffOf(int32_t dtype) {
  switch (dtype) {
  case DSC_F64:
    return f64Roundoff;
  case DSC_F16:
    return f16Roundoff;
  case DSC_BF16:
    return bf16Roundoff;
  default:
    return f32Roundoff;
  }
}

/// Numbers of a type, kept as doubles that the type holds exactly.
struct Values {
  Dtype dtype;
  std::vector<double> numbers;

  static Values random(Random &random, int32_t type, int64_t count) {
    return rounded(type, random.values<double>(count));
  }
  static Values rounded(int32_t type, std::vector<double> numbers) {
    Values values{static_cast<Dtype>(type), std::move(numbers)};
    std::vector<std::byte> bytes = values.bytes();
    for (size_t i = 0; i < values.numbers.size(); ++i) {
      values.numbers[i] = loadAsDouble(values.dtype, bytes.data(), static_cast<int64_t>(i));
    }
    return values;
  }
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> data(numbers.size() * static_cast<size_t>(dtypeSize(dtype)));
    for (size_t i = 0; i < numbers.size(); ++i) {
      storeFromDouble(dtype, data.data(), static_cast<int64_t>(i), numbers[i]);
    }
    return data;
  }
};

class CudaTestDevice {
public:
  dsc_context ctx;
  Manifest manifest;

  /// `path` names the file of choices.
  explicit CudaTestDevice(int64_t arenaBytes = int64_t(256) << 20,
                          const std::string &path = "/nonexistent/program",
                          const std::string &precision = "fp32") {
    ctx.opNames = {"the_op", "the_other_op"};
    manifest.targetKind = "cuda";
    manifest.targetFeatures = "sm_70";
    manifest.options = {{"precision", precision}};
    manifest.spaceBytes[DSC_SPACE_ARENA] = arenaBytes;
    // Nothing of a test's choices is kept.
    setenv("XDG_CACHE_HOME", "/nonexistent", 1);
    Result<std::unique_ptr<Device>> made = createCudaDevice(manifest, path);
    if (made.ok()) {
      ctx.device = std::move(*made);
    } else {
      reason = made.status().message();
    }
  }

  /// Why there is no GPU; empty where there is one.
  std::string reason;

  Device &device() { return *ctx.device; }
  void allocate() {
    Status status = device().allocate(manifest, nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  /// `bytes` of the arena, from `skew` bytes behind the planned alignment.
  std::byte *place(int64_t bytes, int64_t skew = 0) {
    PlannedTensor tensor;
    tensor.space = DSC_SPACE_ARENA;
    tensor.offset = used + skew;
    used = (used + skew + bytes + 511) / 512 * 512;
    EXPECT_LE(used, manifest.spaceBytes[DSC_SPACE_ARENA]);
    return device().address(tensor);
  }
  std::byte *put(const Values &values, int64_t skew = 0) {
    std::vector<std::byte> data = values.bytes();
    std::byte *address = place(static_cast<int64_t>(data.size()), skew);
    Status status =
        device().write(address, static_cast<int64_t>(data.size()), dtypeSize(values.dtype),
                       [&](std::byte *piece, int64_t offset, int64_t bytes) {
                         std::memcpy(piece, data.data() + offset, static_cast<size_t>(bytes));
                         return Status();
                       });
    EXPECT_TRUE(status.ok()) << status.message();
    return address;
  }
  std::vector<double> get(const std::byte *address, int32_t type, int64_t count) {
    auto dtype = static_cast<Dtype>(type);
    std::vector<double> numbers;
    Status status = device().read(address, count * dtypeSize(dtype), dtypeSize(dtype),
                                  [&](const std::byte *piece, int64_t, int64_t bytes) {
                                    for (int64_t i = 0; i < bytes / dtypeSize(dtype); ++i) {
                                      numbers.push_back(loadAsDouble(dtype, piece, i));
                                    }
                                    return Status();
                                  });
    EXPECT_TRUE(status.ok()) << status.message();
    return numbers;
  }

private:
  int64_t used = 0;
};

} // namespace dsc::testing

/// A device named `device`, or a skipped test.
#define DSC_CUDA_DEVICE(device, ...)                                                               \
  ::dsc::testing::CudaTestDevice device{__VA_ARGS__};                                              \
  if (!device.reason.empty()) {                                                                    \
    GTEST_SKIP() << device.reason;                                                                 \
  }                                                                                                \
  static_assert(true, "")

#endif // DSC_TEST_RUNTIME_CUDA_CUDATESTDEVICE_H
