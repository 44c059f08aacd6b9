// The minimum vertex cut against all subsets of vertices, on random graphs.

#include "passes/recompute/MinCut.h"

#include "gtest/gtest.h"

#include <random>

using namespace dsc;

namespace {
struct Graph {
  std::vector<int64_t> capacities;
  std::vector<std::pair<int, int>> edges;
  std::vector<int> sources, sinks;

  std::optional<std::vector<int>> solve() const {
    MinCut cut;
    for (int64_t capacity : capacities) {
      cut.addVertex(capacity);
    }
    for (auto [from, to] : edges) {
      cut.addEdge(from, to);
    }
    for (int vertex : sources) {
      cut.addSource(vertex);
    }
    for (int vertex : sinks) {
      cut.addSink(vertex);
    }
    return cut.solve();
  }

  /// Whether no path is left once the vertices of `removed` (a bit each) are gone.
  bool separates(unsigned removed) const {
    unsigned reached = 0;
    for (int vertex : sources) {
      reached |= (1u << vertex) & ~removed;
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (auto [from, to] : edges) {
        unsigned next = (1u << to) & ~removed;
        if ((reached >> from & 1) && next && !(reached & next)) {
          reached |= next;
          changed = true;
        }
      }
    }
    return std::none_of(sinks.begin(), sinks.end(),
                        [&](int vertex) { return reached >> vertex & 1; });
  }

  int64_t costOf(unsigned removed) const {
    int64_t cost = 0;
    for (size_t i = 0; i < capacities.size(); ++i) {
      cost += removed >> i & 1 ? capacities[i] : 0;
    }
    return cost;
  }
};
} // namespace

TEST(MinCut, AgreesWithAllSubsets) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Graph graph;
    const int n = 3 + static_cast<int>(random() % 8);
    for (int i = 0; i < n; ++i) {
      graph.capacities.push_back(random() % 6 == 0 ? MinCut::kUncuttable : random() % 9);
      if (random() % 3 == 0) {
        graph.sources.push_back(i);
      }
      if (random() % 3 == 0) {
        graph.sinks.push_back(i);
      }
      for (int j = 0; j < i; ++j) {
        if (random() % 3 == 0) {
          graph.edges.push_back({j, i});
        }
      }
    }
    int64_t best = MinCut::kUncuttable;
    for (unsigned removed = 0; removed < 1u << n; ++removed) {
      bool allowed = true;
      for (int i = 0; i < n; ++i) {
        allowed &= !(removed >> i & 1) || graph.capacities[i] < MinCut::kUncuttable;
      }
      if (allowed && graph.separates(removed)) {
        best = std::min(best, graph.costOf(removed));
      }
    }
    std::optional<std::vector<int>> cut = graph.solve();
    ASSERT_EQ(cut.has_value(), best < MinCut::kUncuttable) << "round " << round;
    if (cut) {
      unsigned removed = 0;
      for (int vertex : *cut) {
        removed |= 1u << vertex;
      }
      EXPECT_TRUE(graph.separates(removed)) << "round " << round;
      EXPECT_EQ(graph.costOf(removed), best) << "round " << round;
    }
  }
}

TEST(MinCut, TakesTheOneNearestToTheSinks) {
  Graph chain{{4, 4, 4}, {{0, 1}, {1, 2}}, {0}, {2}};
  EXPECT_EQ(chain.solve(), std::vector<int>{2});
  chain.capacities = {4, 3, 4};
  EXPECT_EQ(chain.solve(), std::vector<int>{1});
}

TEST(MinCut, DeepChain) {
  Graph chain;
  for (int i = 0; i < 20000; ++i) {
    chain.capacities.push_back(i == 12345 ? 1 : 2);
    if (i > 0) {
      chain.edges.push_back({i - 1, i});
    }
  }
  chain.sources = {0};
  chain.sinks = {19999};
  EXPECT_EQ(chain.solve(), std::vector<int>{12345});
}
