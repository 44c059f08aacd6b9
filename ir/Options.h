// Compile-time options as they stand in a module's `dsc.options`, so that a dump carries everything
// a later phase needs. One struct for the whole compiler; defaults are those of `dsc compile`
// without flags.

#ifndef DSC_IR_OPTIONS_H
#define DSC_IR_OPTIONS_H

#include "ir/Dialect.h"

#include <string>
#include <vector>

namespace dsc {

struct CompileOptions {
  std::string target = "cpu"; // or cuda
  std::string cpu = "native"; // or x86-64-v3, x86-64-v4
  std::string arch = "sm_90"; // of the CUDA target
  std::string loss;   // cross-entropy, nll, mse, l1, bce-with-logits, mean, sum, output:NAME
  std::string output; // the graph output that feeds the loss
  std::string labels = "labels";
  bool shiftLabels = false;
  int64_t ignoreIndex = -100;
  double labelSmoothing = 0;
  std::string lossMean = "micro-batch"; // or global
  std::string optimizer = "adamw";      // adamw, adam, sgd, lion, adagrad, lamb
  double initialAccumulator = 0;        // Adagrad: the sum of squares starts here
  int64_t accumulate = 1;               // largest number of micro-batches a step; 0 = any
  std::string batchNorm = "train";      // or frozen
  bool dropout = true;
  bool deterministic = true;
  int64_t zero = 0;
  std::string precision = "fp32"; // or tf32, bf16, fp16
  std::string recompute = "none";
  int64_t maxRanks = 64;
  int64_t bucketBytes = 0; // of a bucket's gradients; 0: passes/parallel/ShardPlan.h decides

  // Defaults of run-time values.
  double lr = 1e-3, weightDecay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double momentum = 0, dampening = 0;
  double lrDecay = 0;                    // Adagrad
  double minCoeff = 0.01, maxCoeff = 10; // LAMB: limits of the trust ratio
  bool nesterov = false;
  double clip = 0;      // 0 = no clipping
  double lossScale = 0; // of fp16; 0 = dynamic, with the numbers below
  int64_t initialScalePower = 16, lossScaleWindow = 1000, hysteresis = 2;
  double minLossScale = 1;
  bool consecutiveHysteresis = false;
  int64_t seed = 0;
  std::string schedule = "constant"; // of the learning rate; runtime/Schedule.h reads it
  std::vector<std::string>
      groups;          // REGEX:lr=..,weight-decay=..; runtime/ParameterGroups.h reads it
  std::string noDecay; // REGEX, or norm,bias

  /// The dictionary that `dsc.options` holds.
  mlir::DictionaryAttr toAttribute(mlir::MLIRContext *context) const;

  /// Reads `module`'s `dsc.options`; absent keys keep their defaults. Error: a key has the wrong
  /// type or is unknown.
  static mlir::FailureOr<CompileOptions> from(mlir::ModuleOp module);
};

} // namespace dsc

#endif // DSC_IR_OPTIONS_H
