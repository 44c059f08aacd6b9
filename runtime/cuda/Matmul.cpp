// Plans of dsc_rt_matmul by cuBLASLt.
// The library thinks in column-major matrices, so it is given c^T = b^T a^T: a row-major matrix is
// the column-major one of its transpose, with nothing moved.

#include "runtime/cuda/Matmul.h"

#include "runtime/StartTimes.h"
#include "runtime/Tensor.h"
#include "runtime/cuda/CudaState.h"

#include <algorithm>
#include <cstring>
#include <utility>

using namespace dsc;

/// What TMA and the widest vector accesses ask of an operand's first byte.
static constexpr uint32_t wantedAlignment = 16;
/// What cuBLASLt asks of its workspace. Planned offsets are multiples of less, so the first bytes
/// of a workspace may have to be left out.
static constexpr uintptr_t workspaceAlignment = 256;

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<CublasLt>> CublasLt::open(const CudaDriver &driver) {
  Result<const CublasLtTable *> loaded = loadCublasLt(driver.version());
  if (loaded.failed()) {
    return loaded.status();
  }
  std::unique_ptr<CublasLt> library(new CublasLt);
  library->table = *loaded;
  DSC_RETURN_IF_FAILED(library->check(library->table->cublasLtCreate(&library->library), "start"));
  return library;
}

CublasLt::~CublasLt() {
  if (library) {
    table->cublasLtDestroy(library);
  }
}

std::string CublasLt::versionText() const {
  const size_t version = table->cublasLtGetVersion();
  return format("%zu.%zu.%zu, %s", version / 10000, version / 100 % 100, version % 100,
                loadedLibrary("cuBLASLt").c_str());
}

Status CublasLt::check(cublasStatus_t status, const char *what) const {
  if (__builtin_expect(status == CUBLAS_STATUS_SUCCESS, 1)) {
    return {};
  }
  return {ExitCode::Rank,
          format("cuBLASLt failed to %s: %s", what, table->cublasLtGetStatusString(status))};
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static std::string text(const int64_t *values, int count) {
  return shapeText(Shape(values, values + count));
}

static Status refuse(const MatmulShape &shape, const char *why) {
  return Status::internal(
      format("matrix product of %s (strides %s) and %s (%s) into %s (%s): %s; compile the model "
             "again",
             text(shape.aDims, shape.rank).c_str(), text(shape.aStrides, shape.rank).c_str(),
             text(shape.bDims, shape.rank).c_str(), text(shape.bStrides, shape.rank).c_str(),
             text(shape.cDims, shape.rank).c_str(), text(shape.cStrides, shape.rank).c_str(), why));
}

/// How rows x columns with these strides lie, if one of the two is contiguous.
static bool findLie(int64_t rows, int64_t columns, int64_t rowStride, int64_t columnStride,
                    int64_t &leading, bool &rowMajor) {
  // A dimension of one element may carry any stride.
  if (columnStride == 1 || columns <= 1) {
    rowMajor = true;
    leading = rows <= 1 ? std::max<int64_t>(columns, 1) : rowStride;
    if (leading >= columns && leading > 0) {
      return true;
    }
  }
  if (rowStride == 1 || rows <= 1) {
    rowMajor = false;
    leading = columns <= 1 ? std::max<int64_t>(rows, 1) : columnStride;
    return leading >= rows && leading > 0;
  }
  return false;
}

Status CudaMatmul::setShape(const MatmulShape &shape) {
  if (shape.rank < 2 || shape.rank > MatmulShape::maxRank) {
    return Status::internal(format("matrix product of rank %d; the runtime takes 2 to %d",
                                   shape.rank, MatmulShape::maxRank));
  }
  if (shape.dtype != DSC_F32 && shape.dtype != DSC_F64 && shape.dtype != DSC_F16 &&
      shape.dtype != DSC_BF16) {
    return Status::internal(format(
        "matrix product of element type %d; CUDA takes f16, bf16, f32 and f64", shape.dtype));
  }
  const int row = shape.rank - 2, column = shape.rank - 1;
  dtype = shape.dtype;
  epilogue = shape.epilogue;
  withBias = shape.hasBias;
  accumulate = shape.accumulate;
  m = shape.cDims[row];
  n = shape.cDims[column];
  k = shape.aDims[column];
  if (shape.aDims[row] != m || shape.bDims[column] != n || shape.bDims[row] != k) {
    return refuse(shape, "rows, columns or inner dims differ");
  }
  int64_t aRow = shape.aStrides[row], aK = shape.aStrides[column];
  int64_t bK = shape.bStrides[row], bColumn = shape.bStrides[column];
  int64_t cRow = shape.cStrides[row], cColumn = shape.cStrides[column];
  bool cRowMajor = true;
  if (findLie(m, n, cRow, cColumn, cLie.leading, cRowMajor) && !cRowMajor) {
    if (withBias && m > 1) {
      return refuse(shape, "a bias of columns on a result that is stored transposed");
    }
    exchanged = true;
    std::swap(m, n);
    std::swap(aRow, bColumn);
    std::swap(aK, bK);
    std::swap(cRow, cColumn);
  }
  if (!findLie(m, n, cRow, cColumn, cLie.leading, cLie.rowMajor) || !cLie.rowMajor) {
    return refuse(shape, "neither rows nor columns of the result are contiguous");
  }
  outer.clear();
  for (int i = 0; i < row; ++i) {
    const int64_t size = shape.cDims[i];
    if ((shape.aDims[i] != size && shape.aDims[i] != 1) ||
        (shape.bDims[i] != size && shape.bDims[i] != 1)) {
      return refuse(shape, "a batch dim is neither 1 nor the result's");
    }
    if (size == 1) {
      continue;
    }
    BatchDim dim{size, shape.aDims[i] == 1 ? 0 : shape.aStrides[i],
                 shape.bDims[i] == 1 ? 0 : shape.bStrides[i], shape.cStrides[i]};
    if (exchanged) {
      std::swap(dim.a, dim.b);
    }
    outer.push_back(dim);
  }
  // Batch dims that b does not have and that continue the rows of a and c are rows.
  while (!outer.empty() && outer.back().b == 0 && outer.back().a == m * aRow &&
         outer.back().c == m * cRow && outer.back().size > 0) {
    m *= outer.back().size;
    outer.pop_back();
    if (!findLie(m, n, cRow, cColumn, cLie.leading, cLie.rowMajor)) {
      return refuse(shape, "the rows of the result overlap");
    }
  }
  if (!findLie(m, k, aRow, aK, aLie.leading, aLie.rowMajor) ||
      !findLie(k, n, bK, bColumn, bLie.leading, bLie.rowMajor)) {
    return refuse(shape, "neither rows nor columns of an operand are contiguous");
  }
  mergeBatch();
  return {};
}

/// Joins batch dims that continue each other; the largest that is left becomes the library's.
void CudaMatmul::mergeBatch() {
  for (size_t i = outer.size(); i-- > 1;) {
    BatchDim &left = outer[i - 1];
    const BatchDim &right = outer[i];
    if (left.a == right.size * right.a && left.b == right.size * right.b &&
        left.c == right.size * right.c) {
      left = {left.size * right.size, right.a, right.b, right.c};
      outer.erase(outer.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  auto largest =
      std::max_element(outer.begin(), outer.end(),
                       [](const BatchDim &a, const BatchDim &b) { return a.size < b.size; });
  if (largest != outer.end()) {
    batch = *largest;
    outer.erase(largest);
  }
}

//===----------------------------------------------------------------------===//
// Descriptors and algorithms
//===----------------------------------------------------------------------===//

static cudaDataType_t cudaType(int32_t dtype) {
  switch (dtype) {
  case DSC_F64:
    return CUDA_R_64F;
  case DSC_F16:
    return CUDA_R_16F;
  case DSC_BF16:
    return CUDA_R_16BF;
  default:
    return CUDA_R_32F;
  }
}

Status CudaMatmul::describeOperand(cublasLtMatrixLayout_t &layout, int64_t rows, int64_t columns,
                                   const Lie &lie, int64_t batchStride) {
  const CublasLtTable &api = library.api();
  auto set = [&](cublasLtMatrixLayoutAttribute_t attribute, const auto &value) {
    return library.check(
        api.cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value),
        "describe an operand");
  };
  // Column-major: what is contiguous comes first.
  const int64_t first = lie.rowMajor ? columns : rows, second = lie.rowMajor ? rows : columns;
  DSC_RETURN_IF_FAILED(library.check(
      api.cublasLtMatrixLayoutCreate(&layout, cudaType(dtype), static_cast<uint64_t>(first),
                                     static_cast<uint64_t>(second), lie.leading),
      "describe an operand"));
  if (batch.size > 1) {
    DSC_RETURN_IF_FAILED(set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch.size)));
    DSC_RETURN_IF_FAILED(set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batchStride));
  }
  return {};
}

Status CudaMatmul::describe(bool allowTf32) {
  const CublasLtTable &api = library.api();
  tf32 = allowTf32 && dtype == DSC_F32;
  cublasComputeType_t compute = dtype == DSC_F64 ? CUBLAS_COMPUTE_64F
                                : tf32           ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                 : CUBLAS_COMPUTE_32F;
  DSC_RETURN_IF_FAILED(library.check(
      api.cublasLtMatmulDescCreate(&operation, compute, dtype == DSC_F64 ? CUDA_R_64F : CUDA_R_32F),
      "describe a product"));
  auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto &value) {
    return library.check(
        api.cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value),
        "describe a product");
  };
  // The library's A is b, its B is a.
  const int32_t opB = bLie.rowMajor ? CUBLAS_OP_N : CUBLAS_OP_T;
  const int32_t opA = aLie.rowMajor ? CUBLAS_OP_N : CUBLAS_OP_T;
  DSC_RETURN_IF_FAILED(set(CUBLASLT_MATMUL_DESC_TRANSA, opB));
  DSC_RETURN_IF_FAILED(set(CUBLASLT_MATMUL_DESC_TRANSB, opA));
  int32_t form = CUBLASLT_EPILOGUE_DEFAULT;
  switch (epilogue) {
  case DSC_EPILOGUE_NONE:
    form = withBias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    break;
  case DSC_EPILOGUE_RELU:
    form = withBias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    break;
  case DSC_EPILOGUE_GELU_TANH:
    form = withBias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    break;
  default:
    return Status::internal("cuBLASLt has no epilogue for the exact GELU; compile the model again");
  }
  DSC_RETURN_IF_FAILED(set(CUBLASLT_MATMUL_DESC_EPILOGUE, form));
  DSC_RETURN_IF_FAILED(describeOperand(bLayout, k, n, bLie, batch.b));
  DSC_RETURN_IF_FAILED(describeOperand(aLayout, m, k, aLie, batch.a));
  return describeOperand(cLayout, m, n, cLie, batch.c);
}

Result<std::vector<cublasLtMatmulHeuristicResult_t>> CudaMatmul::candidates(uint32_t alignment,
                                                                            int most) const {
  const CublasLtTable &api = library.api();
  cublasLtMatmulPreference_t preference = nullptr;
  DSC_RETURN_IF_FAILED(
      library.check(api.cublasLtMatmulPreferenceCreate(&preference), "ask for algorithms"));
  auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto &value) {
    api.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspaceBytes));
  // Parts of a sum are added in the accumulation's type.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(attribute, alignment);
  }
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
  int count = 0;
  cublasStatus_t status =
      api.cublasLtMatmulAlgoGetHeuristic(library.handle(), operation, bLayout, aLayout, cLayout,
                                         cLayout, preference, most, found.data(), &count);
  api.cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
    return Status::internal(
        format("cuBLASLt has no algorithm for [%lld, %lld] x [%lld, %lld] of type %s in %lld bytes "
               "of workspace (%s); compile the model again",
               (long long)m, (long long)k, (long long)k, (long long)n,
               dtypeName(static_cast<Dtype>(dtype)), (long long)workspaceBytes,
               api.cublasLtGetStatusString(status)));
  }
  found.resize(static_cast<size_t>(count));
  return found;
}

std::string CudaMatmul::key() const {
  return format(
      "cublasLt %zu matmul %s%s m%lld n%lld k%lld a%c%lld b%c%lld c%lld batch %lld:%lld:%lld:"
      "%lld epilogue %d%s%s workspace %lld",
      library.api().cublasLtGetVersion(), dtypeName(static_cast<Dtype>(dtype)), tf32 ? " tf32" : "",
      (long long)m, (long long)n, (long long)k, aLie.rowMajor ? 'n' : 't', (long long)aLie.leading,
      bLie.rowMajor ? 'n' : 't', (long long)bLie.leading, (long long)cLie.leading,
      (long long)batch.size, (long long)batch.a, (long long)batch.b, (long long)batch.c,
      static_cast<int>(epilogue), withBias ? " bias" : "", accumulate ? " accumulate" : "",
      (long long)workspaceBytes);
}

static std::string hexText(const cublasLtMatmulAlgo_t &algorithm) {
  std::string hex;
  unsigned char bytes[sizeof algorithm];
  std::memcpy(bytes, &algorithm, sizeof algorithm);
  for (unsigned char byte : bytes) {
    hex += format("%02x", byte);
  }
  return hex;
}

static bool parseHex(const std::string &hex, cublasLtMatmulAlgo_t &algorithm) {
  unsigned char bytes[sizeof algorithm];
  if (hex.size() != 2 * sizeof bytes) {
    return false;
  }
  for (size_t i = 0; i < sizeof bytes; ++i) {
    unsigned value = 0;
    if (std::sscanf(hex.c_str() + 2 * i, "%2x", &value) != 1) {
      return false;
    }
    bytes[i] = static_cast<unsigned char>(value);
  }
  std::memcpy(&algorithm, bytes, sizeof bytes);
  return true;
}

/// Elements from the first to the last that one call touches.
int64_t CudaMatmul::span(int64_t rows, int64_t columns, const Lie &lie, int64_t batchStride) const {
  const int64_t lines = lie.rowMajor ? rows : columns, length = lie.rowMajor ? columns : rows;
  return std::max<int64_t>(batch.size - 1, 0) * batchStride + (lines - 1) * lie.leading + length;
}

/// Takes what was chosen before, if it is still possible.
bool CudaMatmul::takeStored(const Choices &choices) {
  std::optional<std::string> stored = choices.find(key());
  cublasLtMatmulAlgo_t parsed = {};
  cublasLtMatmulHeuristicResult_t checked = {};
  if (!stored || !parseHex(*stored, parsed) ||
      library.api().cublasLtMatmulAlgoCheck(library.handle(), operation, bLayout, aLayout, cLayout,
                                            cLayout, &parsed, &checked) != CUBLAS_STATUS_SUCCESS ||
      checked.workspaceSize > static_cast<size_t>(workspaceBytes)) {
    return false;
  }
  algorithm = parsed;
  return true;
}

Status CudaMatmul::findAlgorithms(const Choices &choices) {
  auto element = static_cast<uint32_t>(dtypeSize(static_cast<Dtype>(dtype)));
  if (Result<std::vector<cublasLtMatmulHeuristicResult_t>> loose = candidates(element, 1);
      loose.ok()) {
    unaligned = loose->front().algo;
    hasUnaligned = true;
  }
  if (takeStored(choices)) {
    return {};
  }
  Result<std::vector<cublasLtMatmulHeuristicResult_t>> found = candidates(wantedAlignment, 12);
  DSC_RETURN_IF_FAILED(found.status());
  algorithm = found->front().algo;
  undecided = std::move(*found);
  return {};
}

Status CudaMatmul::decide(Choices &choices) {
  const std::vector<cublasLtMatmulHeuristicResult_t> found = std::exchange(undecided, {});
  // Another plan may have had the same product.
  if (found.empty() || takeStored(choices)) {
    return {};
  }
  auto element = dtypeSize(static_cast<Dtype>(dtype));
  const void *a = choices.operand(0, span(m, k, aLie, batch.a) * element, dtype);
  const void *b = choices.operand(1, span(k, n, bLie, batch.b) * element, dtype);
  void *c = choices.operand(2, span(m, n, cLie, batch.c) * element, dtype);
  const void *bias = choices.operand(3, n * element, dtype);
  void *workspace = choices.operand(4, workspaceBytes, DSC_F32);
  if (!a || !b || !c || !bias || !workspace) {
    return {}; // no room to time: the library's first choice
  }
  DSC_RETURN_IF_FAILED(setBias(bias));
  std::optional<size_t> fastest = choices.fastest(
      found.size(), [&](size_t i) { return runOne(found[i].algo, a, b, c, workspace); });
  if (fastest) {
    algorithm = found[*fastest].algo;
    choices.store(key(), hexText(algorithm));
  }
  return {};
}

Result<std::unique_ptr<CudaMatmul>> CudaMatmul::make(const Makers &makers, const MatmulShape &shape,
                                                     int64_t workspace) {
  std::unique_ptr<CudaMatmul> plan(new CudaMatmul(makers));
  const int64_t leftOut = static_cast<int64_t>(workspaceAlignment) - DSC_ALIGNMENT;
  plan->workspaceBytes = std::max<int64_t>(workspace - leftOut, 0);
  DSC_RETURN_IF_FAILED(plan->setShape(shape));
  if (plan->m == 0 || plan->n == 0 || plan->batch.size == 0) {
    return plan;
  }
  if (plan->k == 0) {
    return plan->withBias || plan->epilogue
               ? Result<std::unique_ptr<CudaMatmul>>(refuse(shape, "no inner elements"))
               : Result<std::unique_ptr<CudaMatmul>>(std::move(plan));
  }
  DSC_RETURN_IF_FAILED(plan->describe(makers.allowTf32));
  DSC_RETURN_IF_FAILED(plan->findAlgorithms(makers.choices));
  return plan;
}

CudaMatmul::~CudaMatmul() {
  for (cublasLtMatrixLayout_t layout : {aLayout, bLayout, cLayout}) {
    if (layout) {
      library.api().cublasLtMatrixLayoutDestroy(layout);
    }
  }
  if (operation) {
    library.api().cublasLtMatmulDescDestroy(operation);
  }
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

Status CudaMatmul::setBias(const void *bias) const {
  return withBias
             ? library.check(library.api().cublasLtMatmulDescSetAttribute(
                                 operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
                             "take a bias")
             : Status();
}

Status CudaMatmul::runOne(const cublasLtMatmulAlgo_t &chosen, const void *a, const void *b, void *c,
                          void *workspace) const {
  const float one = 1, beta = accumulate ? 1 : 0;
  const double one64 = 1, beta64 = beta;
  const bool wide = dtype == DSC_F64;
  const auto space = reinterpret_cast<uintptr_t>(workspace);
  auto *first = reinterpret_cast<void *>((space + workspaceAlignment - 1) / workspaceAlignment *
                                         workspaceAlignment);
  return library.check(
      library.api().cublasLtMatmul(
          library.handle(), operation, wide ? static_cast<const void *>(&one64) : &one, b, bLayout,
          a, aLayout, wide ? static_cast<const void *>(&beta64) : &beta, c, cLayout, c, cLayout,
          &chosen, first, static_cast<size_t>(workspaceBytes), driver.compute),
      "multiply");
}

Status CudaMatmul::run(const void *a, const void *b, const void *bias, void *c,
                       void *workspace) const {
  int64_t repeats = 1;
  for (const BatchDim &dim : outer) {
    repeats *= dim.size;
  }
  if (m == 0 || n == 0 || batch.size == 0 || repeats == 0) {
    return {};
  }
  const int64_t element = dtypeSize(static_cast<Dtype>(dtype));
  if (k == 0 && accumulate) {
    return {};
  }
  if (exchanged) {
    std::swap(a, b);
  }
  DSC_RETURN_IF_FAILED(setBias(bias));
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    int64_t rest = repeat, aAt = 0, bAt = 0, cAt = 0;
    for (size_t i = outer.size(); i-- > 0;) {
      const int64_t at = rest % outer[i].size;
      rest /= outer[i].size;
      aAt += at * outer[i].a;
      bAt += at * outer[i].b;
      cAt += at * outer[i].c;
    }
    auto *from = static_cast<const char *>(a) + aAt * element;
    auto *with = static_cast<const char *>(b) + bAt * element;
    auto *to = static_cast<char *>(c) + cAt * element;
    if (k == 0) {
      for (int64_t i = 0; i < batch.size * m; ++i) {
        CUdeviceptr row = deviceAddress(to + (i / m * batch.c + i % m * cLie.leading) * element);
        DSC_RETURN_IF_FAILED(driver.check(
            driver.api().cuMemsetD8Async(row, 0, static_cast<size_t>(n * element), driver.compute),
            "clear a result"));
      }
      continue;
    }
    auto bits = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(with) |
                reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(bias);
    const bool aligned = bits % wantedAlignment == 0;
    if (!aligned && !hasUnaligned) {
      return Status::internal("cuBLASLt has no algorithm for operands that do not start on 16 "
                              "bytes; compile the model again");
    }
    DSC_RETURN_IF_FAILED(runOne(aligned ? algorithm : unaligned, from, with, to, workspace));
  }
  return {};
}

Status CudaDevice::openBlas() {
  if (blas) {
    return {};
  }
  StartPhase phase("cuBLASLt");
  Result<std::unique_ptr<CublasLt>> opened = CublasLt::open(*driver);
  if (opened.failed()) {
    return opened.status();
  }
  blas = std::move(*opened);
  return {};
}

Status CudaDevice::planMatmul(int32_t plan, const MatmulShape &shape, int64_t workspace) {
  DSC_RETURN_IF_FAILED(openBlas());
  StartPhase phase("products");
  Result<std::unique_ptr<CudaMatmul>> made =
      CudaMatmul::make({*driver, *blas, choices, allowTf32}, shape, workspace);
  DSC_RETURN_IF_FAILED(made.status());
  undecided.push_back(made->get());
  return matmuls.store(plan, std::move(*made));
}

Status CudaDevice::matmul(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                          void *workspace) {
  const CudaMatmul *found = matmuls.find(plan);
  if (!found || found->hasBias() != (bias != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  return found->run(a, b, bias, c, workspace);
}
