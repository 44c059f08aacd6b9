// What passes ask of the machine: vector width, library workspaces, which epilogues a contraction
// takes. One interface, so that a pass never names a target.

#ifndef DSC_IR_TARGET_H
#define DSC_IR_TARGET_H

#include "ir/Dialect.h"

namespace dsc {

class Target {
public:
  virtual ~Target() = default;

  /// "cpu" or "cuda".
  virtual llvm::StringRef kind() const = 0;

  /// Bytes of arena that the library call `op` may use beside its operands and results; 0 for other
  /// ops.
  virtual int64_t workspaceBytes(mlir::Operation *op) const = 0;

  /// Whether a contraction applies bias and this activation to its result without another pass over
  /// memory.
  virtual bool takesEpilogue(mlir::Operation *contraction, Epilogue activation) const = 0;

  /// Least number of bytes of work worth a thread of its own.
  virtual int64_t grainBytes() const = 0;
};

/// The CPU target: generated kernels, packed matrix products, blocked attention.
std::unique_ptr<Target> makeCpuTarget();

} // namespace dsc

#endif // DSC_IR_TARGET_H
