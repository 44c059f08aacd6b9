// What is alive from the forward to the backward pass of an entry, what keeping it takes and what
// computing it again takes. An analysis of @last or @micro after the precision phase.
//
// Parameters, inputs, constants and single elements are free: they are there at any time. All
// other values of the forward pass are `ForwardValue`s.

#ifndef DSC_PASSES_RECOMPUTE_SAVEDVALUES_H
#define DSC_PASSES_RECOMPUTE_SAVEDVALUES_H

#include "passes/recompute/Blocks.h"

#include <optional>
#include <vector>

namespace dsc {

/// How a value is computed again.
enum class Again {
  view,  // costs nothing: a reshape, or a slice of contiguous elements
  cheap, // position by position from its operands: it can share the kernel of what reads it
  dear,  // a kernel or library call of its own
};

struct ForwardValue {
  mlir::Value value;
  int position = 0; // of its op in the entry
  Again again = Again::dear;
  llvm::SmallVector<int, 4> operands; // forward values that computing it again reads
  int64_t bytes = 0;                  // of arena that it takes; 0 for views
  double flops = 0;                   // of computing it again
  double cost = 0;                    // flops and, weighed as flops, bytes moved
  int block = 0;
  int lastForwardUse = 0;                          // position; its own where nothing reads it
  int firstBackwardUse = -1, lastBackwardUse = -1; // positions; -1: backward does not read it
  /// Saved wherever backward or a copy needs it: it passes from block to block, is needed as soon
  /// as backward starts, or is small beside what it is computed from.
  bool isKept = false;
  /// Its consumer becomes its epilogue, so it is never stored.
  bool isInEpilogue = false;

  bool isNeeded() const { return firstBackwardUse >= 0; }
};

class SavedValues {
public:
  /// Analyses `entry`; nothing where it has no backward pass. Ops of backward that depend on no
  /// gradient move down to their first reader.
  static std::optional<SavedValues> analyze(mlir::func::FuncOp entry);

  std::vector<ForwardValue> values;   // operands first
  std::vector<mlir::Operation *> ops; // by position
  int forwardEnd = 0;                 // position of the last op of the forward pass
  ForwardBlocks blocks;

  /// The number of a forward value; -1 for free values and those of backward.
  int idOf(mlir::Value value) const;

  /// Position of the latest library call of backward that the op at `position` depends on, or,
  /// where it depends on no gradient, that its first reader does; -1 where there is none.
  int anchorOf(int position) const { return anchors[position]; }

  int positionOf(mlir::Operation *op) const { return positions.lookup(op); }

private:
  void number(mlir::Block &body);
  void sinkDerived(mlir::Block &body);
  void findAnchors();
  void collectValues();
  void findUses();
  void markKept();

  llvm::DenseMap<mlir::Operation *, int> positions;
  llvm::DenseMap<mlir::Value, int> ids;
  std::vector<int> anchors;
};

/// Whether fusion can make `op` a part of a larger kernel: elementwise ops, reductions, norms,
/// losses.
bool isFusable(mlir::Operation *op);

/// Whether the result of `op` is a part of its operand's storage.
bool isStorageView(mlir::Operation *op);

/// Whether `value` is there at any time and takes no memory of its own.
bool isFree(mlir::Value value);

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_SAVEDVALUES_H
