// cuDNN and its graphs.

#include "runtime/cuda/Cudnn.h"

#include "runtime/StartTimes.h"
#include "runtime/cuda/CudaState.h"
#include "runtime/cuda/CudnnFrontend.h"

#include <cstdlib>

namespace fe = cudnn_frontend;
using namespace dsc;

// cudnn-frontend looks the library's functions up in it.
void *cudnn_frontend::cudnn_dlhandle = nullptr;

static constexpr size_t oldestVersion = 90000;

void Cudnn::setEnvironment(const CudaDriver &driver) {
  // The frontend asks the CUDA runtime for a few things, and should take the one that was loaded.
  if (std::string runtime = loadCudart(driver.version()); !runtime.empty()) {
    setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", runtime.c_str(), 0);
  }
}

Result<std::unique_ptr<Cudnn>> Cudnn::open(const CudaDriver &driver, bool deterministic) {
  Result<void *> handle = loadCudnn(driver.version());
  if (handle.failed()) {
    return handle.status();
  }
  fe::cudnn_dlhandle = *handle;
  std::unique_ptr<Cudnn> library(new Cudnn);
  library->deterministic = deterministic;
  try {
    library->versionNumber = fe::detail::get_backend_version();
    if (library->versionNumber < oldestVersion) {
      return Status::machine(format(
          "cuDNN (%s) has version %s and this program needs 9.0 or newer; "
          "'pip install -U nvidia-cudnn-cu%d'",
          loadedLibrary("cuDNN").c_str(), library->versionText().c_str(), driver.version() / 1000));
    }
    cudnnStatus_t status = fe::detail::create_handle(&library->library);
    if (status == CUDNN_STATUS_SUCCESS) {
      status =
          fe::detail::set_stream(library->library, reinterpret_cast<cudaStream_t>(driver.compute));
    }
    if (status != CUDNN_STATUS_SUCCESS) {
      return Status::machine(format("cuDNN (%s) does not start on this GPU: %s",
                                    loadedLibrary("cuDNN").c_str(),
                                    fe::detail::get_error_string(status)));
    }
  } catch (const std::exception &error) {
    return Status::machine(
        format("cuDNN (%s) cannot be used: %s", loadedLibrary("cuDNN").c_str(), error.what()));
  }
  return library;
}

Cudnn::~Cudnn() {
  if (library) {
    fe::detail::destroy_handle(library);
  }
}

std::string Cudnn::versionText() const {
  return format("%zu.%zu.%zu, %s", versionNumber / 10000, versionNumber / 100 % 100,
                versionNumber % 100, loadedLibrary("cuDNN").c_str());
}

Result<std::unique_ptr<CudnnGraph>> CudnnGraph::make(const Cudnn &library, Choices &choices,
                                                     std::shared_ptr<Graph> graph,
                                                     const Rules &rules) {
  std::unique_ptr<CudnnGraph> made(new CudnnGraph(library, graph, rules.what));
  auto refused = [&](const std::string &why) {
    return Status::machine(format("%s: cuDNN %zu.%zu.%zu does not take it (%s); a newer cuDNN may, "
                                  "and the other way out is to compile with another precision or "
                                  "shape",
                                  rules.what.c_str(), library.version() / 10000,
                                  library.version() / 100 % 100, library.version() % 100,
                                  why.c_str()));
  };
  try {
    std::string why;
    auto good = [&](fe::error_t error) {
      why = error.get_message();
      return error.is_good();
    };
    cudnnHandle_t handle = library.handle();
    if (!good(graph->validate()) || !good(graph->build_operation_graph(handle)) ||
        !good(graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}))) {
      return refused(why);
    }
    std::vector<fe::NumericalNote_t> barred = {fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION,
                                               fe::NumericalNote_t::DOWN_CONVERT_INPUTS};
    if (library.isDeterministic()) {
      barred.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
    }
    if (rules.dtype == DSC_F32 && !rules.allowTf32) {
      barred.push_back(fe::NumericalNote_t::TENSOR_CORE);
    }
    graph->deselect_numeric_notes(barred);
    graph->deselect_workspace_greater_than(rules.workspace);
    if (!good(graph->check_support(handle))) {
      return refused(why);
    }
    const bool timed = !rules.operands.empty();
    const std::string key =
        format("cudnn %zu %s", library.version(), library.isDeterministic() ? "" : "any bits ") +
        rules.key;
    if (!timed) {
      if (!good(graph->build_plans(handle, fe::BuildPlanPolicy_t::HEURISTICS_CHOICE))) {
        return refused(why);
      }
      made->workspace = graph->get_workspace_size();
      made->index = -1;
      return made;
    }
    // Engines are numbered in the order of this call's heuristics; names stay the same.
    std::optional<std::string> stored = choices.find(key);
    std::vector<int64_t> plans;
    for (int64_t i = 0, count = graph->get_execution_plan_count(); i < count && plans.size() < 8;
         ++i) {
      std::string name;
      if (graph->get_plan_name_at_index(i, name).is_bad() || (stored && name != *stored) ||
          !good(graph->build_plan_at_index(handle, i)) ||
          graph->get_workspace_size_plan_at_index(i) > rules.workspace) {
        continue;
      }
      plans.push_back(i);
      if (stored) {
        break;
      }
    }
    if (plans.empty()) {
      return refused(why.empty() ? "no plan fits its workspace" : why);
    }
    made->index = plans.front();
    if (!stored) {
      CudnnOperands operands;
      int slot = 0;
      bool room = true;
      for (auto [number, bytes] : rules.operands) {
        operands[number] = choices.operand(slot++, bytes, rules.dtype);
        room &= operands[number] != nullptr;
      }
      void *workspace = choices.operand(slot, rules.workspace, DSC_F32);
      std::optional<size_t> fastest;
      if (room && workspace) {
        fastest = choices.fastest(
            plans.size(), [&](size_t i) { return made->runPlan(plans[i], operands, workspace); });
      }
      std::string name;
      if (fastest) {
        made->index = plans[*fastest];
        if (graph->get_plan_name_at_index(made->index, name).is_good()) {
          choices.store(key, name);
        }
      }
    }
    made->workspace = graph->get_workspace_size_plan_at_index(made->index);
  } catch (const std::exception &error) {
    return refused(error.what());
  }
  return made;
}

Status CudnnGraph::runPlan(int64_t plan, CudnnOperands &operands, void *space) const {
  try {
    fe::error_t error = plan < 0
                            ? graph->execute(library.handle(), operands, space)
                            : graph->execute_plan_at_index(library.handle(), operands, space, plan);
    return error.is_good()
               ? Status()
               : Status(ExitCode::Rank, what + ": cuDNN failed: " + error.get_message());
  } catch (const std::exception &error) {
    return {ExitCode::Rank, what + ": cuDNN failed: " + error.what()};
  }
}

Status CudaDevice::openCudnn(std::unique_ptr<Cudnn> &library) {
  if (library) {
    return {};
  }
  StartPhase phase("cuDNN");
  Cudnn::setEnvironment(*driver);
  Result<std::unique_ptr<Cudnn>> opened = Cudnn::open(*driver, deterministic);
  DSC_RETURN_IF_FAILED(opened.status());
  library = std::move(*opened);
  return {};
}
