// Plans of dsc_rt_matmul by cuBLASLt.
// A plan checks the shapes once and brings the product into cuBLASLt's form; its algorithm is the
// one of the file of choices, else it is timed: once for each shape, type and chip. All accumulate
// in f32 (f64 in f64); f32 is true f32 unless tf32 was allowed.

#ifndef DSC_RUNTIME_CUDA_MATMUL_H
#define DSC_RUNTIME_CUDA_MATMUL_H

#include "runtime/LibraryShapes.h"
#include "runtime/cuda/Choices.h"

#include <vector>

namespace dsc {

/// The library and its handle.
class CublasLt {
public:
  static Result<std::unique_ptr<CublasLt>> open(const CudaDriver &driver);
  ~CublasLt();

  const CublasLtTable &api() const { return *table; }
  cublasLtHandle_t handle() const { return library; }
  std::string versionText() const;
  Status check(cublasStatus_t status, const char *what) const;

private:
  const CublasLtTable *table = nullptr;
  cublasLtHandle_t library = nullptr;
};

class CudaMatmul {
public:
  /// What plans are made with.
  struct Makers {
    const CudaDriver &driver;
    const CublasLt &blas;
    Choices &choices;
    bool allowTf32;
  };

  /// With the algorithm that was chosen before, else with the library's first one until `decide`.
  /// Error: the operands disagree, cuBLASLt has no form for their strides or epilogue, or no
  /// algorithm fits `workspace` bytes.
  static Result<std::unique_ptr<CudaMatmul>> make(const Makers &makers, const MatmulShape &shape,
                                                  int64_t workspace);
  ~CudaMatmul();

  /// Times the algorithms, where there is none of before, and keeps the fastest.
  Status decide(Choices &choices);

  bool hasBias() const { return withBias; }
  Status run(const void *a, const void *b, const void *bias, void *c, void *workspace) const;

private:
  static constexpr int maxBatchDims = MatmulShape::maxRank - 2;
  struct BatchDim {
    int64_t size, a, b, c; ///< strides in elements
  };
  /// How one operand lies: leading dimension, and whether its columns are the contiguous ones.
  struct Lie {
    int64_t leading;
    bool rowMajor;
  };

  explicit CudaMatmul(const Makers &makers) : driver(makers.driver), library(makers.blas) {}
  Status setShape(const MatmulShape &shape);
  void mergeBatch();
  Status describe(bool allowTf32);
  Status describeOperand(cublasLtMatrixLayout_t &layout, int64_t rows, int64_t columns,
                         const Lie &lie, int64_t batchStride);
  Status findAlgorithms(const Choices &choices);
  bool takeStored(const Choices &choices);
  Result<std::vector<cublasLtMatmulHeuristicResult_t>> candidates(uint32_t alignment,
                                                                  int most) const;
  std::string key() const;
  int64_t span(int64_t rows, int64_t columns, const Lie &lie, int64_t batchStride) const;
  Status runOne(const cublasLtMatmulAlgo_t &algorithm, const void *a, const void *b, void *c,
                void *workspace) const;
  Status setBias(const void *bias) const;

  const CudaDriver &driver;
  const CublasLt &library;
  int32_t dtype = 0, epilogue = 0;
  bool withBias = false, accumulate = false, tf32 = false;
  bool exchanged = false; ///< c is stored transposed: c^T = b^T a^T is what is computed
  int64_t workspaceBytes = 0;
  int64_t m = 0, n = 0, k = 0;
  Lie aLie = {}, bLie = {}, cLie = {};
  /// The library's own batch dimension, and those that are looped over.
  BatchDim batch = {1, 0, 0, 0};
  std::vector<BatchDim> outer;

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t aLayout = nullptr, bLayout = nullptr, cLayout = nullptr;
  cublasLtMatmulAlgo_t algorithm = {};
  /// Those to be timed; none once it is decided.
  std::vector<cublasLtMatmulHeuristicResult_t> undecided;
  /// For operands that do not start on 16 bytes.
  cublasLtMatmulAlgo_t unaligned = {};
  bool hasUnaligned = false;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_MATMUL_H
