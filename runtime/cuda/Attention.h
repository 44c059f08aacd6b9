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
  /// A plan that is to be built. Error: of a type that cuDNN's attention never takes.
  static Result<std::unique_ptr<CudaAttention>> make(const AttentionShape &shape, int32_t dtype,
                                                     int64_t workspace);
  /// Lets cuDNN compile its kernels, which takes a second where they are not in the driver's cache;
  /// on two threads if each has a handle of its own. Error: this cuDNN does not take the shape.
  Status buildForward(const Cudnn &library, Choices &choices);
  /// Where this fails, `backward` says why: many programs only need the forward one.
  void buildBackward(const Cudnn &library, Choices &choices);

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
  CudnnGraph::Rules rules() const;

  std::unique_ptr<CudnnGraph> forwardPlan, backwardPlan;
  Status backwardStatus; ///< why there is no backward plan
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_ATTENTION_H
