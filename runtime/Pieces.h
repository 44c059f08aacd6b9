// Work on many elements shared by threads, for the host's part of a start: initial values and
// conversions of weights. (Kernels have their own threads: runtime/cpu.)

#ifndef DSC_RUNTIME_PIECES_H
#define DSC_RUNTIME_PIECES_H

#include "runtime/Status.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace dsc {

/// Elements that a thread takes at a time.
constexpr int64_t kPieceElements = 1 << 16;

/// Calls work(first, count) -> Status for pieces that cover [0, total), on up to `threads` threads.
/// Returns a Status that failed, if any did; then some pieces may be left out.
template <typename Work> Status forPieces(int threads, int64_t total, Work work) {
  std::atomic<int64_t> next = 0;
  std::atomic<bool> stopped = false;
  std::mutex mutex;
  Status result;
  auto takePieces = [&] {
    for (int64_t at = next.fetch_add(kPieceElements); at < total && !stopped;
         at = next.fetch_add(kPieceElements)) {
      Status status = work(at, std::min(kPieceElements, total - at));
      if (status.failed()) {
        std::lock_guard lock(mutex);
        result = std::move(status);
        stopped = true;
      }
    }
  };
  const int64_t pieces = (total + kPieceElements - 1) / kPieceElements;
  std::vector<std::thread> helpers;
  for (int64_t i = 1; i < std::min<int64_t>(threads, pieces); ++i) {
    helpers.emplace_back(takePieces);
  }
  takePieces();
  for (std::thread &helper : helpers) {
    helper.join();
  }
  return result;
}

} // namespace dsc

#endif // DSC_RUNTIME_PIECES_H
