// Writing kernels. All values in a body have the rank of the kernel's domain (but for scalar
// constants), so code generation sees one form; reshapes outside give operands and results that
// form and fold away where they have it.

#include "passes/fusion/EmitKernels.h"

#include "ir/KernelSchedule.h"
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

/// Ops that stay at the top of an entry as they are.
static bool staysOutside(Operation *op) {
  return isa<MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp, AttentionGradOp,
             ReshapeOp, ConstantOp, GetGlobalOp, SetGlobalOp, GradientsOp, func::ReturnOp>(op) ||
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
  Value operandFor(int node, const FusionLink &link);
  Value made(Value value, const Span &span);
  Value insertOnce(Operation *op);
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
Value KernelEmitter::insertOnce(Operation *op) {
  for (Operation &other : *body) {
    if (sameOp(&other, op)) {
      op->destroy();
      return other.getResult(0);
    }
  }
  body->push_back(op);
  return op->getResult(0);
}

/// A splat constant or an iota that spans `span`.
Value KernelEmitter::made(Value value, const Span &span) {
  RankedTensorType type = typeOf(value).clone(dims.shapeOf(span));
  OpBuilder detached(builder.getContext());
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    auto splat = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>();
    return insertOnce(
        detached.create<ConstantOp>(value.getLoc(), DenseElementsAttr::get(type, splat)));
  }
  SmallVector<int64_t> axes = dims.axesOf(span);
  return insertOnce(detached.create<IotaOp>(value.getLoc(), type, axes.empty() ? 0 : axes[0]));
}

Value KernelEmitter::operandFor(int node, const FusionLink &link) {
  if (Value inside = inBody.lookup(link.root)) {
    return inside;
  }
  SmallVector<int64_t> shape =
      dims.shapeOf(spanOf(typeOf(link.root).getShape(), graph.linkStrides(node, link)));
  Value root = emitted.contains(link.root) ? emitted.lookup(link.root) : link.root;
  Value operand = reshapeTo(builder, root.getLoc(), root, shape);
  auto it = llvm::find(operands, operand);
  size_t position = it - operands.begin();
  if (it == operands.end()) {
    operands.push_back(operand);
    body->addArgument(operand.getType(), operand.getLoc());
  }
  return body->getArgument(position);
}

void KernelEmitter::emitNode(int index) {
  const FusionNode &node = graph.nodes[index];
  Operation *op = node.op;
  RankedTensorType result = typeOf(op->getResult(0));
  Span resultSpan = spanOf(result.getShape(), graph.resultStrides(index));
  IRMapping mapping;
  SmallVector<Value> newOperands(op->getNumOperands());

  // Constants and iotas need only the dimensions in which they vary, as long as the others give the
  // op its shape.
  SmallVector<int64_t> covered;
  auto cover = [&](const Span &span) {
    SmallVector<int64_t> axes = dims.axesOf(span);
    covered.append(axes);
  };
  auto iotaSpan = [&](const FusionLink &link) -> Span {
    auto iota = link.root.getDefiningOp<IotaOp>();
    if (!iota) {
      return {};
    }
    int64_t axis = iota.getAxis();
    return spanOf({iota.getType().getDimSize(axis)}, {graph.linkStrides(index, link)[axis]});
  };
  for (const FusionLink &link : node.links) {
    if (!isMadeInKernels(link.root)) {
      cover(spanOf(typeOf(link.root).getShape(), graph.linkStrides(index, link)));
    } else {
      cover(iotaSpan(link));
    }
  }
  bool broadcasts = op->getNumOperands() > 1 && !op->hasTrait<OpTrait::SameTypeOperands>();
  bool othersGiveShape = broadcasts && llvm::all_of(dims.axesOf(resultSpan), [&](int64_t axis) {
                           return llvm::is_contained(covered, axis);
                         });
  for (const FusionLink &link : node.links) {
    if (!isMadeInKernels(link.root)) {
      newOperands[link.operand] = operandFor(index, link);
      continue;
    }
    Span span = othersGiveShape
                    ? iotaSpan(link)
                    : spanOf(typeOf(link.root).getShape(), graph.linkStrides(index, link));
    auto constant = link.root.getDefiningOp<ConstantOp>();
    if (constant && othersGiveShape) {
      RankedTensorType scalar = typeOf(link.root).clone(ArrayRef<int64_t>{});
      auto splat = cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>();
      OpBuilder detached(builder.getContext());
      newOperands[link.operand] = insertOnce(
          detached.create<ConstantOp>(link.root.getLoc(), DenseElementsAttr::get(scalar, splat)));
      continue;
    }
    Span full = spanOf(typeOf(link.root).getShape(), graph.linkStrides(index, link));
    Span varying = constant ? full : iotaSpan(link);
    Value value = made(link.root, varying);
    if (dims.shapeOf(span) != dims.shapeOf(varying)) {
      OpBuilder detached(builder.getContext());
      value = insertOnce(detached.create<BroadcastOp>(
          link.root.getLoc(), typeOf(value).clone(dims.shapeOf(span)), value));
    }
    newOperands[link.operand] = value;
  }

  RankedTensorType newType = result.clone(dims.shapeOf(resultSpan));
  if (isa<BroadcastOp>(op) && newOperands[0].getType() == newType) {
    inBody[op->getResult(0)] = newOperands[0];
    return;
  }
  Operation *clone = op->cloneWithoutRegions();
  clone->setOperands(newOperands);
  clone->getResult(0).setType(newType);
  if (auto reduce = dyn_cast<ReduceOp>(clone)) {
    int64_t rows = dims.rowRank(node.columns), rank = static_cast<int64_t>(dims.shape().size());
    auto axes = node.reduce == ReduceSpan::row ? llvm::seq<int64_t>(rows, rank)
                                               : llvm::seq<int64_t>(0, rows);
    reduce.setAxes(llvm::to_vector(axes));
  }
  inBody[op->getResult(0)] = insertOnce(clone);
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
    Value result = graph.nodes[node].op->getResult(0);
    if (graph.isReadOutside(node, graph.nodes[node].group, graph.nodes[node].group)) {
      Value value = inBody.lookup(result);
      auto it = llvm::find(yielded, value);
      replaced.push_back({result, it - yielded.begin()});
      if (it == yielded.end()) {
        yielded.push_back(value);
      }
    }
  }
  for (Operation &op : *body) {
    if (auto reduce = dyn_cast<ReduceOp>(op);
        reduce && group.hasColumn && reduce.getAxes()[0] == 0 && dims.rowRank(group.columns) > 0) {
      ++columnReductions;
      Type element = typeOf(reduce.getY()).getElementType();
      widest = std::max({widest, elementBytes(element), elementBytes(statisticsType(element))});
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
    scratch =
        columnScratchBytes(group.points / group.columns, group.columns, columnReductions, widest);
  }
  SmallVector<StringRef> reasons(refused.begin(), refused.end());
  auto kernel = builder.create<KernelOp>(
      loc, TypeRange(ValueRange(yielded)), operands, kind, domain, rowRank, scratch,
      reasons.empty() ? ArrayAttr() : builder.getStrArrayAttr(reasons));
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
  auto kernel =
      builder.create<KernelOp>(op->getLoc(), op->getResultTypes(), operands, KernelKind::loops,
                               typeOf(op->getResult(0)).getShape(), 0, 0,
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
