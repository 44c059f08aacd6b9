// Follows an operand of attention back through changes of layout to the values that hold its rows.

#include "passes/raise/AttentionRows.h"

#include "passes/raise/Constants.h"
#include "passes/raise/StridedView.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static ArrayRef<int64_t> shapeOf(Value value) { return typeOf(value).getShape(); }

/// Reads `view`, the [batch, length, heads, width] view of `source`, as rows; nothing where it is
/// not one.
static std::optional<RowSource> rowsOf(const StridedView &view, Value source) {
  SmallVector<int64_t> shape = view.shape();
  int64_t batch = shape[0], length = shape[1], heads = shape[2], width = shape[3];
  auto single = [&](int64_t dim, int64_t stride) {
    const StridedView::Dimension &factors = view.dimension(dim);
    return factors.size() == 1 && factors.front().stride == stride;
  };
  if (width != 1 && !single(3, 1)) {
    return std::nullopt;
  }
  RowSource rows{source, typeOf(source).getNumElements(), view.offset(), heads, 1, false};
  StridedView::Dimension headFactors = view.dimension(2);
  if (!headFactors.empty() && headFactors.back().stride == 0) { // repeated keys
    rows.heads = heads / headFactors.back().size;
    headFactors.pop_back();
  }
  if (headFactors.size() > 1 || (!headFactors.empty() && headFactors.front().stride != width)) {
    return std::nullopt;
  }
  if (length > 1) {
    if (view.dimension(1).size() != 1) {
      return std::nullopt;
    }
    rows.row = view.dimension(1).front().stride;
  } else if (batch > 1) {
    if (view.dimension(0).size() != 1) {
      return std::nullopt;
    }
    rows.row = view.dimension(0).front().stride;
  }
  bool regular = batch == 1 || single(0, length * rows.row);
  bool covers = typeOf(source).getNumElements() == batch * length * rows.row;
  bool inside = rows.offset >= 0 && rows.offset + rows.heads * width <= rows.row;
  return regular && covers && inside ? std::optional(rows) : std::nullopt;
}

SmallVector<RowSource> dsc::findRowSources(Value operand, int64_t heads, bool takesScale) {
  SmallVector<int64_t> split{shapeOf(operand)[0], shapeOf(operand)[1], heads,
                             shapeOf(operand)[2] / heads};
  SmallVector<RowSource> sources;
  SmallVector<Operation *> chain; // nearest first
  double scale = 1;
  bool copies = false;
  for (Value at = operand;;) {
    StridedView view = StridedView::contiguous(shapeOf(at));
    bool valid =
        llvm::all_of(llvm::reverse(chain), [&](Operation *step) { return view.apply(step); }) &&
        view.reshape(split);
    if (std::optional<RowSource> rows = valid ? rowsOf(view, at) : std::nullopt) {
      rows->scale = scale;
      rows->copies = copies;
      sources.push_back(*rows);
    }
    Operation *op = at.getDefiningOp();
    if (isViewOp(op)) {
      copies |= !isa<ReshapeOp>(op);
      chain.push_back(op);
      at = op->getOperand(0);
      continue;
    }
    std::optional<ScaledValue> scaled = op && takesScale ? matchScaled(at) : std::nullopt;
    if (!scaled) {
      return sources;
    }
    copies = true;
    scale *= scaled->scale;
    at = scaled->x;
  }
}
