// cuDNN and its graphs.
// The library with its handle, and one operation graph of it with a chosen execution plan. The
// operations are built by Attention.cpp and Convolution.cpp with cudnn-frontend, which only they
// and Cudnn.cpp include.

#ifndef DSC_RUNTIME_CUDA_CUDNN_H
#define DSC_RUNTIME_CUDA_CUDNN_H

#include "runtime/cuda/Choices.h"

#include <memory>
#include <unordered_map>

struct cudnnContext;

namespace cudnn_frontend::graph {
class Graph;
}

namespace dsc {

class Cudnn {
public:
  /// With `deterministic`, plans that may give other bits in another run are left out.
  static Result<std::unique_ptr<Cudnn>> open(const CudaDriver &driver, bool deterministic);
  ~Cudnn();
  /// What `open` needs in the process's environment, where it is not there yet.
  static void setEnvironment(const CudaDriver &driver);

  cudnnContext *handle() const { return library; }
  /// 91900 for 9.19.0.
  size_t version() const { return versionNumber; }
  bool isDeterministic() const { return deterministic; }
  std::string versionText() const;

private:
  cudnnContext *library = nullptr;
  size_t versionNumber = 0;
  bool deterministic = true;
};

/// Addresses of a graph's tensors by number.
using CudnnOperands = std::unordered_map<int64_t, void *>;

/// One operation graph and its execution plan.
class CudnnGraph {
public:
  using Graph = cudnn_frontend::graph::Graph;

  /// How a plan is chosen.
  struct Rules {
    /// What failed, for errors: "attention of ..".
    std::string what;
    /// For the file of choices.
    std::string key;
    int64_t workspace = 0;
    /// Whether f32 may be rounded to tf32.
    bool allowTf32 = false;
    /// Bytes of each operand and its type; plans are timed on random numbers. Empty: the library's
    /// first plan is taken.
    std::vector<std::pair<int64_t, int64_t>> operands;
    int32_t dtype = 0;
  };

  /// Takes a graph whose operations are all there, and chooses its plan among those that are
  /// deterministic where that is asked for, and fit the workspace. Error: cuDNN has none.
  static Result<std::unique_ptr<CudnnGraph>> make(const Cudnn &library, Choices &choices,
                                                  std::shared_ptr<Graph> graph, const Rules &rules);

  Status run(CudnnOperands &operands, void *workspace) const {
    return runPlan(index, operands, workspace);
  }
  int64_t workspaceBytes() const { return workspace; }

private:
  CudnnGraph(const Cudnn &library, std::shared_ptr<Graph> graph, std::string what)
      : library(library), graph(std::move(graph)), what(std::move(what)) {}
  Status runPlan(int64_t plan, CudnnOperands &operands, void *workspace) const;

  const Cudnn &library;
  std::shared_ptr<Graph> graph;
  std::string what;
  int64_t index = 0, workspace = 0;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CUDNN_H
