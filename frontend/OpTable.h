// The table of ONNX operators that dsc imports by a function of its own, in the form of the newest
// opset. An operator that is not here is imported through its function body, if ONNX gives it one.

#ifndef DSC_FRONTEND_OPTABLE_H
#define DSC_FRONTEND_OPTABLE_H

#include "frontend/NodeImport.h"

// One row an operator of ONNX's own domain: ROW(Name) is imported by importName.
#define DSC_ELEMENTWISE_OPS(ROW) ROW(Add) ROW(Sub) ROW(Mul) ROW(Div) ROW(Relu)
#define DSC_CONTRACTION_OPS(ROW) ROW(Gemm) ROW(MatMul)
#define DSC_SHAPE_OPS(ROW) ROW(Identity) ROW(Constant) ROW(Transpose) ROW(Reshape)

#define DSC_ONNX_OPS(ROW) DSC_ELEMENTWISE_OPS(ROW) DSC_CONTRACTION_OPS(ROW) DSC_SHAPE_OPS(ROW)

namespace dsc {

using ImportFunction = mlir::LogicalResult (*)(NodeImport &node);

struct OpRow {
  llvm::StringRef domain, op;
  ImportFunction import;
};

/// All rows.
llvm::ArrayRef<OpRow> opTable();

/// The function for (domain, op); null where there is no row.
ImportFunction findImport(llvm::StringRef domain, llvm::StringRef op);

#define DSC_DECLARE_IMPORT(name) mlir::LogicalResult import##name(NodeImport &n);
DSC_ONNX_OPS(DSC_DECLARE_IMPORT)
#undef DSC_DECLARE_IMPORT

} // namespace dsc

#endif // DSC_FRONTEND_OPTABLE_H
