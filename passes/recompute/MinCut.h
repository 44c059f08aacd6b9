// Minimum vertex cut of a directed graph. Plain C++; knows nothing of IR.

#ifndef DSC_PASSES_RECOMPUTE_MINCUT_H
#define DSC_PASSES_RECOMPUTE_MINCUT_H

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace dsc {

/// The cheapest set of vertices whose removal leaves no path from a source to a sink. Sources and
/// sinks may be removed themselves.
class MinCut {
public:
  /// The capacity of a vertex that must stay.
  static constexpr int64_t kUncuttable = std::numeric_limits<int64_t>::max() / 4;

  /// Adds a vertex that costs `capacity` >= 0 to remove; returns its number, counted from 0.
  int addVertex(int64_t capacity);
  void addEdge(int from, int to);
  void addSource(int vertex);
  void addSink(int vertex);

  /// The vertices to remove, ascending; of several cheapest sets the one nearest to the sinks.
  /// Nothing where only vertices that must stay would separate them. To be called once.
  std::optional<std::vector<int>> solve();

private:
  struct Arc {
    int to;
    int64_t left; // residual capacity
    int reverse;  // index of the opposite arc in arcs[to]
  };

  void addArc(int from, int to, int64_t capacity);
  bool layer();
  int64_t push(int node, int64_t limit);

  // Node 0 is the source of all, node 1 the sink; vertex v enters at 2v + 2 and leaves at 2v + 3.
  std::vector<std::vector<Arc>> arcs{2};
  std::vector<int> level;
  std::vector<size_t> next;
};

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_MINCUT_H
