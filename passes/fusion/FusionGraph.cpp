// Building the graph of an entry, and keeping its groups in order while they are joined.

#include "passes/fusion/FusionGraph.h"

#include "ir/Target.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

Value dsc::lookThroughReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    value = reshape.getX();
  }
  return value;
}

bool dsc::isMadeInKernels(Value value) {
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    return constant.getValue().isSplat();
  }
  return value.getDefiningOp<IotaOp>() != nullptr;
}

bool dsc::anyReader(Value value, function_ref<bool(Operation *)> holds) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    auto reshape = dyn_cast<ReshapeOp>(user);
    return reshape ? anyReader(reshape.getY(), holds) : holds(user);
  });
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// Which points `op` combines and how many columns that makes, by its axes: trailing dimensions are
/// columns, leading ones rows. All dimensions together are one row.
static std::pair<ReduceSpan, int64_t> classifyReduce(ReduceOp op) {
  RankedTensorType type = typeOf(op.getX());
  Strides strides = spaceStrides(type.getShape());
  SmallVector<int64_t> sizes;
  Strides reduced;
  for (int64_t axis : op.getAxes()) {
    sizes.push_back(type.getDimSize(axis));
    reduced.push_back(strides[axis]);
  }
  Span span = spanOf(sizes, reduced);
  if (span.size() != 1) {
    return {ReduceSpan::none, 0};
  }
  if (span[0].low == 1) {
    return {ReduceSpan::row, span[0].high};
  }
  if (span[0].high == type.getNumElements()) {
    return {ReduceSpan::column, span[0].low};
  }
  return {ReduceSpan::none, 0};
}

/// The shape of an op's own space: its result's, or what it reduces.
static ArrayRef<int64_t> spaceOf(Operation *op) {
  Value value = isa<ReduceOp>(op) ? op->getOperand(0) : op->getResult(0);
  return typeOf(value).getShape();
}

void FusionGraph::addNode(Operation *op, int segment) {
  int index = static_cast<int>(nodes.size());
  nodeOf[op] = index;
  FusionNode node;
  node.op = op;
  node.group = index;
  node.segment = segment;

  bool hasElements = llvm::all_of(op->getOperandTypes(), [](Type type) {
    return cast<RankedTensorType>(type).getNumElements() > 0;
  });
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    std::tie(node.reduce, node.columns) = classifyReduce(reduce);
    node.fusable = node.reduce != ReduceSpan::none;
  } else {
    node.fusable = op->hasTrait<Elementwise>() || op->hasTrait<Update>() || isa<BroadcastOp>(op);
  }
  node.fusable = node.fusable && hasElements && typeOf(op->getResult(0)).getNumElements() > 0;
  if (node.fusable) {
    ArrayRef<int64_t> space = spaceOf(op);
    Strides strides = spaceStrides(space);
    node.points = ShapedType::getNumElements(space);
    node.result = strides;
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      for (int64_t axis : reduce.getAxes()) {
        node.result[axis] = 0;
      }
    }
    for (OpOperand &operand : op->getOpOperands()) {
      FusionLink link{operand.getOperandNumber(), operand.get(), -1, false,
                      broadcastStrides(typeOf(operand.get()).getShape(), space, strides)};
      Value root = lookThroughReshapes(operand.get());
      std::optional<Strides> seen =
          reshapeStrides(typeOf(operand.get()).getShape(), link.strides, typeOf(root).getShape());
      link.isOpaque = !seen;
      if (seen) {
        link.root = root;
        link.strides = *seen;
      }
      if (Operation *producer = root.getDefiningOp(); producer && nodeOf.contains(producer)) {
        link.producer = nodeOf.lookup(producer);
      }
      node.links.push_back(std::move(link));
    }
  }

  FusionGroup group;
  group.nodes.push_back(index);
  group.points = node.points;
  group.columns = node.columns;
  group.hasRow = node.reduce == ReduceSpan::row;
  group.hasColumn = node.reduce == ReduceSpan::column;
  group.fusable = node.fusable;
  group.ownedChunks = node.fusable ? ownership.chunksOf(op) : 0;
  nodes.push_back(std::move(node));
  groups.push_back(std::move(group));
  position.push_back(static_cast<int>(order.size()));
  order.push_back(index);

  for (Value operand : op->getOperands()) {
    Operation *producer = lookThroughReshapes(operand).getDefiningOp();
    if (producer && nodeOf.contains(producer)) {
      addDependency(nodeOf.lookup(producer), index);
    }
  }
}

void FusionGraph::addDependency(int from, int to) {
  if (!llvm::is_contained(nodes[to].before, from)) {
    nodes[to].before.push_back(from);
    nodes[from].after.push_back(to);
  }
}

FusionGraph::FusionGraph(Block &block)
    : keptRowBytes(targetOf(block.getParentOp())->keptRowBytes()),
      ownership(cast<func::FuncOp>(block.getParentOp())) {
  int segment = 0;
  DenseMap<Attribute, int> lastAccess; // of a global
  DenseMap<Attribute, SmallVector<int>> readsSinceWrite;
  for (Operation &op : block) {
    bool made = op.getNumResults() == 1 && isMadeInKernels(op.getResult(0));
    if (isa<ReshapeOp>(op) || made) {
      continue;
    }
    int index = static_cast<int>(nodes.size());
    addNode(&op, segment);
    // A read keeps its place between the writes of its global.
    if (auto get = dyn_cast<GetGlobalOp>(op)) {
      Attribute name = get.getNameAttr();
      if (auto write = lastAccess.find(name); write != lastAccess.end()) {
        addDependency(write->second, index);
      }
      readsSinceWrite[name].push_back(index);
    } else if (auto set = dyn_cast<SetGlobalOp>(op)) {
      Attribute name = set.getNameAttr();
      for (int read : readsSinceWrite[name]) {
        addDependency(read, index);
      }
      if (auto write = lastAccess.find(name); write != lastAccess.end()) {
        addDependency(write->second, index);
      }
      lastAccess[name] = index;
      readsSinceWrite[name].clear();
    } else if (isa<GradientsOp>(op)) {
      ++segment;
    }
  }
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

static Strides scaled(Strides strides, int64_t scale) {
  for (int64_t &stride : strides) {
    stride *= scale;
  }
  return strides;
}

Strides FusionGraph::linkStrides(int node, const FusionLink &link) const {
  return scaled(link.strides, nodes[node].scale);
}

Strides FusionGraph::resultStrides(int node) const {
  return scaled(nodes[node].result, nodes[node].scale);
}

bool FusionGraph::wouldCycle(int a, int b) const {
  int first = position[a] < position[b] ? a : b, last = first == a ? b : a;
  // Everything between stands, in the order, after `first` and before `last`.
  llvm::SmallDenseSet<int> seen;
  SmallVector<int> stack{first};
  while (!stack.empty()) {
    int group = stack.pop_back_val();
    for (int node : groups[group].nodes) {
      for (int after : nodes[node].after) {
        int next = nodes[after].group;
        if (next == last && group != first) {
          return true;
        }
        if (next != last && next != group && position[next] < position[last] &&
            seen.insert(next).second) {
          stack.push_back(next);
        }
      }
    }
  }
  return false;
}

int FusionGraph::join(int a, int b, int64_t scaleA, int64_t scaleB) {
  int first = position[a] < position[b] ? a : b, last = first == a ? b : a;
  // Between the two, what needs the first moves behind the joined group; the rest stays in front.
  llvm::SmallDenseSet<int> needsFirst;
  SmallVector<int> inFront, behind;
  for (int i = position[first] + 1; i < position[last]; ++i) {
    int group = order[i];
    bool needs = llvm::any_of(groups[group].nodes, [&](int node) {
      return llvm::any_of(nodes[node].before, [&](int before) {
        int from = nodes[before].group;
        return from == first || needsFirst.contains(from);
      });
    });
    (needs ? behind : inFront).push_back(group);
    if (needs) {
      needsFirst.insert(group);
    }
  }
  int at = position[first];
  auto place = [&](int group) {
    order[at] = group;
    position[group] = at++;
  };
  llvm::for_each(inFront, place);
  place(a);
  llvm::for_each(behind, place);
  order.erase(order.begin() + at);
  for (size_t i = at; i < order.size(); ++i) {
    position[order[i]] = static_cast<int>(i);
  }

  FusionGroup &into = groups[a], &from = groups[b];
  for (int node : into.nodes) {
    nodes[node].scale *= scaleA;
  }
  for (int node : from.nodes) {
    nodes[node].scale *= scaleB;
    nodes[node].group = a;
  }
  into.nodes.append(from.nodes);
  llvm::sort(into.nodes);
  into.points = std::max(into.points, from.points);
  into.columns = std::max(into.columns, from.columns);
  into.hasRow |= from.hasRow;
  into.hasColumn |= from.hasColumn;
  from.nodes.clear();
  from.fusable = false;
  return a;
}

bool FusionGraph::isReadOutside(Value value, int a, int b) const {
  return anyReader(value, [&](Operation *reader) {
    auto it = nodeOf.find(reader);
    int group = it == nodeOf.end() ? -1 : nodes[it->second].group;
    return group != a && group != b;
  });
}

size_t FusionGraph::readOutside(int node, int a, int b) const {
  return llvm::count_if(nodes[node].op->getResults(),
                        [&](Value value) { return isReadOutside(value, a, b); });
}

bool FusionGraph::wouldDelay(int a, int b) const {
  int first = position[a] < position[b] ? a : b, last = first == a ? b : a;
  return llvm::any_of(groups[first].nodes, [&](int node) {
    return llvm::any_of(nodes[node].after, [&](int after) {
      int group = nodes[after].group;
      return group != first && group != last && position[group] < position[last] &&
             !isa<SetGlobalOp>(nodes[after].op);
    });
  });
}
