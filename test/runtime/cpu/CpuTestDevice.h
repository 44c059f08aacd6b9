// A CPU device and random operands for tests.
// Made once for each test; the random numbers depend on the seed alone, so failures repeat.

#ifndef DSC_TEST_RUNTIME_CPU_CPUTESTDEVICE_H
#define DSC_TEST_RUNTIME_CPU_CPUTESTDEVICE_H

#include "runtime/Context.h"
#include "runtime/cpu/CpuDevice.h"

#include "gtest/gtest.h"

#include <cmath>
#include <random>
#include <vector>

namespace dsc::testing {

struct CpuTestDevice {
  dsc_context ctx;

  explicit CpuTestDevice(int threads) {
    ctx.opNames = {"the_op"};
    Result<std::unique_ptr<Device>> device = createCpuDevice(threads);
    EXPECT_TRUE(device.ok()) << device.status().message();
    ctx.device = std::move(*device);
  }
};

/// Operands and shapes drawn from one seed.
struct Random {
  std::mt19937 engine;

  explicit Random(unsigned seed) : engine(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  }
  bool coin() { return between(0, 1) == 1; }
  template <typename T> std::vector<T> values(int64_t count) {
    std::uniform_real_distribution<double> draw(-1.0, 1.0);
    std::vector<T> result(static_cast<size_t>(count));
    for (T &value : result) {
      value = static_cast<T>(draw(engine));
    }
    return result;
  }
};

/// docs/testing.md: the bound on how far two right computations may be apart.
inline double bound(double unitRoundoff, double length, double scale, double steps = 1) {
  return 8 * unitRoundoff * steps * std::sqrt(length < 1 ? 1 : length) * scale;
}

inline constexpr double f32Roundoff = 0x1p-24;
inline constexpr double f64Roundoff = 0x1p-53;

} // namespace dsc::testing

#endif // DSC_TEST_RUNTIME_CPU_CPUTESTDEVICE_H
