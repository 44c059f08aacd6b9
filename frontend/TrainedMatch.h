// Trained tensors beside the model's parameters, by name and shape.

#ifndef DSC_FRONTEND_TRAINEDMATCH_H
#define DSC_FRONTEND_TRAINEDMATCH_H

#include "frontend/ModelExport.h"
#include "frontend/WriteBack.h"

namespace dsc {

/// What is known of the model once its parameters are matched with the trained tensors.
struct MatchedModel {
  WriteBack writeBack;
  std::vector<const TrainedTensor *> trained; // by parameter; null: stays as the file has it
  std::vector<std::string> notices;
  int64_t parameters = 0;
};

/// Reads the model as the importer does and finds each parameter's tensor. Error at `loc`: the
/// names that are missing, unknown or of another shape.
mlir::FailureOr<MatchedModel> matchTrained(mlir::MLIRContext &context, mlir::Location loc,
                                           const ExportOptions &options,
                                           llvm::ArrayRef<TrainedTensor> tensors);

} // namespace dsc

#endif // DSC_FRONTEND_TRAINEDMATCH_H
