// The ops of one entry as nodes, and the groups of nodes that become kernels. Groups stay in an
// order in which they can run; joining two keeps it valid. Reshapes, splat constants and iotas are
// no nodes: links look through the first, the others are made again in every kernel that uses them.

#ifndef DSC_PASSES_FUSION_FUSIONGRAPH_H
#define DSC_PASSES_FUSION_FUSIONGRAPH_H

#include "passes/fusion/IterationSpace.h"

#include "ir/Ownership.h"

#include <vector>

namespace dsc {

/// One operand of a node as its kernel would read it. `root` is the operand behind reshapes; where
/// its elements do not lie evenly in the node's space it is the operand itself, `isOpaque` is set,
/// and the two ops cannot share a kernel.
struct FusionLink {
  unsigned operand;
  mlir::Value root;
  int producer; // node of the op behind reshapes, or -1
  bool isOpaque;
  Strides strides; // of root's dimensions in the node's own space
};

/// Which of a space's points a reduction combines.
enum class ReduceSpan { none, row, column };

struct FusionNode {
  mlir::Operation *op;
  /// An elementwise op, an optimizer's update, a broadcast, or a reduction over leading or trailing
  /// dimensions.
  bool fusable = false;
  int group = -1;
  int segment = 0;   // 0 before `gradients`, 1 after
  int64_t scale = 1; // of the node's own strides in its group's space
  int64_t points = 1;
  ReduceSpan reduce = ReduceSpan::none;
  int64_t columns = 0; // of a reduction
  Strides result; // of the dimensions of each result (all have one shape) in the node's own space
  llvm::SmallVector<FusionLink, 3> links;
  llvm::SmallVector<int, 4> before, after; // nodes that must run earlier, later
};

struct FusionGroup {
  llvm::SmallVector<int, 4> nodes; // ascending; empty once joined to another
  int64_t points = 1;
  int64_t columns = 0; // where rows and columns meet; 0 without reductions
  bool hasRow = false, hasColumn = false;
  bool fusable = false;
  int64_t ownedChunks = 0; // ir/Ownership.h
};

class FusionGraph {
public:
  /// Reads `block`; nothing is changed.
  explicit FusionGraph(mlir::Block &block);

  std::vector<FusionNode> nodes;
  std::vector<FusionGroup> groups;
  std::vector<int> order; // of groups
  llvm::DenseMap<mlir::Operation *, int> nodeOf;
  int64_t keptRowBytes; // Target::keptRowBytes

  FusionGroup &groupOf(int node) { return groups[nodes[node].group]; }
  const FusionGroup &groupOf(int node) const { return groups[nodes[node].group]; }

  /// Strides of a link's root, and of a node's result, in the space of the node's group.
  Strides linkStrides(int node, const FusionLink &link) const;
  Strides resultStrides(int node) const;

  /// Whether a path from the earlier to the later of two groups goes through a third one.
  bool wouldCycle(int a, int b) const;

  /// Joins group `b` to `a`, whose nodes keep their scale; those of `b` are multiplied by `scaleB`,
  /// those of `a` by `scaleA`. Returns the joined group.
  int join(int a, int b, int64_t scaleA, int64_t scaleB);

  /// Whether `value` is read outside of the groups `a` and `b`; of a node, how many of its results
  /// are.
  bool isReadOutside(mlir::Value value, int a, int b) const;
  size_t readOutside(int node, int a, int b) const;

  /// Whether joining `a` and `b` makes an op between them run later than it does now, writes of
  /// globals aside.
  bool wouldDelay(int a, int b) const;

private:
  void addNode(mlir::Operation *op, int segment);
  void addDependency(int from, int to);

  Ownership ownership;
  std::vector<int> position; // of a group in `order`
};

/// The value behind reshapes.
mlir::Value lookThroughReshapes(mlir::Value value);

/// Whether `value` is made inside of each kernel that reads it: splat constants and iotas.
bool isMadeInKernels(mlir::Value value);

/// Whether `holds` is true of an op that reads `value`, behind reshapes too.
bool anyReader(mlir::Value value, llvm::function_ref<bool(mlir::Operation *)> holds);

} // namespace dsc

#endif // DSC_PASSES_FUSION_FUSIONGRAPH_H
