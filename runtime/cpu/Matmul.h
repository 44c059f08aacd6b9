// Plans of dsc_rt_matmul.
// A plan checks the shapes once and brings the product into the form that Gemm multiplies:
// row-major c, a short list of batch dims, rows merged across batch dims where the strides allow.
// f32 and the half types go to Gemm's kernels; f64, the reference, and results whose columns no
// stride of 1 orders, to plain loops.

#ifndef DSC_RUNTIME_CPU_MATMUL_H
#define DSC_RUNTIME_CPU_MATMUL_H

#include "runtime/LibraryShapes.h"
#include "runtime/Status.h"
#include "runtime/cpu/Gemm.h"

#include <cstdint>

namespace dsc {

class MatmulPlan {
public:
  static Result<MatmulPlan> make(const MatmulShape &shape, int64_t workspace);

  bool hasBias() const { return withBias; }
  void run(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
           void *workspace) const;

private:
  static constexpr int maxBatchDims = MatmulShape::maxRank - 2;
  struct Offsets {
    int64_t a, b, c;
  };
  Offsets offsetsOf(int64_t batch) const;
  void mergeBatch();
  void runPacked(ThreadTeam &team, const float *a, const float *b, const float *bias, float *c,
                 void *workspace) const;
  template <typename Each>
  void forEachBatch(ThreadTeam &team, void *workspace, int64_t bytes, Each &&each) const;
  void runHalf(ThreadTeam &team, const uint16_t *a, const uint16_t *b, const uint16_t *bias,
               uint16_t *c, char *workspace) const;
  void runPlainHalf(ThreadTeam &team, const uint16_t *a, const uint16_t *b, const float *bias,
                    uint16_t *c) const;
  template <typename T>
  void runPlain(ThreadTeam &team, const T *a, const T *b, const T *bias, T *c) const;

  int32_t dtype = 0, epilogue = 0;
  bool withBias = false, accumulate = false;
  bool biasOnRows = false; ///< operands were exchanged: bias belongs to rows
  int64_t workspaceBytes = 0;
  int64_t m = 0, n = 0, k = 0;
  int64_t aRow = 0, aK = 0, bK = 0, bColumn = 0, cRow = 0, cColumn = 0;
  int batchDims = 0;
  int64_t batches = 1;
  int64_t batchDim[maxBatchDims] = {};
  Offsets batchStride[maxBatchDims] = {};
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_MATMUL_H
