// The schedule of an entry as a report shows it: which places of the arena are taken from op to
// op, and what runs between the start of a collective and its wait. Reads the ops and attributes
// that the memory phase leaves.

#include "tools/dsc/Report.h"

#include "codegen/HostProgram.h"
#include "ir/Cost.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace dsc;

llvm::StringRef dsc::arenaPartName(ArenaPart part) {
  static const llvm::StringRef names[kArenaParts] = {
      "gathered weights", "forward values",   "values computed again",
      "backward values",  "gradient buckets", "update",
      "workspace"};
  return names[static_cast<size_t>(part)];
}

//===----------------------------------------------------------------------===//
// Ops in words
//===----------------------------------------------------------------------===//

/// The first ONNX node or other name in a location.
static StringRef firstName(Location loc) {
  StringRef name;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    // A role such as "grad" stands around the location of the forward op.
    if (named && !isa<NameLoc, FusedLoc>(named.getChildLoc())) {
      name = name.empty() ? named.getName().getValue() : name;
    } else if (named && isa<NameLoc>(named.getChildLoc()) &&
               isa<FileLineColLoc>(cast<NameLoc>(named.getChildLoc()).getChildLoc())) {
      name = named.getName().getValue();
      return WalkResult::interrupt();
    }
    return name.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return name;
}

std::string dsc::describeOp(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  if (auto kernel = dyn_cast<KernelOp>(op)) {
    text = stringifyKernelKind(kernel.getKind()).str() + " kernel";
  } else if (auto get = dyn_cast<GetGlobalOp>(op)) {
    return "read " + get.getName().str();
  } else if (auto set = dyn_cast<SetGlobalOp>(op)) {
    return "write " + set.getName().str();
  }
  StringRef name = firstName(op->getLoc());
  return name.empty() ? text : text + " " + name.str();
}

bool dsc::isOfBackward(Operation *op) {
  bool found = false;
  op->getLoc()->walk([&](Location part) {
    auto name = dyn_cast<NameLoc>(part);
    found |= name && name.getName() == "grad";
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

static std::string typeInWords(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  std::string text;
  llvm::raw_string_ostream out(text);
  out << tensor.getElementType();
  llvm::ListSeparator separator("x");
  for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
    out << (i ? "" : " ") << separator << size;
  }
  return text;
}

static bool isCollective(Operation *op) {
  return isa<ReduceScatterOp, AllGatherOp, AllReduceOp>(op);
}

/// Whether `op` runs something.
static bool isCall(Operation *op) {
  return op->getNumResults() > 0 &&
         !isa<GetGlobalOp, ReshapeOp, SliceOp, PackOp, ConstantOp, WaitOp>(op);
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// `forward`: names of what runs before backward. Copies of it have the same ones.
static ArenaPart partOf(const ArenaPlace &place, const ReportedEntry &entry,
                        const llvm::StringSet<> &forward) {
  switch (place.part) {
  case MemoryPart::Gradients:
    return ArenaPart::Buckets;
  case MemoryPart::Communication:
    return ArenaPart::Gathered;
  case MemoryPart::Workspace:
    return ArenaPart::Workspace;
  default:
    break;
  }
  if (place.first >= entry.update) {
    return ArenaPart::Update;
  }
  const bool isCopy =
      place.first >= entry.backward && forward.contains(firstName(place.op->getLoc()));
  return isOfBackward(place.op) ? ArenaPart::Backward
         : isCopy               ? ArenaPart::Again
                                : ArenaPart::Forward;
}

static void addPlaces(func::FuncOp entry, ReportedEntry &result) {
  llvm::StringSet<> forward;
  if (entry->hasAttr("dsc.recompute")) {
    int64_t at = 0;
    for (Operation &op : entry.getOps()) {
      if (at++ < result.backward && isCall(&op)) {
        forward.insert(firstName(op.getLoc()));
      }
    }
  }
  result.live.assign(result.ops.size() + 1, 0);
  for (const ArenaPlace &place : arenaPlaces(entry)) {
    std::string type =
        place.result < 0 ? "" : typeInWords(place.op->getResult(place.result).getType());
    result.buffers.push_back({describeOp(place.op), std::move(type), partOf(place, result, forward),
                              place.offset, place.bytes, place.first, place.last});
    result.live[place.first] += place.bytes;
    result.live[place.last + 1] -= place.bytes;
  }
  for (size_t at = 1; at < result.live.size(); ++at) {
    result.live[at] += result.live[at - 1];
  }
  result.live.pop_back();
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

static int64_t idOf(Operation *op) { return op->getAttrOfType<IntegerAttr>("id").getInt(); }

static ReportedCollective describeCollective(Operation *op, int64_t issue) {
  ReportedCollective result;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  result.name = collectiveName(op);
  result.kind = op->getName().stripDialect().str();
  result.type = typeInWords(type);
  result.id = idOf(op);
  result.bytes = tensorBytes(type);
  result.issue = issue;
  return result;
}

/// Adds what runs between start and wait; collectives run on a stream of their own.
static void addWorkMeanwhile(ArrayRef<Operation *> ops, ReportedCollective &collective) {
  const auto from = static_cast<size_t>(collective.issue + !collective.isFromBefore);
  const size_t to = collective.wait < 0 ? ops.size() : static_cast<size_t>(collective.wait);
  for (size_t at = from; at < to; ++at) {
    if (isCall(ops[at]) && !isCollective(ops[at])) {
      Cost cost = costOf(ops[at]);
      ++collective.calls;
      collective.flops += cost.flops;
      collective.moved += cost.bytes;
    }
  }
}

static void addCollectives(func::FuncOp entry, ReportedEntry &result) {
  SmallVector<Operation *> ops;
  llvm::DenseMap<int64_t, size_t> started; // id -> collective
  for (Operation &op : entry.getOps()) {
    const auto at = static_cast<int64_t>(ops.size());
    ops.push_back(&op);
    if (isCollective(&op)) {
      started[idOf(&op)] = result.collectives.size();
      result.collectives.push_back(describeCollective(&op, at));
    } else if (auto wait = dyn_cast<WaitOp>(op)) {
      auto it = started.find(idOf(wait));
      if (it == started.end()) {
        // An entry before this one left it under way.
        for (Operation *other : collectivesOf(entry->getParentOfType<ModuleOp>())) {
          if (idOf(other) == idOf(wait)) {
            it = started.try_emplace(idOf(wait), result.collectives.size()).first;
            result.collectives.push_back(describeCollective(other, 0));
            result.collectives.back().isFromBefore = true;
          }
        }
      }
      if (it != started.end() && result.collectives[it->second].wait < 0) {
        result.collectives[it->second].wait = at;
      }
    }
  }
  for (ReportedCollective &collective : result.collectives) {
    if (collective.wait < 0 && !collective.isFromBefore) {
      // What a collective follows on is done when that one is.
      Operation *op = ops[static_cast<size_t>(collective.issue)];
      Operation *follower = nullptr;
      for (Operation *user : op->getResult(0).getUsers()) {
        follower = isCollective(user) ? user : follower;
      }
      if (follower) {
        const ReportedCollective &next = result.collectives[started[idOf(follower)]];
        collective.wait = next.wait;
        collective.isLeft = next.wait < 0;
      } else {
        collective.isLeft = true;
      }
    }
    addWorkMeanwhile(ops, collective);
  }
}

//===----------------------------------------------------------------------===//
// The entry
//===----------------------------------------------------------------------===//

ReportedEntry dsc::reportEntry(func::FuncOp entry) {
  ReportedEntry result;
  result.name = entry.getName().str();
  int64_t calls = 0, backward = -1, update = -1, at = 0;
  for (Operation &op : entry.getOps()) {
    result.ops.push_back(describeOp(&op));
    result.calls.push_back(calls);
    calls += isCall(&op);
    backward = backward < 0 && update < 0 && isCall(&op) && isOfBackward(&op) ? at : backward;
    update = isa<GradientsOp>(op) ? at : update;
    ++at;
  }
  result.calls.push_back(calls);
  result.update = update < 0 ? at : update;
  result.backward = backward < 0 ? result.update : backward;
  addPlaces(entry, result);
  addCollectives(entry, result);
  return result;
}

int64_t ReportedEntry::peak() const { return live.empty() ? 0 : live[peakOp()]; }

size_t ReportedEntry::peakOp() const {
  return live.empty() ? 0 : std::max_element(live.begin(), live.end()) - live.begin();
}
