// What passes ask of the machine: library workspaces, which epilogues a contraction takes, how
// kernels are cut. One interface, so that a pass never names a target.

#ifndef DSC_IR_TARGET_H
#define DSC_IR_TARGET_H

#include "ir/Dialect.h"
#include "runtime/abi.h" // formulas of sizes that passes share with the runtime

namespace dsc {

struct CompileOptions;

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

  /// Why an activation that a library could apply is left to a kernel, for the dump; empty where
  /// there is no more to say than that the contraction is a library call.
  virtual llvm::StringRef whyNoEpilogue(mlir::Operation *contraction, Epilogue activation) const {
    return "";
  }

  /// Whether a library computes this attention or attention_grad; where none does, it is expanded
  /// into products and a softmax.
  virtual bool takesAttention(mlir::Operation *attention) const = 0;

  /// The multiple to which a dimension of `size` of a matrix product of `element` is padded where
  /// its storage is the compiler's to choose (classes of a language model); 1: it is as fast as it
  /// is.
  virtual int64_t gemmAlignment(mlir::Type element, int64_t size) const { return 1; }

  /// The layout in which convolutions are fastest.
  virtual ConvLayout convLayout() const { return ConvLayout::channels_first; }

  /// Chunks that memory which ranks exchange has room for behind its own, so that the slices of up
  /// to `maxRanks` ranks are all of one length; 0 where the last ones may be shorter.
  virtual int64_t sliceRoom(int64_t maxRanks) const { return 0; }

  /// Least number of bytes of work worth a thread of its own.
  virtual int64_t grainBytes() const = 0;

  /// Bytes of a row's dear values (exponentials and the like) that a kernel keeps from one pass
  /// over the row to the next. Where a row has more, they would be computed again, so fusion does
  /// not make such kernels.
  virtual int64_t keptRowBytes() const = 0;

  /// Number of blocks of rows into which a kernel's column reductions are split. A function of the
  /// shape only, so that a reduction's tree, and with it every bit, does not depend on the machine.
  virtual int64_t columnBlocks(int64_t rows, int64_t columns) const = 0;

  /// Bytes of scratch of a kernel of plain loops over `op`.
  virtual int64_t loopsScratchBytes(mlir::Operation *op) const { return 0; }

  /// Bytes of scratch of a kernel with `reductions` column reductions of elements of
  /// `elementBytes`: a partial result a block and column.
  int64_t columnScratchBytes(int64_t rows, int64_t columns, int64_t reductions,
                             int64_t elementBytes) const;
};

/// The target that `options` name.
std::unique_ptr<Target> makeTarget(const CompileOptions &options);

/// The target of the module around `op`, from its options; the CPU where it has none.
std::unique_ptr<Target> targetOf(mlir::Operation *op);

} // namespace dsc

#endif // DSC_IR_TARGET_H
