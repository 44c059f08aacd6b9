// The loss: which one a model gets, what labels it needs, and its ops.

#ifndef DSC_PASSES_AUTODIFF_ADDLOSS_H
#define DSC_PASSES_AUTODIFF_ADDLOSS_H

#include "ir/Options.h"
#include "passes/autodiff/ValueBuilder.h"

namespace dsc {

enum class LossKind { CrossEntropy, Nll, Mse, L1, BceWithLogits, Mean, Sum, Output };

/// The name of a kind as --loss takes it; Output is "output".
llvm::StringRef lossName(LossKind kind);

struct LossChoice {
  LossKind kind;
  unsigned output;        // number of the result of @forward that feeds the loss
  std::string outputName; // its name
  std::string reason;     // why this loss, for the line that `compile` prints

  /// The value of --loss that says the same: "cross-entropy", "output:NAME".
  std::string option() const;

  bool needsLabels() const { return kind <= LossKind::BceWithLogits; }
  bool hasClasses() const { return kind == LossKind::CrossEntropy || kind == LossKind::Nll; }
};

/// The loss that `options` ask for, or the one that the outputs of `forward` suggest where they do
/// not: a scalar output is the loss, one that looks like logits gets cross-entropy. Error: neither,
/// with the choices; unknown names.
mlir::FailureOr<LossChoice> chooseLoss(mlir::func::FuncOp forward, const CompileOptions &options);

/// Samples of a micro-batch: the first dimension, which all inputs share. Error: they do not.
mlir::FailureOr<int64_t> batchSize(mlir::func::FuncOp forward);

/// What the labels of `choice` look like.
struct LabelsInfo {
  mlir::RankedTensorType type; // as an argument: the first dimension is the batch
  int64_t classes = 0;         // labels are below it; 0 where they are no classes
};
mlir::FailureOr<LabelsInfo> labelsInfo(mlir::func::FuncOp forward, const LossChoice &choice,
                                       const CompileOptions &options, int64_t batch);

/// A loss as sum over counted positions and their number, scalars of rank 0. `isCounted` is false
/// where the number is a constant. `correct` is the number of right predictions (cross-entropy with
/// sample weights only).
struct LossTerms {
  mlir::Value sum, count, correct;
  bool isCounted = false;
};

/// Appends the loss of `output`. `sampleWeight` ([batch], f32) multiplies each sample's part of all
/// terms; null in training, where every sample counts. A sample of weight 0 adds nothing, NaN or
/// not.
mlir::FailureOr<LossTerms> buildLoss(ValueBuilder &b, const LossChoice &choice,
                                     const CompileOptions &options, mlir::Value output,
                                     mlir::Value labels, mlir::Value sampleWeight, int64_t batch);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_ADDLOSS_H
