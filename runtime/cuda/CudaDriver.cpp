// One GPU with its context and streams.

#include "runtime/cuda/CudaDriver.h"

#include "runtime/StartTimes.h"

#include <cstdlib>

using namespace dsc;

static constexpr int oldestVersion = 12000;

Status CudaDriver::failure(CUresult result, const char *what) const {
  const char *name = nullptr, *text = nullptr;
  table->cuGetErrorName(result, &name);
  table->cuGetErrorString(result, &text);
  std::string message = format("the GPU failed to %s: %s (%s)", what, text ? text : "unknown error",
                               name ? name : std::to_string(result).c_str());
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    return Status::machine(message + "; close other programs that use the GPU, or compile with a "
                                     "smaller micro-batch");
  }
  return {ExitCode::Rank, message};
}

Result<std::unique_ptr<CudaDriver>> CudaDriver::open(int localRank, int localRanks) {
  StartPhase phase("driver");
  Result<const DriverTable *> loaded = loadDriver();
  if (loaded.failed()) {
    return loaded.status();
  }
  std::unique_ptr<CudaDriver> driver(new CudaDriver);
  const DriverTable &api = *(driver->table = *loaded);
  api.cuDriverGetVersion(&driver->cudaVersion);
  const int version = driver->cudaVersion;
  if (version < oldestVersion) {
    return Status::machine(format("NVIDIA's driver (%s) knows CUDA up to %d.%d and this program "
                                  "needs one that knows %d.%d; install driver 525 or newer",
                                  loadedLibrary("NVIDIA's driver").c_str(), version / 1000,
                                  version % 1000 / 10, oldestVersion / 1000,
                                  oldestVersion % 1000 / 10));
  }
  CUresult started = api.cuInit(0);
  int count = 0;
  if (started == CUDA_SUCCESS) {
    started = api.cuDeviceGetCount(&count);
  }
  if (started == CUDA_ERROR_NO_DEVICE || (started == CUDA_SUCCESS && count == 0)) {
    return Status::machine("NVIDIA's driver sees no GPU: this machine has none, it is hidden by "
                           "CUDA_VISIBLE_DEVICES, or the container was started without it "
                           "(docker: --gpus=all); to train on the CPU, compile with --target=cpu");
  }
  if (started != CUDA_SUCCESS) {
    return Status::machine(driver->failure(started, "start").message() +
                           "; `nvidia-smi` shows whether the driver works");
  }
  if (count > 1 && count < localRanks) {
    const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return Status::machine(format(
        "%d ranks were started on this machine and it has %d GPUs%s; start one rank a GPU",
        localRanks, count, visible ? format(" (CUDA_VISIBLE_DEVICES=%s)", visible).c_str() : ""));
  }
  DSC_RETURN_IF_FAILED(
      driver->check(api.cuDeviceGet(&driver->device, count > 1 ? localRank : 0), "open"));
  char name[256] = "";
  api.cuDeviceGetName(name, sizeof name, driver->device);
  driver->chipName = name;
  struct {
    int *value;
    CUdevice_attribute attribute;
  } attributes[] = {{&driver->major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR},
                    {&driver->minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR},
                    {&driver->processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT}};
  for (auto [value, attribute] : attributes) {
    DSC_RETURN_IF_FAILED(
        driver->check(api.cuDeviceGetAttribute(value, attribute, driver->device), "describe it"));
  }
  // The primary context is the one that the CUDA runtime inside NVIDIA's libraries uses too.
  DSC_RETURN_IF_FAILED(driver->check(api.cuDevicePrimaryCtxRetain(&driver->context, driver->device),
                                     "make a context"));
  DSC_RETURN_IF_FAILED(driver->makeCurrent());
  for (CUstream *stream : {&driver->compute, &driver->copies}) {
    DSC_RETURN_IF_FAILED(
        driver->check(api.cuStreamCreate(stream, CU_STREAM_NON_BLOCKING), "make a stream"));
  }
  return driver;
}

CudaDriver::~CudaDriver() {
  for (CUstream stream : {compute, copies}) {
    if (stream) {
      table->cuStreamDestroy(stream);
    }
  }
  if (context) {
    table->cuDevicePrimaryCtxRelease(device);
  }
}

Status CudaDriver::makeCurrent() const {
  return check(table->cuCtxSetCurrent(context), "make a context");
}

Result<std::string> CudaDriver::identity() const {
  CUuuid uuid = {};
  DSC_RETURN_IF_FAILED(check(table->cuDeviceGetUuid(&uuid, device), "tell which one it is"));
  std::string text;
  for (char byte : uuid.bytes) {
    text += format("%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  }
  return text;
}

Result<CUstream> CudaDriver::makeUrgentStream() const {
  int least = 0, greatest = 0;
  CUstream stream = nullptr;
  DSC_RETURN_IF_FAILED(
      check(table->cuCtxGetStreamPriorityRange(&least, &greatest), "tell its priorities"));
  DSC_RETURN_IF_FAILED(
      check(table->cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest),
            "make a stream"));
  return stream;
}

Status CudaDriver::memory(int64_t &free, int64_t &total) const {
  size_t freeBytes = 0, totalBytes = 0;
  DSC_RETURN_IF_FAILED(check(table->cuMemGetInfo(&freeBytes, &totalBytes), "tell its memory"));
  free = static_cast<int64_t>(freeBytes);
  total = static_cast<int64_t>(totalBytes);
  return {};
}

Status DeviceMemory::allocate(const CudaDriver &owner, int64_t bytes) {
  release();
  driver = &owner;
  // Nothing still gets an address that may be passed around.
  return owner.check(owner.api().cuMemAlloc(&pointer, static_cast<size_t>(bytes ? bytes : 1)),
                     "allocate memory");
}

void DeviceMemory::release() {
  if (pointer) {
    driver->api().cuMemFree(pointer);
  }
  pointer = 0;
}

PinnedMemory::~PinnedMemory() {
  if (pointer) {
    driver->api().cuMemFreeHost(pointer);
  }
}

Status PinnedMemory::allocate(const CudaDriver &owner, int64_t bytes) {
  driver = &owner;
  return owner.check(
      owner.api().cuMemHostAlloc(&pointer, static_cast<size_t>(bytes ? bytes : 1), 0),
      "pin memory of the host");
}

CudaEvent::~CudaEvent() {
  if (event) {
    driver->api().cuEventDestroy(event);
  }
}

Status CudaEvent::record(const CudaDriver &owner, CUstream stream, bool inGraph) {
  if (!event) {
    driver = &owner;
    DSC_RETURN_IF_FAILED(owner.check(
        owner.api().cuEventCreate(&event, timed ? CU_EVENT_DEFAULT : CU_EVENT_DISABLE_TIMING),
        "make an event"));
  }
  return owner.check(
      inGraph ? owner.api().cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_EXTERNAL)
              : owner.api().cuEventRecord(event, stream),
      "record an event");
}

Status CudaEvent::wait() const {
  return event ? driver->check(driver->api().cuEventSynchronize(event), "run the program")
               : Status();
}

Status CudaEvent::wait(CUstream stream, bool inGraph) const {
  const unsigned flags = inGraph ? CU_EVENT_WAIT_EXTERNAL : CU_EVENT_WAIT_DEFAULT;
  return event ? driver->check(driver->api().cuStreamWaitEvent(stream, event, flags),
                               "run the program")
               : Status();
}

Result<bool> CudaEvent::isDone() const {
  if (!event) {
    return true;
  }
  CUresult result = driver->api().cuEventQuery(event);
  if (result == CUDA_ERROR_NOT_READY) {
    return false;
  }
  Status status = driver->check(result, "run the program");
  return status.ok() ? Result<bool>(true) : Result<bool>(status);
}

Result<double> CudaEvent::secondsSince(const CudaEvent &begin) const {
  if (!event || !begin.event) {
    return 0.0;
  }
  float milliseconds = 0;
  Status status = driver->check(driver->api().cuEventElapsedTime(&milliseconds, begin.event, event),
                                "tell the time");
  return status.ok() ? Result<double>(static_cast<double>(milliseconds) * 1e-3)
                     : Result<double>(status);
}
