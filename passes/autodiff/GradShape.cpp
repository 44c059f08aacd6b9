// Gradients of views, data movement and indexing.

#include "passes/autodiff/GradRules.h"

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// Views and data movement
//===----------------------------------------------------------------------===//

// dx = dy in x's shape
void dsc::gradReshape(ReshapeOp op, Grad &g) {
  g.give(0, g.reshape(g.of(), tensorType(op.getX()).getShape()));
}

// dx = dy with the inverse permutation
void dsc::gradTranspose(TransposeOp op, Grad &g) {
  SmallVector<int64_t> inverse(op.getPermutation().size());
  for (auto [i, dim] : llvm::enumerate(op.getPermutation())) {
    inverse[dim] = i;
  }
  g.give(0, g.transpose(g.of(), inverse));
}

// dx = dy summed over repeated dimensions
void dsc::gradBroadcast(BroadcastOp op, Grad &g) { g.give(0, g.of()); }

// dx = dy padded with zeros where x was not read; dimensions read backwards are reversed first
void dsc::gradSlice(SliceOp op, Grad &g) {
  RankedTensorType x = tensorType(op.getX());
  Value dy = g.of();
  SmallVector<int64_t> low, high, interior, starts, steps;
  bool reversed = false;
  for (int64_t i = 0; i < x.getRank(); ++i) {
    int64_t start = op.getStarts()[i], size = op.getSizes()[i], step = op.getSteps()[i];
    bool backwards = step < 0 && size > 0;
    reversed = reversed || backwards;
    starts.push_back(backwards ? size - 1 : 0);
    steps.push_back(backwards ? -1 : 1);
    int64_t last = start + std::max<int64_t>(size - 1, 0) * step;
    int64_t first = size == 0 ? 0 : std::min(start, last);
    int64_t end = size == 0 ? 0 : std::max(start, last) + 1;
    low.push_back(first);
    high.push_back(x.getDimSize(i) - end);
    interior.push_back(size > 1 ? std::abs(step) - 1 : 0);
  }
  if (reversed) {
    dy = g.create<SliceOp>(dy, starts, op.getSizes(), steps);
  }
  g.give(0, g.create<PadOp>(dy, low, high, interior, APFloat(0.0)));
}

// dx = the elements of dy that came from x
void dsc::gradPad(PadOp op, Grad &g) {
  SmallVector<int64_t> steps;
  for (int64_t interior : op.getInterior()) {
    steps.push_back(interior + 1);
  }
  g.give(0, g.create<SliceOp>(g.of(), op.getLow(), tensorType(op.getX()).getShape(), steps));
}

// each operand's gradient is its part of dz
void dsc::gradConcat(ConcatOp op, Grad &g) {
  int64_t axis = op.getAxis();
  SmallVector<int64_t> starts(tensorType(op.getResult()).getRank(), 0), steps(starts.size(), 1);
  for (OpOperand &operand : op->getOpOperands()) {
    ArrayRef<int64_t> sizes = tensorType(operand.get()).getShape();
    if (g.wants(operand)) {
      g.give(operand.getOperandNumber(), g.create<SliceOp>(g.of(), starts, sizes, steps));
    }
    starts[axis] += sizes[axis];
  }
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

// ddata = rows of dy added at their indices
void dsc::gradGather(GatherOp op, Grad &g) {
  g.give(0, g.create<GatherGradOp>(op.getData().getType(), g.of(), op.getIndices(), op.getAxis()));
}

// y = gather_grad(x, indices): dx = gather(dy, indices)
void dsc::gradGatherGrad(GatherGradOp op, Grad &g) {
  g.give(0, g.create<GatherOp>(g.of(), op.getIndices(), op.getAxis()));
}

// ddata = dy added into zeros at the indices
void dsc::gradGatherElements(GatherElementsOp op, Grad &g) {
  Value zeros = g.splat(tensorType(op.getData()), 0);
  g.give(0, g.create<ScatterElementsOp>(zeros, op.getIndices(), g.of(), op.getAxis(),
                                        ScatterKind::add));
}

namespace {
/// What the rules of the two scatters share: `gather` reads and `scatter` writes at the op's
/// indices.
struct Scatter {
  Value data, updates, result;
  ScatterKind kind;
  llvm::function_ref<Value(Value)> gather;
  llvm::function_ref<Value(Value, Value, ScatterKind)> scatter;
};
} // namespace

// none: ddata = dz with zeros written, dupdates = dz read; add: ddata = dz, dupdates = dz read;
// mul: ddata = dz times the updates, dupdates = (dz z read) / updates;
// max, min: dz / n to each of the n candidates equal to z
static void gradScatter(const Scatter &s, Grad &g) {
  Value dz = g.of();
  switch (s.kind) {
  case ScatterKind::none:
    if (g.wants(0)) {
      g.give(0, s.scatter(dz, g.splat(tensorType(s.updates), 0), ScatterKind::none));
    }
    if (g.wants(2)) {
      g.give(2, s.gather(dz));
    }
    return;
  case ScatterKind::add:
    g.give(0, dz);
    if (g.wants(2)) {
      g.give(2, s.gather(dz));
    }
    return;
  case ScatterKind::mul:
    if (g.wants(0)) {
      g.give(0, s.scatter(dz, s.updates, ScatterKind::mul));
    }
    if (g.wants(2)) {
      g.give(2, g.div(s.gather(g.mul(dz, s.result)), s.updates));
    }
    return;
  case ScatterKind::max:
  case ScatterKind::min: {
    Type element = tensorType(dz).getElementType();
    Value dataWins = g.cast(g.compare(ComparePredicate::eq, s.data, s.result), element);
    Value updateWins =
        g.cast(g.compare(ComparePredicate::eq, s.updates, s.gather(s.result)), element);
    Value winners = s.scatter(dataWins, updateWins, ScatterKind::add);
    Value share = g.div(dz, winners);
    g.give(0, g.mul(share, dataWins));
    if (g.wants(2)) {
      g.give(2, g.mul(s.gather(share), updateWins));
    }
    return;
  }
  }
}

// as gradScatter
void dsc::gradScatterElements(ScatterElementsOp op, Grad &g) {
  auto gather = [&](Value x) -> Value {
    return g.create<GatherElementsOp>(x, op.getIndices(), op.getAxis());
  };
  auto scatter = [&](Value x, Value updates, ScatterKind kind) -> Value {
    return g.create<ScatterElementsOp>(x, op.getIndices(), updates, op.getAxis(), kind);
  };
  gradScatter({op.getData(), op.getUpdates(), op.getResult(), op.getKind(), gather, scatter}, g);
}

// as gradScatter
void dsc::gradScatterNd(ScatterNdOp op, Grad &g) {
  auto gather = [&](Value x) -> Value { return g.create<GatherNdOp>(x, op.getIndices(), 0); };
  auto scatter = [&](Value x, Value updates, ScatterKind kind) -> Value {
    return g.create<ScatterNdOp>(x, op.getIndices(), updates, kind);
  };
  gradScatter({op.getData(), op.getUpdates(), op.getResult(), op.getKind(), gather, scatter}, g);
}

/// The index tuples of a gather_nd with batch dimensions, with each tuple's batch coordinates
/// written in front.
static Value withBatchCoordinates(Grad &g, Value indices, int64_t batchDims) {
  RankedTensorType type = tensorType(indices);
  SmallVector<Value> columns;
  for (int64_t dim = 0; dim < batchDims; ++dim) {
    SmallVector<int64_t> along(type.getRank(), 1), full(type.getShape());
    along[dim] = type.getDimSize(dim);
    full.back() = 1;
    SmallVector<APInt> numbers;
    for (int64_t i = 0; i < type.getDimSize(dim); ++i) {
      numbers.emplace_back(type.getElementTypeBitWidth(), i);
    }
    Value line = g.create<ConstantOp>(DenseElementsAttr::get(type.clone(along), numbers));
    columns.push_back(g.broadcast(line, full));
  }
  columns.push_back(indices);
  return g.create<ConcatOp>(columns, type.getRank() - 1);
}

// ddata = dy added into zeros at the index tuples
void dsc::gradGatherNd(GatherNdOp op, Grad &g) {
  Value zeros = g.splat(tensorType(op.getData()), 0), indices = op.getIndices();
  if (op.getBatchDims() > 0) {
    indices = withBatchCoordinates(g, indices, op.getBatchDims());
  }
  g.give(0, g.create<ScatterNdOp>(zeros, indices, g.of(), ScatterKind::add));
}
