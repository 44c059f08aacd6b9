// Merges a kernel's dimensions and orders its values by the reductions they depend on.

#include "codegen/KernelSpace.h"

#include "codegen/EmitElementwise.h"

using namespace mlir;
using namespace dsc;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// Size of `shape`, aligned at the last dimension, in dimension `dim` of a domain of `rank`.
static int64_t alignedSize(ArrayRef<int64_t> shape, int64_t dim, int64_t rank) {
  int64_t i = dim - (rank - static_cast<int64_t>(shape.size()));
  return i < 0 ? 1 : shape[i];
}

KernelSpace::KernelSpace(KernelOp kernel) : kernel_(kernel) {
  mergeDims();
  findStages();
}

void KernelSpace::mergeDims() {
  ArrayRef<int64_t> domain = kernel_.getDomain();
  int64_t rank = domain.size(), rowRank = kernel_.getRowRank();
  bool elementwise = kernel_.getKind() == KernelKind::elementwise;
  SmallVector<ArrayRef<int64_t>> shapes;
  for (Value argument : kernel_.getBody().getArguments()) {
    shapes.push_back(shapeOf(argument));
  }
  for (Value result : kernel_.getResults()) {
    shapes.push_back(shapeOf(result));
  }
  auto together = [&](int64_t a, int64_t b) {
    if (!elementwise && (a < rowRank) != (b < rowRank)) {
      return false;
    }
    return llvm::all_of(shapes, [&](ArrayRef<int64_t> shape) {
      return (alignedSize(shape, a, rank) == 1) == (alignedSize(shape, b, rank) == 1);
    });
  };
  SmallVector<std::pair<int64_t, int64_t>> groups;
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (domain[dim] == 1) {
      continue;
    }
    if (!groups.empty() && together(groups.back().second, dim)) {
      groups.back().second = dim;
    } else {
      groups.push_back({dim, dim});
    }
  }
  for (auto [i, group] : llvm::enumerate(groups)) {
    bool isRow = elementwise ? i + 1 < groups.size() : group.first < rowRank;
    int64_t size = 1;
    for (int64_t dim = group.first; dim <= group.second; ++dim) {
      size *= domain[dim];
    }
    (isRow ? rowGroups_ : columnGroups_).push_back(group);
    (isRow ? rowDims_ : columnDims_).push_back(size);
    (isRow ? rows_ : columns_) *= size;
  }
  if (rowDims_.empty()) {
    rowDims_.push_back(1);
    rowGroups_.push_back({-1, -1});
  }
  if (columnDims_.empty()) {
    columnDims_.push_back(1);
    columnGroups_.push_back({-1, -1});
  }
}

Access KernelSpace::access(Value tensor) const {
  ArrayRef<int64_t> shape = shapeOf(tensor);
  int64_t rank = kernel_.getDomain().size();
  auto stride = [&](std::pair<int64_t, int64_t> group) -> int64_t {
    if (group.second < 0 || alignedSize(shape, group.second, rank) == 1) {
      return 0;
    }
    int64_t inner = 1;
    for (int64_t dim = group.second + 1; dim < rank; ++dim) {
      inner *= alignedSize(shape, dim, rank);
    }
    return inner;
  };
  Access access;
  for (auto group : rowGroups_) {
    access.rowStrides.push_back(stride(group));
  }
  for (auto group : columnGroups_) {
    access.columnStrides.push_back(stride(group));
  }
  return access;
}

KernelSpace::IotaPlace KernelSpace::placeOf(IotaOp iota) const {
  ArrayRef<int64_t> domain = kernel_.getDomain();
  int64_t axis = iota.getAxis() + domain.size() - shapeOf(iota).size(), inner = 1;
  for (size_t dim = axis + 1; dim < domain.size(); ++dim) {
    inner *= domain[dim];
  }
  int64_t size = shapeOf(iota)[iota.getAxis()];
  bool overColumns = inner * size <= columns_;
  return {overColumns, overColumns ? inner : inner / columns_, size};
}

static bool isZero(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto splat = constant ? dyn_cast<SplatElementsAttr>(constant.getValue()) : SplatElementsAttr();
  return splat && (isa<FloatType>(splat.getElementType()) ? splat.getSplatValue<APFloat>().isZero()
                                                          : splat.getSplatValue<APInt>().isZero());
}

std::optional<KernelSpace::Pick> KernelSpace::pickOf(ReduceOp reduce) const {
  auto select = reduce.getX().getDefiningOp<SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<CompareOp>() : CompareOp();
  auto iota = compare ? compare.getLhs().getDefiningOp<IotaOp>() : IotaOp();
  bool picks = reduce.getKind() == ReduceKind::sum && llvm::is_contained(rowReductions_, reduce) &&
               iota && isColumnNumber(iota) && compare.getPredicate() == ComparePredicate::eq &&
               level(compare.getRhs()) != Level::element &&
               level(select.getX()) == Level::element && isZero(select.getY());
  return picks ? std::optional<Pick>({select.getX(), compare.getRhs()}) : std::nullopt;
}

/// Whether a reduction runs over rows: its axes are dimensions of the domain before the columns.
static bool reducesRows(KernelOp kernel, ReduceOp reduce) {
  int64_t offset = kernel.getDomain().size() - shapeOf(reduce.getX()).size();
  ArrayRef<int64_t> domain = kernel.getDomain();
  for (int64_t axis : reduce.getAxes()) {
    int64_t dim = axis + offset;
    if (dim >= 0 && domain[dim] != 1) {
      return dim < static_cast<int64_t>(kernel.getRowRank());
    }
  }
  // Only axes of size 1: nothing is added, but rows and columns keep their places.
  return kernel.getKind() != KernelKind::row && !reduce.getAxes().empty() &&
         reduce.getAxes()[0] + offset < static_cast<int64_t>(kernel.getRowRank());
}

void KernelSpace::findStages() {
  for (Value argument : kernel_.getBody().getArguments()) {
    Access where = access(argument);
    levels_[argument] = where.variesOverColumns() ? Level::element
                        : where.variesOverRows()  ? Level::row
                                                  : Level::kernel;
  }
  for (Operation &op : kernel_.getBody().front().without_terminator()) {
    Level level = Level::kernel;
    int64_t rowStage = 0, columnStage = 0;
    for (Value operand : op.getOperands()) {
      level = std::max(level, levels_.lookup(operand));
      rowStage = std::max(rowStage, rowStages_.lookup(operand));
      columnStage = std::max(columnStage, columnStages_.lookup(operand));
    }
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      if (reducesRows(kernel_, reduce)) {
        // What comes out is read from memory, and known to every row of the next launch.
        level = Level::element;
        rowStage = 0;
        columnReductions_.push_back(reduce);
        maxColumnStage_ = std::max(maxColumnStage_, ++columnStage);
      } else {
        level = Level::row;
        rowReductions_.push_back(reduce);
        maxRowStage_ = std::max(maxRowStage_, ++rowStage);
      }
    }
    if (auto iota = dyn_cast<IotaOp>(op); iota && shapeOf(iota)[iota.getAxis()] != 1) {
      level = placeOf(iota).overColumns ? Level::element : Level::row;
    }
    for (Value result : op.getResults()) {
      levels_[result] = level;
      rowStages_[result] = rowStage;
      columnStages_[result] = columnStage;
    }
  }
}

bool KernelSpace::isFullResult(unsigned i) const {
  return columns_ == 1 || access(kernel_.getResult(i)).variesOverColumns();
}

bool KernelSpace::isColumnResult(unsigned i) const {
  Value yielded = kernel_.getBody().front().getTerminator()->getOperand(i);
  return columnStage(yielded) > 0 && rowStage(yielded) == 0 &&
         (rows_ == 1 || !access(kernel_.getResult(i)).variesOverRows());
}

LogicalResult KernelSpace::verify() const {
  ArrayRef<int64_t> domain = kernel_.getDomain();
  int64_t rank = domain.size();
  for (Value value : kernel_.getBody().getArguments()) {
    if (!broadcastsTo(shapeOf(value), domain)) {
      return kernel_.emitOpError("operand ")
             << value.getType() << " does not broadcast to the domain";
    }
  }
  for (Operation &op : kernel_.getBody().front().without_terminator()) {
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      int64_t first = reducesRows(kernel_, reduce) ? 0 : kernel_.getRowRank();
      int64_t last = reducesRows(kernel_, reduce) ? kernel_.getRowRank() : rank;
      for (int64_t dim = first; dim < last; ++dim) {
        if (alignedSize(shapeOf(reduce.getX()), dim, rank) != domain[dim] ||
            alignedSize(shapeOf(reduce.getY()), dim, rank) != 1) {
          return reduce.emitOpError("reduces ")
                 << reduce.getX().getType() << " to " << reduce.getY().getType()
                 << ", not over all rows or all columns of its kernel's domain";
        }
      }
    } else if (auto constant = dyn_cast<ConstantOp>(op)) {
      if (!isa<SplatElementsAttr>(constant.getValue())) {
        return constant.emitOpError("in a kernel must be a splat");
      }
    } else if (!isElementwise(&op)) {
      return op.emitOpError("cannot stand in a kernel of kind ")
             << stringifyKernelKind(kernel_.getKind());
    }
  }
  if (kernel_.getKind() == KernelKind::elementwise &&
      !(rowReductions_.empty() && columnReductions_.empty())) {
    return kernel_.emitOpError("is elementwise but holds a reduction");
  }
  return success();
}
