// Plans of dsc_rt_attention.
// softmax(scale * q k^T + mask) v without the matrix of scores, and its gradient from the saved
// log-sum-exp. f32 works in blocks; f64, the reference, and heads wider than the blocks' scratch in
// plain loops over rows. Gradients are deterministic: every sum has one owner and one order.

#ifndef DSC_RUNTIME_CPU_ATTENTION_H
#define DSC_RUNTIME_CPU_ATTENTION_H

#include "runtime/Status.h"
#include "runtime/cpu/AttentionKernels.h"
#include "runtime/cpu/ThreadTeam.h"

namespace dsc {

class AttentionPlan {
public:
  static Result<AttentionPlan> make(const AttentionShape &shape, int32_t dtype, int64_t workspace);

  bool isF64() const;
  bool hasMask() const { return shape.maskType != 0; }
  /// Whether the planned workspace is enough for the gradient.
  Status checkGradient() const;

  template <typename T> void forward(ThreadTeam &team, const AttentionOperands<T> &operands) const;
  template <typename T> void backward(ThreadTeam &team, const AttentionOperands<T> &operands) const;

private:
  void backwardInBlocks(ThreadTeam &team, const AttentionOperands<float> &operands) const;

  AttentionShape shape;
  int32_t dtype = 0;
  int64_t workspaceBytes = 0;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_ATTENTION_H
