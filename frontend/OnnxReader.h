// Reads an ONNX file safely into plain data: see docs/parameters.md for what the tensors become,
// and OnnxCheck for the limits.

#ifndef DSC_FRONTEND_ONNXREADER_H
#define DSC_FRONTEND_ONNXREADER_H

#include "frontend/OnnxModel.h"

#include "mlir/IR/Location.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace dsc {

struct ReadOptions {
  bool allowSymlinks = false;
  bool allowMissing = false; // external data that is not there: tensors without values
};

/// Reads, checks, inlines local functions and converts to the newest opset. Errors are emitted at
/// the file's location.
mlir::FailureOr<std::unique_ptr<onnx_model::Model>>
readModel(mlir::MLIRContext &context, llvm::StringRef path, const ReadOptions &options);

/// The same from bytes in memory, as the fuzzer calls it; external data is refused.
mlir::FailureOr<std::unique_ptr<onnx_model::Model>> readModelFromBytes(mlir::MLIRContext &context,
                                                                       llvm::StringRef bytes);

} // namespace dsc

#endif // DSC_FRONTEND_ONNXREADER_H
