// Evaluates a few rows of a tree of elementwise ops.

#include "passes/raise/KnownRows.h"

#include "passes/raise/Constants.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The last two dimensions; those that are missing are 1.
static SmallVector<int64_t, 2> matrixOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t, 2> matrix(shape.take_back(2));
  while (matrix.size() < 2) {
    matrix.insert(matrix.begin(), 1);
  }
  return matrix;
}

/// Whether the op only adds, removes or repeats what is left of the matrix, or repeats the matrix.
static bool passesMatrix(Operation *op) {
  if (isa<BroadcastOp>(op)) {
    return true;
  }
  return isa<ReshapeOp>(op) && matrixOf(typeOf(op->getOperand(0)).getShape()) ==
                                   matrixOf(typeOf(op->getResult(0)).getShape());
}

/// The elements of a constant, in another shape perhaps; null where `value` is something else.
static DenseElementsAttr shapedConstant(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  DenseElementsAttr elements = constantElements(reshape ? reshape.getX() : value);
  return elements ? elements.reshape(typeOf(value)) : elements;
}

KnownRows::KnownRows(Value value) : root(value), shape(matrixOf(typeOf(value).getShape())) {}

std::optional<KnownRows> KnownRows::of(Value value) {
  KnownRows rows(value);
  constexpr int deepest = 64;
  return rows.collect(value, deepest) ? std::optional(std::move(rows)) : std::nullopt;
}

/// Checks the ops that `value` is made by, and reads their constants.
bool KnownRows::collect(Value value, int depth) {
  if (constants.contains(value) || steps.contains(value)) {
    return true;
  }
  if (DenseElementsAttr elements = shapedConstant(value)) {
    SmallVector<int64_t, 2> matrix = matrixOf(typeOf(value).getShape());
    if (elements.isSplat()) {
      matrix = {1, 1};
      elements = elements.resizeSplat(typeOf(value).clone(matrix));
    }
    if (elements.getNumElements() != matrix[0] * matrix[1]) {
      return false; // differs along the leading dimensions
    }
    constants.try_emplace(
        value, EvaluatedTensor::fromAttribute(elements.reshape(typeOf(value).clone(matrix))));
    return true;
  }
  Operation *op = value.getDefiningOp();
  bool isStep = op && depth > 0 && op->getNumOperands() > 0 && op->getNumResults() == 1 &&
                (op->hasTrait<Elementwise>() || passesMatrix(op));
  if (!isStep || !llvm::all_of(op->getOperands(),
                               [&](Value operand) { return collect(operand, depth - 1); })) {
    return false;
  }
  steps.insert(value);
  return true;
}

const EvaluatedTensor *KnownRows::readValue(Value value, int64_t first, int64_t count) {
  auto done = known.find(value);
  if (done != known.end()) {
    return &done->second;
  }
  if (auto constant = constants.find(value); constant != constants.end()) {
    const EvaluatedTensor &whole = constant->second;
    if (whole.shape()[0] == 1) {
      return &whole;
    }
    int64_t columns = whole.shape()[1];
    EvaluatedTensor part(whole.type.clone({count, columns}));
    for (int64_t i = 0; i < count * columns; ++i) {
      part.copyElement(i, whole, first * columns + i);
    }
    return &known.try_emplace(value, std::move(part)).first->second;
  }
  Operation *op = value.getDefiningOp();
  std::vector<EvaluatedTensor> operands, results;
  SmallVector<int64_t> joined;
  for (Value operand : op->getOperands()) {
    const EvaluatedTensor *part = readValue(operand, first, count);
    if (!part) {
      return nullptr;
    }
    if (passesMatrix(op)) { // what it repeats is repeated by whatever reads it
      EvaluatedTensor same = *part;
      return &known.try_emplace(value, std::move(same)).first->second;
    }
    operands.push_back(*part);
    joined = *broadcastShapes(joined, part->shape());
  }
  Type type = typeOf(value).clone(joined);
  if (!evaluateAs(type, op, operands, results)) {
    return nullptr;
  }
  return &known.try_emplace(value, std::move(results.front())).first->second;
}

std::optional<EvaluatedTensor> KnownRows::read(int64_t first, int64_t count) {
  known.clear();
  const EvaluatedTensor *part = readValue(root, first, count);
  if (!part) {
    return std::nullopt;
  }
  EvaluatedTensor whole(part->type.clone({count, columns()}));
  const EvaluatedTensor &from = *part;
  int64_t rowStride = from.shape()[0] == 1 ? 0 : from.shape()[1];
  int64_t columnStride = from.shape()[1] == 1 ? 0 : 1;
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t column = 0; column < columns(); ++column) {
      whole.copyElement(row * columns() + column, from, row * rowStride + column * columnStride);
    }
  }
  return whole;
}
