// Groups ops into kernels: first each op with the producers of its operands, in program order, then
// groups that read the same value, until nothing changes. What may not join is remembered and
// written beside the kernel.

#include "passes/Passes.h"
#include "passes/fusion/EmitKernels.h"
#include "passes/fusion/FusionRules.h"

namespace dsc {
#define GEN_PASS_DEF_FORMKERNELS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// Joins each node with the producers of its operands, the largest first: they save most.
static bool joinProducers(FusionGraph &graph) {
  bool changed = false;
  for (int consumer = 0, e = static_cast<int>(graph.nodes.size()); consumer < e; ++consumer) {
    if (!graph.nodes[consumer].fusable) {
      continue;
    }
    SmallVector<const FusionLink *> links;
    for (const FusionLink &link : graph.nodes[consumer].links) {
      if (link.producer >= 0) {
        links.push_back(&link);
      }
    }
    llvm::sort(links, [&](const FusionLink *a, const FusionLink *b) {
      return std::pair(-graph.nodes[a->producer].points, a->operand) <
             std::pair(-graph.nodes[b->producer].points, b->operand);
    });
    for (const FusionLink *link : links) {
      if (std::optional<Fusion> fusion = mayJoinProducer(graph, consumer, *link).fusion) {
        graph.join(graph.nodes[consumer].group, graph.nodes[link->producer].group,
                   fusion->scaleConsumer, fusion->scaleProducer);
        changed = true;
      }
    }
  }
  return changed;
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
  for (int consumer = 0, e = static_cast<int>(graph.nodes.size()); consumer < e; ++consumer) {
    const FusionNode &node = graph.nodes[consumer];
    for (const FusionLink &link : node.links) {
      if (link.producer < 0 || graph.nodes[link.producer].group == node.group) {
        continue;
      }
      const FusionNode &producer = graph.nodes[link.producer];
      if (!producer.fusable) {
        continue; // operands from libraries, globals and loops need no excuse
      }
      FusionAnswer answer = mayJoinProducer(graph, consumer, link);
      std::string from = producer.op->getName().getStringRef().str(),
                  name = nameOf(producer.op->getLoc());
      std::string reason = from + (name.empty() ? "" : " (" + name + ")") + ": " + answer.reason;
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
      joinProducers(graph);
      emitKernels(block, graph, collectReasons(graph));
    }
  }
};
} // namespace
