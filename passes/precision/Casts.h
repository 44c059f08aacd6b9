// Casts between f32 and the compute type of a mixed-precision program: what the passes of this
// phase share.

#ifndef DSC_PASSES_PRECISION_CASTS_H
#define DSC_PASSES_PRECISION_CASTS_H

#include "ir/Dialect.h"
#include "ir/Options.h"

namespace dsc {

/// Module attribute {inserted, left}: casts between f32 and the half type before and after elision.
inline constexpr llvm::StringLiteral kCastsAttr = "dsc.casts";

/// The half type that `options` computes in, or null where the program computes in f32.
mlir::Type halfTypeOf(mlir::MLIRContext *context, const CompileOptions &options);

/// Whether `op` converts from f32 to `half`, or back.
bool isNarrowing(CastOp op, mlir::Type half);
bool isWidening(CastOp op, mlir::Type half);

/// Number of casts between f32 and `half` in the entries.
int64_t countCasts(mlir::ModuleOp module, mlir::Type half);

/// `elements` (f32) rounded to `half`. What is finite stays finite: masks are written with the
/// largest f32, and a sum of infinities of both signs is no number.
mlir::DenseElementsAttr roundedConstant(mlir::DenseElementsAttr elements, mlir::Type half);

} // namespace dsc

#endif // DSC_PASSES_PRECISION_CASTS_H
