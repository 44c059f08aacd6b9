// Declarations of runtime/abi.h's functions in a module, made from the header's own list.

#ifndef DSC_CODEGEN_RUNTIMECALLS_H
#define DSC_CODEGEN_RUNTIMECALLS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace dsc {

class RuntimeCalls {
public:
  explicit RuntimeCalls(mlir::ModuleOp module);

  mlir::Type ptr() const { return pointer; }
  mlir::Type i32() const { return mlir::IntegerType::get(pointer.getContext(), 32); }
  mlir::Type i64() const { return mlir::IntegerType::get(pointer.getContext(), 64); }
  mlir::Value null(mlir::OpBuilder &b, mlir::Location loc) const;

  /// Calls the abi function `name`, declaring it on first use; returns its status.
  mlir::Value call(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef name,
                   mlir::ValueRange operands);

  /// The address of a private constant array of i64; equal arrays are one.
  mlir::Value constantArray(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<int64_t> values);
  /// The address of a private constant text, ended by 0; equal texts are one.
  mlir::Value text(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef text);

private:
  mlir::ModuleOp module;
  mlir::Type pointer;
  llvm::DenseMap<mlir::Attribute, std::string> arrays, texts;
};

} // namespace dsc

#endif // DSC_CODEGEN_RUNTIMECALLS_H
