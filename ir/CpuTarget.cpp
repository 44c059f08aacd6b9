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
    if (auto grad = dyn_cast<AttentionGradOp>(op)) {
      auto lse = cast<RankedTensorType>(grad.getLse().getType());
      return dsc_attention_grad_workspace(lse.getDimSize(0), lse.getDimSize(1), lse.getDimSize(2),
                                          elementBytes(lse.getElementType()));
    }
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      auto a = cast<RankedTensorType>(matmul.getA().getType());
      auto result = cast<RankedTensorType>(matmul.getResult().getType());
      int64_t n = result.getShape().back(), m = n ? result.getNumElements() / n : 0;
      int64_t k = a.getShape().end()[matmul.getTransposeA() ? -2 : -1];
      return dsc_matmul_workspace(a.getElementType().isF64() ? DSC_F64 : DSC_F32, m, n, k);
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

  // A bias costs nothing where the product is stored; activations are cheaper in generated kernels,
  // which the backward pass shares with the forward pass.
  bool takesEpilogue(Operation *contraction, Epilogue activation) const override {
    return activation == Epilogue::none;
  }

  bool takesAttention(Operation *) const override { return true; }

  int64_t grainBytes() const override { return 16 << 10; }

  // What fits the second-level cache.
  int64_t keptRowBytes() const override { return 256 << 10; }

  // Enough for many threads, each with enough rows to be worth its row of partial sums.
  int64_t columnBlocks(int64_t rows, int64_t) const override {
    return std::clamp<int64_t>(rows / 32, 1, 32);
  }

private:
  template <typename Conv>
  static int64_t convWorkspace(dsc_conv_kind kind, Conv conv, Value x, Value w, Value y) {
    auto typeOf = [](Value value) { return cast<RankedTensorType>(value.getType()); };
    StridedShape image = imageShape(typeOf(x), conv.getLayout()), weight(typeOf(w));
    StridedShape result = imageShape(typeOf(y), conv.getLayout());
    return dsc_conv_workspace(kind, typeOf(x).getElementType().isF64() ? DSC_F64 : DSC_F32,
                              static_cast<int32_t>(typeOf(x).getRank()), image.dims.data(),
                              image.strides.data(), weight.dims.data(), weight.strides.data(),
                              result.dims.data(), result.strides.data(), conv.getStrides().data(),
                              conv.getGroups());
  }
};
} // namespace

std::unique_ptr<Target> dsc::makeCpuTarget() { return std::make_unique<CpuTarget>(); }
