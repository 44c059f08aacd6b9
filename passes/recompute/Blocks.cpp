// Cuts of the forward graph, and the period of the pieces between them.

#include "passes/recompute/Blocks.h"

#include "passes/recompute/SavedValues.h"

#include "llvm/ADT/Hashing.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace dsc;

/// A value with this many readers, spread over at least a third of the forward pass, belongs to no
/// block: a bias of positions or the output of an encoder, which every layer reads.
static constexpr int kSharedReaders = 4;

/// Longest period, in pieces, that is looked for.
static constexpr int kLongestPeriod = 128;

namespace {
/// Where each activation is alive in the forward pass.
class Crossings {
public:
  explicit Crossings(const SavedValues &saved);

  std::vector<int> count;      // activations that are read behind an op and made at or before it
  std::vector<int64_t> bytes;  // and their bytes
  std::vector<int64_t> inside; // bytes of the values made by an op that backward reads
  std::vector<bool> makesActivation;

private:
  std::vector<bool> findActivations(const SavedValues &saved) const;
};
} // namespace

/// Values that depend on inputs and on parameters: weights alone pass through no block, nor do
/// masks.
std::vector<bool> Crossings::findActivations(const SavedValues &saved) const {
  DenseMap<Value, int> depends; // bit 0: on an input, bit 1: on a parameter
  for (int i = 0; i <= saved.forwardEnd; ++i) {
    Operation *op = saved.ops[i];
    int bits = 0;
    for (Value operand : op->getOperands()) {
      bits |= isa<BlockArgument>(operand) ? 1 : depends.lookup(operand);
    }
    if (auto get = dyn_cast<GetGlobalOp>(op)) {
      auto global = SymbolTable::lookupNearestSymbolFrom<GlobalOp>(get, get.getNameAttr());
      bool isParameter = global && global.getRole() != GlobalRole::constant &&
                         global.getRole() != GlobalRole::runtime;
      bits = isParameter ? 2 : 0;
    }
    for (Value result : op->getResults()) {
      depends[result] = bits;
    }
  }
  std::vector<bool> isActivation;
  for (const ForwardValue &value : saved.values) {
    isActivation.push_back(depends.lookup(value.value) == 3);
  }
  return isActivation;
}

Crossings::Crossings(const SavedValues &saved) {
  const int n = saved.forwardEnd + 1;
  count.assign(n, 0);
  bytes.assign(n, 0);
  inside.assign(n, 0);
  makesActivation.assign(n, false);
  std::vector<bool> isActivation = findActivations(saved);
  // A view keeps its base alive.
  std::vector<int> last(saved.values.size()), readers(saved.values.size(), 0);
  std::vector<bool> needed(saved.values.size());
  for (size_t i = saved.values.size(); i-- > 0;) {
    const ForwardValue &value = saved.values[i];
    last[i] = std::max(last[i], value.lastForwardUse);
    needed[i] = needed[i] || value.isNeeded();
    for (Operation *user : value.value.getUsers()) {
      readers[i] += saved.positionOf(user) <= saved.forwardEnd && !isStorageView(user);
    }
    if (value.again == Again::view) {
      int base = value.operands.front();
      last[base] = std::max(last[base], last[i]);
      readers[base] += readers[i];
      needed[base] = needed[base] || needed[i];
      continue;
    }
    bool isShared = readers[i] >= kSharedReaders && last[i] - value.position > n / 3;
    inside[value.position] += needed[i] ? value.bytes : 0;
    if (!isActivation[i]) {
      continue;
    }
    makesActivation[value.position] = true;
    for (int at = value.position; at < last[i] && !isShared; ++at) {
      ++count[at];
      bytes[at] += value.bytes;
    }
  }
}

/// What two ops that do the same have in common: everything but which random numbers they draw and
/// which tensors they read.
static llvm::hash_code hashOf(Operation *op) {
  llvm::hash_code hash = llvm::hash_value(op->getName().getStringRef());
  for (NamedAttribute attribute : op->getAttrs()) {
    if (!isa<RandomOp>(op) || attribute.getName() != "number") {
      hash = llvm::hash_combine(hash, attribute.getName(), attribute.getValue());
    }
  }
  for (Type type : op->getOperandTypes()) {
    hash = llvm::hash_combine(hash, type);
  }
  for (Type type : op->getResultTypes()) {
    hash = llvm::hash_combine(hash, type);
  }
  return hash;
}

namespace {
/// The stretch of pieces [first, first + period * times) that repeats with `period`.
struct Repetition {
  int first = 0, period = 0, times = 0;
  int64_t weight = 0; // ops in it
};
} // namespace

/// The repetition that covers most ops; of several, the one with the shortest period.
static Repetition findRepetition(ArrayRef<size_t> hashes, ArrayRef<int64_t> weights) {
  const int n = static_cast<int>(hashes.size());
  Repetition best;
  for (int period = 1; period <= std::min(n / 2, kLongestPeriod); ++period) {
    for (int first = 0; first + 2 * period <= n;) {
      int same = 0; // pieces from `first` on that equal the one a period later
      while (first + same + period < n && hashes[first + same] == hashes[first + same + period]) {
        ++same;
      }
      int times = same / period + 1;
      if (times >= 2) {
        int64_t weight = 0;
        for (int i = first; i < first + times * period; ++i) {
          weight += weights[i];
        }
        if (weight > best.weight) {
          best = {first, period, times, weight};
        }
      }
      first += same + 1;
    }
  }
  return best;
}

std::vector<int> dsc::chooseCuts(const CutChoice &choice) {
  const int n = static_cast<int>(choice.inside.size());
  int64_t total = 0, largest = 0;
  for (int64_t bytes : choice.inside) {
    total += bytes;
    largest = std::max(largest, bytes);
  }
  std::vector<int> best;
  int64_t bestSum = total;
  constexpr int kSizes = 32;
  constexpr int64_t unreachable = std::numeric_limits<int64_t>::max();
  for (int size = 0; size < kSizes; ++size) {
    int64_t limit = largest + (total - largest) * size / kSizes;
    // least[i]: the least sum of what passes at cuts before piece i, with a cut right before it.
    std::vector<int64_t> least(n + 1, unreachable);
    std::vector<int> previous(n + 1, 0);
    least[0] = 0;
    for (int end = 1; end <= n; ++end) {
      int64_t bytes = 0;
      for (int begin = end - 1; begin >= 0; --begin) {
        bytes += choice.inside[begin];
        if (bytes > limit) {
          break;
        }
        int64_t passes = end < n ? choice.passes[end - 1] : 0;
        if (least[begin] != unreachable && least[begin] + passes < least[end]) {
          least[end] = least[begin] + passes;
          previous[end] = begin;
        }
      }
    }
    if (least[n] != unreachable && least[n] + limit < bestSum) {
      bestSum = least[n] + limit;
      best.clear();
      for (int at = previous[n]; at > 0; at = previous[at]) {
        best.insert(best.begin(), at - 1);
      }
    }
  }
  return best;
}

/// How many repetitions make one block, so that what is saved between blocks and what one block
/// needs are least together.
static int repetitionsPerBlock(int times, int64_t passes, int64_t inside) {
  int best = 1;
  int64_t bestSum = std::numeric_limits<int64_t>::max();
  for (int each = 1; each <= times; ++each) {
    int64_t sum = (times + each - 1) / each * passes + each * inside;
    if (sum < bestSum) {
      best = each;
      bestSum = sum;
    }
  }
  return best;
}

ForwardBlocks dsc::findBlocks(const SavedValues &saved) {
  Crossings crossings(saved);
  const int n = saved.forwardEnd + 1;
  // Pieces end behind ops whose result alone goes on.
  std::vector<int> ends;
  for (int at = 0; at < n; ++at) {
    if (crossings.makesActivation[at] && crossings.count[at] == 1) {
      ends.push_back(at);
    }
  }
  ends.push_back(n - 1);
  std::vector<size_t> hashes;
  std::vector<int64_t> weights, inside;
  int begin = 0;
  int64_t allOps = 0;
  for (int end : ends) {
    llvm::hash_code hash = llvm::hash_value(0);
    weights.push_back(0);
    inside.push_back(0);
    for (int at = begin; at <= end; ++at) {
      if (!isa<GetGlobalOp, ConstantOp>(saved.ops[at])) {
        hash = llvm::hash_combine(hash, hashOf(saved.ops[at]));
        ++weights.back();
      }
      inside.back() += crossings.inside[at];
    }
    hashes.push_back(hash);
    allOps += weights.back();
    begin = end + 1;
  }
  ForwardBlocks blocks;
  std::vector<int> cuts; // positions behind which a block ends
  Repetition layers = findRepetition(hashes, weights);
  if (2 * layers.weight > allOps) {
    blocks.isRepeated = true;
    int64_t perLayer = 0;
    for (int i = layers.first; i < layers.first + layers.period; ++i) {
      perLayer += inside[i];
    }
    int last = ends[layers.first + layers.period - 1];
    int each = repetitionsPerBlock(layers.times, crossings.bytes[last], perLayer);
    if (layers.first > 0) {
      cuts.push_back(ends[layers.first - 1]);
    }
    for (int i = 0; i < layers.times; ++i) {
      if ((i + 1) % each == 0 || i + 1 == layers.times) {
        cuts.push_back(ends[layers.first + (i + 1) * layers.period - 1]);
      }
    }
  } else {
    // Any op may end a block; what passes behind it is saved.
    CutChoice choice;
    std::vector<int> places;
    for (int at = 0; at < n; ++at) {
      if (crossings.makesActivation[at] || at + 1 == n) {
        places.push_back(at);
        choice.inside.push_back(0);
        choice.passes.push_back(crossings.bytes[at]);
      }
    }
    for (int piece = 0, at = 0; at < n; ++at) {
      choice.inside[piece] += crossings.inside[at];
      piece += at == places[piece] && at + 1 < n;
    }
    for (int piece : chooseCuts(choice)) {
      cuts.push_back(places[piece]);
    }
  }
  blocks.ofPosition.assign(n, 0);
  blocks.count = 1;
  for (int at = 0, next = 0; at < n; ++at) {
    blocks.ofPosition[at] = next;
    if (next < static_cast<int>(cuts.size()) && at == cuts[next] && at + 1 < n) {
      ++next;
    }
    blocks.count = next + 1;
  }
  return blocks;
}
