// The rules of fusion. Each `return refuse(..)` is one rule and its reason.

#include "passes/fusion/FusionRules.h"

#include "ir/Target.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static FusionAnswer refuse(const Twine &reason) { return {std::nullopt, reason.str()}; }

/// Ops whose repetition is dearer than a trip to memory when it happens more than once.
static bool isExpensive(Operation *op) {
  return isa<ExpOp, Expm1Op, LogOp, Log1pOp, SinOp, CosOp, TanOp, AsinOp, AcosOp, AtanOp, SinhOp,
             CoshOp, AsinhOp, AcoshOp, AtanhOp, TanhOp, ErfOp, SigmoidOp, SoftplusOp, GeluOp,
             GeluGradOp, PowOp, ModOp>(op);
}

namespace {
/// Two groups as one: what the rules look at.
struct Joined {
  const FusionGraph &graph;
  int a, b;
  int64_t scaleA, scaleB;
  int64_t points, columns;
  bool hasRow, hasColumn;
  SmallVector<int> nodes;

  Joined(const FusionGraph &graph, int a, int b, int64_t scaleA, int64_t scaleB)
      : graph(graph), a(a), b(b), scaleA(scaleA), scaleB(scaleB) {
    const FusionGroup &left = graph.groups[a], &right = graph.groups[b];
    points = std::max(left.points, right.points);
    columns = std::max(left.columns, right.columns);
    hasRow = left.hasRow || right.hasRow;
    hasColumn = left.hasColumn || right.hasColumn;
    nodes.append(left.nodes.begin(), left.nodes.end());
    if (a != b) {
      nodes.append(right.nodes.begin(), right.nodes.end());
      llvm::sort(nodes);
    }
  }

  bool contains(int node) const {
    int group = graph.nodes[node].group;
    return group == a || group == b;
  }
  int64_t scaleOf(int node) const { return graph.nodes[node].group == a ? scaleA : scaleB; }
  Strides scaled(Strides strides, int node) const {
    for (int64_t &stride : strides) {
      stride *= scaleOf(node);
    }
    return strides;
  }
  Strides resultStrides(int node) const { return scaled(graph.resultStrides(node), node); }
  Strides linkStrides(int node, const FusionLink &link) const {
    return scaled(graph.linkStrides(node, link), node);
  }
  Span resultSpan(int node) const {
    return spanOf(typeOf(graph.nodes[node].op->getResult(0)).getShape(), resultStrides(node));
  }
  bool isFull(const Span &span) const {
    return points == 1 ? span.empty() : span == Span{{1, points}};
  }
  bool isColumn(const Span &span) const {
    return columns == 1 ? span.empty() : span == Span{{1, columns}};
  }
  bool isRow(const Span &span) const {
    return columns == points ? span.empty() : span == Span{{columns, points}};
  }
};
} // namespace

static std::string describe(const FusionGroup &group) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (group.columns != 0) {
    os << group.points / group.columns << " rows of " << group.columns;
  } else {
    os << group.points << " points";
  }
  return text;
}

/// Values that pass between the two groups lie at the same points in both, and complete when they
/// are read.
static std::string checkLinks(const Joined &joined) {
  for (int consumer : joined.nodes) {
    for (const FusionLink &link : joined.graph.nodes[consumer].links) {
      if (link.producer < 0 || !joined.contains(link.producer)) {
        continue;
      }
      if (link.isOpaque) {
        return "a reshape between them mixes dimensions that repeat with others";
      }
      if (joined.graph.nodes[consumer].op->hasTrait<Update>() &&
          typeOf(link.root).getNumElements() == 1) {
        return "an update needs its scalars before it starts";
      }
      if (joined.resultStrides(link.producer) != joined.linkStrides(consumer, link)) {
        return "a value would be read at other points than it is computed at";
      }
    }
  }
  return "";
}

/// The nodes that need a column reduction of the group.
static llvm::SmallDenseSet<int> needColumnSums(const Joined &joined) {
  llvm::SmallDenseSet<int> need;
  for (int node : joined.nodes) {
    const FusionNode &n = joined.graph.nodes[node];
    bool needs =
        n.reduce == ReduceSpan::column || llvm::any_of(n.links, [&](const FusionLink &link) {
          return link.producer >= 0 && need.contains(link.producer);
        });
    if (needs) {
      need.insert(node);
    }
  }
  return need;
}

/// What others read is stored whole, or one element a row or column.
static std::string checkResults(const Joined &joined) {
  llvm::SmallDenseSet<int> sums = needColumnSums(joined);
  for (int node : joined.nodes) {
    if (joined.graph.readOutside(node, joined.a, joined.b) == 0) {
      continue;
    }
    Span span = joined.resultSpan(node);
    bool isOfColumn = joined.hasColumn && joined.isColumn(span) && sums.contains(node);
    if (!joined.isFull(span) && !(joined.hasRow && joined.isRow(span)) && !isOfColumn) {
      return "a value that others read too would be computed once for each repetition";
    }
  }
  return "";
}

static std::string checkSize(const Joined &joined) {
  llvm::SmallDenseSet<Value> operands;
  size_t results = 0;
  for (int node : joined.nodes) {
    for (const FusionLink &link : joined.graph.nodes[node].links) {
      bool inside = link.producer >= 0 && joined.contains(link.producer);
      if (!inside && !isMadeInKernels(link.root)) {
        operands.insert(link.root);
      }
    }
    results += joined.graph.readOutside(node, joined.a, joined.b);
  }
  if (operands.size() + results > kMaxKernelValues) {
    return "the kernel would have " + std::to_string(operands.size() + results) +
           " operands and results, more than " + std::to_string(kMaxKernelValues);
  }
  if (joined.nodes.size() > kMaxKernelOps) {
    return "the kernel would have " + std::to_string(joined.nodes.size()) + " ops, more than " +
           std::to_string(kMaxKernelOps);
  }
  return "";
}

/// Rows are passed over once for each level of reductions. What is dear is kept from pass to pass
/// where it fits (Target::keptRowBytes); what column sums are needed for is computed again after
/// them, whatever it costs.
static std::string checkRepetition(const Joined &joined) {
  llvm::SmallDenseSet<int> sums = needColumnSums(joined);
  bool again = llvm::any_of(sums, [&](int node) { return joined.isFull(joined.resultSpan(node)); });
  int64_t kept = 0;
  for (int node : joined.nodes) {
    Operation *op = joined.graph.nodes[node].op;
    if (!isExpensive(op) || !joined.isFull(joined.resultSpan(node)) || sums.contains(node)) {
      continue;
    }
    if (again) {
      return ("'" + op->getName().getStringRef() +
              "' would be computed again after the column sums")
          .str();
    }
    kept +=
        joined.columns * elementBytes(statisticsType(typeOf(op->getResult(0)).getElementType()));
    if (joined.hasRow && kept > joined.graph.keptRowBytes) {
      return ("'" + op->getName().getStringRef() +
              "' would be computed again in each pass over a row of " + Twine(joined.columns))
          .str();
    }
  }
  return "";
}

/// The rules that hold for every pair of groups, once their spaces are matched.
static FusionAnswer checkJoined(const Joined &joined, Fusion fusion) {
  const FusionGroup &a = joined.graph.groups[joined.a], &b = joined.graph.groups[joined.b];
  if (a.columns != 0 && b.columns != 0 && a.columns != b.columns) {
    return refuse("reductions split the space differently: " + describe(a) + " and " + describe(b));
  }
  for (auto check : {checkLinks, checkResults, checkSize, checkRepetition}) {
    if (std::string reason = check(joined); !reason.empty()) {
      return refuse(reason);
    }
  }
  std::optional<SpaceDims> dims = dimsOf(joined.graph, joined.nodes, joined.points, joined.columns,
                                         [&](int node) { return joined.scaleOf(node); });
  if (!dims) {
    return refuse("their shapes do not factor over one iteration space");
  }
  if (joined.graph.wouldCycle(joined.a, joined.b)) {
    return refuse("an op between them needs the one and feeds the other");
  }
  return {fusion, ""};
}

static std::string checkPair(const FusionGraph &graph, int a, int b) {
  if (a == b) {
    return "they are one kernel";
  }
  if (graph.nodes[graph.groups[a].nodes[0]].segment !=
      graph.nodes[graph.groups[b].nodes[0]].segment) {
    return "the end of the gradients stands between them";
  }
  if (graph.groups[a].ownedChunks != graph.groups[b].ownedChunks) {
    return "a rank computes its own chunks of the one and all of the other";
  }
  return "";
}

FusionAnswer dsc::mayJoinProducer(const FusionGraph &graph, int consumer, const FusionLink &link) {
  int p = graph.nodes[link.producer].group, c = graph.nodes[consumer].group;
  const FusionGroup &from = graph.groups[p], &to = graph.groups[c];
  if (!from.fusable) {
    return refuse(whyAlone(graph.nodes[link.producer].op));
  }
  if (!to.fusable) {
    return refuse(whyAlone(graph.nodes[consumer].op));
  }
  if (std::string reason = checkPair(graph, p, c); !reason.empty()) {
    return refuse(reason);
  }
  if (link.isOpaque) {
    return refuse("a reshape between them mixes dimensions that repeat with others");
  }

  Fusion fusion;
  Strides made = graph.resultStrides(link.producer), read = graph.linkStrides(consumer, link);
  if (from.points == to.points) {
    if (made != read) {
      return refuse("they run over different iteration spaces: " + describe(from) + " and " +
                    describe(to));
    }
  } else if (from.points < to.points) {
    std::optional<int64_t> ratio = strideRatio(read, made);
    if (from.columns != 0 || !ratio || to.points % (from.points * *ratio) != 0) {
      return refuse("they run over different iteration spaces: " + describe(from) + " and " +
                    describe(to));
    }
    if (from.points == 1 && to.columns != to.points) {
      return refuse("scalar arithmetic runs once, not for every element");
    }
    bool dear =
        llvm::any_of(from.nodes, [&](int node) { return isExpensive(graph.nodes[node].op); });
    if (dear && to.columns == 0) {
      return refuse(
          "the smaller one's dear ops would be repeated for every element that reads their value");
    }
    fusion.scaleProducer = *ratio;
  } else {
    std::optional<int64_t> ratio = strideRatio(made, read);
    if (to.columns != 0 || !ratio || from.points % (to.points * *ratio) != 0) {
      return refuse("they run over different iteration spaces: " + describe(from) + " and " +
                    describe(to));
    }
    if (!from.hasRow && !from.hasColumn) {
      return refuse("they run over different iteration spaces: " + describe(from) + " and " +
                    describe(to));
    }
    fusion.scaleConsumer = *ratio;
  }
  return checkJoined(Joined(graph, p, c, fusion.scaleProducer, fusion.scaleConsumer), fusion);
}

FusionAnswer dsc::mayJoinSiblings(const FusionGraph &graph, int a, int b) {
  if (std::string reason = checkPair(graph, a, b); !reason.empty()) {
    return refuse(reason);
  }
  if (graph.groups[a].points == 0 || graph.groups[a].points != graph.groups[b].points) {
    return refuse("they run over different iteration spaces: " + describe(graph.groups[a]) +
                  " and " + describe(graph.groups[b]));
  }
  return checkJoined(Joined(graph, a, b, 1, 1), {});
}

std::optional<SpaceDims> dsc::dimsOf(const FusionGraph &graph, ArrayRef<int> nodes, int64_t points,
                                     int64_t columns, function_ref<int64_t(int)> factor) {
  SmallVector<int64_t> cuts{1, points};
  if (columns != 0) {
    cuts.push_back(columns);
  }
  for (int index : nodes) {
    const FusionNode &node = graph.nodes[index];
    int64_t scale = factor ? factor(index) : 1;
    auto cut = [&](const Span &span) {
      for (Interval interval : span) {
        cuts.append({interval.low * scale, interval.high * scale});
      }
    };
    cut(spanOf(typeOf(node.op->getResult(0)).getShape(), graph.resultStrides(index)));
    for (const FusionLink &link : node.links) {
      Strides strides = graph.linkStrides(index, link);
      if (auto iota = link.root.getDefiningOp<IotaOp>()) {
        int64_t axis = iota.getAxis();
        cut(spanOf(iota.getType().getDimSize(axis), {strides[axis]}));
      } else if (!isMadeInKernels(link.root)) {
        cut(spanOf(typeOf(link.root).getShape(), strides));
      }
    }
  }
  return SpaceDims::fromCuts(std::move(cuts));
}

std::string dsc::whyAlone(Operation *op) {
  StringRef name = op->getName().getStringRef();
  if (isa<MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp, AttentionGradOp>(op)) {
    return ("'" + name + "' is a library call").str();
  }
  if (isa<ReduceOp>(op)) {
    return "its reduction is neither over leading nor over trailing dimensions";
  }
  return ("'" + name + "' reads or writes in an order of its own").str();
}

StringRef dsc::whyNoEpilogue(Operation *producer, Operation *consumer) {
  std::optional<Epilogue> activation;
  if (auto gelu = dyn_cast<GeluOp>(consumer)) {
    activation = gelu.getKind() == GeluKind::erf ? Epilogue::gelu_erf : Epilogue::gelu_tanh;
  } else if (isa<ReluOp>(consumer)) {
    activation = Epilogue::relu;
  }
  return activation && isa<MatmulOp, ConvOp>(producer)
             ? targetOf(producer)->whyNoEpilogue(producer, *activation)
             : "";
}
