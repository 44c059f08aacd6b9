// From a checked model to the module of phase `import`: @forward and @inference by the same walk in
// two modes.

#ifndef DSC_FRONTEND_IMPORTER_H
#define DSC_FRONTEND_IMPORTER_H

#include "frontend/Frontend.h"
#include "frontend/ParameterRule.h"

namespace dsc {

struct ImportResult {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<std::string> notices;
};

/// Errors name the node; all unsupported nodes come in one table.
mlir::FailureOr<ImportResult> importGraph(mlir::MLIRContext &context,
                                          const onnx_model::Model &model,
                                          const ParameterTable &parameters,
                                          const ImportOptions &options);

} // namespace dsc

#endif // DSC_FRONTEND_IMPORTER_H
