// Trained weights back into the user's own ONNX file: every node, name and note of it is kept, what
// the importer split, tied or transposed is written as the graph reads it. No ONNX type crosses
// this interface.

#ifndef DSC_FRONTEND_MODELEXPORT_H
#define DSC_FRONTEND_MODELEXPORT_H

#include "frontend/TrainedTensor.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LogicalResult.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace dsc {

struct ExportOptions {
  std::string model;          // MODEL.onnx
  std::string output;         // TRAINED.onnx; with external data also TRAINED.onnx.data
  std::string weights;        // where the tensors come from, for messages
  bool keepTraining = false;  // leave Dropout live and batch norms in training form
  bool externalData = false;  // also below protobuf's limit
  bool allowSymlinks = false; // as ImportOptions
};

struct ExportedModel {
  int64_t parameters = 0;
  uint64_t bytes = 0;   // of the model and its data
  std::string dataFile; // "" where the tensors are inside
  std::vector<std::string> notices;
};

/// Writes `options.model` with the trained tensors to `options.output`, in inference form unless
/// told otherwise. Errors have been emitted where it fails: names missing or unknown, other shapes,
/// a node that the tensors cannot be written back to.
mlir::FailureOr<ExportedModel> exportModel(mlir::MLIRContext &context, const ExportOptions &options,
                                           llvm::ArrayRef<TrainedTensor> tensors);

/// The errors of exportModel about names and shapes, without writing.
mlir::LogicalResult checkTrained(mlir::MLIRContext &context, const ExportOptions &options,
                                 llvm::ArrayRef<TrainedTensor> tensors);

/// Where exportModel would put the tensors that are not inside.
std::string externalDataPath(llvm::StringRef model);

/// Whether `path` was written by exportModel, by its first bytes.
bool isExportedModel(llvm::StringRef path);

} // namespace dsc

#endif // DSC_FRONTEND_MODELEXPORT_H
