// Compiles a module's kernels for this machine and runs them in this process, as the runtime would:
// each launch over its units, in one range or in pieces.

#ifndef DSC_TEST_CODEGEN_COMPILEDKERNELS_H
#define DSC_TEST_CODEGEN_COMPILEDKERNELS_H

#include "codegen/OutlineKernels.h"

#include "runtime/abi.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace llvm::orc {
class LLJIT;
}

namespace dsc::test {

/// Bytes aligned as the planner aligns slots, with a guard behind them that must not change.
class Buffer {
public:
  explicit Buffer(size_t bytes = 0)
      : bytes_(bytes), storage_(bytes + kGuard + DSC_ALIGNMENT, char(0x5a)) {
    auto address = reinterpret_cast<uintptr_t>(storage_.data());
    offset_ = (DSC_ALIGNMENT - address % DSC_ALIGNMENT) % DSC_ALIGNMENT;
  }
  Buffer(const Buffer &other) : Buffer(other.bytes_) { std::memcpy(data(), other.data(), bytes_); }
  Buffer &operator=(Buffer &&) = default;

  template <typename T> static Buffer of(const std::vector<T> &values) {
    Buffer buffer(values.size() * sizeof(T));
    std::memcpy(buffer.data(), values.data(), buffer.bytes_);
    return buffer;
  }
  template <typename T> std::vector<T> as() const {
    std::vector<T> values(bytes_ / sizeof(T));
    std::memcpy(values.data(), data(), bytes_);
    return values;
  }
  char *data() { return storage_.data() + offset_; }
  const char *data() const { return storage_.data() + offset_; }
  size_t size() const { return bytes_; }
  bool guardIntact() const {
    for (size_t i = 0; i < kGuard; ++i) {
      if (data()[bytes_ + i] != char(0x5a)) {
        return false;
      }
    }
    return true;
  }

private:
  static constexpr size_t kGuard = 256;
  size_t bytes_;
  std::vector<char> storage_;
  size_t offset_;
};

struct DeviceKernelCase;

class CompiledKernels {
public:
  /// `source` is a module with `dsc.kernel` ops; fails the test where it does not compile.
  explicit CompiledKernels(const std::string &source, const std::string &cpu = "native");
  ~CompiledKernels();

  size_t size() const { return kernels_.size(); }
  llvm::ArrayRef<KernelLaunch> launches(size_t kernel = 0) const {
    return kernels_[kernel].launches;
  }

  /// Runs kernel `kernel` (in textual order) and returns its results. `pieces`: ranges that each
  /// launch is cut into. `inPlace[i]` = j puts result i into operand j's buffer.
  std::vector<Buffer> run(const std::vector<Buffer> &operands, size_t kernel = 0, int pieces = 1,
                          std::vector<std::pair<int, int>> inPlace = {});

  /// Shortest time of `repeats` runs of kernel 0 in one range a launch, in seconds.
  double time(const std::vector<Buffer> &operands, int repeats);

private:
  struct Kernel {
    llvm::SmallVector<KernelLaunch> launches;
    std::vector<size_t> resultBytes;
    size_t scratch = 0;
  };
  dsc_kernel_fn functionOf(const KernelLaunch &launch);

  std::vector<Kernel> kernels_;
  std::vector<DeviceKernelCase> device_; // where kernels are recorded
  std::unique_ptr<llvm::orc::LLJIT> jit_;
};

/// A module of one function with one kernel: `%a0, %a1, ..` are its operands of types `operands`
/// (without tensor<>), `body` its ops, `yields` what it gives as "%x, %y" of types `results`.
std::string kernelModule(const std::string &attributes, const std::vector<std::string> &operands,
                         const std::string &body, const std::string &yields,
                         const std::vector<std::string> &results);

/// Softmax cross-entropy as it is expanded: of logits (bf16 or f32) whose columns from `classes` on
/// are padding and labels (i64, a row each) the loss of each row, f32, and the gradient of the
/// logits.
std::string crossEntropyModule(int64_t rows, int64_t columns, int64_t classes, bool half);

/// Numbers in [low, high), the same in every run.
std::vector<float> randomFloats(size_t count, float low = -2, float high = 2, unsigned seed = 1);

/// Distance in units of the last place of the expected value.
double ulpDistance(float actual, double expected);

} // namespace dsc::test

#endif // DSC_TEST_CODEGEN_COMPILEDKERNELS_H
