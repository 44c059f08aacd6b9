// Gives every global, argument, result and temporary its slot.
//
// Globals lie in the state (or constants) space one after another; arguments and small results in
// io, the same name at the same place in every entry; everything else in the arena, which all
// entries share. A result that a set_global stores is written where the global lies when no later
// op reads the old value; a kernel's result takes the place of an operand that dies in it; the
// parts of a pack are written where the pack lies.

#include "passes/Passes.h"
#include "passes/memory/ArenaPacker.h"
#include "passes/memory/CopyKernel.h"
#include "passes/memory/Liveness.h"

#include "ir/Ownership.h"

#include "llvm/ADT/MapVector.h"

namespace dsc {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// Results up to this size are copied out of the step's way, into io; larger ones stay in the arena
/// to the end.
static constexpr int64_t kSmallResultBytes = 4096;

static RankedTensorType tensorOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static int64_t bytesOf(Value value) { return tensorBytes(tensorOf(value)); }

//===----------------------------------------------------------------------===//
// Spaces outside the arena
//===----------------------------------------------------------------------===//

namespace {
/// Next free byte of each space but the arena.
struct SpaceSizes {
  int64_t state = 0, constants = 0, io = 0, shard = 0;
};
} // namespace

/// Room behind globals, for the gathers of all entries that write there.
static llvm::DenseMap<Attribute, int64_t> roomOfGlobals(ModuleOp module) {
  llvm::DenseMap<Attribute, int64_t> rooms; // by name
  module.walk([&](SetGlobalOp store) {
    Value value = store.getValue();
    if (auto wait = value.getDefiningOp<WaitOp>()) {
      value = wait.getX();
    }
    if (auto gather = value.getDefiningOp<AllGatherOp>()) {
      int64_t &room = rooms[store.getNameAttr().getAttr()];
      room = std::max(room, roomBehind(gather));
    }
  });
  return rooms;
}

/// Parameters and what belongs to them start on a chunk of ZeRO's flat order, everything else on
/// the alignment. What lies within a flat global has a part of its slot. Sharded globals follow one
/// another by dsc_shard_bytes, here of one rank.
static void placeGlobals(ModuleOp module, SpaceSizes &sizes) {
  llvm::DenseMap<Attribute, int64_t> rooms = roomOfGlobals(module);
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getStorage() || global.getWithin()) {
      continue; // lies where its storage does
    }
    bool constant = global.getRole() == GlobalRole::constant;
    int64_t &next = constant ? sizes.constants : global.getSharded() ? sizes.shard : sizes.state;
    RankedTensorType type = global.getTensorType();
    if (!global.getSharded() && (global.getRole() == GlobalRole::trained || global.getOf())) {
      int64_t chunk = DSC_CHUNK_ELEMENTS * elementBytes(type.getElementType());
      next =
          llvm::alignTo(next, type.getNumElements() > DSC_CHUNK_ELEMENTS ? chunk : DSC_ALIGNMENT);
    }
    int64_t bytes = tensorBytes(type);
    global.setSlotAttr(SlotAttr::get(module.getContext(),
                                     constant              ? Space::constants
                                     : global.getSharded() ? Space::shard
                                                           : Space::state,
                                     next, bytes, 0, 0));
    next = dsc_align(next + bytes + rooms.lookup(global.getSymNameAttr()));
  }
  SymbolTable symbols(module);
  for (auto global : module.getOps<GlobalOp>()) {
    if (std::optional<PlaceAttr> place = global.getWithin()) {
      RankedTensorType type = global.getTensorType();
      SlotAttr flat = *symbols.lookup<GlobalOp>(place->getFlat().getAttr()).getSlot();
      int64_t offset = place->getOffset() * elementBytes(type.getElementType());
      global.setSlotAttr(SlotAttr::get(module.getContext(), flat.getSpace(),
                                       flat.getOffset() + offset, tensorBytes(type), 0, 0));
    }
  }
}

namespace {
/// Plans one entry: slots of its values, and the arena's size for it.
class EntryPlanner {
public:
  EntryPlanner(func::FuncOp entry, SymbolTable &symbols, SpaceSizes &sizes,
               llvm::StringMap<int64_t> &ioOffsets)
      : entry(entry), symbols(symbols), sizes(sizes), ioOffsets(ioOffsets) {}

  int64_t plan() {
    placeArguments();
    collectLoads();
    copyUnplaceableParts(entry);
    placeResults();
    live = std::make_unique<EntryLiveness>(entry);
    storeGlobalsInPlace();
    findRooms();
    assignBuffers();
    int64_t peak = packArena(buffers);
    writeSlots();
    return peak;
  }

  /// The plan's lower bound, for the report.
  int64_t lowerBound() const { return arenaLowerBound(buffers); }

private:
  func::FuncOp entry;
  SymbolTable &symbols;
  SpaceSizes &sizes;
  llvm::StringMap<int64_t> &ioOffsets;
  std::unique_ptr<EntryLiveness> live;
  llvm::MapVector<Value, SlotAttr> fixed; // roots outside the arena
  llvm::DenseMap<Value, size_t> bufferOf; // other roots -> index in buffers
  llvm::DenseMap<Operation *, size_t> scratchOf;
  llvm::DenseMap<Value, int64_t> rooms; // behind roots that collectives work in
  std::vector<ArenaBuffer> buffers;
  llvm::DenseMap<StringAttr, SmallVector<GetGlobalOp>> loadsOf; // by global, in order
  SmallVector<GradientsOp> boundaries;

  Block &body() { return entry.getBody().front(); }

  SlotAttr slot(Space space, int64_t offset, int64_t bytes, int64_t first, int64_t last) {
    return SlotAttr::get(entry.getContext(), space, offset, bytes, first, last);
  }

  int64_t ioOffset(StringRef key, int64_t bytes) {
    auto [it, inserted] = ioOffsets.try_emplace(key, sizes.io);
    if (inserted) {
      sizes.io = dsc_align(sizes.io + bytes);
    }
    return it->second;
  }

  /// Reads are many and so are stores: each store asks for those of its own global.
  void collectLoads() {
    for (Operation &op : body()) {
      if (auto load = dyn_cast<GetGlobalOp>(op)) {
        loadsOf[load.getNameAttr().getAttr()].push_back(load);
      } else if (auto boundary = dyn_cast<GradientsOp>(op)) {
        boundaries.push_back(boundary);
      }
    }
  }

  void placeArguments() {
    int64_t end = static_cast<int64_t>(body().getOperations().size()) - 1;
    for (BlockArgument argument : entry.getArguments()) {
      auto name = entry.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "dsc.name");
      int64_t bytes = bytesOf(argument);
      SlotAttr attr =
          slot(Space::io, ioOffset(("arg:" + name.getValue()).str(), bytes), bytes, 0, end);
      fixed[argument] = attr;
      entry.setArgAttr(argument.getArgNumber(), "dsc.slot", attr);
    }
  }

  /// Small results lie in io. A result that is an argument, a global, a part of another value or a
  /// value returned twice needs a copy of its own.
  void placeResults() {
    auto terminator = cast<func::ReturnOp>(body().getTerminator());
    llvm::DenseSet<Value> taken;
    for (OpOperand &operand : terminator->getOpOperands()) {
      StorageView view = storageOf(operand.get());
      Operation *producer = view.root.getDefiningOp();
      bool stored = llvm::any_of(view.root.getUsers(),
                                 [](Operation *user) { return isa<SetGlobalOp>(user); });
      bool own = producer && !isa<GetGlobalOp>(producer) && view.offset == 0 && !stored &&
                 bytesOf(view.root) == bytesOf(operand.get()) && taken.insert(view.root).second;
      if (!own) {
        operand.set(insertCopy(operand.get(), terminator));
        view = {operand.get(), 0};
      }
      auto name = entry.getResultAttrOfType<StringAttr>(operand.getOperandNumber(), "dsc.name");
      int64_t bytes = bytesOf(view.root);
      if (bytes <= kSmallResultBytes) {
        std::string key = (entry.getName() + ":" + name.getValue()).str();
        fixed[view.root] = slot(Space::io, ioOffset(key, bytes), bytes, 0, 0);
      }
    }
  }

  /// Whether op may write `root`'s bytes while it reads them: kernels that visit each position
  /// once, where every operand that shares the bytes has the shape of the domain.
  static bool readsInPlace(Operation *op, Value root) {
    auto kernel = dyn_cast<KernelOp>(op);
    if (!kernel || kernel.getKind() == KernelKind::loops) {
      return false;
    }
    int64_t elements = 1;
    for (int64_t size : kernel.getDomain()) {
      elements *= size;
    }
    for (Value operand : kernel.getInputs()) {
      StorageView view = storageOf(operand);
      if (view.root == root &&
          (view.offset != 0 || tensorOf(operand).getNumElements() != elements ||
           bytesOf(operand) != bytesOf(root))) {
        return false;
      }
    }
    return true;
  }

  bool isFullResult(KernelOp kernel, Value result) {
    int64_t elements = 1;
    for (int64_t size : kernel.getDomain()) {
      elements *= size;
    }
    return tensorOf(result).getNumElements() == elements;
  }

  /// set_global of a fresh value: the value is written where the global lies if nothing reads the
  /// old one afterwards.
  void storeGlobalsInPlace() {
    SmallVector<SetGlobalOp> stores(body().getOps<SetGlobalOp>());
    for (SetGlobalOp store : stores) {
      auto global = symbols.lookup<GlobalOp>(store.getName());
      keepOldValue(store);
      if (!canStoreInPlace(store)) {
        Value copy = insertCopy(store.getValue(), store);
        store.getValueMutable().set(copy);
        live->addCopyBefore(store, copy.getDefiningOp());
      }
      fixed[storageOf(store.getValue()).root] = global.getSlotAttr();
    }
    // Copies have positions of their own from here on.
    live = std::make_unique<EntryLiveness>(entry);
  }

  /// Reads of a global before `store` whose value is used after it get a copy: the bytes will have
  /// changed.
  void keepOldValue(SetGlobalOp store) {
    for (GetGlobalOp load : loadsOf.lookup(store.getNameAttr().getAttr())) {
      if (live->position(load) < live->position(store) &&
          live->last(load.getResult()) > live->position(store)) {
        Value copy = insertCopy(load.getResult(), load->getNextNode());
        load.getResult().replaceAllUsesExcept(copy, copy.getDefiningOp());
        live->addCopyOf(load.getResult(), copy.getDefiningOp());
      }
    }
  }

  bool canStoreInPlace(SetGlobalOp store) {
    StorageView view = storageOf(store.getValue());
    Operation *producer = view.root.getDefiningOp();
    if (!producer || isa<GetGlobalOp, PackOp>(producer) || view.offset != 0 ||
        fixed.contains(view.root) || bytesOf(view.root) != bytesOf(store.getValue())) {
      return false;
    }
    auto global = symbols.lookup<GlobalOp>(store.getName());
    if (global.getSharded() && ownedChunks(view.root) == 0) {
      return false; // made whole, to be reduced where it lies
    }
    int64_t writtenAt = live->position(producer);
    // The update may be left out after `gradients`: nothing may have been overwritten before it.
    for (GradientsOp boundary : boundaries) {
      if (writtenAt < live->position(boundary) &&
          live->position(store) > live->position(boundary)) {
        return false;
      }
    }
    for (GetGlobalOp load : loadsOf.lookup(store.getNameAttr().getAttr())) {
      if (live->position(load) > live->position(store)) {
        continue; // of the new value
      }
      int64_t lastRead = live->last(load.getResult());
      bool readByProducer = llvm::any_of(
          producer->getOperands(), [&](Value v) { return storageOf(v).root == load.getResult(); });
      if (lastRead > writtenAt ||
          (live->position(load) > writtenAt && live->position(load) < live->position(store)) ||
          (readByProducer && !(readsInPlace(producer, load.getResult()) &&
                               isFullResult(cast<KernelOp>(producer), view.root)))) {
        return false;
      }
    }
    return true;
  }

  void findRooms() {
    for (Operation &op : body()) {
      if (int64_t room = roomBehind(&op)) {
        int64_t &behind = rooms[storageOf(op.getResult(0)).root];
        behind = std::max(behind, room);
      }
    }
  }

  /// Bytes of `root` in the arena.
  int64_t bufferBytes(Value root) const { return dsc_align(bytesOf(root) + rooms.lookup(root)); }

  void assignBuffers() {
    for (Operation &op : body()) {
      if (auto load = dyn_cast<GetGlobalOp>(op)) {
        fixed[load.getResult()] = symbols.lookup<GlobalOp>(load.getName()).getSlotAttr();
        continue;
      }
      int64_t position = live->position(&op);
      for (Value result : op.getResults()) {
        if (storageOf(result).root != result || fixed.contains(result)) {
          continue;
        }
        int64_t last = live->last(result);
        if (std::optional<size_t> reused = dyingOperandBuffer(&op, result)) {
          bufferOf[result] = *reused;
          buffers[*reused].last = last;
          continue;
        }
        bufferOf[result] = buffers.size();
        buffers.push_back({bufferBytes(result), live->first(result), last, 0});
      }
      if (int64_t bytes = scratchBytes(&op)) {
        scratchOf[&op] = buffers.size();
        buffers.push_back({dsc_align(bytes), position, position, 0});
      }
    }
  }

  static int64_t scratchBytes(Operation *op) {
    if (auto kernel = dyn_cast<KernelOp>(op)) {
      return kernel.getScratch();
    }
    auto workspace = op->getAttrOfType<IntegerAttr>("workspace");
    return workspace ? workspace.getInt() : 0;
  }

  /// The buffer of an operand that `op` reads last and position by position, if `result` may take
  /// its place.
  std::optional<size_t> dyingOperandBuffer(Operation *op, Value result) {
    auto kernel = dyn_cast<KernelOp>(op);
    Value accumulator;
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      accumulator = matmul.getAccumulator();
    }
    if (!accumulator && !(kernel && isFullResult(kernel, result))) {
      return std::nullopt;
    }
    for (Value operand : kernel ? ValueRange(kernel.getInputs()) : ValueRange(accumulator)) {
      Value root = storageOf(operand).root;
      auto it = bufferOf.find(root);
      if (it == bufferOf.end() || bytesOf(root) != bytesOf(result) ||
          buffers[it->second].bytes < bufferBytes(result) ||
          live->last(root) != live->position(op) ||
          buffers[it->second].last != live->position(op)) {
        continue; // not in the arena, of another size or room, or already given to another result
      }
      if (kernel ? readsInPlace(op, root) : llvm::count_if(op->getOperands(), [&](Value v) {
                                              return storageOf(v).root == root;
                                            }) == 1) {
        return it->second;
      }
    }
    return std::nullopt;
  }

  SlotAttr slotOf(Value value) {
    StorageView view = storageOf(value);
    int64_t first = std::max<int64_t>(live->first(view.root), 0), last = live->last(view.root);
    if (auto it = fixed.find(view.root); it != fixed.end()) {
      SlotAttr base = it->second;
      return slot(base.getSpace(), base.getOffset() + view.offset, bytesOf(value), first, last);
    }
    const ArenaBuffer &buffer = buffers[bufferOf.lookup(view.root)];
    return slot(Space::arena, buffer.offset + view.offset, bytesOf(value), first, last);
  }

  void writeSlots() {
    Builder builder(entry.getContext());
    for (Operation &op : body()) {
      if (op.getNumResults()) {
        SmallVector<Attribute> slots;
        for (Value result : op.getResults()) {
          slots.push_back(slotOf(result));
        }
        op.setAttr("dsc.slots", builder.getArrayAttr(slots));
      }
      if (auto it = scratchOf.find(&op); it != scratchOf.end()) {
        const ArenaBuffer &buffer = buffers[it->second];
        op.setAttr("dsc.scratch",
                   slot(Space::arena, buffer.offset, buffer.bytes, buffer.first, buffer.last));
      }
    }
    for (OpOperand &operand : body().getTerminator()->getOpOperands()) {
      entry.setResultAttr(operand.getOperandNumber(), "dsc.slot", slotOf(operand.get()));
    }
  }
};

class PlanMemory : public dsc::impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    dropOrder(module);
    SymbolTable symbols(module);
    SpaceSizes sizes;
    llvm::StringMap<int64_t> ioOffsets;
    placeGlobals(module, sizes);
    int64_t arena = 0, bound = 0;
    for (auto entry : module.getOps<func::FuncOp>()) {
      EntryPlanner planner(entry, symbols, sizes, ioOffsets);
      arena = std::max(arena, planner.plan());
      bound = std::max(bound, planner.lowerBound());
    }
    Builder b(module.getContext());
    module->setAttr("dsc.memory",
                    b.getDictionaryAttr({
                        b.getNamedAttr("state", b.getI64IntegerAttr(sizes.state)),
                        b.getNamedAttr("arena", b.getI64IntegerAttr(arena)),
                        b.getNamedAttr("arena_lower_bound", b.getI64IntegerAttr(bound)),
                        b.getNamedAttr("constants", b.getI64IntegerAttr(sizes.constants)),
                        b.getNamedAttr("io", b.getI64IntegerAttr(sizes.io)),
                        b.getNamedAttr("shard", b.getI64IntegerAttr(sizes.shard)),
                    }));
  }
};
} // namespace
