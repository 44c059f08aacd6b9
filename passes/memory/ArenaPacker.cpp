// First-fit over buffers in several fixed orders.

#include "passes/memory/ArenaPacker.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

using namespace dsc;

static bool overlapInTime(const ArenaBuffer &a, const ArenaBuffer &b) {
  return a.first <= b.last && b.first <= a.last;
}

/// Places buffers in `order`, each in the tightest gap between the placed buffers that live at the
/// same time. Returns the peak; gives up (returns the limit) once it is not below `limit`.
static int64_t placeInOrder(std::vector<ArenaBuffer> &buffers, const std::vector<size_t> &order,
                            int64_t limit) {
  std::vector<size_t> byOffset; // placed buffers, by offset
  int64_t peak = 0;
  for (size_t index : order) {
    ArenaBuffer &buffer = buffers[index];
    int64_t end = 0, best = -1, bestGap = std::numeric_limits<int64_t>::max();
    for (size_t other : byOffset) {
      const ArenaBuffer &placed = buffers[other];
      if (!overlapInTime(buffer, placed)) {
        continue;
      }
      int64_t gap = placed.offset - end;
      if (gap >= buffer.bytes && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, placed.offset + placed.bytes);
    }
    buffer.offset = best >= 0 ? best : end;
    peak = std::max(peak, buffer.offset + buffer.bytes);
    if (peak >= limit) {
      return limit;
    }
    auto at = std::upper_bound(byOffset.begin(), byOffset.end(), index, [&](size_t a, size_t b) {
      return buffers[a].offset < buffers[b].offset;
    });
    byOffset.insert(at, index);
  }
  return peak;
}

int64_t dsc::arenaLowerBound(const std::vector<ArenaBuffer> &buffers) {
  std::map<int64_t, int64_t> change;
  for (const ArenaBuffer &buffer : buffers) {
    change[buffer.first] += buffer.bytes;
    change[buffer.last + 1] -= buffer.bytes;
  }
  int64_t live = 0, bound = 0;
  for (auto [position, bytes] : change) {
    live += bytes;
    bound = std::max(bound, live);
  }
  return bound;
}

int64_t dsc::packArena(std::vector<ArenaBuffer> &buffers) {
  using Less = std::function<bool(const ArenaBuffer &, const ArenaBuffer &)>;
  auto duration = [](const ArenaBuffer &b) { return b.last - b.first; };
  const Less orders[] = {
      [](const ArenaBuffer &a, const ArenaBuffer &b) { return a.bytes > b.bytes; },
      [&](const ArenaBuffer &a, const ArenaBuffer &b) { return duration(a) > duration(b); },
      [&](const ArenaBuffer &a, const ArenaBuffer &b) {
        return a.bytes * (duration(a) + 1) > b.bytes * (duration(b) + 1);
      },
      [](const ArenaBuffer &a, const ArenaBuffer &b) { return a.first < b.first; },
      [](const ArenaBuffer &a, const ArenaBuffer &b) { return a.last > b.last; },
  };
  int64_t bound = arenaLowerBound(buffers), best = std::numeric_limits<int64_t>::max();
  std::vector<ArenaBuffer> placed = buffers;
  for (const Less &less : orders) {
    std::vector<size_t> order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return less(buffers[a], buffers[b]); });
    int64_t peak = placeInOrder(placed, order, best);
    if (peak < best) {
      best = peak;
      buffers = placed;
    }
    if (best == bound) {
      break;
    }
  }
  return buffers.empty() ? 0 : best;
}
