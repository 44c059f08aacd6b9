// A CUDA GPU as a device.

#include "runtime/cuda/CudaDevice.h"

#include "runtime/Context.h"
#include "runtime/StartTimes.h"
#include "runtime/cuda/CudaState.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

using namespace dsc;

static long long wide(int64_t value) { return value; }

/// Each space starts on what the widest accesses and TMA descriptors want.
static constexpr int64_t spaceAlignment = 512;
static int64_t aligned(int64_t bytes) {
  return (bytes + spaceAlignment - 1) / spaceAlignment * spaceAlignment;
}

/// 90 for "sm_90"; 0 for what is none.
static int architectureNumber(const std::string &name) {
  int number = 0;
  return std::sscanf(name.c_str(), "sm_%d", &number) == 1 ? number : 0;
}

Result<std::unique_ptr<Device>> dsc::createCudaDevice(const Manifest &manifest,
                                                      const std::string &executable, Ranks *ranks,
                                                      const AlgorithmChoices &choices) {
  const bool several = ranks && ranks->count() > 1;
  Result<std::unique_ptr<CudaDriver>> driver =
      several ? CudaDriver::open(ranks->placeOnMachine(), ranks->onThisMachine())
              : CudaDriver::open();
  std::unique_ptr<CudaDevice> device;
  Status status = driver.status();
  if (status.ok()) {
    device = std::make_unique<CudaDevice>(std::move(*driver), manifest, executable, choices);
    status = device->check(manifest, several ? ranks->count() : 1);
  }
  if (several) {
    StartPhase phase("NCCL");
    Result<std::unique_ptr<NcclCommunicator>> nccl =
        NcclCommunicator::connect(device ? &device->gpu() : nullptr, *ranks, status);
    DSC_RETURN_IF_FAILED(nccl.status());
    device->setCommunicator(std::move(*nccl), *ranks);
  }
  DSC_RETURN_IF_FAILED(status);
  return std::unique_ptr<Device>(std::move(device));
}

CudaDevice::CudaDevice(std::unique_ptr<CudaDriver> opened, const Manifest &manifest,
                       const std::string &executable, const AlgorithmChoices &given)
    : driver(std::move(opened)), batch(*driver), results(*driver), tensors(*driver),
      choices(executable, *driver, given) {
  architecture = manifest.targetFeatures;
  for (const auto &[name, value] : manifest.options) {
    allowTf32 |= name == "precision" && value == "tf32";
    deterministic &= name != "deterministic" || value != "false";
  }
  const char *graphs = std::getenv("DSC_CUDA_GRAPHS");
  usesGraphs = !graphs || std::strcmp(graphs, "off") != 0;
}

CudaDevice::~CudaDevice() {
  builders.wait();
  driver->api().cuStreamSynchronize(driver->compute);
  // NCCL waits for the graphs that hold its kernels.
  graphs.clear();
  timedGraphs.clear();
  nccl.reset();
  for (CUmodule module : modules) {
    driver->api().cuModuleUnload(module);
  }
}

void CudaDevice::setCommunicator(std::unique_ptr<NcclCommunicator> communicator,
                                 Ranks &ranksOfAll) {
  nccl = std::move(communicator);
  ranksOfRun = &ranksOfAll;
}

Status CudaDevice::check(const Manifest &manifest, int ranks) const {
  const int needed = architectureNumber(architecture), has = driver->architecture();
  if (needed == 0) {
    return Status::internal("the program's architecture \"" + architecture + "\" is none");
  }
  // Features with a letter (sm_90a) exist on that architecture alone.
  const bool exact = architecture.back() == 'a';
  if (exact ? has != needed : has < needed) {
    return Status::machine(format("the program was compiled for %s and this machine's %s is of "
                                  "sm_%d; compile the model with --arch=sm_%d",
                                  architecture.c_str(), driver->chip().c_str(), has, has));
  }
  int64_t free = 0, total = 0;
  DSC_RETURN_IF_FAILED(driver->memory(free, total));
  const int64_t beside = BatchStaging::deviceBytes(manifest);
  const int64_t planned = manifest.plannedBytes(ranks);
  if (planned + beside > free) {
    return Status::machine(format(
        "the program needs %lld bytes of GPU memory (%lld planned, %lld for the next batch) and "
        "%s has %lld free of %lld; close other programs that use it, or compile with a smaller "
        "micro-batch or with --recompute=full",
        wide(planned + beside), wide(planned), wide(beside), driver->chip().c_str(), wide(free),
        wide(total)));
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> CudaDevice::facts() {
  const int version = driver->version();
  std::vector<std::pair<std::string, std::string>> list = {
      {"device", format("%s (sm_%d)", driver->chip().c_str(), driver->architecture())},
      {"driver", format("CUDA %d.%d, %s", version / 1000, version % 1000 / 10,
                        loadedLibrary("NVIDIA's driver").c_str())}};
  // Also those that this program does not call.
  Status status = openBlas();
  list.emplace_back("cuBLASLt", status.ok() ? blas->versionText() : status.message());
  status = openCudnn(dnn);
  list.emplace_back("cuDNN", status.ok() ? dnn->versionText() : status.message());
  Result<const NcclTable *> library = loadNccl(version);
  list.emplace_back("NCCL", library.ok() ? (*library)->versionText() : library.status().message());
  return list;
}

Status CudaDevice::beginPlans() {
  if (!nccl || ranksOfRun->isFirst()) {
    return {};
  }
  Result<std::vector<std::string>> all = ranksOfRun->exchange("");
  DSC_RETURN_IF_FAILED(all.status());
  choices.take((*all)[0]);
  return {};
}

Status CudaDevice::finishPlans() {
  {
    StartPhase phase("products");
    for (CudaMatmul *plan : std::exchange(undecided, {})) {
      DSC_RETURN_IF_FAILED(plan->decide(choices));
    }
  }
  StartPhase phase("attention");
  return builders.finish();
}

Status CudaDevice::endPlans() {
  Status finished = finishPlans();
  Status told =
      nccl && ranksOfRun->isFirst() ? ranksOfRun->exchange(choices.text()).status() : Status();
  return finished.ok() ? told : finished;
}

Status CudaDevice::allocate(const Manifest &manifest, const std::byte *constants) {
  DSC_RETURN_IF_FAILED(finishPlans());
  StartPhase phase("memory");
  DSC_RETURN_IF_FAILED(choices.save());
  std::byte *spaces[DSC_SPACE_COUNT];
  int64_t offsets[DSC_SPACE_COUNT], bytes = 0;
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    offsets[i] = bytes;
    bytes += aligned(bytesOf(manifest, i));
  }
  DSC_RETURN_IF_FAILED(memory.allocate(*driver, bytes));
  allocated = bytes + BatchStaging::deviceBytes(manifest);
  DSC_RETURN_IF_FAILED(
      driver->check(driver->api().cuMemsetD8Async(memory.address(), 0, static_cast<size_t>(bytes),
                                                  driver->compute),
                    "clear memory"));
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    spaces[i] = memory.data() + offsets[i];
  }
  setBases(manifest, spaces);
  DSC_RETURN_IF_FAILED(write(spaces[DSC_SPACE_CONSTANTS], manifest.spaceBytes[DSC_SPACE_CONSTANTS],
                             1, [&](std::byte *target, int64_t offset, int64_t count) {
                               std::memcpy(target, constants + offset, static_cast<size_t>(count));
                               return Status();
                             }));
  return batch.allocate(manifest, spaces);
}

Status CudaDevice::wait() {
  return explained(
      driver->check(driver->api().cuStreamSynchronize(driver->compute), "run the program"));
}

Result<const std::byte *> CudaDevice::finishRead(int64_t ticket, double &seconds) {
  Result<const std::byte *> bytes = results.finish(ticket, seconds);
  DSC_RETURN_IF_FAILED(explained(bytes.status()));
  return bytes;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

Status CudaDevice::enqueue(dsc_context *ctx, const EntryFunctions &entry) {
  for (dsc_entry_fn part : {entry.main, entry.update}) {
    if (part &&
        (part(ctx, reinterpret_cast<void *const *>(bases.data())) != 0 || ctx->status.failed())) {
      return ctx->status.failed() ? ctx->status : Status::internal("the entry failed in silence");
    }
  }
  return timingFailure;
}

Result<StepGraph *> CudaDevice::graphOf(dsc_context *ctx, const EntryFunctions &entry) {
  auto &graph = (ctx->timesOps ? timedGraphs : graphs)[{entry.main, entry.update}];
  if (!graph) {
    StartPhase phase("capture");
    auto made = std::make_unique<StepGraph>(*driver);
    events = &made->events;
    Status status = made->capture([&]() -> Status {
      if (ctx->timesOps) {
        beginOp(OpEvents::nothing);
        endOp(OpEvents::nothing);
      }
      if (nccl) {
        nccl->beginCapture(made->collectives, ctx->timesOps);
      }
      Status enqueued = enqueue(ctx, entry);
      Status joined = nccl ? nccl->endCapture() : Status();
      return enqueued.ok() ? joined : enqueued;
    });
    events = nullptr;
    DSC_RETURN_IF_FAILED(status);
    graph = std::move(made);
  }
  return graph.get();
}

Status CudaDevice::launch(StepGraph &graph) {
  return nccl ? nccl->launch(graph.collectives, [&] { return graph.launch(); }) : graph.launch();
}

Status CudaDevice::run(dsc_context *ctx, const EntryFunctions &entry) {
  DSC_RETURN_IF_FAILED(explained(batch.submit()));
  if (ctx->check || (!usesGraphs && !ctx->timesOps)) {
    return enqueue(ctx, entry); // a check reads between ops
  }
  Result<StepGraph *> graph = graphOf(ctx, entry);
  if (graph.failed()) {
    return graph.status();
  }
  const auto began = std::chrono::steady_clock::now() - profileBegan;
  DSC_RETURN_IF_FAILED(launch(**graph));
  if (ctx->timesOps) {
    DSC_RETURN_IF_FAILED(wait());
    const OpEvents &timed = (*graph)->events;
    const auto at = std::chrono::duration_cast<std::chrono::nanoseconds>(began).count();
    DSC_RETURN_IF_FAILED(nccl ? nccl->collectTimes((*graph)->collectives, timed.origin(), at)
                              : Status());
    return timed.collect(at, *timesSoFar);
  }
  return {};
}

Status CudaDevice::startTimes(dsc_context *ctx) {
  timesSoFar = std::make_unique<OpTimes>();
  timesSoFar->ops.resize(ctx->opNames.size());
  timingFailure = Status();
  profileBegan = std::chrono::steady_clock::now();
  ctx->timesOps = true;
  return {};
}

Status CudaDevice::stopTimes(dsc_context *ctx, OpTimes &times) {
  ctx->timesOps = false;
  for (const OpTimes::Call &call : timesSoFar->calls) {
    times.add(call.op, call.begin, call.nanoseconds);
  }
  return timingFailure;
}

Result<DeviceRates> CudaDevice::measureRates(const Manifest &manifest) {
  DeviceRates rates;
  // Much larger than the caches.
  constexpr int64_t bytes = int64_t(1) << 29;
  void *from = choices.operand(0, bytes, DSC_F32), *to = choices.operand(1, bytes, DSC_F32);
  if (from && to) {
    Result<double> seconds = choices.secondsOf([&] { return copy(to, from, bytes); }, 20);
    DSC_RETURN_IF_FAILED(seconds.status());
    rates.bytesPerSecond = 2 * static_cast<double>(bytes) / *seconds;
  }
  std::string precision;
  for (const auto &[name, value] : manifest.options) {
    precision = name == "precision" ? value : precision;
  }
  const int32_t dtype = precision == "bf16" ? DSC_BF16 : precision == "fp16" ? DSC_F16 : DSC_F32;
  const int64_t size = dtype == DSC_F32 ? 4096 : 8192;
  const int64_t dims[] = {size, size}, strides[] = {size, 1};
  MatmulShape shape;
  shape.dtype = dtype;
  shape.rank = 2;
  shape.aDims = shape.bDims = shape.cDims = dims;
  shape.aStrides = shape.bStrides = shape.cStrides = strides;
  const int64_t workspace = int64_t(32) << 20;
  DSC_RETURN_IF_FAILED(openBlas());
  Result<std::unique_ptr<CudaMatmul>> product =
      CudaMatmul::make({*driver, *blas, choices, allowTf32}, shape, workspace);
  DSC_RETURN_IF_FAILED(product.status());
  DSC_RETURN_IF_FAILED((*product)->decide(choices));
  const int64_t matrix = size * size * dtypeSize(static_cast<Dtype>(dtype));
  void *a = choices.operand(0, matrix, dtype), *b = choices.operand(1, matrix, dtype);
  void *c = choices.operand(2, matrix, dtype), *space = choices.operand(4, workspace, DSC_F32);
  if (a && b && c && space) {
    Result<double> seconds =
        choices.secondsOf([&] { return (*product)->run(a, b, nullptr, c, space); }, 20);
    if (seconds.failed()) {
      return seconds.status();
    }
    const auto side = static_cast<double>(size);
    rates.flopsPerSecond = 2 * side * side * side / *seconds;
  }
  DSC_RETURN_IF_FAILED(choices.save());
  return rates;
}

void CudaDevice::beginOp(int32_t op) {
  if (events && timingFailure.ok()) {
    timingFailure = events->begin(*driver, op, true);
  }
}

void CudaDevice::endOp(int32_t) {
  if (events && timingFailure.ok()) {
    timingFailure = events->end(*driver, true);
  }
}

//===----------------------------------------------------------------------===//
// Kernels and copies
//===----------------------------------------------------------------------===//

Status CudaDevice::loadModule(const void *cubin, int64_t cubinBytes, const char *ptx,
                              int64_t ptxBytes) {
  StartPhase phase("kernels");
  CUmodule module = nullptr;
  CUresult result = CUDA_ERROR_NO_BINARY_FOR_GPU;
  // Machine code runs on later chips of its generation, PTX on any later chip.
  const int compiled = architectureNumber(architecture);
  if (cubin && cubinBytes > 0 && driver->architecture() / 10 == compiled / 10) {
    result = driver->api().cuModuleLoadDataEx(&module, cubin, 0, nullptr, nullptr);
  }
  char log[4096] = "";
  if (result != CUDA_SUCCESS && ptx && ptxBytes > 0) {
    std::string text(ptx, strnlen(ptx, static_cast<size_t>(ptxBytes)));
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
    result = driver->api().cuModuleLoadDataEx(&module, text.c_str(), 2, options, values);
  }
  Status status = driver->check(result, "load the program's kernels");
  if (status.failed()) {
    return Status::machine(status.message() + (log[0] ? std::string(": ") + log : "") +
                           format("; compile the model again with --arch=sm_%d, or install a newer "
                                  "driver",
                                  driver->architecture()));
  }
  modules.push_back(module);
  return {};
}

Status CudaDevice::addKernel(int32_t kernel, const char *name, int32_t block, int32_t sharedBytes) {
  StartPhase phase("kernels");
  if (kernel < 0 || static_cast<size_t>(kernel) != kernels.size()) {
    return Status::internal(format("the program made kernel %d after %zu; kernels are numbered "
                                   "densely from 0: compile the model again",
                                   static_cast<int>(kernel), kernels.size()));
  }
  Kernel added;
  added.name = name;
  added.block = block;
  added.sharedBytes = sharedBytes;
  CUresult result = CUDA_ERROR_NOT_FOUND;
  for (size_t i = 0; i < modules.size() && result != CUDA_SUCCESS; ++i) {
    result = driver->api().cuModuleGetFunction(&added.function, modules[i], name);
  }
  DSC_RETURN_IF_FAILED(driver->check(result, format("find the program's kernel %s", name).c_str()));
  // More than 48 KiB only on request.
  if (sharedBytes > 48 << 10) {
    DSC_RETURN_IF_FAILED(driver->check(
        driver->api().cuFuncSetAttribute(
            added.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes),
        format("give %s %d bytes of shared memory", name, static_cast<int>(sharedBytes)).c_str()));
  }
  kernels.push_back(std::move(added));
  return {};
}

Status CudaDevice::launch(int32_t kernel, void *const *args, int32_t count, int64_t gridX,
                          int32_t gridY) {
  static constexpr int32_t mostArguments = 512; // 4 KiB of parameters
  if (kernel < 0 || static_cast<size_t>(kernel) >= kernels.size() || count > mostArguments) {
    return Status::internal(format("the program launches kernel %d with %d arguments; compile the "
                                   "model again",
                                   static_cast<int>(kernel), static_cast<int>(count)));
  }
  if (gridX == 0 || gridY == 0) {
    return {};
  }
  const Kernel &found = kernels[static_cast<size_t>(kernel)];
  void *parameters[mostArguments];
  for (int32_t i = 0; i < count; ++i) {
    parameters[i] = const_cast<void **>(&args[i]);
  }
  return driver->check(driver->api().cuLaunchKernel(found.function, static_cast<unsigned>(gridX),
                                                    static_cast<unsigned>(gridY), 1,
                                                    static_cast<unsigned>(found.block), 1, 1,
                                                    static_cast<unsigned>(found.sharedBytes),
                                                    driver->compute, parameters, nullptr),
                       "launch a kernel");
}

std::optional<std::pair<int32_t, int32_t>> CudaDevice::kernelNamed(std::string_view name) const {
  auto found = std::find_if(kernels.begin(), kernels.end(),
                            [&](const Kernel &kernel) { return kernel.name == name; });
  if (found == kernels.end()) {
    return std::nullopt;
  }
  return std::pair(static_cast<int32_t>(found - kernels.begin()), found->block);
}

Status CudaDevice::copy(void *target, const void *source, int64_t bytes) {
  if (bytes == 0) {
    return {};
  }
  return driver->check(driver->api().cuMemcpyDtoDAsync(deviceAddress(target), deviceAddress(source),
                                                       static_cast<size_t>(bytes), driver->compute),
                       "copy");
}
