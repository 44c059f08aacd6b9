// Writing kernels. All values in a body have the rank of the kernel's domain (but for scalar
// constants), so code generation sees one form; reshapes outside give operands and results that
// form and fold away where they have it.

#include "passes/fusion/EmitKernels.h"

#include "ir/OpsOrder.h"
#include "ir/Target.h"
#include "passes/memory/Liveness.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static bool isView(Operation *op) {
  auto slice = dyn_cast<SliceOp>(op);
  int64_t offset = 0;
  return slice && isContiguousSlice(slice, offset);
}

bool dsc::staysOutside(Operation *op) {
  return isa<MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp, AttentionGradOp,
             ReshapeOp, ConstantOp, GetGlobalOp, SetGlobalOp, GradientsOp, PackOp, AfterOp,
             ReduceScatterOp, AllGatherOp, AllReduceOp, func::ReturnOp>(op) ||
         isView(op);
}

static Value reshapeTo(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  RankedTensorType type = typeOf(value);
  return type.getShape() == shape ? value
                                  : builder.createOrFold<ReshapeOp>(loc, type.clone(shape), value);
}

static bool sameOp(Operation *a, Operation *b) {
  return a->getName() == b->getName() && a->getOperands() == b->getOperands() &&
         a->getResultTypes() == b->getResultTypes() &&
         a->getAttrDictionary() == b->getAttrDictionary();
}

namespace {
class KernelEmitter {
public:
  KernelEmitter(OpBuilder &builder, const FusionGraph &graph, const FusionGroup &group,
                DenseMap<Value, Value> &emitted)
      : builder(builder), graph(graph), group(group), emitted(emitted),
        dims(*dimsOf(graph, group.nodes, group.points, group.columns)),
        body(std::make_unique<Block>()) {}

  void emit(ArrayRef<std::string> refused);

private:
  Value made(Value value, const Span &varies, ArrayRef<int64_t> shape);
  Value operandFor(const FusionLink &link, const Span &span, bool scalarsMayStay);
  SmallVector<Value> operandsOf(int index, const Span &result);
  Operation *insertOnce(Operation *op);
  void emitNode(int index);
  Location location() const;

  OpBuilder &builder;
  const FusionGraph &graph;
  const FusionGroup &group;
  DenseMap<Value, Value> &emitted; // what took the place of other groups' results
  SpaceDims dims;
  std::unique_ptr<Block> body;
  SmallVector<Value> operands;
  DenseMap<Value, Value> inBody; // a node's result -> its value in the body
};
} // namespace

/// Appends `op` unless the body has it already.
Operation *KernelEmitter::insertOnce(Operation *op) {
  for (Operation &other : *body) {
    if (sameOp(&other, op)) {
      op->destroy();
      return &other;
    }
  }
  body->push_back(op);
  return op;
}

/// The value of a constant or iota in the body, of `shape`.
Value KernelEmitter::made(Value value, const Span &varies, ArrayRef<int64_t> shape) {
  OpBuilder detached(builder.getContext());
  Location loc = value.getLoc();
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    auto splat = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>();
    auto elements = DenseElementsAttr::get(typeOf(value).clone(shape), splat);
    return insertOnce(detached.create<ConstantOp>(loc, elements))->getResult(0);
  }
  RankedTensorType type = typeOf(value).clone(dims.shapeOf(varies));
  SmallVector<int64_t> axes = dims.axesOf(varies);
  Operation *iota =
      axes.empty() // one index, 0
          ? insertOnce(detached.create<ConstantOp>(
                loc, DenseElementsAttr::get(type, builder.getZeroAttr(type.getElementType()))))
          : insertOnce(detached.create<IotaOp>(loc, type, axes[0]));
  if (type.getShape() == shape) {
    return iota->getResult(0);
  }
  return insertOnce(detached.create<BroadcastOp>(loc, type.clone(shape), iota->getResult(0)))
      ->getResult(0);
}

Value KernelEmitter::operandFor(const FusionLink &link, const Span &span, bool scalarsMayStay) {
  if (Value inside = inBody.lookup(link.root)) {
    return inside;
  }
  Value root = emitted.contains(link.root) ? emitted.lookup(link.root) : link.root;
  bool stays = scalarsMayStay && typeOf(root).getRank() == 0;
  SmallVector<int64_t> shape = stays ? SmallVector<int64_t>() : dims.shapeOf(span);
  root = lookThroughReshapes(root);
  for (auto [i, known] : llvm::enumerate(operands)) {
    if (lookThroughReshapes(known) == root &&
        typeOf(known).getShape() == ArrayRef<int64_t>(shape)) {
      return body->getArgument(i);
    }
  }
  operands.push_back(reshapeTo(builder, root.getLoc(), root, shape));
  return body->addArgument(operands.back().getType(), operands.back().getLoc());
}

/// The operands of a node in the body. Constants are scalars, iotas vary along one dimension, and
/// scalar operands stay so, where the other operands give the op its shape.
SmallVector<Value> KernelEmitter::operandsOf(int index, const Span &result) {
  const FusionNode &node = graph.nodes[index];
  SmallVector<Span> spans, varies;
  SmallVector<int64_t> covered;
  bool hasRank = false;
  for (const FusionLink &link : node.links) {
    Strides strides = graph.linkStrides(index, link);
    Span span = spanOf(typeOf(link.root).getShape(), strides);
    spans.push_back(span);
    if (auto iota = link.root.getDefiningOp<IotaOp>()) {
      int64_t axis = iota.getAxis();
      span = spanOf({typeOf(link.root).getDimSize(axis)}, {strides[axis]});
    } else if (isMadeInKernels(link.root)) {
      span = {};
    }
    SmallVector<int64_t> axes = dims.axesOf(span);
    covered.append(axes);
    hasRank |= !axes.empty();
    varies.push_back(span);
  }
  bool broadcasts =
      node.op->getNumOperands() > 1 && !node.op->hasTrait<OpTrait::SameTypeOperands>();
  bool othersGiveShape =
      broadcasts && hasRank && llvm::all_of(dims.axesOf(result), [&](int64_t axis) {
        return llvm::is_contained(covered, axis);
      });
  SmallVector<Value> values(node.op->getNumOperands());
  for (auto [i, link] : llvm::enumerate(node.links)) {
    if (!isMadeInKernels(link.root)) {
      values[link.operand] = operandFor(link, spans[i], broadcasts && hasRank);
      continue;
    }
    SmallVector<int64_t> shape = dims.shapeOf(othersGiveShape ? varies[i] : spans[i]);
    bool isScalar = othersGiveShape && link.root.getDefiningOp<ConstantOp>();
    values[link.operand] = made(link.root, varies[i], isScalar ? ArrayRef<int64_t>() : shape);
  }
  return values;
}

void KernelEmitter::emitNode(int index) {
  const FusionNode &node = graph.nodes[index];
  Operation *op = node.op;
  Span resultSpan = spanOf(typeOf(op->getResult(0)).getShape(), graph.resultStrides(index));
  SmallVector<Value> newOperands = operandsOf(index, resultSpan);
  SmallVector<int64_t> newShape = dims.shapeOf(resultSpan);
  if (isa<BroadcastOp>(op) && typeOf(newOperands[0]).getShape() == ArrayRef<int64_t>(newShape)) {
    inBody[op->getResult(0)] = newOperands[0];
    return;
  }
  Operation *clone = op->cloneWithoutRegions();
  clone->setOperands(newOperands);
  for (Value value : clone->getResults()) {
    value.setType(typeOf(value).clone(newShape));
  }
  if (auto reduce = dyn_cast<ReduceOp>(clone)) {
    int64_t rows = dims.rowRank(node.columns), rank = static_cast<int64_t>(dims.shape().size());
    auto axes = node.reduce == ReduceSpan::row ? llvm::seq<int64_t>(rows, rank)
                                               : llvm::seq<int64_t>(0, rows);
    reduce.setAxes(llvm::to_vector(axes));
  }
  Operation *inserted = insertOnce(clone);
  for (auto [value, inside] : llvm::zip_equal(op->getResults(), inserted->getResults())) {
    inBody[value] = inside;
  }
}

Location KernelEmitter::location() const {
  SmallVector<Location> locations;
  for (int node : group.nodes) {
    locations.push_back(graph.nodes[node].op->getLoc());
  }
  return FusedLoc::get(builder.getContext(), locations);
}

void KernelEmitter::emit(ArrayRef<std::string> refused) {
  for (int node : group.nodes) {
    emitNode(node);
  }
  // Equal values of the body are one result.
  SmallVector<Value> yielded;
  SmallVector<std::pair<Value, size_t>> replaced;
  int64_t columnReductions = 0, widest = 0;
  for (int node : group.nodes) {
    for (Value result : graph.nodes[node].op->getResults()) {
      if (!graph.isReadOutside(result, graph.nodes[node].group, graph.nodes[node].group)) {
        continue;
      }
      Value value = inBody.lookup(result);
      auto it = llvm::find(yielded, value);
      replaced.push_back({result, it - yielded.begin()});
      if (it == yielded.end()) {
        yielded.push_back(value);
      }
    }
  }
  for (Operation &op : *body) {
    auto reduce = dyn_cast<ReduceOp>(op);
    if (reduce && group.hasColumn && reduce.getAxes()[0] == 0 && dims.rowRank(group.columns) > 0) {
      Type element = typeOf(reduce.getY()).getElementType();
      ++columnReductions;
      widest = std::max(widest,
                        elementBytes(isa<FloatType>(element) ? statisticsType(element) : element));
    }
  }
  Location loc = location();
  OpBuilder inside(builder.getContext());
  inside.setInsertionPointToEnd(body.get());
  inside.create<YieldOp>(loc, yielded);

  KernelKind kind = group.hasRow && group.hasColumn ? KernelKind::row_column
                    : group.hasRow                  ? KernelKind::row
                    : group.hasColumn               ? KernelKind::column
                                                    : KernelKind::elementwise;
  SmallVector<int64_t> domain = dims.shape();
  int64_t rowRank =
      group.columns != 0 ? dims.rowRank(group.columns) : static_cast<int64_t>(domain.size());
  int64_t scratch = 0;
  if (group.hasColumn) {
    scratch = targetOf(graph.nodes[group.nodes[0]].op)
                  ->columnScratchBytes(group.points / group.columns, group.columns,
                                       columnReductions, widest);
  }
  SmallVector<StringRef> reasons(refused.begin(), refused.end());
  auto kernel = builder.create<KernelOp>(
      loc, TypeRange(ValueRange(yielded)), operands, kind, domain, rowRank, scratch,
      reasons.empty() ? ArrayAttr() : builder.getStrArrayAttr(reasons), group.ownedChunks);
  kernel.getBody().push_back(body.release());
  for (auto &[value, index] : replaced) {
    Value view =
        reshapeTo(builder, value.getLoc(), kernel.getResult(index), typeOf(value).getShape());
    value.replaceAllUsesWith(view);
    emitted[value] = view;
  }
}

/// Wraps `op` in a kernel of plain loops.
static void emitLoops(OpBuilder &builder, Operation *op, ArrayRef<std::string> refused,
                      DenseMap<Value, Value> &emitted) {
  auto body = std::make_unique<Block>();
  IRMapping mapping;
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    if (!mapping.contains(operand)) {
      mapping.map(operand, body->addArgument(operand.getType(), operand.getLoc()));
      operands.push_back(operand);
    }
  }
  OpBuilder inside(builder.getContext());
  inside.setInsertionPointToEnd(body.get());
  Operation *clone = inside.clone(*op, mapping);
  inside.create<YieldOp>(op->getLoc(), clone->getResults());
  SmallVector<StringRef> reasons(refused.begin(), refused.end());
  auto kernel = builder.create<KernelOp>(
      op->getLoc(), op->getResultTypes(), operands, KernelKind::loops,
      typeOf(op->getResult(0)).getShape(), 0, targetOf(op)->loopsScratchBytes(op),
      reasons.empty() ? ArrayAttr() : builder.getStrArrayAttr(reasons));
  kernel.getBody().push_back(body.release());
  for (auto [value, result] : llvm::zip_equal(op->getResults(), kernel.getResults())) {
    value.replaceAllUsesWith(result);
    emitted[value] = result;
  }
}

void dsc::emitKernels(Block &block, const FusionGraph &graph,
                      ArrayRef<SmallVector<std::string>> refused) {
  // Everything is appended behind the old ops in the new order; what is then left of those goes.
  SmallVector<Operation *> views, old;
  for (Operation &op : block) {
    if (isa<ReshapeOp>(op)) {
      views.push_back(&op);
    }
  }
  OpBuilder builder(block.getParentOp()->getContext());
  builder.setInsertionPointToEnd(&block);
  DenseMap<Value, Value> emitted;
  for (int index : graph.order) {
    const FusionGroup &group = graph.groups[index];
    if (group.fusable) {
      KernelEmitter(builder, graph, group, emitted).emit(refused[index]);
      for (int node : group.nodes) {
        old.push_back(graph.nodes[node].op);
      }
      continue;
    }
    Operation *op = graph.nodes[group.nodes[0]].op;
    if (staysOutside(op)) {
      op->moveBefore(&block, block.end());
    } else {
      emitLoops(builder, op, refused[index], emitted);
      old.push_back(op);
    }
  }
  // A view stands right behind its base, wherever that went.
  for (Operation *view : views) {
    Value base = view->getOperand(0);
    if (Operation *definition = base.getDefiningOp()) {
      view->moveAfter(definition);
    } else {
      view->moveBefore(&block, block.begin());
    }
  }
  for (Operation *op : old) {
    op->dropAllReferences();
  }
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto view = dyn_cast<ReshapeOp>(op); view && view.getX()) {
      view.getXMutable().assign(lookThroughReshapes(view.getX()));
      if (view.getX().getType() == view.getY().getType()) {
        view.getY().replaceAllUsesWith(view.getX());
      }
    }
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isa<ReshapeOp, ConstantOp, IotaOp>(op) && op.use_empty()) {
      op.erase();
    }
  }
  for (Operation *op : old) {
    op->erase();
  }
}
