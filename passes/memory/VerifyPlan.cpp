// An independent check of the memory plan: simulates which value owns each byte of each space, op
// by op.
//
// It shares nothing with the planner but the slots, so that a wrong lifetime or offset cannot hide
// from it.

#include "passes/Passes.h"
#include "passes/memory/Liveness.h"

#include "ir/Dialect.h"

#include <map>

namespace dsc {
#define GEN_PASS_DEF_VERIFYPLAN
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// What is in a range of bytes: the op (or argument's or global's number) that wrote it last.
struct Owner {
  const void *writer = nullptr; // an Operation, a block argument's or a global's opaque pointer
  int64_t version = 0;          // for results: their number; for globals: how often they were set
  Operation *op = nullptr;      // for messages
  bool operator==(const Owner &other) const {
    return writer == other.writer && version == other.version;
  }
};

/// Ownership of one space, as disjoint ranges.
class SpaceOwners {
public:
  void write(int64_t begin, int64_t end, Owner owner) {
    splitAt(begin);
    splitAt(end);
    ranges.erase(ranges.lower_bound(begin), ranges.lower_bound(end));
    if (begin < end) {
      ranges[begin] = {end, owner};
    }
  }

  /// The first range within [begin, end) that `owner` does not hold, or nothing. Unwritten bytes
  /// have no owner.
  std::optional<Owner> firstOther(int64_t begin, int64_t end, const Owner &owner) const {
    int64_t at = begin;
    auto it = ranges.upper_bound(begin);
    if (it != ranges.begin()) {
      --it;
    }
    for (; it != ranges.end() && it->first < end; ++it) {
      if (it->second.first <= at) {
        continue;
      }
      if (it->first > at) {
        return Owner();
      }
      if (!(it->second.second == owner)) {
        return it->second.second;
      }
      at = it->second.first;
    }
    return at < end ? std::optional<Owner>(Owner()) : std::nullopt;
  }

private:
  std::map<int64_t, std::pair<int64_t, Owner>> ranges; // begin -> (end, owner)

  void splitAt(int64_t at) {
    auto it = ranges.upper_bound(at);
    if (it == ranges.begin()) {
      return;
    }
    --it;
    if (it->first < at && at < it->second.first) {
      ranges[at] = it->second;
      it->second.first = at;
    }
  }
};

class EntrySimulation {
public:
  /// `gathered`: globals that an entry leaves a gather under way into.
  EntrySimulation(func::FuncOp entry, SymbolTable &symbols,
                  const llvm::DenseSet<Operation *> &gathered)
      : entry(entry), symbols(symbols), gathered(gathered) {}

  LogicalResult run(ModuleOp module) {
    for (auto global : module.getOps<GlobalOp>()) {
      if (global.getStorage()) {
        continue;
      }
      if (!global.getSlot()) {
        return global.emitError("global has no slot");
      }
      if (global.getWithin()) {
        if (failed(checkPlace(global))) {
          return failure();
        }
        continue; // its bytes are the flat global's
      }
      write(*global.getSlot(), {global.getOperation(), 0, global});
    }
    for (BlockArgument argument : entry.getArguments()) {
      auto slot = entry.getArgAttrOfType<SlotAttr>(argument.getArgNumber(), "dsc.slot");
      if (!slot) {
        return entry.emitError("argument ") << argument.getArgNumber() << " has no slot";
      }
      places[argument] = {slot, {argument.getAsOpaquePointer(), 0, entry}};
      write(slot, places[argument].owner);
    }
    for (Operation &op : entry.getBody().front()) {
      if (failed(step(op))) {
        return failure();
      }
    }
    return success();
  }

private:
  struct Place {
    SlotAttr slot;
    Owner owner;
  };

  func::FuncOp entry;
  SymbolTable &symbols;
  const llvm::DenseSet<Operation *> &gathered;
  llvm::DenseSet<Value> underWay; // what a collective is still working on
  llvm::DenseMap<int64_t, std::pair<SlotAttr, Owner>> rooms; // by id: bytes that it writes behind
  std::map<Space, SpaceOwners> spaces;
  llvm::DenseMap<Value, Place> places;
  llvm::DenseMap<Operation *, int64_t> globalVersion;

  LogicalResult checkPlace(GlobalOp global) {
    auto flat = symbols.lookup<GlobalOp>(global.getWithin()->getFlat().getAttr());
    SlotAttr slot = *global.getSlot(), whole = flat.getSlot().value_or(SlotAttr());
    int64_t offset =
        global.getWithin()->getOffset() * elementBytes(global.getTensorType().getElementType());
    if (whole && slot.getSpace() == whole.getSpace() &&
        slot.getOffset() == whole.getOffset() + offset) {
      return success();
    }
    return global.emitError("lies at ") << slot << ", its flat global at " << whole;
  }

  void write(SlotAttr slot, const Owner &owner) {
    spaces[slot.getSpace()].write(slot.getOffset(), slot.getOffset() + slot.getBytes(), owner);
  }

  LogicalResult requireOwned(Operation &op, Value operand) {
    auto it = places.find(operand);
    if (it == places.end()) {
      return op.emitError("operand has no slot");
    }
    SlotAttr slot = it->second.slot;
    std::optional<Owner> other = spaces[slot.getSpace()].firstOther(
        slot.getOffset(), slot.getOffset() + slot.getBytes(), it->second.owner);
    if (!other) {
      return success();
    }
    InFlightDiagnostic diagnostic = op.emitError("reads a value whose bytes ")
                                    << slot << " it no longer owns";
    if (other->op) {
      diagnostic.attachNote(other->op->getLoc()) << "overwritten by this " << other->op->getName();
    }
    return diagnostic;
  }

  static bool overlap(SlotAttr a, SlotAttr b) {
    return a.getSpace() == b.getSpace() && a.getOffset() < b.getOffset() + b.getBytes() &&
           b.getOffset() < a.getOffset() + a.getBytes();
  }

  /// A result may overlap an operand only where it lies exactly on it and the op works position by
  /// position.
  LogicalResult checkOverlap(Operation &op, SlotAttr result, Value resultValue) {
    for (Value operand : op.getOperands()) {
      SlotAttr slot = places.lookup(operand).slot;
      if (!overlap(result, slot)) {
        continue;
      }
      bool exact = result.getOffset() == slot.getOffset() && result.getBytes() == slot.getBytes();
      auto kernel = dyn_cast<KernelOp>(op);
      auto matmul = dyn_cast<MatmulOp>(op);
      bool positionwise = kernel && kernel.getKind() != KernelKind::loops &&
                          elements(operand.getType()) == elements(kernel.getDomain()) &&
                          elements(resultValue.getType()) == elements(kernel.getDomain());
      if (!exact || !(positionwise || (matmul && matmul.getAccumulator() == operand))) {
        return op.emitError("result ") << result << " overwrites its own operand " << slot;
      }
    }
    return success();
  }

  static int64_t elements(Type type) { return cast<RankedTensorType>(type).getNumElements(); }
  static int64_t elements(ArrayRef<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape) {
      count *= size;
    }
    return count;
  }

  LogicalResult step(Operation &op) {
    const bool works = isa<ReduceScatterOp, AllGatherOp, AllReduceOp>(op);
    for (Value operand : op.getOperands()) {
      if (failed(requireOwned(op, operand))) {
        return failure();
      }
      if (underWay.contains(operand) && !works && !isa<WaitOp, SetGlobalOp>(op)) {
        return op.emitError("reads the result of a collective before its wait");
      }
    }
    auto gather = dyn_cast<AllGatherOp>(op);
    if ((works && !(gather && gather.getApart())) || isa<WaitOp>(op)) {
      return workInPlace(op);
    }
    if (works) {
      underWay.insert(op.getResult(0));
      auto slots = op.getAttrOfType<ArrayAttr>("dsc.slots");
      if (slots && slots.size() == 1) {
        writeRoom(op, cast<SlotAttr>(slots[0]));
      }
    }
    if (auto store = dyn_cast<SetGlobalOp>(op)) {
      return storeGlobal(store);
    }
    if (auto pack = dyn_cast<PackOp>(op)) {
      return takeParts(pack);
    }
    if (op.getNumResults() == 0) {
      return success();
    }
    auto slots = op.getAttrOfType<ArrayAttr>("dsc.slots");
    if (!slots || slots.size() != op.getNumResults()) {
      return op.emitError("has no slot for each result");
    }
    SmallVector<SlotAttr> written;
    if (auto scratch = op.getAttrOfType<SlotAttr>("dsc.scratch")) {
      written.push_back(scratch);
    }
    for (auto [result, attribute] : llvm::zip(op.getResults(), slots)) {
      auto slot = dyn_cast<SlotAttr>(attribute);
      if (!slot || slot.getBytes() != tensorBytes(cast<RankedTensorType>(result.getType()))) {
        return op.emitError("slot ") << attribute << " has not the size of " << result.getType();
      }
      if (auto load = dyn_cast<GetGlobalOp>(op)) {
        Operation *global = symbols.lookup(load.getName());
        places[result] = {slot, {global, globalVersion.lookup(global), global}};
        if (gathered.contains(global) && globalVersion.lookup(global) == 0) {
          underWay.insert(result);
        }
        return requireOwned(op, result);
      }
      if (isa<ReshapeOp, SliceOp>(op)) {
        Place base = places.lookup(op.getOperand(0));
        if (slot.getOffset() < base.slot.getOffset() || slot.getSpace() != base.slot.getSpace() ||
            slot.getOffset() + slot.getBytes() > base.slot.getOffset() + base.slot.getBytes()) {
          return op.emitError("view ") << slot << " lies outside its base " << base.slot;
        }
        places[result] = {slot, base.owner};
        return success();
      }
      for (SlotAttr other : written) {
        if (overlap(slot, other)) {
          return op.emitError("results or scratch overlap: ") << slot << " and " << other;
        }
      }
      if (failed(checkOverlap(op, slot, result))) {
        return failure();
      }
      written.push_back(slot);
      places[result] = {slot, {&op, static_cast<int64_t>(written.size()), &op}};
    }
    if (auto scratch = op.getAttrOfType<SlotAttr>("dsc.scratch")) {
      for (Value operand : op.getOperands()) {
        if (overlap(scratch, places.lookup(operand).slot)) {
          return op.emitError("scratch ") << scratch << " overwrites an operand";
        }
      }
      write(scratch, {&op, 0, &op});
    }
    for (Value result : op.getResults()) {
      write(places[result].slot, places[result].owner);
    }
    return success();
  }

  /// The result lies where the operand does; of a collective it takes the bytes over, and is under
  /// way until a wait shows it.
  LogicalResult workInPlace(Operation &op) {
    Value result = op.getResult(0);
    auto slots = op.getAttrOfType<ArrayAttr>("dsc.slots");
    auto slot = slots && slots.size() == 1 ? dyn_cast<SlotAttr>(slots[0]) : SlotAttr();
    const Place base = places.lookup(op.getOperand(0));
    if (!slot || slot.getSpace() != base.slot.getSpace() ||
        slot.getOffset() != base.slot.getOffset() || slot.getBytes() != base.slot.getBytes()) {
      return op.emitError("slot ") << slots << " is not that of its operand, " << base.slot;
    }
    if (!op.hasAttr("id")) {
      return op.emitError("has no id; collectives are scheduled before memory is planned");
    }
    if (auto wait = dyn_cast<WaitOp>(op)) {
      places[result] = {slot, base.owner};
      if (auto room = rooms.find(wait.getId()); room != rooms.end()) {
        write(room->second.first, room->second.second); // up to here it was written
      }
      return success();
    }
    places[result] = {slot, {&op, 0, &op}};
    write(slot, places[result].owner);
    writeRoom(op, slot);
    underWay.insert(result);
    return success();
  }

  /// What a collective that starts writes behind its result, in `slot`.
  void writeRoom(Operation &op, SlotAttr slot) {
    int64_t bytes = roomBehind(&op);
    auto id = op.getAttrOfType<IntegerAttr>("id");
    if (!bytes || !id) {
      return;
    }
    auto room = SlotAttr::get(op.getContext(), slot.getSpace(), slot.getOffset() + slot.getBytes(),
                              bytes, slot.getFirst(), slot.getLast());
    rooms[id.getInt()] = {room, {&op, /*version=*/1, &op}};
    write(room, rooms[id.getInt()].second);
  }

  /// The parts must already lie where the pack does, and still do as parts of it.
  LogicalResult takeParts(PackOp pack) {
    auto slots = pack->getAttrOfType<ArrayAttr>("dsc.slots");
    auto type = cast<RankedTensorType>(pack.getResult().getType());
    auto whole = slots && slots.size() == 1 ? dyn_cast<SlotAttr>(slots[0]) : SlotAttr();
    if (!whole || whole.getBytes() != tensorBytes(type)) {
      return pack.emitError("slot ") << slots << " has not the size of " << type;
    }
    const Owner owner{pack, 0, pack};
    for (auto [part, offset] : llvm::zip(pack.getParts(), pack.getOffsets())) {
      const Place place = places.lookup(part);
      if (place.slot.getSpace() != whole.getSpace() ||
          place.slot.getOffset() !=
              whole.getOffset() + offset * elementBytes(type.getElementType())) {
        return pack.emitError("part lies at ") << place.slot << ", the pack at " << whole;
      }
      for (auto &[value, other] : places) {
        if (other.owner == place.owner) {
          other.owner = owner;
        }
      }
    }
    places[pack.getResult()] = {whole, owner};
    write(whole, owner);
    return success();
  }

  /// The value must already lie where the global lies; from here on it is the global's next
  /// version.
  LogicalResult storeGlobal(SetGlobalOp store) {
    auto global = symbols.lookup<GlobalOp>(store.getName());
    SlotAttr slot = places.lookup(store.getValue()).slot;
    if (slot.getSpace() != global.getSlot()->getSpace() ||
        slot.getOffset() != global.getSlot()->getOffset()) {
      return store.emitError("value lies at ") << slot << ", the global at " << *global.getSlot();
    }
    write(*global.getSlot(), {global.getOperation(), ++globalVersion[global], store});
    return success();
  }
};

class VerifyPlan : public dsc::impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::DenseSet<Operation *> gathered;
    getOperation().walk([&](SetGlobalOp store) {
      if (store.getValue().getDefiningOp<AllGatherOp>()) {
        gathered.insert(symbols.lookup(store.getName()));
      }
    });
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      EntrySimulation simulation(entry, symbols, gathered);
      if (failed(simulation.run(getOperation()))) {
        return signalPassFailure();
      }
    }
  }
};
} // namespace
