// Kinds of attention masks.

#include "passes/raise/AttentionMask.h"
#include "passes/raise/Constants.h"

using namespace mlir;
using namespace dsc;

namespace {
/// What one element does to its score.
enum class Effect { Visible, Hidden, Changed };
} // namespace

static Effect effectOfVisible(bool visible) { return visible ? Effect::Visible : Effect::Hidden; }
static Effect effectOfAdded(float added) {
  return added == 0 ? Effect::Visible : added <= kHiddenScore ? Effect::Hidden : Effect::Changed;
}
static Effect effectOfAdded(APFloat number) {
  if (number.isZero()) {
    return Effect::Visible;
  }
  bool losesInfo;
  number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
  return number.convertToDouble() <= kHiddenScore ? Effect::Hidden : Effect::Changed;
}

/// Kind of a mask of `shape` whose elements have the effects `effectOf(element)`.
template <typename Range, typename EffectOf>
static MaskKind classifyElements(Range elements, EffectOf effectOf, ArrayRef<int64_t> shape,
                                 int64_t queries, int64_t keys) {
  int64_t rank = shape.size();
  int64_t rows = rank >= 2 ? shape[rank - 2] : 1, columns = rank >= 1 ? shape[rank - 1] : 1;
  bool nothing = true, causal = rows == queries && columns == keys;
  int64_t row = 0, column = -1; // masks have millions of elements: no division for each
  for (auto element : elements) {
    if (++column == columns) {
      column = 0;
      row = row + 1 == rows ? 0 : row + 1;
    }
    Effect effect = effectOf(element);
    if (effect == Effect::Changed) {
      return MaskKind::Other;
    }
    nothing &= effect == Effect::Visible;
    causal &= effect == effectOfVisible(column <= row);
    if (!nothing && !causal) {
      return MaskKind::Other;
    }
  }
  return nothing ? MaskKind::Nothing : MaskKind::Causal;
}

MaskKind dsc::classifyMask(Value value, int64_t queries, int64_t keys, bool inverted) {
  // Leading dimensions may have been repeated or added after the constant.
  while (Operation *op = value.getDefiningOp()) {
    auto shape = cast<RankedTensorType>(value.getType()).getShape();
    if (!isa<BroadcastOp, ReshapeOp>(op) || shape.size() < 2) {
      break;
    }
    auto inner = cast<RankedTensorType>(op->getOperand(0).getType()).getShape();
    if (inner.size() < 2 || inner.take_back(2) != shape.take_back(2)) {
      break;
    }
    value = op->getOperand(0);
  }
  DenseElementsAttr elements = constantElements(value);
  if (!elements) {
    return MaskKind::Runtime;
  }
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
  if (elements.getElementType().isInteger(1)) {
    auto effect = [&](bool element) { return effectOfVisible(element != inverted); };
    return classifyElements(elements.getValues<bool>(), effect, shape, queries, keys);
  }
  if (elements.getElementType().isF32()) {
    auto effect = [](float element) { return effectOfAdded(element); };
    return classifyElements(elements.getValues<float>(), effect, shape, queries, keys);
  }
  if (isa<FloatType>(elements.getElementType())) {
    auto effect = [](const APFloat &element) { return effectOfAdded(element); };
    return classifyElements(elements.getValues<APFloat>(), effect, shape, queries, keys);
  }
  return MaskKind::Other;
}

bool dsc::needsGradient(Value value) {
  SmallVector<Value> work{value};
  llvm::DenseSet<Operation *> seen;
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second) {
      continue;
    }
    if (auto get = dyn_cast<GetGlobalOp>(op)) {
      auto global = SymbolTable::lookupNearestSymbolFrom<GlobalOp>(get, get.getNameAttr());
      if (global && global.getRole() == GlobalRole::trained) {
        return true;
      }
    }
    llvm::append_range(work, op->getOperands());
  }
  return false;
}
