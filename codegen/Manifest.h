// The manifest: everything the runner knows of a program, as JSON (docs/executable-format.md).

#ifndef DSC_CODEGEN_MANIFEST_H
#define DSC_CODEGEN_MANIFEST_H

#include "ir/Dialect.h"

namespace dsc {

/// Makes the manifest of a module after the kernels phase and stores it as the module attribute
/// `dsc.manifest`, so that the device dump holds everything an executable needs.
mlir::LogicalResult attachManifest(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_CODEGEN_MANIFEST_H
