// A model's protobuf message as the file holds it: read whole, written whole or not at all, its
// tensors inside or in one file beside it.

#ifndef DSC_FRONTEND_ONNXMESSAGE_H
#define DSC_FRONTEND_ONNXMESSAGE_H

#include "frontend/AsideFile.h"

#include "mlir/IR/Location.h"
#include "mlir/Support/LogicalResult.h"

#include "onnx/onnx_pb.h"

#include <string>

namespace dsc {

/// The largest message that protobuf reads.
constexpr int64_t kMaxModelFile = (int64_t(1) << 31) - 1;

/// Opens, measures and parses `path` (ONNX's text form where it ends in .onnxtxt). Nothing else is
/// checked. Errors are emitted at `loc`.
mlir::LogicalResult parseModelFile(const std::string &path, mlir::Location loc,
                                   onnx::ModelProto &proto);

/// Writes `mark` and then `proto` to `file`: protobuf merges what follows each other, so the mark's
/// fields stand first in the file and belong to the model. False: errno says why.
bool writeMessage(const onnx::ModelProto &mark, const onnx::ModelProto &proto, AsideFile &file);

} // namespace dsc

#endif // DSC_FRONTEND_ONNXMESSAGE_H
