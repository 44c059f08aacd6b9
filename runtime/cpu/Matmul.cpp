// Plans of dsc_rt_matmul.

#include "runtime/cpu/Matmul.h"

#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/Epilogue.h"
#include "runtime/cpu/HalfMatrix.h"

#include <utility>

using namespace dsc;

namespace {

std::string text(const int64_t *values, int count) {
  std::string s = "[";
  for (int i = 0; i < count; ++i) {
    s += (i ? ", " : "") + std::to_string(values[i]);
  }
  return s + "]";
}

Status disagree(const MatmulShape &shape, const char *what) {
  return Status::internal(format("matrix product of %s and %s into %s: %s; compile the model again",
                                 text(shape.aDims, shape.rank).c_str(),
                                 text(shape.bDims, shape.rank).c_str(),
                                 text(shape.cDims, shape.rank).c_str(), what));
}

} // namespace

Result<MatmulPlan> MatmulPlan::make(const MatmulShape &shape, int64_t workspace) {
  if (shape.rank < 2 || shape.rank > MatmulShape::maxRank) {
    return Status::internal(format("matrix product of rank %d; the runtime takes 2 to %d",
                                   shape.rank, MatmulShape::maxRank));
  }
  if (shape.dtype != DSC_F32 && shape.dtype != DSC_F64 && !dsc_is_half(shape.dtype)) {
    return Status::internal(format("matrix product of element type %d; the CPU takes f32, f64, f16 "
                                   "and bf16",
                                   shape.dtype));
  }
  if (dsc_is_half(shape.dtype) && shape.accumulate) {
    return Status::internal("matrix product that adds to a half result, which would round twice");
  }
  if (shape.epilogue < DSC_EPILOGUE_NONE || shape.epilogue > DSC_EPILOGUE_GELU_TANH) {
    return Status::internal(format("matrix product with unknown epilogue %d", shape.epilogue));
  }
  int row = shape.rank - 2, column = shape.rank - 1;
  MatmulPlan plan;
  plan.dtype = shape.dtype;
  plan.epilogue = shape.epilogue;
  plan.withBias = shape.hasBias;
  plan.accumulate = shape.accumulate;
  plan.workspaceBytes = workspace;
  plan.m = shape.cDims[row];
  plan.n = shape.cDims[column];
  plan.k = shape.aDims[column];
  if (shape.aDims[row] != plan.m || shape.bDims[column] != plan.n || shape.bDims[row] != plan.k) {
    return disagree(shape, "rows, columns or inner dims differ");
  }
  plan.aRow = shape.aStrides[row];
  plan.aK = shape.aStrides[column];
  plan.bK = shape.bStrides[row];
  plan.bColumn = shape.bStrides[column];
  plan.cRow = shape.cStrides[row];
  plan.cColumn = shape.cStrides[column];
  // A dim of one element may carry any stride; take the one that makes c contiguous.
  if (plan.n <= 1) {
    plan.cColumn = 1;
  }
  if (plan.m <= 1 && plan.cColumn != 1) {
    plan.cRow = 1;
  }
  if (plan.cColumn != 1 && plan.cRow == 1) {
    // c is stored transposed: c^T = b^T a^T, with the bias on rows.
    std::swap(plan.m, plan.n);
    std::swap(plan.aRow, plan.bColumn);
    std::swap(plan.aK, plan.bK);
    plan.cRow = plan.cColumn;
    plan.cColumn = 1;
    plan.biasOnRows = true;
  }
  for (int i = 0; i < row; ++i) {
    int64_t dim = shape.cDims[i];
    bool aFits = shape.aDims[i] == dim || shape.aDims[i] == 1;
    bool bFits = shape.bDims[i] == dim || shape.bDims[i] == 1;
    if (!aFits || !bFits) {
      return disagree(shape, "a batch dim is neither 1 nor the result's");
    }
    plan.batches *= dim;
    if (dim == 1) {
      continue;
    }
    Offsets stride{shape.aDims[i] == 1 ? 0 : shape.aStrides[i],
                   shape.bDims[i] == 1 ? 0 : shape.bStrides[i], shape.cStrides[i]};
    if (plan.biasOnRows) {
      std::swap(stride.a, stride.b);
    }
    plan.batchDim[plan.batchDims] = dim;
    plan.batchStride[plan.batchDims] = stride;
    ++plan.batchDims;
  }
  plan.mergeBatch();
  if (int64_t needed = dsc_matmul_workspace(plan.dtype, plan.m, plan.n, plan.k);
      dsc_is_half(plan.dtype) && workspace < needed) {
    return Status::internal(format("matrix product of half types has a workspace of %lld bytes "
                                   "planned and needs %lld; compile the model again",
                                   (long long)workspace, (long long)needed));
  }
  return plan;
}

/// Batch dims that b does not have and that continue the rows of a and c are rows.
void MatmulPlan::mergeBatch() {
  while (batchDims > 0 && !(biasOnRows && withBias)) {
    const Offsets &stride = batchStride[batchDims - 1];
    if (stride.b != 0 || stride.a != m * aRow || stride.c != m * cRow) {
      return;
    }
    m *= batchDim[batchDims - 1];
    batches /= std::max<int64_t>(batchDim[batchDims - 1], 1);
    --batchDims;
  }
}

MatmulPlan::Offsets MatmulPlan::offsetsOf(int64_t batch) const {
  Offsets offsets{0, 0, 0};
  for (int i = batchDims - 1; i >= 0; --i) {
    int64_t at = batch % batchDim[i];
    batch /= batchDim[i];
    offsets.a += at * batchStride[i].a;
    offsets.b += at * batchStride[i].b;
    offsets.c += at * batchStride[i].c;
  }
  return offsets;
}

void MatmulPlan::run(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
                     void *workspace) const {
  if (batches == 0 || m == 0 || n == 0) {
    return;
  }
  if (biasOnRows) {
    std::swap(a, b);
  }
  if (dtype == DSC_F64) {
    return runPlain(team, static_cast<const double *>(a), static_cast<const double *>(b),
                    static_cast<const double *>(bias), static_cast<double *>(c));
  }
  if (dsc_is_half(dtype)) {
    return runHalf(team, static_cast<const uint16_t *>(a), static_cast<const uint16_t *>(b),
                   static_cast<const uint16_t *>(bias), static_cast<uint16_t *>(c),
                   static_cast<char *>(workspace));
  }
  auto *f32A = static_cast<const float *>(a), *f32B = static_cast<const float *>(b);
  auto *f32Bias = static_cast<const float *>(bias);
  auto *f32C = static_cast<float *>(c);
  if (cColumn != 1 || (biasOnRows && withBias)) {
    return runPlain(team, f32A, f32B, f32Bias, f32C);
  }
  runPacked(team, f32A, f32B, f32Bias, f32C, workspace);
}

void MatmulPlan::runPacked(ThreadTeam &team, const float *a, const float *b, const float *bias,
                           float *c, void *workspace) const {
  forEachBatch(team, workspace, workspaceBytes, [&](int64_t batch, auto run) {
    Offsets at = offsetsOf(batch);
    run(Gemm{m, n, k, a + at.a, aRow, aK, b + at.b, bK, bColumn, c + at.c, cRow, bias, epilogue,
             accumulate});
  });
}

/// Calls `each(batch, run)` for every batch; what it calls `run` with is multiplied, by the whole
/// team or, where products are small and many, by one thread each.
template <typename Each>
void MatmulPlan::forEachBatch(ThreadTeam &team, void *workspace, int64_t bytes, Each &&each) const {
  const GemmKernels &kernels = *gemmKernels();
  bool fits = false;
  each(0, [&](const Gemm &gemm) { fits = fitsThread(kernels, gemm); });
  if (batches == 1 || !fits || batches < team.threads()) {
    for (int64_t batch = 0; batch < batches; ++batch) {
      each(batch, [&](const Gemm &gemm) { multiply(team, kernels, gemm, workspace, bytes); });
    }
    return;
  }
  int64_t grain = std::max<int64_t>(1, int64_t(64) * 1024 / std::max<int64_t>(m * n * k, 1));
  team.deal((batches + grain - 1) / grain, [&](int64_t item, int thread) {
    int64_t last = std::min((item + 1) * grain, batches);
    for (int64_t batch = item * grain; batch < last; ++batch) {
      each(batch, [&](const Gemm &gemm) { multiplyAlone(kernels, gemm, team.scratch(thread)); });
    }
  });
}

/// f16 and bf16: operands are widened while they are packed, sums are f32 and rounded once.
void MatmulPlan::runHalf(ThreadTeam &team, const uint16_t *a, const uint16_t *b,
                         const uint16_t *bias, uint16_t *c, char *workspace) const {
  float *wideBias = nullptr;
  int64_t bytes = workspaceBytes;
  if (bias) {
    int64_t count = biasOnRows ? m : n, own = dsc_align(count * int64_t(sizeof(float)));
    bytes -= own;
    wideBias = reinterpret_cast<float *>(workspace + bytes);
    halfKernels().widen(dtype, count, bias, wideBias);
  }
  if (k == 0 || cColumn != 1 || (biasOnRows && bias)) {
    return runPlainHalf(team, a, b, wideBias, c);
  }
  forEachBatch(team, workspace, bytes, [&](int64_t batch, auto run) {
    Offsets at = offsetsOf(batch);
    HalfMatrix left(HalfMatrix::Left, dtype, a + at.a, aRow, aK);
    HalfMatrix right(HalfMatrix::Right, dtype, b + at.b, bColumn, bK);
    Gemm gemm;
    gemm.m = m;
    gemm.n = n;
    gemm.k = k;
    gemm.left = &left;
    gemm.right = &right;
    gemm.bias = wideBias;
    gemm.epilogue = epilogue;
    gemm.half = c + at.c;
    gemm.halfRow = cRow;
    gemm.halfType = dtype;
    run(gemm);
  });
}

/// Half results whose columns do not lie side by side, and products over nothing.
void MatmulPlan::runPlainHalf(ThreadTeam &team, const uint16_t *a, const uint16_t *b,
                              const float *bias, uint16_t *c) const {
  const HalfKernels &half = halfKernels();
  auto wide = [&](const uint16_t *from) {
    float value;
    half.widen(dtype, 1, from, &value);
    return value;
  };
  int64_t grain = std::max<int64_t>(1, int64_t(4) * 1024 / std::max<int64_t>(n * k, 1));
  team.parallelFor(batches * m, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      Offsets at = offsetsOf(index / m);
      int64_t row = index % m;
      for (int64_t column = 0; column < n; ++column) {
        float sum = 0;
        for (int64_t p = 0; p < k; ++p) {
          sum += wide(a + at.a + row * aRow + p * aK) * wide(b + at.b + p * bK + column * bColumn);
        }
        sum = activated(bias ? sum + bias[biasOnRows ? row : column] : sum, epilogue);
        half.narrow(dtype, 1, &sum, c + at.c + row * cRow + column * cColumn);
      }
    }
  });
}

/// Any strides, and f64: rows are independent, columns go in blocks of accumulators.
template <typename T>
void MatmulPlan::runPlain(ThreadTeam &team, const T *a, const T *b, const T *bias, T *c) const {
  constexpr int64_t blockRows = 64;
  int64_t grain = std::max<int64_t>(1, int64_t(16) * 1024 / std::max<int64_t>(n * k, 1));
  team.parallelFor(batches * m, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      Offsets at = offsetsOf(index / m);
      int64_t row = index % m;
      const T *left = a + at.a + row * aRow;
      T *to = c + at.c + row * cRow;
      for (int64_t first = 0; first < n; first += blockRows) {
        int64_t columns = std::min(blockRows, n - first);
        const T *right = b + at.b + first * bColumn;
        T sums[blockRows] = {};
        for (int64_t p = 0; p < k; ++p) {
          T value = left[p * aK];
          for (int64_t j = 0; j < columns; ++j) {
            sums[j] += value * right[p * bK + j * bColumn];
          }
        }
        for (int64_t j = 0; j < columns; ++j) {
          T &result = to[(first + j) * cColumn];
          T sum = accumulate ? sums[j] + result : sums[j];
          if (bias) {
            sum += bias[biasOnRows ? row : first + j];
          }
          result = activated(sum, epilogue);
        }
      }
    }
  });
}

Status CpuDevice::planMatmul(int32_t plan, const MatmulShape &shape, int64_t workspace) {
  Result<MatmulPlan> made = MatmulPlan::make(shape, workspace);
  return made.ok() ? matmuls.store(plan, std::make_unique<MatmulPlan>(*made)) : made.status();
}

Status CpuDevice::matmul(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                         void *workspace) {
  const MatmulPlan *found = matmuls.find(plan);
  if (!found || found->hasBias() != (bias != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  found->run(team, a, b, bias, c, workspace);
  return {};
}
