// A tensor of trained weights, wherever it lies: what export is given.

#ifndef DSC_FRONTEND_TRAINEDTENSOR_H
#define DSC_FRONTEND_TRAINEDTENSOR_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dsc {

/// In the shape and orientation of the model's parameter (docs/parameters.md).
struct TrainedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::string type; // "f32"
  /// Writes elements [first, first + count) to `out` as `type`, ONNX's TensorProto.DataType;
  /// returns what hinders it, "" if nothing. Tensors may be read while others are.
  std::function<std::string(int64_t first, int64_t count, int32_t type, char *out)> read;

  int64_t elements() const {
    int64_t count = 1;
    for (int64_t dim : shape) {
      count *= dim;
    }
    return count;
  }
};

} // namespace dsc

#endif // DSC_FRONTEND_TRAINEDTENSOR_H
