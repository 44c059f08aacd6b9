// The CPU target's answers.

#include "ir/CpuTarget.h"

#include "ir/StridedShape.h"
#include "runtime/abi.h"

#include <algorithm>

using namespace mlir;
using namespace dsc;

namespace {
class CpuTarget final : public Target {
public:
  StringRef kind() const override { return "cpu"; }

  int64_t workspaceBytes(Operation *op) const override {
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      return halfWorkspace(attention, cast<RankedTensorType>(attention.getLse().getType()), false);
    }
    if (auto grad = dyn_cast<AttentionGradOp>(op)) {
      auto lse = cast<RankedTensorType>(grad.getLse().getType());
      return halfWorkspace(grad, lse, true) +
             dsc_attention_grad_workspace(lse.getDimSize(0), lse.getDimSize(1), lse.getDimSize(2),
                                          elementBytes(lse.getElementType()));
    }
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      auto a = cast<RankedTensorType>(matmul.getA().getType());
      auto result = cast<RankedTensorType>(matmul.getResult().getType());
      int64_t n = result.getShape().back(),
              k = a.getShape().end()[matmul.getTransposeA() ? -2 : -1];
      return dsc_matmul_workspace(typeNumber(a), rowsThatShareB(matmul), n, k);
    }
    if (auto conv = dyn_cast<ConvOp>(op)) {
      return convWorkspace(DSC_CONV_FORWARD, conv, conv.getX(), conv.getW(), conv.getY());
    }
    if (auto conv = dyn_cast<ConvGradInputOp>(op)) {
      return convWorkspace(DSC_CONV_GRAD_INPUT, conv, conv.getDx(), conv.getW(), conv.getDy());
    }
    if (auto conv = dyn_cast<ConvGradWeightOp>(op)) {
      return convWorkspace(DSC_CONV_GRAD_WEIGHT, conv, conv.getX(), conv.getDw(), conv.getDy());
    }
    return 0;
  }

  // A bias and a cut below 0 cost nothing where the product is stored.
  bool takesEpilogue(Operation *contraction, Epilogue activation) const override {
    return activation == Epilogue::none ||
           (isa<MatmulOp>(contraction) && activation == Epilogue::relu);
  }

  llvm::StringRef whyNoEpilogue(Operation *contraction, Epilogue activation) const override {
    return activation == Epilogue::gelu_erf || activation == Epilogue::gelu_tanh
               ? "a generated kernel is cheaper, and the backward pass computes it in one, too"
               : "";
  }

  bool takesAttention(Operation *) const override { return true; }

  // Patches are gathered along channels; images in another layout are copied first.
  ConvLayout convLayout() const override { return ConvLayout::channels_last; }

  int64_t grainBytes() const override { return 16 << 10; }

  // What fits the second-level cache.
  int64_t keptRowBytes() const override { return 256 << 10; }

  // Enough for many threads, each with enough rows to be worth its row of partial sums.
  int64_t columnBlocks(int64_t rows, int64_t) const override {
    return std::clamp<int64_t>(rows / 32, 1, 32);
  }

private:
  static int32_t typeNumber(RankedTensorType type) {
    Type element = type.getElementType();
    return element.isF64()    ? DSC_F64
           : element.isF16()  ? DSC_F16
           : element.isBF16() ? DSC_BF16
                              : DSC_F32;
  }

  template <typename Attention>
  static int64_t halfWorkspace(Attention op, RankedTensorType lse, bool grad) {
    auto q = cast<RankedTensorType>(op.getQkv().front().getType());
    bool packed = op.getQkv().size() == 1;
    int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
    int64_t kvLength =
        packed ? q.getDimSize(1) : cast<RankedTensorType>(op.getQkv()[1].getType()).getDimSize(1);
    int64_t mask = 0;
    if (op.getMask()) {
      auto type = cast<RankedTensorType>(op.getMask().getType());
      mask = isa<FloatType>(type.getElementType()) ? type.getNumElements() : 0;
    }
    return dsc_attention_half_workspace(
        typeNumber(q), grad, lse.getDimSize(0), heads, kvHeads, lse.getDimSize(2), kvLength,
        q.getDimSize(2) / (packed ? heads + 2 * kvHeads : heads), mask);
  }

  /// Rows of the result, with those of the batches that read the same b.
  static int64_t rowsThatShareB(MatmulOp matmul) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(matmul.getResult().getType()).getShape();
    ArrayRef<int64_t> b = cast<RankedTensorType>(matmul.getB().getType()).getShape().drop_back(2);
    int64_t rows = shape.end()[-2];
    for (int64_t size : llvm::reverse(shape.drop_back(2))) {
      int64_t own = b.empty() ? 1 : b.back();
      if (own != 1) {
        break;
      }
      rows *= size;
      b = b.drop_back(b.empty() ? 0 : 1);
    }
    return shape.back() == 0 ? 0 : rows;
  }

  template <typename Conv>
  static int64_t convWorkspace(dsc_conv_kind kind, Conv conv, Value x, Value w, Value y) {
    auto typeOf = [](Value value) { return cast<RankedTensorType>(value.getType()); };
    StridedShape image = imageShape(typeOf(x), conv.getLayout());
    StridedShape weight = imageShape(typeOf(w), conv.getLayout());
    StridedShape result = imageShape(typeOf(y), conv.getLayout());
    return dsc_conv_workspace(
        kind, typeNumber(typeOf(x)), static_cast<int32_t>(typeOf(x).getRank()), image.dims.data(),
        image.strides.data(), weight.dims.data(), weight.strides.data(), result.dims.data(),
        result.strides.data(), conv.getStrides().data(), conv.getGroups());
  }
};
} // namespace

std::unique_ptr<Target> dsc::makeCpuTarget() { return std::make_unique<CpuTarget>(); }
