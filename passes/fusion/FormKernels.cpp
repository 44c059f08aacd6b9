// Groups ops into kernels: ops with the producers of their operands, and ops that read the same
// value, in the order of what it saves; last, what is small. What may not join is written beside
// the kernel, with the reason.

#include "passes/Passes.h"
#include "passes/fusion/EmitKernels.h"
#include "passes/fusion/FusionRules.h"

#include "llvm/ADT/MapVector.h"

#include <queue>

namespace dsc {
#define GEN_PASS_DEF_FORMKERNELS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// Values with more readers are tried with the next one only.
static constexpr size_t kTriedReaders = 16;

static int64_t elementsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

namespace {
/// Joins groups, always those two next that save most loads and stores; among equals those that
/// stand closest: an op of the backward pass then goes to the kernel that needs it and not to the
/// one, long before, that made its operands.
class GreedyFusion {
public:
  explicit GreedyFusion(FusionGraph &graph) : graph(graph), ofGroup(graph.groups.size()) {
    collect();
  }
  void run();

private:
  /// Two nodes that may share a kernel: `link` of the second leads to the first or, with `other`,
  /// to what both read.
  struct Candidate {
    int first, second; // in program order
    const FusionLink *link, *other;
    int64_t saved = -1;
    bool isRefused = false;
  };
  using Entry = std::tuple<int64_t, int, int>; // saved, -distance, -candidate

  void collect();
  void add(int first, int second, const FusionLink *link, const FusionLink *other);
  int64_t savedBy(int a, int b) const;
  void update(int candidate);
  bool tryJoin(int candidate);

  FusionGraph &graph;
  std::vector<Candidate> candidates;
  std::vector<SmallVector<int, 4>> ofGroup; // the candidates at a group's nodes
  std::priority_queue<Entry> queue;
};
} // namespace

void GreedyFusion::add(int first, int second, const FusionLink *link, const FusionLink *other) {
  int index = static_cast<int>(candidates.size());
  candidates.push_back({first, second, link, other});
  ofGroup[graph.nodes[first].group].push_back(index);
  ofGroup[graph.nodes[second].group].push_back(index);
}

void GreedyFusion::collect() {
  llvm::MapVector<Value, SmallVector<std::pair<int, const FusionLink *>>> readers;
  for (int node = 0, e = static_cast<int>(graph.nodes.size()); node < e; ++node) {
    for (const FusionLink &link : graph.nodes[node].links) {
      if (isMadeInKernels(link.root)) {
        continue;
      }
      if (link.producer >= 0 && graph.nodes[link.producer].fusable) {
        add(link.producer, node, &link, nullptr);
      }
      if (elementsOf(link.root) == graph.nodes[node].points && graph.nodes[node].points > 1) {
        readers[link.root].push_back({node, &link});
      }
    }
  }
  for (auto &[root, list] : readers) {
    for (size_t i = 0; i < list.size(); ++i) {
      size_t end = list.size() > kTriedReaders ? std::min(list.size(), i + 2) : list.size();
      for (size_t j = i + 1; j < end; ++j) {
        if (list[i].first != list[j].first) {
          add(list[i].first, list[j].first, list[j].second, list[i].second);
        }
      }
    }
  }
}

/// Loads and stores of elements that one kernel for both groups does not need: a value that both
/// read, or that one makes and the other reads, is loaded once less; if nothing else reads it, it
/// is not stored either.
int64_t GreedyFusion::savedBy(int a, int b) const {
  llvm::SmallDenseSet<Value> readByA, counted;
  for (int node : graph.groups[a].nodes) {
    for (const FusionLink &link : graph.nodes[node].links) {
      readByA.insert(link.root);
    }
  }
  int64_t saved = 0;
  auto count = [&](const FusionLink &link, int maker) {
    bool isMade = link.producer >= 0 && graph.nodes[link.producer].group == maker;
    bool isShared = maker == a && readByA.contains(link.root);
    if (isMadeInKernels(link.root) || (!isMade && !isShared) || !counted.insert(link.root).second) {
      return;
    }
    bool vanishes = isMade && !graph.isReadOutside(link.root, a, b);
    saved += vanishes ? 2 * elementsOf(link.root) : elementsOf(link.root);
  };
  for (int node : graph.groups[b].nodes) {
    for (const FusionLink &link : graph.nodes[node].links) {
      count(link, a);
    }
  }
  for (int node : graph.groups[a].nodes) {
    for (const FusionLink &link : graph.nodes[node].links) {
      if (link.producer >= 0 && graph.nodes[link.producer].group == b) {
        count(link, b);
      }
    }
  }
  // Values of a row or column do not outweigh distance.
  int64_t unit = std::max<int64_t>(1, std::max(graph.groups[a].points, graph.groups[b].points) / 4);
  return saved >= unit ? saved - saved % unit : saved;
}

void GreedyFusion::update(int candidate) {
  Candidate &each = candidates[candidate];
  int a = graph.nodes[each.first].group, b = graph.nodes[each.second].group;
  int64_t saved = a == b ? -1 : savedBy(a, b);
  if (saved >= 0 && !each.other && graph.groups[b].points < graph.groups[a].points) {
    // What follows a reduction for each row goes with it before all else: in between, it would keep
    // the reduction and the rows that need it apart.
    saved += 4 * graph.groups[a].points;
  }
  if (saved != each.saved || each.isRefused) {
    each.saved = saved;
    each.isRefused = false;
    if (saved >= 0) {
      queue.push({saved, each.first - each.second, -candidate});
    }
  }
}

bool GreedyFusion::tryJoin(int candidate) {
  Candidate &each = candidates[candidate];
  int a = graph.nodes[each.first].group, b = graph.nodes[each.second].group;
  if (a == b) {
    return false;
  }
  std::optional<Fusion> fusion;
  if (!each.other) {
    fusion = mayJoinProducer(graph, each.second, *each.link).fusion;
  } else if (graph.linkStrides(each.first, *each.other) ==
             graph.linkStrides(each.second, *each.link)) {
    fusion = mayJoinSiblings(graph, a, b).fusion;
  }
  each.isRefused = !fusion;
  if (!fusion) {
    return false;
  }
  graph.join(b, a, fusion->scaleConsumer, fusion->scaleProducer);
  ofGroup[b].append(ofGroup[a]);
  llvm::sort(ofGroup[b]);
  ofGroup[b].erase(std::unique(ofGroup[b].begin(), ofGroup[b].end()), ofGroup[b].end());
  ofGroup[a].clear();
  for (int touched : ofGroup[b]) {
    update(touched);
  }
  return true;
}

void GreedyFusion::run() {
  for (int i = 0, e = static_cast<int>(candidates.size()); i < e; ++i) {
    update(i);
  }
  bool changed = true;
  while (changed) {
    while (!queue.empty()) {
      auto [saved, distance, index] = queue.top();
      queue.pop();
      if (candidates[-index].saved == saved) {
        tryJoin(-index);
      }
    }
    // What was refused may have become possible, e.g. because all readers of a value are in one
    // group now.
    changed = false;
    for (int i = 0, e = static_cast<int>(candidates.size()); i < e && !changed; ++i) {
      changed = tryJoin(i);
    }
  }
}

/// Joins small groups over one space that follow one another, whatever they read: a launch costs
/// more than they do.
static void joinSmall(FusionGraph &graph) {
  constexpr size_t kTried = 8;
  DenseMap<std::pair<int64_t, int64_t>, SmallVector<int>> bySpace;
  for (int group : std::vector<int>(graph.order)) {
    FusionGroup &candidate = graph.groups[group];
    if (!candidate.fusable || candidate.points > kSmallSpace) {
      continue;
    }
    auto &others = bySpace[{candidate.points, candidate.columns}];
    bool joined = false;
    for (int other : llvm::reverse(ArrayRef<int>(others).take_back(kTried))) {
      if (!graph.wouldDelay(other, group) && mayJoinSiblings(graph, other, group).fusion) {
        graph.join(other, group, 1, 1);
        joined = true;
        break;
      }
    }
    if (!joined) {
      others.push_back(group);
    }
  }
}

static std::string nameOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    return isa<NameLoc>(name.getChildLoc()) ? nameOf(name.getChildLoc()) : name.getName().str();
  }
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    return fused.getLocations().empty() ? "" : nameOf(fused.getLocations().front());
  }
  return "";
}

/// For each group, why it and the kernels that make its operands are two.
static SmallVector<SmallVector<std::string>> collectReasons(const FusionGraph &graph) {
  SmallVector<SmallVector<std::string>> reasons(graph.groups.size());
  std::string answer;
  for (int consumer = 0, e = static_cast<int>(graph.nodes.size()); consumer < e; ++consumer) {
    const FusionNode &node = graph.nodes[consumer];
    for (const FusionLink &link : node.links) {
      if (link.producer < 0 || graph.nodes[link.producer].group == node.group) {
        continue;
      }
      const FusionNode &producer = graph.nodes[link.producer];
      bool isScalar =
          producer.fusable && producer.points == 1 && graph.groupOf(consumer).points > 1;
      StringRef why = whyNoEpilogue(producer.op, node.op);
      if ((staysOutside(producer.op) && why.empty()) || producer.segment != node.segment ||
          isScalar) {
        continue; // needs no excuse
      }
      if (why.empty()) {
        answer = mayJoinProducer(graph, consumer, link).reason;
        why = answer;
      }
      std::string from = producer.op->getName().getStringRef().str(),
                  name = nameOf(producer.op->getLoc());
      std::string reason = from + (name.empty() ? "" : " (" + name + ")") + ": " + why.str();
      SmallVector<std::string> &own = reasons[node.group];
      if (!llvm::is_contained(own, reason)) {
        own.push_back(reason);
      }
    }
  }
  return reasons;
}

namespace {
struct FormKernels : public dsc::impl::FormKernelsBase<FormKernels> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      FusionGraph graph(block);
      GreedyFusion(graph).run();
      joinSmall(graph);
      emitKernels(block, graph, collectReasons(graph));
    }
  }
};
} // namespace
