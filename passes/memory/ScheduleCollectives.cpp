// Pass: when collectives start, and what runs until they are done.
//
// The op order is the schedule. One communication thread runs collectives in the order in which
// they start, so a gather of what is being reduced needs no wait in between.

#include "passes/Passes.h"
#include "passes/memory/CopyKernel.h"
#include "passes/memory/Liveness.h"

#include "ir/Options.h"
#include "ir/Phase.h"

#include <limits>

namespace dsc {
#define GEN_PASS_DEF_SCHEDULECOLLECTIVES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static bool isCollective(Operation *op) {
  return isa<ReduceScatterOp, AllGatherOp, AllReduceOp>(op);
}

static bool isView(Operation *op) { return isa<ReshapeOp, SliceOp>(op); }

/// A gather of what is sharded into a place of its own: can be done at any time before it is read.
static bool isApart(Operation *op) {
  auto gather = dyn_cast<AllGatherOp>(op);
  return gather && gather.getApart();
}

/// The global that a gather leaves to the next entry; null where this one reads the result.
static SetGlobalOp leftTo(Operation *collective) {
  if (!isa<AllGatherOp>(collective) || !collective->hasOneUse()) {
    return {};
  }
  return dyn_cast<SetGlobalOp>(*collective->user_begin());
}

static int64_t idOf(Operation *collective) {
  return collective->getAttrOfType<IntegerAttr>("id").getInt();
}

namespace {
class EntryScheduler {
public:
  /// `gathers`: globals that an entry leaves a gather under way into, and its id.
  EntryScheduler(func::FuncOp entry, const llvm::DenseMap<Attribute, int64_t> &gathers,
                 int64_t window)
      : block(entry.getBody().front()), gathers(gathers), window(window) {
    auto ops = block.getOps<GradientsOp>();
    boundary = ops.empty() ? GradientsOp() : *ops.begin();
  }

  void run() {
    for (Operation *op : inOrder()) {
      if (isCollective(op) && !isApart(op)) {
        copyForeignOperand(op);
        hoist(op);
      }
    }
    sinkReaders();
    countOrder();
    prefetch();
    countOrder();
    for (Operation *op : inOrder()) {
      if (isCollective(op) && !leftTo(op)) {
        waitFor(op->getResult(0), idOf(op), op);
      } else if (auto get = dyn_cast<GetGlobalOp>(op)) {
        if (auto it = gathers.find(get.getNameAttr().getAttr()); it != gathers.end()) {
          waitFor(get.getResult(), it->second, get);
        }
      }
    }
  }

private:
  Block &block;
  const llvm::DenseMap<Attribute, int64_t> &gathers;
  int64_t window;
  GradientsOp boundary; // null in entries without
  /// Positions of ops when they were last counted. A block counts all of its ops anew when it is
  /// asked for the order of two after any has moved, which waits and views do again and again.
  llvm::DenseMap<Operation *, int64_t> order;

  void countOrder() {
    order.clear();
    for (Operation &op : block) {
      order[&op] = static_cast<int64_t>(order.size());
    }
  }
  bool isBefore(Operation *a, Operation *b) const { return order.at(a) < order.at(b); }

  /// The ops as they stand now, for loops that move some.
  SmallVector<Operation *> inOrder() {
    SmallVector<Operation *> ops;
    for (Operation &op : block) {
      ops.push_back(&op);
    }
    return ops;
  }

  void copyForeignOperand(Operation *collective);
  void hoist(Operation *collective);
  void sinkReaders();
  void prefetch();
  Operation *firstReader(Value value, Operation *starts, SmallVectorImpl<Operation *> &views);
  void waitFor(Value value, int64_t id, Operation *starts);
};
} // namespace

/// A collective works where its operand lies, so nothing else may read that, before or after.
void EntryScheduler::copyForeignOperand(Operation *collective) {
  Operation *reader = collective;
  Value value = collective->getOperand(0);
  bool isOwn = true;
  while (isOwn) {
    Operation *producer = value.getDefiningOp();
    isOwn = producer && value.hasOneUse() && !isa<GetGlobalOp, ConstantOp>(producer);
    if (!isOwn || !isView(producer)) {
      break;
    }
    isOwn = cast<RankedTensorType>(value.getType()).getNumElements() ==
            cast<RankedTensorType>(producer->getOperand(0).getType()).getNumElements();
    reader = producer;
    value = producer->getOperand(0);
  }
  if (!isOwn) {
    reader->setOperand(0, insertCopy(value, reader));
  }
  if (auto pack = value.getDefiningOp<PackOp>(); isOwn && pack) {
    for (OpOperand &part : pack->getOpOperands()) {
      if (!part.get().hasOneUse()) {
        part.set(insertCopy(part.get(), pack));
      }
    }
  }
}

/// Moves a collective, and what only says where its operand lies, right behind the last op that
/// computes some of it.
void EntryScheduler::hoist(Operation *collective) {
  SmallVector<Operation *> moved{collective};
  SmallVector<Value> sources{collective->getOperand(0)};
  while (Operation *producer = sources.size() == 1 ? sources[0].getDefiningOp() : nullptr) {
    if (!isView(producer) && !isa<PackOp>(producer)) {
      break;
    }
    moved.push_back(producer);
    sources.assign(producer->operand_begin(), producer->operand_end());
  }
  Operation *last = nullptr;
  for (Value source : sources) {
    // A part of a pack may be a view, which stays where it is.
    Operation *producer = source.getDefiningOp();
    last = producer && (!last || last->isBeforeInBlock(producer)) ? producer : last;
  }
  for (Operation *op : llvm::reverse(moved)) {
    if (last) {
      op->moveAfter(last);
    }
    last = op;
  }
}

/// In front of `gradients` (or in all of an entry without it): ops that depend on results go behind
/// ops that do not.
void EntryScheduler::sinkReaders() {
  constexpr int64_t none = -1;
  Operation *end = boundary ? boundary.getOperation() : block.getTerminator();
  llvm::DenseMap<Operation *, int64_t> level; // the last reduction that an op depends on
  llvm::DenseMap<Attribute, int64_t> written;
  SmallVector<Operation *> order, waiting;
  int64_t reductions = 0;
  auto flush = [&](int64_t upTo) {
    SmallVector<Operation *> kept;
    for (Operation *op : waiting) {
      (level.lookup(op) <= upTo ? order : kept).push_back(op);
    }
    waiting = std::move(kept);
  };
  for (Operation &op : block) {
    if (&op == end) {
      break;
    }
    int64_t depends = none;
    bool isReduction = isCollective(&op) && !isApart(&op);
    bool isChained = isReduction;
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      auto it = producer ? level.find(producer) : level.end();
      depends = std::max(depends, it == level.end() ? none : it->second);
      isChained = isChained && producer && isCollective(producer) &&
                  producer->getNextNode() == &op && !order.empty() && order.back() == producer;
    }
    if (auto get = dyn_cast<GetGlobalOp>(op)) {
      auto it = written.find(get.getNameAttr().getAttr());
      depends = it == written.end() ? none : it->second;
    } else if (auto set = dyn_cast<SetGlobalOp>(op); set && depends != none) {
      written[set.getNameAttr().getAttr()] = depends;
    }
    bool moves = depends != none && !isChained;
    if (isa<ReduceScatterOp>(op)) {
      depends = reductions++;
    } else if (isReduction && !isChained) {
      depends = std::max(depends, reductions);
    }
    if (depends != none) {
      level[&op] = depends;
    }
    (moves ? waiting : order).push_back(&op);
    if (isa<ReduceScatterOp>(op)) {
      flush(depends - window);
    }
  }
  flush(std::numeric_limits<int64_t>::max());
  for (Operation *op : order) {
    op->moveBefore(end);
  }
}

/// The op that reads `value`, or a view of it, first; null where only a collective that follows on
/// it does. `views` are the views, in their order.
Operation *EntryScheduler::firstReader(Value value, Operation *starts,
                                       SmallVectorImpl<Operation *> &views) {
  SmallVector<Value> shown{value};
  Operation *first = nullptr;
  for (size_t i = 0; i < shown.size(); ++i) {
    for (Operation *user : shown[i].getUsers()) {
      if (isView(user)) {
        views.push_back(user);
        shown.push_back(user->getResult(0));
      } else if (!(isCollective(user) && isCollective(starts)) &&
                 (!first || isBefore(user, first))) {
        first = user;
      }
    }
  }
  llvm::sort(views, [&](Operation *a, Operation *b) { return isBefore(a, b); });
  return first;
}

/// A gather of a sharded global starts where the one `window` before it is first read: it runs
/// under what those between are for, and takes no memory earlier. One alone would hide badly:
/// buckets are alike in bytes, but not in the work that reads them.
void EntryScheduler::prefetch() {
  struct Gather {
    Operation *op, *reader;
    SmallVector<Operation *> views;
  };
  std::vector<Gather> gathers;
  for (Operation &op : block) {
    if (isApart(&op)) {
      Gather gather{&op, nullptr, {}};
      gather.reader = firstReader(op.getResult(0), &op, gather.views);
      if (gather.reader) {
        gathers.push_back(std::move(gather));
      }
    }
  }
  llvm::stable_sort(gathers, [&](const Gather &a, const Gather &b) {
    return a.reader != b.reader && isBefore(a.reader, b.reader);
  });
  for (auto [i, gather] : llvm::enumerate(gathers)) {
    int64_t before = std::max<int64_t>(int64_t(i) - window, 0);
    gather.op->moveBefore(gathers[before].reader);
    Operation *behind = gather.op;
    for (Operation *view : gather.views) {
      view->moveAfter(behind);
      behind = view;
    }
  }
}

/// Puts a wait before the first op that reads `value`, or a view of it, and in any case in front of
/// `gradients`, behind which the runner may stop.
void EntryScheduler::waitFor(Value value, int64_t id, Operation *starts) {
  SmallVector<Operation *> views;
  Operation *first = firstReader(value, starts, views);
  if (!first) {
    return; // a collective that follows on it is waited for
  }
  if (boundary && isBefore(starts, boundary) && isBefore(boundary, first)) {
    first = boundary;
  }
  llvm::erase_if(views, [&](Operation *view) { return !isBefore(view, first); });
  OpBuilder builder(first);
  auto wait = builder.create<WaitOp>(value.getLoc(), value, builder.getI64IntegerAttr(id));
  value.replaceUsesWithIf(wait.getY(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    return user != wait && !(isCollective(user) && isCollective(starts));
  });
  // Views that stand in front of the wait now show what it gives.
  order[wait] = order[first];
  for (Operation *view : views) {
    view->moveBefore(first);
    order[view] = order[first];
  }
}

namespace {
struct ScheduleCollectives : public dsc::impl::ScheduleCollectivesBase<ScheduleCollectives> {
  using ScheduleCollectivesBase::ScheduleCollectivesBase;

  void runOnOperation() override {
    FailureOr<CompileOptions> options = CompileOptions::from(getOperation());
    if (failed(options)) {
      return signalPassFailure();
    }
    dropOrder(getOperation());
    Builder builder(&getContext());
    int64_t count = 0;
    llvm::DenseMap<Attribute, int64_t> gathers;
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (Operation &op : llvm::make_early_inc_range(entry.getBody().front())) {
        if (!isCollective(&op)) {
          continue;
        }
        if (op.use_empty()) {
          op.erase();
          continue;
        }
        op.setAttr("id", builder.getI64IntegerAttr(count));
        if (SetGlobalOp set = leftTo(&op)) {
          gathers[set.getNameAttr().getAttr()] = count;
        }
        ++count;
      }
    }
    // Where gradients are not divided, their places are taken to the end of the step anyway.
    int64_t ahead = options->zero >= 2 ? int64_t(window) : std::numeric_limits<int32_t>::max();
    for (func::FuncOp entry : entriesOf(getOperation())) {
      EntryScheduler(entry, gathers, ahead).run();
    }
  }
};
} // namespace
