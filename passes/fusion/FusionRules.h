// Which groups may share a kernel, and the reason where they may not: every refusal is a sentence
// of this one file, and the dump shows it in `refused`.

#ifndef DSC_PASSES_FUSION_FUSIONRULES_H
#define DSC_PASSES_FUSION_FUSIONRULES_H

#include "passes/fusion/FusionGraph.h"

#include <string>

namespace dsc {

/// Most operands and results of a kernel, and most ops in its body: beyond, code generation and
/// registers suffer more than memory gains.
constexpr size_t kMaxKernelValues = 24;
constexpr size_t kMaxKernelOps = 150;

/// Spaces of at most this many points are joined although they share no operand: their cost is the
/// launch.
constexpr int64_t kSmallSpace = 4096;

/// How two groups would share a space: the factors on the strides of each.
struct Fusion {
  int64_t scaleProducer = 1, scaleConsumer = 1;
};

/// An answer: the fusion, or why not.
struct FusionAnswer {
  std::optional<Fusion> fusion;
  std::string reason;
};

/// Whether the group of `link`'s producer and the group of `consumer` may be one kernel.
FusionAnswer mayJoinProducer(const FusionGraph &graph, int consumer, const FusionLink &link);

/// Whether groups `a` and `b`, which read one value or are small, may be one kernel; spaces are the
/// same.
FusionAnswer mayJoinSiblings(const FusionGraph &graph, int a, int b);

/// The dimensions that the nodes of a group need, or nothing where their shapes do not factor over
/// one space. `factor` multiplies the strides of a node.
std::optional<SpaceDims> dimsOf(const FusionGraph &graph, llvm::ArrayRef<int> nodes, int64_t points,
                                int64_t columns, llvm::function_ref<int64_t(int)> factor = nullptr);

/// Why `op` can be no part of a larger kernel; empty for fusable ops.
std::string whyAlone(mlir::Operation *op);

/// Why the activation `consumer` is not applied by the library call `producer`; empty for other ops
/// and where the target has no reason of its own.
llvm::StringRef whyNoEpilogue(mlir::Operation *producer, mlir::Operation *consumer);

} // namespace dsc

#endif // DSC_PASSES_FUSION_FUSIONRULES_H
