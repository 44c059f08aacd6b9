// The CUDA target's answers.

#include "ir/CudaTarget.h"

#include "ir/StridedShape.h"
#include "runtime/abi.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {
class CudaTarget final : public Target {
public:
  StringRef kind() const override { return "cuda"; }

  int64_t workspaceBytes(Operation *op) const override {
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      RankedTensorType a = typeOf(matmul.getA()), result = typeOf(matmul.getResult());
      int64_t n = result.getShape().back(), m = result.getShape().end()[-2];
      int64_t k = a.getShape().end()[matmul.getTransposeA() ? -2 : -1];
      int64_t batch = m * n ? result.getNumElements() / (m * n) : 0;
      return dsc_cuda_matmul_workspace(a.getElementType().isF64() ? DSC_F64 : DSC_F32, batch, m, n,
                                       k);
    }
    if (isa<ConvOp>(op)) {
      return convWorkspace(op, DSC_CONV_FORWARD);
    }
    if (isa<ConvGradInputOp>(op)) {
      return convWorkspace(op, DSC_CONV_GRAD_INPUT);
    }
    if (isa<ConvGradWeightOp>(op)) {
      return convWorkspace(op, DSC_CONV_GRAD_WEIGHT);
    }
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      ArrayRef<int64_t> lse = typeOf(attention.getLse()).getShape();
      return dsc_cuda_attention_workspace(lse[0], lse[1], lse[2]);
    }
    if (auto grad = dyn_cast<AttentionGradOp>(op)) {
      ArrayRef<int64_t> lse = typeOf(grad.getLse()).getShape();
      int64_t keys =
          typeOf(grad.getQkv().size() == 3 ? grad.getQkv()[1] : grad.getQkv()[0]).getDimSize(1);
      return dsc_cuda_attention_grad_workspace(lse[0], lse[1], grad.getKvHeads(), lse[2], keys,
                                               headWidth(grad.getOut(), grad.getHeads()));
    }
    return 0;
  }

  // cuBLASLt adds a bias and cuts off below 0 where it stores the product.
  bool takesEpilogue(Operation *contraction, Epilogue activation) const override {
    return isa<MatmulOp>(contraction) &&
           (activation == Epilogue::none || activation == Epilogue::relu);
  }

  llvm::StringRef whyNoEpilogue(Operation *contraction, Epilogue activation) const override {
    if (!isa<MatmulOp>(contraction)) {
      return "";
    }
    switch (activation) {
    case Epilogue::gelu_erf:
      return "cuBLASLt has no GELU with erf";
    case Epilogue::gelu_tanh:
      return "cuBLASLt's GELU is of the sum before rounding, which backward cannot compute again";
    default:
      return "";
    }
  }

  // cuDNN: half types, heads of up to 128 in steps of 8, masks that are added.
  bool takesAttention(Operation *op) const override {
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      return takesHeads(attention.getOut(), attention.getHeads(), attention.getMask());
    }
    auto grad = cast<AttentionGradOp>(op);
    return takesHeads(grad.getOut(), grad.getHeads(), grad.getMask());
  }

  // Tensor cores are fed 16 bytes at a time, and the widest tiles are 128 classes wide, of which a
  // large vocabulary is a multiple at little cost (50257 -> 50304).
  int64_t gemmAlignment(Type element, int64_t size) const override {
    int64_t vector = std::max<int64_t>(16 / elementBytes(element), 1);
    return size >= 4096 && elementBytes(element) <= 2 ? 128 : vector;
  }

  // cuDNN's kernels for tensor cores are channels-last.
  ConvLayout convLayout() const override { return ConvLayout::channels_last; }

  // NCCL's slices are all of one length.
  int64_t sliceRoom(int64_t maxRanks) const override { return maxRanks - 1; }

  int64_t grainBytes() const override { return 16; }

  // Computing a value again is cheaper than another trip to memory, which is all that a GPU waits
  // for.
  int64_t keptRowBytes() const override { return std::numeric_limits<int64_t>::max(); }

  // About four blocks of threads on each multiprocessor of the largest chips, where long rows are
  // cut into tiles of 2048 columns. At least 32 rows in each where a block has several at a time, 8
  // where it goes through them one by one.
  int64_t columnBlocks(int64_t rows, int64_t columns) const override {
    int64_t tiles = columns > 1024 ? llvm::divideCeil(columns, 2048) : 1;
    int64_t wanted = std::max<int64_t>(1, llvm::divideCeil(528, tiles));
    return std::clamp<int64_t>(rows / (columns > 512 ? 8 : 32), 1, wanted);
  }

  // The gradient of gather sorts its indices: positions and rows, 32 bits each.
  int64_t loopsScratchBytes(Operation *op) const override {
    auto grad = dyn_cast<GatherGradOp>(op);
    return grad ? dsc_align(8 * std::max<int64_t>(1, typeOf(grad.getIndices()).getNumElements()))
                : 0;
  }

private:
  static int64_t headWidth(Value out, int64_t heads) { return typeOf(out).getDimSize(2) / heads; }

  static bool takesHeads(Value out, int64_t heads, Value mask) {
    Type element = typeOf(out).getElementType();
    int64_t width = headWidth(out, heads);
    // One query and one key, which it refuses, are not worth a call in any case.
    bool isOneQuery = typeOf(out).getDimSize(1) == 1;
    return (element.isF16() || element.isBF16()) && width % 8 == 0 && width <= 128 && !isOneQuery &&
           (!mask || isa<FloatType>(typeOf(mask).getElementType()));
  }

  static int64_t convWorkspace(Operation *op, dsc_conv_kind kind) {
    bool isF64 = typeOf(op->getResult(0)).getElementType().isF64();
    return dsc_cuda_conv_workspace(kind, isF64 ? DSC_F64 : DSC_F32);
  }
};
} // namespace

std::unique_ptr<Target> dsc::makeCudaTarget() { return std::make_unique<CudaTarget>(); }
