// Which op made the first value that is no finite number.
// A step whose loss or gradient is not finite is run again op by op, and each op's results are read
// before the next one may overwrite them.

#ifndef DSC_RUNTIME_FINITECHECK_H
#define DSC_RUNTIME_FINITECHECK_H

#include "runtime/Manifest.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace dsc {

class FiniteCheck {
public:
  /// Gives the bytes of an op's result.
  using Read = std::function<Result<std::vector<std::byte>>(const PlannedTensor &)>;
  FiniteCheck(const Manifest &manifest, Read read) : manifest(manifest), read(std::move(read)) {}

  /// Op `op` is about to run: the one before it, if it is another one, has finished.
  void begin(int32_t op);
  /// The last op has finished. Error: a result could not be read.
  Status finish();

  /// Masks hide with -infinity, so that alone is no finding while there is another one.
  struct Finding {
    int32_t op;
    double value;
  };
  const std::optional<Finding> &first() const { return found ? found : hidden; }

  /// "op matmul h.3/mlp/MatMul (ONNX node h.3/mlp/MatMul) gives NaN", or what else is known.
  std::string describe() const;

private:
  void examine(int32_t op);

  const Manifest &manifest;
  Read read;
  int32_t running = -1;
  std::optional<Finding> found, hidden;
  Status status;
};

} // namespace dsc

#endif // DSC_RUNTIME_FINITECHECK_H
