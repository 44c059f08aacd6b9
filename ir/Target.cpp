// The CPU target's answers.

#include "ir/Target.h"

#include "runtime/abi.h"

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
    return 0;
  }

  // A bias costs nothing as oneDNN's post-operation; activations are cheaper in generated kernels, which the backward
  // pass shares with the forward pass.
  bool takesEpilogue(Operation *contraction, Epilogue activation) const override {
    return activation == Epilogue::none;
  }

  int64_t grainBytes() const override { return 16 << 10; }
};
} // namespace

std::unique_ptr<Target> dsc::makeCpuTarget() { return std::make_unique<CpuTarget>(); }
