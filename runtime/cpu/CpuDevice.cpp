// The CPU as a device.

#include "runtime/cpu/CpuDevice.h"

#include "runtime/GeneratedCode.h"
#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/Gemm.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

using namespace dsc;

static const char *const spaceNames[DSC_SPACE_COUNT] = {"state", "arena", "constants", "io",
                                                        "shards"};

/// Sections of no bytes still get an address that may be passed around.
static size_t mappedBytes(int64_t bytes) { return static_cast<size_t>(bytes ? bytes : 1); }

Result<std::unique_ptr<Device>> dsc::createCpuDevice(int threads) {
  if (!gemmKernels()) {
    return Status::machine("this CPU has neither AVX-512 nor AVX2 with FMA, one of which the CPU "
                           "kernels need; use a newer machine (Intel since 2013, AMD since 2015)");
  }
  auto device = std::make_unique<CpuDevice>();
  DSC_RETURN_IF_FAILED(device->start(threads));
  return std::unique_ptr<Device>(std::move(device));
}

CpuDevice::~CpuDevice() {
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    if (bases[static_cast<size_t>(i)] && i != DSC_SPACE_CONSTANTS) {
      munmap(bases[static_cast<size_t>(i)], mappedBytes(spaceBytes[i]));
    }
  }
}

std::string CpuDevice::summary() const {
  return format("%d thread%s", threads(), threads() == 1 ? "" : "s");
}

std::vector<std::pair<std::string, std::string>> CpuDevice::facts() {
  return {{"device", "CPU, " + summary()}};
}

Status CpuDevice::allocate(const Manifest &manifest, const std::byte *constants) {
  std::byte *spaces[DSC_SPACE_COUNT];
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    int64_t bytes = bytesOf(manifest, i);
    if (i == DSC_SPACE_CONSTANTS) {
      spaces[i] = const_cast<std::byte *>(constants);
      continue;
    }
    void *address = mmap(nullptr, mappedBytes(bytes), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      return Status::machine(format("cannot allocate the planned %lld bytes of the %s: %s",
                                    static_cast<long long>(bytes), spaceNames[i],
                                    std::strerror(errno)));
    }
    // Large pages where the kernel has them: the arena is read and written from end to end.
    if (bytes >= int64_t(4) << 20) {
      madvise(address, mappedBytes(bytes), MADV_HUGEPAGE);
    }
    spaces[i] = bases[static_cast<size_t>(i)] = static_cast<std::byte *>(address);
    spaceBytes[i] = bytes;
  }
  setBases(manifest, spaces);
  return {};
}

Status CpuDevice::write(std::byte *target, int64_t bytes, int64_t, const Fill &fill) {
  return fill(target, 0, bytes);
}

Status CpuDevice::read(const std::byte *source, int64_t bytes, int64_t, const Consume &consume) {
  return consume(source, 0, bytes);
}

DSC_CALLS_GENERATED_CODE Status CpuDevice::run(dsc_context *ctx, const EntryFunctions &entry) {
  for (dsc_entry_fn part : {entry.main, entry.update}) {
    if (part &&
        (part(ctx, reinterpret_cast<void *const *>(bases.data())) != 0 || ctx->status.failed())) {
      return ctx->status.failed() ? ctx->status : Status::internal("the entry failed in silence");
    }
  }
  return {};
}

Status CpuDevice::markBegin() {
  began = Clock::now();
  return {};
}

Result<int64_t> CpuDevice::requestRead(const std::vector<DeviceRange> &ranges) {
  Reading &reading = readings[readingCount % readSlots];
  reading.bytes.clear();
  for (const DeviceRange &range : ranges) {
    reading.bytes.insert(reading.bytes.end(), range.address, range.address + range.bytes);
  }
  reading.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  return readingCount++;
}

Result<const std::byte *> CpuDevice::finishRead(int64_t ticket, double &seconds) {
  const Reading &reading = readings[ticket % readSlots];
  seconds = reading.seconds;
  return reading.bytes.data();
}

Status CpuDevice::startTimes(dsc_context *ctx) {
  opTimes.clear();
  profileBegan = Clock::now();
  ctx->timesOps = true;
  return {};
}

Status CpuDevice::stopTimes(dsc_context *ctx, OpTimes &times) {
  ctx->timesOps = false;
  for (const OpTimes::Call &call : opTimes) {
    times.add(call.op, call.begin, call.nanoseconds);
  }
  return {};
}

void CpuDevice::beginOp(int32_t) { opBegan = Clock::now(); }

void CpuDevice::endOp(int32_t op) {
  auto nanoseconds = [](Clock::duration time) -> int64_t {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  };
  opTimes.push_back({op, nanoseconds(opBegan - profileBegan), nanoseconds(Clock::now() - opBegan)});
}

Status CpuDevice::parallelForRange(dsc_kernel_fn kernel, void *const *args, int64_t first,
                                   int64_t last, int64_t grain) {
  team.parallelFor(last - first, grain, [&](int64_t begin, int64_t end) DSC_CALLS_GENERATED_CODE {
    kernel(args, first + begin, first + end);
  });
  return {};
}

Status CpuDevice::copy(void *target, const void *source, int64_t bytes) {
  constexpr int64_t lineBytes = DSC_ALIGNMENT;
  int64_t lines = (bytes + lineBytes - 1) / lineBytes;
  team.parallelFor(lines, (int64_t(1) << 18) / lineBytes, [&](int64_t begin, int64_t end) {
    int64_t from = begin * lineBytes, to = std::min(end * lineBytes, bytes);
    std::memcpy(static_cast<char *>(target) + from, static_cast<const char *>(source) + from,
                static_cast<size_t>(to - from));
  });
  return {};
}
