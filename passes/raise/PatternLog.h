// What the raise phase found and what it nearly found, kept in the module's `dsc.patterns` for
// readers of a dump and for `dsc inspect --patterns`.

#ifndef DSC_PASSES_RAISE_PATTERNLOG_H
#define DSC_PASSES_RAISE_PATTERNLOG_H

#include "ir/Dialect.h"

namespace dsc {

/// Collects entries during one pass; `attach` appends them to the module. An entry is a dictionary:
///   {pattern = "attention", function = "forward", at = "/h.0/attn/Softmax", found = true, detail =
///   "causal, 4 heads"}
class PatternLog {
public:
  void found(llvm::StringRef pattern, mlir::Operation *at, const llvm::Twine &detail) {
    add(pattern, at, true, detail);
  }
  /// A near miss: `why` names what differs from the form that is raised.
  void missed(llvm::StringRef pattern, mlir::Operation *at, const llvm::Twine &why) {
    add(pattern, at, false, why);
  }

  /// The ops that stand in the file as one: nothing to recognise, but found all the same.
  template <typename OpT> void foundAsOps(llvm::StringRef pattern, mlir::ModuleOp module) {
    module.walk([&](OpT op) { found(pattern, op, "one op in the file"); });
  }

  void attach(mlir::ModuleOp module);

private:
  void add(llvm::StringRef pattern, mlir::Operation *at, bool found, const llvm::Twine &detail);

  llvm::SmallVector<mlir::Attribute> entries;
};

/// The ONNX node's name in `loc`, or what else tells where an op came from.
std::string locationName(mlir::Location loc);

} // namespace dsc

#endif // DSC_PASSES_RAISE_PATTERNLOG_H
