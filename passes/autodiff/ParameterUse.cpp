// The use of parameters, from the ops that read them: names tell it only where exporters keep them.

#include "passes/autodiff/ParameterUse.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace dsc;

/// At most one dimension has more than one element.
static bool isVector(GlobalOp global) {
  return llvm::count_if(global.getTensorType().getShape(),
                        [](int64_t size) { return size != 1; }) <= 1;
}

namespace {
struct ParameterUse {
  bool norm = false, bias = false;

  /// Follows `value`, a parameter or a view of it.
  void collect(Value value, bool vector) {
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      const unsigned operand = use.getOperandNumber();
      if (isa<ReshapeOp, BroadcastOp, TransposeOp, CastOp, SliceOp>(user)) {
        collect(user->getResult(0), vector);
      } else if (isa<LayerNormOp, RmsNormOp, BatchNormOp>(user) && operand > 0) {
        norm = true;
        bias |= isBiasOfNorm(user, value);
      } else if (isa<ConvOp>(user) && operand == 2) {
        bias = true;
      } else if (vector && isa<AddOp, SubOp>(user)) {
        bias = true;
      } else if (vector && isa<MulOp>(user)) {
        norm = true;
      }
    }
  }

private:
  static bool isBiasOfNorm(Operation *user, Value value) {
    if (auto layer = dyn_cast<LayerNormOp>(user)) {
      return layer.getBeta() == value;
    }
    auto batch = dyn_cast<BatchNormOp>(user);
    return batch && batch.getBeta() == value;
  }
};
} // namespace

void dsc::markParameterUses(ModuleOp module, func::FuncOp forward) {
  llvm::MapVector<Attribute, ParameterUse> uses;
  SymbolTable symbols(module);
  for (auto get : forward.getOps<GetGlobalOp>()) {
    auto global = symbols.lookup<GlobalOp>(get.getNameAttr().getAttr());
    if (global && global.getRole() == GlobalRole::trained) {
      uses[global.getSymNameAttr()].collect(get.getResult(), isVector(global));
    }
  }
  Builder b(module.getContext());
  for (auto &[name, use] : uses) {
    SmallVector<StringRef> words;
    if (use.norm) {
      words.push_back("norm");
    }
    if (use.bias) {
      words.push_back("bias");
    }
    if (!words.empty()) {
      symbols.lookup(cast<StringAttr>(name))->setAttr("dsc.use", b.getStrArrayAttr(words));
    }
  }
}
