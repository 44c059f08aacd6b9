// Plans of dsc_rt_attention.

#include "runtime/cpu/Attention.h"

#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/PlainAttention.h"

#include <algorithm>
#include <type_traits>

using namespace dsc;

namespace {

const AttentionKernels &kernelsOfCpu() {
  return gemmKernels() == &gemmKernelsAvx512 ? attentionKernelsAvx512 : attentionKernelsAvx2;
}

/// No keys: the results are zeros.
template <typename T>
void fillZeros(const AttentionShape &shape, const int64_t (&strides)[3], int64_t positions,
               int64_t heads, T *to) {
  for (int64_t batch = 0; batch < shape.batch; ++batch) {
    for (int64_t position = 0; position < positions; ++position) {
      for (int64_t head = 0; head < heads; ++head) {
        T *row = to + batch * strides[0] + position * strides[1] + head * strides[2];
        std::fill(row, row + shape.width, T(0));
      }
    }
  }
}

} // namespace

Result<AttentionPlan> AttentionPlan::make(const AttentionShape &shape, int32_t dtype,
                                          int64_t workspace) {
  if (dtype != DSC_F32 && dtype != DSC_F64) {
    return Status::internal(format("attention of element type %d; the CPU takes f32 (%d) and f64 "
                                   "(%d): compile with another precision",
                                   dtype, DSC_F32, DSC_F64));
  }
  if (shape.batch < 0 || shape.qLength < 0 || shape.kvLength < 0 || shape.width < 1 ||
      shape.kvHeads < 1 || shape.heads % shape.kvHeads != 0) {
    return Status::internal(format("attention of %lld heads over %lld heads of k and v of width "
                                   "%lld: the first is no multiple of the second, or a dim is out "
                                   "of range; compile the model again",
                                   (long long)shape.heads, (long long)shape.kvHeads,
                                   (long long)shape.width));
  }
  if (shape.maskType != 0 && shape.maskType != DSC_BOOL && shape.maskType != dtype) {
    return Status::internal(format("attention of element type %d with a mask of type %d; the CPU "
                                   "takes masks of that type or bool (%d)",
                                   dtype, shape.maskType, DSC_BOOL));
  }
  AttentionPlan plan;
  plan.shape = shape;
  plan.dtype = dtype;
  plan.workspaceBytes = workspace;
  return plan;
}

bool AttentionPlan::isF64() const { return dtype == DSC_F64; }

Status AttentionPlan::checkGradient() const {
  int64_t needed =
      dsc_attention_grad_workspace(shape.batch, shape.heads, shape.qLength, isF64() ? 8 : 4);
  if (workspaceBytes >= needed) {
    return {};
  }
  return Status::internal(format("the gradient of attention has a workspace of %lld bytes planned "
                                 "and needs %lld; compile the model again",
                                 (long long)workspaceBytes, (long long)needed));
}

template <typename T>
void AttentionPlan::forward(ThreadTeam &team, const AttentionOperands<T> &operands) const {
  if (shape.batch == 0 || shape.heads == 0 || shape.qLength == 0) {
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (shape.width <= AttentionKernels::mostWidth) {
      const AttentionKernels &kernels = kernelsOfCpu();
      int64_t blocks = (shape.qLength + DSC_ATTENTION_BLOCK - 1) / DSC_ATTENTION_BLOCK;
      team.deal(shape.batch * shape.heads * blocks, [&](int64_t item, int thread) {
        kernels.forward(shape, operands, item, team.scratch(thread), ThreadTeam::scratchBytesEach);
      });
      return;
    }
  }
  team.deal(shape.batch * shape.heads, [&](int64_t item, int) {
    PlainAttention<T> plain(shape, operands);
    for (int64_t query = 0; query < shape.qLength; ++query) {
      plain.forward(item / shape.heads, item % shape.heads, query);
    }
  });
}

template <typename T>
void AttentionPlan::backward(ThreadTeam &team, const AttentionOperands<T> &operands) const {
  if (shape.qLength == 0 || shape.kvLength == 0) {
    fillZeros(shape, shape.qStrides, shape.qLength, shape.heads, operands.dq);
    fillZeros(shape, shape.kStrides, shape.kvLength, shape.kvHeads, operands.dk);
    fillZeros(shape, shape.vStrides, shape.kvLength, shape.kvHeads, operands.dv);
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (shape.width <= AttentionKernels::mostWidth) {
      return backwardInBlocks(team, operands);
    }
  }
  team.deal(shape.batch * shape.kvHeads, [&](int64_t item, int) {
    PlainAttention<T>(shape, operands).backward(item / shape.kvHeads, item % shape.kvHeads);
  });
}

void AttentionPlan::backwardInBlocks(ThreadTeam &team,
                                     const AttentionOperands<float> &operands) const {
  const AttentionKernels &kernels = kernelsOfCpu();
  team.deal(shape.batch * shape.heads,
            [&](int64_t item, int) { kernels.rowSums(shape, operands, item); });
  auto run = [&](const AttentionPart &part, int thread) {
    kernels.backward(shape, operands, part, team.scratch(thread), ThreadTeam::scratchBytesEach);
  };
  int64_t group = shape.heads / shape.kvHeads, whole = shape.batch * shape.kvHeads;
  int64_t qBlocks = (shape.qLength + DSC_ATTENTION_BLOCK - 1) / DSC_ATTENTION_BLOCK;
  int64_t kBlocks = (shape.kvLength + DSC_ATTENTION_BLOCK - 1) / DSC_ATTENTION_BLOCK;
  // One owner a head of k and v does 5 products a block. With too few of them for the threads, the
  // gradients of k and v and that of q are cut apart: 7 products a block, and the same bits.
  int64_t threads = team.threads(), rounds = (whole + threads - 1) / threads;
  if (rounds * threads * 5 <= whole * 7) {
    team.deal(whole, [&](int64_t item, int thread) {
      run({item / shape.kvHeads, item % shape.kvHeads, 0, group, 0, qBlocks, 0, kBlocks, true,
           true},
          thread);
    });
    return;
  }
  team.deal(whole * kBlocks, [&](int64_t item, int thread) {
    int64_t block = item % kBlocks, owner = item / kBlocks;
    run({owner / shape.kvHeads, owner % shape.kvHeads, 0, group, 0, qBlocks, block, block + 1,
         false, true},
        thread);
  });
  team.deal(shape.batch * shape.heads * qBlocks, [&](int64_t item, int thread) {
    int64_t block = item % qBlocks, head = item / qBlocks % shape.heads;
    run({item / qBlocks / shape.heads, head / group, head % group, head % group + 1, block,
         block + 1, 0, kBlocks, true, false},
        thread);
  });
}

namespace {

template <typename T> AttentionOperands<T> operandsOf(const AttentionCall &call) {
  AttentionOperands<T> operands = {};
  operands.q = static_cast<const T *>(call.q);
  operands.k = static_cast<const T *>(call.k);
  operands.v = static_cast<const T *>(call.v);
  operands.mask = call.mask;
  // Written by the forward call, which has them without const, and only read by the gradient.
  operands.o = static_cast<T *>(const_cast<void *>(call.o));
  operands.lse = static_cast<T *>(const_cast<void *>(call.lse));
  operands.dO = static_cast<const T *>(call.dO);
  operands.dq = static_cast<T *>(call.dq);
  operands.dk = static_cast<T *>(call.dk);
  operands.dv = static_cast<T *>(call.dv);
  operands.delta = static_cast<T *>(call.workspace);
  return operands;
}

} // namespace

Status CpuDevice::planAttention(int32_t plan, int32_t dtype, const AttentionShape &shape,
                                int64_t workspace) {
  Result<AttentionPlan> made = AttentionPlan::make(shape, dtype, workspace);
  return made.ok() ? attentions.store(plan, std::make_unique<AttentionPlan>(*made)) : made.status();
}

Status CpuDevice::attention(int32_t plan, const AttentionCall &call) {
  const AttentionPlan *found = attentions.find(plan);
  if (!found || found->hasMask() != (call.mask != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  if (found->isF64()) {
    found->forward(team, operandsOf<double>(call));
  } else {
    found->forward(team, operandsOf<float>(call));
  }
  return {};
}

Status CpuDevice::attentionGrad(int32_t plan, const AttentionCall &call) {
  const AttentionPlan *found = attentions.find(plan);
  if (!found || found->hasMask() != (call.mask != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  DSC_RETURN_IF_FAILED(found->checkGradient());
  if (found->isF64()) {
    found->backward(team, operandsOf<double>(call));
  } else {
    found->backward(team, operandsOf<float>(call));
  }
  return {};
}
