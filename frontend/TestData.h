// Tensors in files of their own (ONNX's TensorProto): the inputs and outputs that are stored beside
// a model as test data.

#ifndef DSC_FRONTEND_TESTDATA_H
#define DSC_FRONTEND_TESTDATA_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LogicalResult.h"

#include <string>
#include <vector>

namespace dsc {

/// A tensor with its little-endian bytes.
struct StoredTensor {
  std::string name;
  int32_t type = 0; // ONNX's TensorProto.DataType, which is dsc_dtype
  std::vector<int64_t> shape;
  std::string bytes;
};

/// Reads one tensor. Error: no tensor, or one without a place in dsc (strings, sequences).
mlir::FailureOr<StoredTensor> readTensorFile(mlir::Location loc, const std::string &path);

} // namespace dsc

#endif // DSC_FRONTEND_TESTDATA_H
