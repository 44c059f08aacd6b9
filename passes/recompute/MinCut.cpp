// Dinic's maximum flow (E. A. Dinic, 1970) over a graph in which each vertex is an arc of its
// capacity.

#include "passes/recompute/MinCut.h"

#include <algorithm>

using namespace dsc;

static int entry(int vertex) { return 2 * vertex + 2; }
static int leaving(int vertex) { return 2 * vertex + 3; }

void MinCut::addArc(int from, int to, int64_t capacity) {
  arcs[from].push_back({to, capacity, static_cast<int>(arcs[to].size())});
  arcs[to].push_back({from, 0, static_cast<int>(arcs[from].size()) - 1});
}

int MinCut::addVertex(int64_t capacity) {
  int vertex = static_cast<int>(arcs.size() - 2) / 2;
  arcs.resize(arcs.size() + 2);
  addArc(entry(vertex), leaving(vertex), std::min(capacity, kUncuttable));
  return vertex;
}

void MinCut::addEdge(int from, int to) { addArc(leaving(from), entry(to), kUncuttable); }
void MinCut::addSource(int vertex) { addArc(0, entry(vertex), kUncuttable); }
void MinCut::addSink(int vertex) { addArc(leaving(vertex), 1, kUncuttable); }

/// Distances from the source over arcs with capacity left; false once the sink is out of reach.
bool MinCut::layer() {
  level.assign(arcs.size(), -1);
  next.assign(arcs.size(), 0);
  std::vector<int> queue{0};
  level[0] = 0;
  for (size_t head = 0; head < queue.size(); ++head) {
    for (const Arc &arc : arcs[queue[head]]) {
      if (arc.left > 0 && level[arc.to] < 0) {
        level[arc.to] = level[queue[head]] + 1;
        queue.push_back(arc.to);
      }
    }
  }
  return level[1] >= 0;
}

/// Sends one path of at most `limit` from `node` to the sink. Iterative, since a graph may be as
/// deep as a model.
int64_t MinCut::push(int node, int64_t limit) {
  std::vector<Arc *> path;
  while (node != 1) {
    size_t &at = next[node];
    while (at < arcs[node].size() &&
           !(arcs[node][at].left > 0 && level[arcs[node][at].to] == level[node] + 1)) {
      ++at;
    }
    if (at < arcs[node].size()) {
      path.push_back(&arcs[node][at]);
      node = arcs[node][at].to;
    } else if (path.empty()) {
      return 0;
    } else { // a dead end: one step back, past the arc that led here
      node = arcs[node][path.back()->reverse].to;
      path.pop_back();
      ++next[node];
    }
  }
  for (const Arc *arc : path) {
    limit = std::min(limit, arc->left);
  }
  for (Arc *arc : path) {
    arc->left -= limit;
    arcs[arc->to][arc->reverse].left += limit;
  }
  return limit;
}

std::optional<std::vector<int>> MinCut::solve() {
  int64_t flow = 0;
  while (layer()) {
    while (int64_t sent = push(0, kUncuttable)) {
      flow += sent;
      if (flow >= kUncuttable) {
        return std::nullopt;
      }
    }
  }
  // What still reaches the sink lies behind the cut nearest to it.
  std::vector<bool> reaches(arcs.size(), false);
  std::vector<int> queue{1};
  reaches[1] = true;
  for (size_t head = 0; head < queue.size(); ++head) {
    for (const Arc &arc : arcs[queue[head]]) {
      if (!reaches[arc.to] && arcs[arc.to][arc.reverse].left > 0) {
        reaches[arc.to] = true;
        queue.push_back(arc.to);
      }
    }
  }
  std::vector<int> cut;
  for (int vertex = 0, e = static_cast<int>(arcs.size() - 2) / 2; vertex < e; ++vertex) {
    if (!reaches[entry(vertex)] && reaches[leaving(vertex)]) {
      cut.push_back(vertex);
    }
  }
  return cut;
}
