// One TensorProto a file, measured before it is believed.

#include "frontend/TestData.h"

#include "frontend/OnnxConversion.h"
#include "ir/Diagnostic.h"

#include "mlir/IR/Diagnostics.h"

#include <fstream>
#include <sstream>

using namespace mlir;
using namespace dsc;

static constexpr int64_t kMaxElements = int64_t(1) << 34;

FailureOr<StoredTensor> dsc::readTensorFile(Location loc, const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) {
    return dsc::emitError(loc, ErrorId::FileUnreadable) << path << ": cannot be read";
  }
  onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes.str())) {
    return dsc::emitError(loc, ErrorId::FileUnreadable) << path << ": is not a stored tensor";
  }
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    return dsc::emitError(loc, ErrorId::FileUnreadable)
           << path << ": keeps its elements in another file, which test data may not";
  }
  int64_t elements = 1;
  for (int64_t dim : proto.dims()) {
    if (dim < 0 || (dim > 0 && elements > kMaxElements / dim)) {
      return dsc::emitError(loc, ErrorId::FileUnreadable)
             << path << ": has the dimension " << dim << " and more elements than any test needs";
    }
    elements *= dim;
  }
  onnx_model::Tensor tensor;
  if (std::string fault = takeTensor(proto, tensor); !fault.empty()) {
    return dsc::emitError(loc, ErrorId::FileUnreadable) << path << ": " << fault;
  }
  if (onnx_model::bytesOf(tensor.type) == 0 || tensor.bytes.size() != tensor.byteCount()) {
    return dsc::emitError(loc, ErrorId::FileUnreadable)
           << path << ": is a tensor of " << onnx_model::nameOf(tensor.type)
           << ", which dsc does not have";
  }
  return StoredTensor{tensor.name, static_cast<int32_t>(tensor.type), tensor.dims,
                      std::move(tensor.bytes)};
}
