// Session and Executable behind a small interface.

#include "tools/dsc/ProgramRun.h"

#include "runtime/ComputeCopies.h"
#include "runtime/Session.h"
#include "runtime/StridedRuns.h"
#include "runtime/Weights.h"

#include <cmath>
#include <cstring>

using namespace dsc;

// The functions that programs import stand in a static library: naming them all links them all, and
// runtime/exports.list makes them visible to dlopen.
#define DSC_RT_ADDRESS(result, name, parameters) reinterpret_cast<void *>(&name),
extern "C" __attribute__((used, visibility("default"))) void *const dsc_rt_all_functions[] = {
    DSC_RT_FUNCTIONS(DSC_RT_ADDRESS)};
#undef DSC_RT_ADDRESS

struct ProgramRun::State {
  std::unique_ptr<Executable> executable;
  std::unique_ptr<Session> session;
  std::vector<std::vector<std::byte>> gradients; // what the views of gradients() look at
};

ProgramRun::ProgramRun(std::unique_ptr<State> state) : state(std::move(state)) {}
ProgramRun::~ProgramRun() = default;

Result<std::unique_ptr<ProgramRun>> ProgramRun::open(const std::string &path, int threads) {
  auto state = std::make_unique<State>();
  Result<std::unique_ptr<Executable>> executable = Executable::open(path);
  if (executable.failed()) {
    return executable.status();
  }
  state->executable = std::move(*executable);
  Result<std::unique_ptr<Session>> session = Session::create(*state->executable, threads);
  if (session.failed()) {
    return session.status();
  }
  state->session = std::move(*session);
  DSC_RETURN_IF_FAILED(loadInitialWeights(*state->session, 0));
  DSC_RETURN_IF_FAILED(fillComputeCopies(*state->session));
  return std::unique_ptr<ProgramRun>(new ProgramRun(std::move(state)));
}

Status ProgramRun::setInput(const TensorView &tensor) {
  for (const InputSpec &input : state->session->manifest().inputs) {
    if (input.name != tensor.name) {
      continue;
    }
    if (input.dtype != tensor.dtype || input.shape != tensor.shape) {
      return Status::user(format("input \"%s\" is %s %s, the stored one is %s %s",
                                 input.name.c_str(), dtypeName(input.dtype),
                                 shapeText(input.shape).c_str(), dtypeName(tensor.dtype),
                                 shapeText(tensor.shape).c_str()));
    }
    Result<std::byte *> place = state->session->input(input);
    if (place.ok()) {
      std::memcpy(*place, tensor.data, static_cast<size_t>(tensor.bytes));
    }
    return place.status();
  }
  return Status::user("the program has no input \"" + tensor.name + "\"");
}

void ProgramRun::makeUpInputs(uint64_t seed) {
  uint64_t number = seed * 2 + 1;
  auto next = [&] {
    number = number * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(number >> 11) * 0x1p-53;
  };
  for (const InputSpec &input : state->session->manifest().inputs) {
    std::byte *data = state->session->hostAddress(input);
    for (int64_t i = 0, end = input.bytes / dtypeSize(input.dtype); i < end; ++i) {
      if (input.role == InputRole::SampleWeight) {
        storeFromDouble(input.dtype, data, i, 1);
      } else if (isFloat(input.dtype)) {
        // About normal: the sum of four uniform numbers.
        storeFromDouble(input.dtype, data, i, (next() + next() + next() + next() - 2) * 1.7);
      } else {
        storeFromDouble(
            input.dtype, data, i,
            std::floor(next() * static_cast<double>(input.classes ? input.classes : 2)));
      }
    }
  }
}

Status ProgramRun::run(const char *entry) { return state->session->run(entry); }

/// The elements of a tensor that is stored at `data`, side by side.
static std::vector<std::byte> packed(const PlannedTensor &tensor, const std::byte *data) {
  const auto size = static_cast<size_t>(dtypeSize(tensor.dtype));
  std::vector<std::byte> bytes(
      static_cast<size_t>(byteCount(tensor.dtype, tensor.shape).value_or(0)));
  (void)forEachRun(tensor, [&](int64_t place, int64_t dense, int64_t count) -> Status {
    std::memcpy(bytes.data() + static_cast<size_t>(dense) * size,
                data + static_cast<size_t>(place) * size, static_cast<size_t>(count) * size);
    return {};
  });
  return bytes;
}

std::optional<TensorView> ProgramRun::result(const char *entry, const std::string &name) const {
  const PlannedTensor *tensor = state->session->manifest().result(entry, name);
  if (!tensor) {
    return std::nullopt;
  }
  return TensorView{tensor->name, tensor->dtype, tensor->shape,
                    state->session->hostAddress(*tensor),
                    byteCount(tensor->dtype, tensor->shape).value_or(0)};
}

std::vector<TensorView> ProgramRun::gradients() const {
  std::vector<TensorView> views;
  state->gradients.clear();
  for (const PlannedTensor &tensor : state->session->manifest().gradients) {
    state->gradients.push_back(packed(tensor, state->session->hostAddress(tensor)));
    const std::vector<std::byte> &bytes = state->gradients.back();
    views.push_back({tensor.name, tensor.dtype, tensor.shape, bytes.data(),
                     static_cast<int64_t>(bytes.size())});
  }
  return views;
}

std::optional<std::vector<std::byte>> ProgramRun::parameter(const std::string &name) const {
  const GlobalSpec *global = state->session->manifest().global(name);
  return global ? std::optional(packed(*global, state->session->hostAddress(*global)))
                : std::nullopt;
}

void ProgramRun::setParameter(const std::string &name, const std::vector<std::byte> &elements) {
  if (const GlobalSpec *global = state->session->manifest().global(name)) {
    const auto size = static_cast<size_t>(dtypeSize(global->dtype));
    std::byte *data = state->session->hostAddress(*global);
    (void)forEachRun(*global, [&](int64_t place, int64_t dense, int64_t count) -> Status {
      std::memcpy(data + static_cast<size_t>(place) * size,
                  elements.data() + static_cast<size_t>(dense) * size,
                  static_cast<size_t>(count) * size);
      return {};
    });
  }
}
