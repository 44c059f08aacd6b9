// Slots are read as VerifyPlan reads them. Bytes are counted by place: a view adds none, a result
// that takes an operand's place begins when that has ended, a pack covers its parts.

#include "tools/dsc/PlannedBytes.h"

#include "ir/Cost.h"
#include "ir/Dialect.h"
#include "ir/Phase.h"
#include "ir/Target.h"
#include "runtime/abi.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <map>
#include <set>

using namespace mlir;
using namespace dsc;

llvm::StringRef dsc::memoryPartName(size_t part) {
  static const llvm::StringRef names[kMemoryParts] = {
      "weights", "gradients", "state", "activations", "communication", "workspace", "other"};
  return names[part];
}

int64_t dsc::sumOf(const MemoryParts &parts) {
  int64_t sum = 0;
  for (int64_t bytes : parts) {
    sum += bytes;
  }
  return sum;
}

static int64_t &at(MemoryParts &parts, MemoryPart part) { return parts[static_cast<size_t>(part)]; }

//===----------------------------------------------------------------------===//
// Outside the arena
//===----------------------------------------------------------------------===//

static MemoryPart partOf(GlobalOp global) {
  switch (global.getRole()) {
  case GlobalRole::trained:
  case GlobalRole::buffer:
  case GlobalRole::compute:
    return MemoryPart::Weights;
  case GlobalRole::constant:
    return MemoryPart::Other;
  default:
    break;
  }
  std::optional<StringRef> kind = global.getSlotKind();
  return kind && (*kind == "accumulator" || *kind == "gradient") ? MemoryPart::Gradients
                                                                 : MemoryPart::State;
}

static int64_t spaceBytes(ModuleOp module, StringRef space) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  auto size = memory ? memory.getAs<IntegerAttr>(space) : nullptr;
  return size ? size.getInt() : 0;
}

/// Sets everything but the arena; the sum with it is what Manifest::plannedBytes says.
static void countGlobals(ModuleOp module, int64_t ranks, PlannedBytes &bytes) {
  int64_t named = 0, shards = 0;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getStorage() || global.getWithin()) {
      continue;
    }
    int64_t size = tensorBytes(global.getTensorType());
    if (global.getSharded()) {
      int64_t chunks = global.getTensorType().getDimSize(0);
      size = dsc_shard_bytes(chunks, chunks ? size / chunks : 0, ranks);
      shards += size;
    }
    at(bytes.outside, partOf(global)) += size;
    named += size;
  }
  const int64_t all = spaceBytes(module, "state") + spaceBytes(module, "constants") +
                      spaceBytes(module, "io") + shards;
  at(bytes.outside, MemoryPart::Other) += all - named; // io, and gaps for alignment
}

//===----------------------------------------------------------------------===//
// The arena
//===----------------------------------------------------------------------===//

namespace {
/// Finds the places that values of one entry take.
class EntryPlaces {
public:
  explicit EntryPlaces(func::FuncOp entry) : entry(entry) {}

  std::vector<ArenaPlace> run() {
    for (Operation &op : entry.getOps()) {
      if (auto pack = dyn_cast<PackOp>(op)) {
        packs.push_back(slotsOf(pack).front());
      }
    }
    int64_t end = 0;
    for (Operation &op : entry.getOps()) {
      if (!isa<ReshapeOp, SliceOp>(op)) {
        for (auto [i, slot] : llvm::enumerate(slotsOf(&op))) {
          add(slot, &op, partOf(&op), static_cast<int64_t>(i));
        }
      }
      if (auto scratch = op.getAttrOfType<SlotAttr>("dsc.scratch")) {
        add(scratch, &op, MemoryPart::Workspace, -1);
      }
      ++end;
    }
    for (ArenaPlace &place : places) {
      // What takes another one's place begins behind it.
      bool follows = ends.count({place.offset, place.first});
      place.first =
          std::clamp<int64_t>(place.first + (follows && place.first < place.last), 0, end);
      place.last = std::min(place.last, end - 1);
    }
    return std::move(places);
  }

private:
  static SmallVector<SlotAttr> slotsOf(Operation *op) {
    SmallVector<SlotAttr> slots;
    if (auto attribute = op->getAttrOfType<ArrayAttr>("dsc.slots")) {
      llvm::append_range(slots, attribute.getAsRange<SlotAttr>());
    }
    return slots;
  }

  static MemoryPart partOf(Operation *op) {
    return isa<PackOp, ReduceScatterOp>(op) ? MemoryPart::Gradients
           : isa<AllGatherOp>(op)           ? MemoryPart::Communication
                                            : MemoryPart::Activations;
  }

  /// Whether the bytes are a part of a pack that is alive all the while.
  bool isPacked(SlotAttr slot) const {
    return llvm::any_of(packs, [&](SlotAttr pack) {
      return pack.getSpace() == Space::arena && pack.getOffset() <= slot.getOffset() &&
             slot.getOffset() + slot.getBytes() <= pack.getOffset() + pack.getBytes() &&
             pack.getFirst() <= slot.getFirst() && slot.getLast() <= pack.getLast();
    });
  }

  void add(SlotAttr slot, Operation *op, MemoryPart part, int64_t result) {
    // A pack begins with its first part, at the same offset.
    if (slot.getSpace() != Space::arena || slot.getBytes() == 0 ||
        (!isa<PackOp>(op) && isPacked(slot)) ||
        !seen.insert({slot.getOffset(), slot.getFirst()}).second) {
      return;
    }
    places.push_back({op, slot.getOffset(), static_cast<int64_t>(dsc_align(slot.getBytes())),
                      slot.getFirst(), slot.getLast(), part, result});
    ends.insert({slot.getOffset(), slot.getLast()});
  }

  func::FuncOp entry;
  SmallVector<SlotAttr> packs;
  std::vector<ArenaPlace> places;
  std::set<std::pair<int64_t, int64_t>> seen; // offset, first
  std::set<std::pair<int64_t, int64_t>> ends; // offset, last
};
} // namespace

std::vector<ArenaPlace> dsc::arenaPlaces(func::FuncOp entry) { return EntryPlaces(entry).run(); }

static EntryProfile profileOf(func::FuncOp entry) {
  auto ops = entry.getOps();
  EntryProfile profile{entry.getName().str(), {}};
  profile.live.assign(std::distance(ops.begin(), ops.end()) + 1, MemoryParts{});
  // Additions and removals at each op, then their running sums.
  for (const ArenaPlace &place : arenaPlaces(entry)) {
    at(profile.live[place.first], place.part) += place.bytes;
    at(profile.live[place.last + 1], place.part) -= place.bytes;
  }
  for (size_t i = 1; i < profile.live.size(); ++i) {
    for (size_t part = 0; part < kMemoryParts; ++part) {
      profile.live[i][part] += profile.live[i - 1][part];
    }
  }
  profile.live.pop_back();
  return profile;
}

/// The largest moment of all entries.
static MemoryParts largestMoment(ArrayRef<EntryProfile> entries) {
  MemoryParts largest = {};
  for (const EntryProfile &entry : entries) {
    for (const MemoryParts &moment : entry.live) {
      largest = sumOf(moment) > sumOf(largest) ? moment : largest;
    }
  }
  return largest;
}

/// Adds up what lies outside the arena and its fullest moment; what the arena has beyond that are
/// gaps of the packing.
static void addUp(PlannedBytes &bytes) {
  MemoryParts moment = largestMoment(bytes.entries);
  bytes.parts = bytes.outside;
  for (size_t part = 0; part < kMemoryParts; ++part) {
    bytes.parts[part] += moment[part];
  }
  at(bytes.parts, MemoryPart::Other) += bytes.arena - sumOf(moment);
  bytes.peak = sumOf(bytes.parts);
}

//===----------------------------------------------------------------------===//
// Work
//===----------------------------------------------------------------------===//

static bool isLibraryCall(Operation *op) {
  return isa<MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp, AttentionGradOp>(op);
}

/// Bytes of a bucket as ranks exchange it: where the target's slices are all of one length, the
/// last ones reach behind it.
static int64_t exchangedBytes(RankedTensorType type, int64_t ranks, bool isEqualSlices) {
  const int64_t chunks = type.getDimSize(0), slice = llvm::divideCeil(chunks, ranks);
  return tensorBytes(type) / chunks * (isEqualSlices ? slice * ranks : chunks);
}

static void countWork(func::FuncOp entry, int64_t times, int64_t ranks, PlannedBytes &bytes) {
  const bool isEqualSlices = targetOf(entry)->sliceRoom(ranks) > 0;
  for (Operation &op : entry.getOps()) {
    Cost cost = costOf(&op);
    bytes.flops += times * cost.flops;
    bytes.bytesMoved += isLibraryCall(&op) ? 0 : times * cost.bytes;
    if (isa<ReduceScatterOp, AllGatherOp>(op)) {
      auto type = cast<RankedTensorType>(op.getResult(0).getType());
      bool isBucket = type.getRank() == 2 && type.getDimSize(1) == DSC_CHUNK_ELEMENTS;
      // All ranks together send (N - 1) times the bucket.
      bytes.traffic +=
          isBucket ? times * (ranks - 1) * exchangedBytes(type, ranks, isEqualSlices) / ranks : 0;
    }
  }
}

PlannedBytes dsc::plannedBytes(ModuleOp module, int64_t ranks, int64_t microBatches) {
  PlannedBytes bytes;
  bytes.arena = spaceBytes(module, "arena");
  countGlobals(module, ranks, bytes);
  for (func::FuncOp entry : entriesOf(module)) {
    bytes.entries.push_back(profileOf(entry));
    int64_t times = entry.getName() == "last"    ? 1
                    : entry.getName() == "micro" ? microBatches - 1
                                                 : 0;
    countWork(entry, times, ranks, bytes);
  }
  addUp(bytes);
  return bytes;
}

//===----------------------------------------------------------------------===//
// Other batches
//===----------------------------------------------------------------------===//

static int64_t lerp(int64_t small, int64_t large, double where) {
  double value = static_cast<double>(small) + where * static_cast<double>(large - small);
  return static_cast<int64_t>(std::max(0.0, value));
}

static MemoryParts lerp(const MemoryParts &small, const MemoryParts &large, double where) {
  MemoryParts parts;
  for (size_t i = 0; i < kMemoryParts; ++i) {
    parts[i] = lerp(small[i], large[i], where);
  }
  return parts;
}

PlannedBytes dsc::interpolate(const PlannedBytes &small, int64_t smallBatch,
                              const PlannedBytes &large, int64_t largeBatch, int64_t batch) {
  const double where =
      static_cast<double>(batch - smallBatch) / static_cast<double>(largeBatch - smallBatch);
  PlannedBytes bytes;
  bytes.outside = lerp(small.outside, large.outside, where);
  bytes.traffic = lerp(small.traffic, large.traffic, where);
  bytes.flops = lerp(small.flops, large.flops, where);
  bytes.bytesMoved = lerp(small.bytesMoved, large.bytesMoved, where);
  for (size_t e = 0; e < std::min(small.entries.size(), large.entries.size()); ++e) {
    const EntryProfile &a = small.entries[e], &b = large.entries[e];
    EntryProfile entry{a.name, {}};
    if (a.live.size() == b.live.size()) {
      for (size_t i = 0; i < a.live.size(); ++i) {
        entry.live.push_back(lerp(a.live[i], b.live[i], where));
      }
    } else {
      // Other ops: the fullest moments alone can be compared.
      entry.live.push_back(lerp(largestMoment(a), largestMoment(b), where));
    }
    bytes.entries.push_back(std::move(entry));
  }
  // Packing leaves gaps, as many as in the plan that is nearer.
  const PlannedBytes &near = batch - smallBatch < largeBatch - batch ? small : large;
  const int64_t held = sumOf(largestMoment(near.entries));
  const double gaps = held ? static_cast<double>(near.arena) / static_cast<double>(held) : 1;
  bytes.arena = static_cast<int64_t>(std::max(1.0, gaps) *
                                     static_cast<double>(sumOf(largestMoment(bytes.entries))));
  addUp(bytes);
  return bytes;
}
