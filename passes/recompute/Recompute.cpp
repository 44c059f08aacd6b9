// Pass: chooses what backward reads from memory and what it computes again (--recompute).

#include "passes/recompute/InsertCopies.h"
#include "passes/recompute/Passes.h"

#include "ir/Cost.h"
#include "ir/Options.h"
#include "ir/Recompute.h"

namespace dsc {
#define GEN_PASS_DEF_RECOMPUTE
#include "passes/recompute/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// The ONNX node that `loc` names.
static std::string nodeName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    return name.getName().str();
  }
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    return fused.getLocations().empty() ? "" : nodeName(fused.getLocations().front());
  }
  return "";
}

/// A product whose only reader adds a parameter becomes one library call with it (fusion). Where a
/// product has other readers too, neither it nor a copy may, or the two would round differently.
static void keepProductsApart(const SavedValues &values) {
  for (int at = 0; at <= values.forwardEnd; ++at) {
    Operation *op = values.ops[at];
    if (isa<MatmulOp, ConvOp>(op) && !op->getResult(0).hasOneUse()) {
      op->setAttr("no_epilogue", UnitAttr::get(op->getContext()));
    }
  }
}

static double flopsOf(Block &body) {
  double flops = 0;
  for (Operation &op : body) {
    bool computes = op.getNumResults() > 0 && !isStorageView(&op) && !isa<GetGlobalOp>(op);
    flops += computes ? static_cast<double>(costOf(&op).flops) : 0;
  }
  return flops;
}

/// What the plan saves and costs, block by block, for reports and readers of dumps.
static DictionaryAttr describe(const SavedValues &values, const RecomputePlan &plan,
                               double stepFlops) {
  Builder b(values.ops.front()->getContext());
  const int blocks = values.blocks.count;
  std::vector<int64_t> kept(blocks, 0), dropped(blocks, 0);
  std::vector<double> flops(blocks, 0);
  std::vector<std::string> names(blocks);
  for (int at = 0; at <= values.forwardEnd; ++at) {
    std::string &name = names[values.blocks.ofPosition[at]];
    name = name.empty() && !isa<GetGlobalOp, ConstantOp>(values.ops[at])
               ? nodeName(values.ops[at]->getLoc())
               : name;
  }
  RecomputePlan none = completePlan(values, std::vector<bool>(values.values.size(), true));
  llvm::SmallDenseSet<Operation *> counted;
  for (size_t i = 0; i < values.values.size(); ++i) {
    const ForwardValue &value = values.values[i];
    kept[value.block] += plan.saved[i] ? value.bytes : 0;
    dropped[value.block] += none.saved[i] ? value.bytes : 0;
    bool isOwn = value.again == Again::cheap;
    if (plan.again[i] && (isOwn || counted.insert(value.value.getDefiningOp()).second)) {
      flops[value.block] += value.flops;
    }
  }
  int64_t allKept = 0, allDropped = 0;
  double allFlops = 0;
  SmallVector<Attribute> perBlock;
  auto number = [&](double value) { return b.getI64IntegerAttr(static_cast<int64_t>(value)); };
  for (int i = 0; i < blocks; ++i) {
    dropped[i] -= kept[i];
    allKept += kept[i];
    allDropped += dropped[i];
    allFlops += flops[i];
    perBlock.push_back(b.getDictionaryAttr({
        b.getNamedAttr("first", b.getStringAttr(names[i])),
        b.getNamedAttr("saved_bytes", b.getI64IntegerAttr(kept[i])),
        b.getNamedAttr("freed_bytes", b.getI64IntegerAttr(dropped[i])),
        b.getNamedAttr("added_flops", number(flops[i])),
    }));
  }
  return b.getDictionaryAttr({
      b.getNamedAttr("blocks", b.getArrayAttr(perBlock)),
      b.getNamedAttr("saved_bytes", b.getI64IntegerAttr(allKept)),
      b.getNamedAttr("freed_bytes", b.getI64IntegerAttr(allDropped)),
      b.getNamedAttr("added_flops", number(allFlops)),
      b.getNamedAttr("step_flops", number(stepFlops)),
  });
}

namespace {
struct Recompute : public dsc::impl::RecomputeBase<Recompute> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    if (failed(options)) {
      return signalPassFailure();
    }
    std::optional<RecomputeMode> mode = parseRecompute(options->recompute);
    if (!mode) {
      module.emitError() << "option 'recompute' is '" << options->recompute
                         << "'; choose --recompute=none|cheap|full|auto or a number of bytes";
      return signalPassFailure();
    }
    std::optional<int64_t> bound = arenaBound(module);
    if (!bound && mode->kind == RecomputeMode::bytes) {
      bound = mode->bound;
    }
    if (!bound && mode->kind == RecomputeMode::none) {
      return;
    }
    int64_t estimate = 0;
    bool isWithin = true;
    for (StringRef name : {"micro", "last"}) {
      auto entry = module.lookupSymbol<func::FuncOp>(name);
      std::optional<SavedValues> values = entry ? SavedValues::analyze(entry) : std::nullopt;
      if (!values) {
        continue;
      }
      RecomputePlan plan;
      if (bound) {
        BoundedPlan bounded = planWithin(*values, *bound);
        estimate = std::max(estimate, bounded.peak.bytes);
        isWithin &= bounded.isWithin;
        plan = std::move(bounded.plan);
      } else {
        plan = mode->kind == RecomputeMode::full ? planFull(*values) : planCheap(*values);
        estimate = std::max(estimate, estimatePeak(*values, plan).bytes);
      }
      Block &body = entry.getBody().front();
      DictionaryAttr report = describe(*values, plan, flopsOf(body));
      keepProductsApart(*values);
      insertCopies(*values, plan);
      entry->setAttr("dsc.recompute", report);
    }
    setArenaEstimate(module, {estimate, !isWithin});
  }
};
} // namespace
