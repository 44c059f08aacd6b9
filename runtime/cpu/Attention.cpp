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

/// The plan of a call, or null with the error set.
const AttentionPlan *planOf(dsc_context *ctx, int32_t op, int32_t plan, const void *mask) {
  const AttentionPlan *found = findPlan(ctx->cpu->attentions, plan);
  if (found && found->hasMask() == (mask != nullptr)) {
    return found;
  }
  setError(ctx, planMismatch(found != nullptr, plan).in(opName(ctx, op)));
  return nullptr;
}

template <typename T>
AttentionOperands<T> operandsOf(const void *q, const void *k, const void *v, const void *mask,
                                const void *o, const void *lse) {
  AttentionOperands<T> operands = {};
  operands.q = static_cast<const T *>(q);
  operands.k = static_cast<const T *>(k);
  operands.v = static_cast<const T *>(v);
  operands.mask = mask;
  // Written by the forward call, which has them without const, and only read by the gradient.
  operands.o = static_cast<T *>(const_cast<void *>(o));
  operands.lse = static_cast<T *>(const_cast<void *>(lse));
  return operands;
}

template <typename T>
void runGradient(const AttentionPlan &plan, ThreadTeam &team, AttentionOperands<T> operands,
                 const void *dO, void *dq, void *dk, void *dv, void *workspace) {
  operands.dO = static_cast<const T *>(dO);
  operands.dq = static_cast<T *>(dq);
  operands.dk = static_cast<T *>(dk);
  operands.dv = static_cast<T *>(dv);
  operands.delta = static_cast<T *>(workspace);
  plan.backward(team, operands);
}

} // namespace

extern "C" {

int32_t dsc_rt_attention_plan(dsc_context *ctx, int32_t op, int32_t plan, int32_t dtype,
                              int64_t batch, int64_t heads, int64_t kv_heads, int64_t q_len,
                              int64_t kv_len, int64_t width, double scale, int32_t causal,
                              int32_t mask_dtype, const int64_t *mask_strides,
                              const int64_t *q_strides, const int64_t *k_strides,
                              const int64_t *v_strides, const int64_t *o_strides,
                              int64_t workspace) {
  AttentionShape shape = {};
  shape.batch = batch;
  shape.heads = heads;
  shape.kvHeads = kv_heads;
  shape.qLength = q_len;
  shape.kvLength = kv_len;
  shape.width = width;
  shape.scale = scale;
  shape.causal = causal != 0;
  shape.maskType = mask_strides ? mask_dtype : 0;
  if (shape.maskType) {
    std::copy_n(mask_strides, 4, shape.maskStrides);
  }
  std::copy_n(q_strides, 3, shape.qStrides);
  std::copy_n(k_strides, 3, shape.kStrides);
  std::copy_n(v_strides, 3, shape.vStrides);
  std::copy_n(o_strides, 3, shape.oStrides);
  Result<AttentionPlan> made = AttentionPlan::make(shape, dtype, workspace);
  if (made.failed()) {
    return setError(ctx, made.status().in(opName(ctx, op)));
  }
  Status stored = storePlan(ctx->cpu->attentions, plan, std::make_unique<AttentionPlan>(*made));
  return stored.ok() ? 0 : setError(ctx, stored.in(opName(ctx, op)));
}

int32_t dsc_rt_attention(dsc_context *ctx, int32_t op, int32_t plan, const void *q, const void *k,
                         const void *v, const void *mask, void *o, void *lse, void *workspace) {
  OpTimer timer(ctx, op);
  const AttentionPlan *found = planOf(ctx, op, plan, mask);
  if (!found) {
    return 1;
  }
  if (found->isF64()) {
    found->forward(ctx->cpu->team, operandsOf<double>(q, k, v, mask, o, lse));
  } else {
    found->forward(ctx->cpu->team, operandsOf<float>(q, k, v, mask, o, lse));
  }
  return 0;
}

int32_t dsc_rt_attention_grad(dsc_context *ctx, int32_t op, int32_t plan, const void *q,
                              const void *k, const void *v, const void *mask, const void *o,
                              const void *lse, const void *d_o, void *dq, void *dk, void *dv,
                              void *workspace) {
  OpTimer timer(ctx, op);
  const AttentionPlan *found = planOf(ctx, op, plan, mask);
  if (!found) {
    return 1;
  }
  if (Status status = found->checkGradient(); status.failed()) {
    return setError(ctx, status.in(opName(ctx, op)));
  }
  if (found->isF64()) {
    runGradient(*found, ctx->cpu->team, operandsOf<double>(q, k, v, mask, o, lse), d_o, dq, dk, dv,
                workspace);
  } else {
    runGradient(*found, ctx->cpu->team, operandsOf<float>(q, k, v, mask, o, lse), d_o, dq, dk, dv,
                workspace);
  }
  return 0;
}

} // extern "C"
