// Plans of dsc_rt_attention.

#include "runtime/cpu/Attention.h"

#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/HalfKernels.h"
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
  if (dtype != DSC_F32 && dtype != DSC_F64 && !dsc_is_half(dtype)) {
    return Status::internal(
        format("attention of element type %d; the CPU takes f32, f64, f16 and bf16", dtype));
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
bool AttentionPlan::isHalf() const { return dsc_is_half(dtype); }

int64_t AttentionPlan::maskElements() const {
  const int64_t dims[4] = {shape.batch, shape.heads, shape.qLength, shape.kvLength};
  int64_t count = shape.maskType && shape.maskType != DSC_BOOL ? 1 : 0;
  for (int i = 0; i < 4; ++i) {
    count *= shape.maskStrides[i] ? dims[i] : 1;
  }
  return count;
}

Status AttentionPlan::checkWorkspace(bool gradient) const {
  int64_t needed =
      dsc_attention_half_workspace(dtype, gradient, shape.batch, shape.heads, shape.kvHeads,
                                   shape.qLength, shape.kvLength, shape.width, maskElements());
  if (gradient) {
    needed +=
        dsc_attention_grad_workspace(shape.batch, shape.heads, shape.qLength, isF64() ? 8 : 4);
  }
  if (workspaceBytes >= needed) {
    return {};
  }
  return Status::internal(format("%s attention has a workspace of %lld bytes planned and needs "
                                 "%lld; compile the model again",
                                 gradient ? "the gradient of" : "", (long long)workspaceBytes,
                                 (long long)needed));
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
  team.deal(shape.batch * shape.heads, [&](int64_t item, int thread) {
    kernels.rowSums(shape, operands, item, team.scratch(thread));
  });
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

//===----------------------------------------------------------------------===//
// Half types
//===----------------------------------------------------------------------===//

namespace {

/// f32 copies of half tensors in a workspace, dense: [batch, position, head, width].
class WideCopies {
public:
  WideCopies(ThreadTeam &team, int32_t dtype, const AttentionShape &shape, void *workspace)
      : team(team), dtype(dtype), shape(shape), next(static_cast<char *>(workspace)) {}

  float *take(int64_t floats) {
    auto *result = reinterpret_cast<float *>(next);
    next += dsc_align(floats * int64_t(sizeof(float)));
    return result;
  }
  float *room(int64_t positions, int64_t heads) {
    return take(shape.batch * positions * heads * shape.width);
  }
  const float *wide(const void *from, const int64_t (&strides)[3], int64_t positions,
                    int64_t heads) {
    float *to = room(positions, heads);
    forRows(strides, positions, heads, [&](int64_t dense, int64_t strided) {
      halfKernels().widen(dtype, shape.width, static_cast<const uint16_t *>(from) + strided,
                          to + dense);
    });
    return to;
  }
  void narrow(const float *from, void *to, const int64_t (&strides)[3], int64_t positions,
              int64_t heads) {
    forRows(strides, positions, heads, [&](int64_t dense, int64_t strided) {
      halfKernels().narrow(dtype, shape.width, from + dense, static_cast<uint16_t *>(to) + strided);
    });
  }
  /// A mask of the operands' type in f32; others as they are.
  const void *wideMask(const void *mask, int64_t elements) {
    if (elements == 0) {
      return mask;
    }
    float *to = take(elements);
    dsc::widen(team, dtype, elements, mask, to);
    return to;
  }
  void *rest() { return next; }

  /// The shape of the copies.
  AttentionShape wideShape() const {
    AttentionShape wide = shape;
    wide.maskType = wide.maskType == dtype ? DSC_F32 : wide.maskType;
    auto dense = [&](int64_t(&strides)[3], int64_t positions, int64_t heads) {
      strides[2] = shape.width;
      strides[1] = heads * shape.width;
      strides[0] = positions * strides[1];
    };
    dense(wide.qStrides, shape.qLength, shape.heads);
    dense(wide.oStrides, shape.qLength, shape.heads);
    dense(wide.kStrides, shape.kvLength, shape.kvHeads);
    dense(wide.vStrides, shape.kvLength, shape.kvHeads);
    return wide;
  }

private:
  /// Calls each(dense offset, strided offset) for every run of `width` elements.
  template <typename Each>
  void forRows(const int64_t (&strides)[3], int64_t positions, int64_t heads, Each &&each) {
    int64_t rows = shape.batch * positions * heads;
    team.parallelFor(rows, std::max<int64_t>(1, 16384 / shape.width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         int64_t head = row % heads, position = row / heads % positions;
                         each(row * shape.width, row / heads / positions * strides[0] +
                                                     position * strides[1] + head * strides[2]);
                       }
                     });
  }

  ThreadTeam &team;
  int32_t dtype;
  const AttentionShape &shape;
  char *next;
};

} // namespace

void AttentionPlan::forwardHalf(ThreadTeam &team, const AttentionCall &call) const {
  WideCopies copies(team, dtype, shape, call.workspace);
  AttentionOperands<float> operands = {};
  operands.q = copies.wide(call.q, shape.qStrides, shape.qLength, shape.heads);
  operands.k = copies.wide(call.k, shape.kStrides, shape.kvLength, shape.kvHeads);
  operands.v = copies.wide(call.v, shape.vStrides, shape.kvLength, shape.kvHeads);
  operands.mask = copies.wideMask(call.mask, maskElements());
  operands.o = copies.room(shape.qLength, shape.heads);
  // A forward call's results.
  operands.lse = static_cast<float *>(const_cast<void *>(call.lse));
  AttentionPlan wide = *this;
  wide.shape = copies.wideShape();
  wide.dtype = DSC_F32;
  wide.forward(team, operands);
  copies.narrow(operands.o, const_cast<void *>(call.o), shape.oStrides, shape.qLength, shape.heads);
}

void AttentionPlan::backwardHalf(ThreadTeam &team, const AttentionCall &call) const {
  WideCopies copies(team, dtype, shape, call.workspace);
  AttentionOperands<float> operands = {};
  operands.q = copies.wide(call.q, shape.qStrides, shape.qLength, shape.heads);
  operands.k = copies.wide(call.k, shape.kStrides, shape.kvLength, shape.kvHeads);
  operands.v = copies.wide(call.v, shape.vStrides, shape.kvLength, shape.kvHeads);
  operands.mask = copies.wideMask(call.mask, maskElements());
  // Only read by the gradient.
  operands.o = const_cast<float *>(copies.wide(call.o, shape.oStrides, shape.qLength, shape.heads));
  operands.lse = static_cast<float *>(const_cast<void *>(call.lse));
  operands.dO = copies.wide(call.dO, shape.oStrides, shape.qLength, shape.heads);
  operands.dq = copies.room(shape.qLength, shape.heads);
  operands.dk = copies.room(shape.kvLength, shape.kvHeads);
  operands.dv = copies.room(shape.kvLength, shape.kvHeads);
  operands.delta = static_cast<float *>(copies.rest());
  operands.share = operands.delta + rows();
  AttentionPlan wide = *this;
  wide.shape = copies.wideShape();
  wide.dtype = DSC_F32;
  wide.backward(team, operands);
  copies.narrow(operands.dq, call.dq, shape.qStrides, shape.qLength, shape.heads);
  copies.narrow(operands.dk, call.dk, shape.kStrides, shape.kvLength, shape.kvHeads);
  copies.narrow(operands.dv, call.dv, shape.vStrides, shape.kvLength, shape.kvHeads);
}

namespace {

template <typename T>
AttentionOperands<T> operandsOf(const AttentionCall &call, const AttentionPlan &plan) {
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
  operands.share = operands.delta ? operands.delta + plan.rows() : nullptr;
  return operands;
}

} // namespace

Status CpuDevice::planAttention(const std::string &, int32_t plan, int32_t dtype,
                                const AttentionShape &shape, int64_t workspace) {
  Result<AttentionPlan> made = AttentionPlan::make(shape, dtype, workspace);
  return made.ok() ? attentions.store(plan, std::make_unique<AttentionPlan>(*made)) : made.status();
}

Status CpuDevice::attention(int32_t plan, const AttentionCall &call) {
  const AttentionPlan *found = attentions.find(plan);
  if (!found || found->hasMask() != (call.mask != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  DSC_RETURN_IF_FAILED(found->checkWorkspace(false));
  if (found->isHalf()) {
    found->forwardHalf(team, call);
  } else if (found->isF64()) {
    found->forward(team, operandsOf<double>(call, *found));
  } else {
    found->forward(team, operandsOf<float>(call, *found));
  }
  return {};
}

Status CpuDevice::attentionGrad(int32_t plan, const AttentionCall &call) {
  const AttentionPlan *found = attentions.find(plan);
  if (!found || found->hasMask() != (call.mask != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  DSC_RETURN_IF_FAILED(found->checkWorkspace(true));
  if (found->isHalf()) {
    found->backwardHalf(team, call);
  } else if (found->isF64()) {
    found->backward(team, operandsOf<double>(call, *found));
  } else {
    found->backward(team, operandsOf<float>(call, *found));
  }
  return {};
}
