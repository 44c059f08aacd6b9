// The globals that training adds to a model: run-time values that the runner writes, and state that
// outlives a step.

#ifndef DSC_PASSES_AUTODIFF_TRAININGGLOBALS_H
#define DSC_PASSES_AUTODIFF_TRAININGGLOBALS_H

#include "ir/Options.h"
#include "passes/autodiff/ValueBuilder.h"

namespace dsc {

/// Declares globals of a module on demand and writes their accesses. Declarations stand before the
/// first function.
class TrainingGlobals {
public:
  explicit TrainingGlobals(mlir::ModuleOp module);

  /// Every run-time value of a training program, with `options` as defaults; values that the model
  /// already declares (rt.seed for its random ops) stay. Error: one of them has another type.
  mlir::LogicalResult declareRuntimeValues(const CompileOptions &options);

  /// State of a parameter or buffer: NAME.KIND, starting at `start`; of the shape of `of`, and of
  /// `element` or its own type.
  GlobalOp stateOf(GlobalOp of, llvm::StringRef kind, mlir::Type element = {}, double start = 0);

  /// A run-time value of a parameter, an f32 scalar NAME.KIND that its group gives it.
  GlobalOp numberOf(GlobalOp of, llvm::StringRef kind, double value);

  /// A scalar of the whole program, starting at 0: state.NAME.
  GlobalOp scalarState(llvm::StringRef name, mlir::Type element);

  GlobalOp lookup(llvm::StringRef name) { return table.lookup<GlobalOp>(name); }

  mlir::Value get(ValueBuilder &b, GlobalOp global);
  mlir::Value get(ValueBuilder &b, llvm::StringRef name) { return get(b, lookup(name)); }
  void set(ValueBuilder &b, GlobalOp global, mlir::Value value);

private:
  GlobalOp declare(llvm::StringRef name, mlir::RankedTensorType type, GlobalRole role, double value,
                   GlobalOp of, llvm::StringRef kind);
  mlir::LogicalResult declareRuntime(llvm::StringRef name, mlir::RankedTensorType type,
                                     double value);

  mlir::ModuleOp module;
  mlir::SymbolTable table;
  llvm::DenseMap<mlir::Attribute, GlobalOp> declared; // state by the name it was asked for
};

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_TRAININGGLOBALS_H
