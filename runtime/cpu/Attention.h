// Plans of dsc_rt_attention.
// softmax(scale * q k^T + mask) v without the matrix of scores, and its gradient from the saved
// log-sum-exp. f32 works in blocks; f64, the reference, and heads wider than the blocks' scratch in
// plain loops over rows. Half types are computed in f32 from copies and rounded once. Gradients are
// deterministic: every sum has one owner and one order.

#ifndef DSC_RUNTIME_CPU_ATTENTION_H
#define DSC_RUNTIME_CPU_ATTENTION_H

#include "runtime/Device.h"
#include "runtime/Status.h"
#include "runtime/cpu/AttentionKernels.h"
#include "runtime/cpu/ThreadTeam.h"

namespace dsc {

class AttentionPlan {
public:
  static Result<AttentionPlan> make(const AttentionShape &shape, int32_t dtype, int64_t workspace);

  bool isF64() const;
  bool hasMask() const { return shape.maskType != 0; }
  bool isHalf() const;
  /// Rows of scores in all.
  int64_t rows() const { return shape.batch * shape.heads * shape.qLength; }
  /// Whether the planned workspace is enough, for the gradient too.
  Status checkWorkspace(bool gradient) const;

  template <typename T> void forward(ThreadTeam &team, const AttentionOperands<T> &operands) const;
  template <typename T> void backward(ThreadTeam &team, const AttentionOperands<T> &operands) const;

  /// f16 and bf16, through f32 copies in the workspace; lse is f32.
  void forwardHalf(ThreadTeam &team, const AttentionCall &call) const;
  void backwardHalf(ThreadTeam &team, const AttentionCall &call) const;

private:
  /// Elements of a float mask.
  int64_t maskElements() const;
  void backwardInBlocks(ThreadTeam &team, const AttentionOperands<float> &operands) const;

  AttentionShape shape;
  int32_t dtype = 0;
  int64_t workspaceBytes = 0;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_ATTENTION_H
