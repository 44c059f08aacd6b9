// Plans of dsc_rt_attention by cuDNN.
// Its fused attention, forward with the log-sum-exp and deterministic backward, reading packed
// projections by their strides: f16 and bf16, heads up to 128 wide (a multiple of 8), causal from
// the top left, an added mask.

#ifndef DSC_RUNTIME_CUDA_ATTENTION_H
#define DSC_RUNTIME_CUDA_ATTENTION_H

#include "runtime/Device.h"
#include "runtime/cuda/Cudnn.h"

namespace dsc {

class CudaAttention {
public:
  /// Error: cuDNN does not take the type or shape.
  static Result<std::unique_ptr<CudaAttention>> make(const Cudnn &library, Choices &choices,
                                                     const AttentionShape &shape, int32_t dtype,
                                                     int64_t workspace);

  bool hasMask() const { return shape.maskType != 0; }
  Status forward(const AttentionCall &call) const;
  Status backward(const AttentionCall &call) const;

private:
  Result<std::shared_ptr<CudnnGraph::Graph>> forwardGraph() const;
  Result<std::shared_ptr<CudnnGraph::Graph>> backwardGraph(bool deterministic) const;
  std::string text() const;

  AttentionShape shape = {};
  int32_t dtype = 0;
  int64_t workspaceBytes = 0;
  std::unique_ptr<CudnnGraph> forwardPlan, backwardPlan;
  /// Why there is no backward plan: many programs only need the forward one.
  Status backwardStatus;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_ATTENTION_H
