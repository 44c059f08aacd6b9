// Kinds of attention masks.

#include "passes/raise/AttentionMask.h"
#include "passes/raise/Constants.h"
#include "passes/raise/KnownRows.h"

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

namespace {
/// Goes over the elements of a mask, row by row, until it is neither causal nor nothing.
class MaskScan {
public:
  MaskScan(ArrayRef<int64_t> matrix, int64_t queries, int64_t keys)
      : rows(matrix[0]), columns(matrix[1]), causal(rows == queries && columns == keys) {}

  /// The next element; false where the mask is of no kind.
  bool add(Effect effect) {
    if (++column == columns) { // masks have millions of elements: no division for each
      column = 0;
      row = row + 1 == rows ? 0 : row + 1;
    }
    nothing &= effect == Effect::Visible;
    causal &= effect == effectOfVisible(column <= row);
    return nothing || causal;
  }
  MaskKind kind() const {
    return nothing ? MaskKind::Nothing : causal ? MaskKind::Causal : MaskKind::Other;
  }

private:
  int64_t rows, columns, row = 0, column = -1;
  bool nothing = true, causal;
};
} // namespace

template <typename Range, typename EffectOf>
static MaskKind scanElements(MaskScan scan, Range elements, EffectOf effectOf) {
  for (auto element : elements) {
    if (!scan.add(effectOf(element))) {
      break;
    }
  }
  return scan.kind();
}

/// The kind of a mask that is too large to be a constant.
static MaskKind scanRows(MaskScan scan, KnownRows &mask, bool inverted) {
  constexpr int64_t elementsAtOnce = int64_t(1) << 16;
  const int64_t most = std::max<int64_t>(1, elementsAtOnce / std::max<int64_t>(1, mask.columns()));
  for (int64_t row = 0; row < mask.rows(); row += most) {
    std::optional<EvaluatedTensor> part = mask.read(row, std::min(most, mask.rows() - row));
    if (!part) {
      return MaskKind::Runtime;
    }
    for (int64_t i = 0; i < part->size(); ++i) {
      Effect effect = part->isFloat() ? effectOfAdded(static_cast<float>(part->floats[i]))
                                      : effectOfVisible((part->integers[i] != 0) != inverted);
      if (!scan.add(effect)) {
        return scan.kind();
      }
    }
  }
  return scan.kind();
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
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> matrix(type.getShape().take_back(2));
  matrix.insert(matrix.begin(), 2 - matrix.size(), 1);
  MaskScan scan(matrix, queries, keys);
  DenseElementsAttr elements = constantElements(value);
  if (!elements) {
    bool isMask = isa<FloatType>(type.getElementType()) || type.getElementType().isInteger(1);
    std::optional<KnownRows> rows = isMask ? KnownRows::of(value) : std::nullopt;
    return rows ? scanRows(scan, *rows, inverted) : MaskKind::Runtime;
  }
  if (elements.getElementType().isInteger(1)) {
    auto effect = [&](bool element) { return effectOfVisible(element != inverted); };
    return scanElements(scan, elements.getValues<bool>(), effect);
  }
  if (elements.getElementType().isF32()) {
    auto effect = [](float element) { return effectOfAdded(element); };
    return scanElements(scan, elements.getValues<float>(), effect);
  }
  if (isa<FloatType>(elements.getElementType())) {
    auto effect = [](const APFloat &element) { return effectOfAdded(element); };
    return scanElements(scan, elements.getValues<APFloat>(), effect);
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
