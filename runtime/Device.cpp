// What runs a program.

#include "runtime/Device.h"

#include "runtime/CpuFeatures.h"
#include "runtime/Executable.h"
#include "runtime/cpu/CpuDevice.h"
#include "runtime/cuda/CudaDevice.h"

#include <unistd.h>

using namespace dsc;

Device::~Device() = default;

static Status lacks(const char *call) {
  return Status::internal(
      format("the program calls %s, which its target does not have; compile the "
             "model again",
             call));
}

void Device::setBases(const Manifest &manifest, std::byte *const (&spaces)[DSC_SPACE_COUNT]) {
  bases.assign(std::begin(spaces), std::end(spaces));
  std::byte *slice = spaces[DSC_SPACE_SHARD];
  for (const ShardSpec &shard : manifest.shards) {
    bases.push_back(slice - dsc_slice_begin(shard.chunks, ranks, rank) * shard.chunkBytes);
    slice += dsc_shard_bytes(shard.chunks, shard.chunkBytes, ranks);
  }
}

Status Device::parallelForRange(dsc_kernel_fn, void *const *, int64_t, int64_t, int64_t) {
  return lacks("dsc_rt_parallel_for");
}
Status Device::loadModule(const void *, int64_t, const char *, int64_t) {
  return lacks("dsc_rt_device_module");
}
Status Device::addKernel(int32_t, const char *, int32_t, int32_t) {
  return lacks("dsc_rt_device_kernel");
}
Status Device::launch(int32_t, void *const *, int32_t, int64_t, int32_t) {
  return lacks("dsc_rt_launch");
}

Result<std::unique_ptr<Device>> dsc::createDevice(const Executable &executable, int threads,
                                                  Ranks *ranks) {
  const Manifest &manifest = executable.manifest();
  if (manifest.targetKind == "cuda") {
    return createCudaDevice(manifest, executable.path(), ranks);
  }
  if (manifest.targetKind != "cpu") {
    return Status::machine(format("this program was compiled for the target \"%s\", which this "
                                  "runner does not have; compile with --target=cpu or "
                                  "--target=cuda",
                                  manifest.targetKind.c_str()));
  }
  std::string missing;
  for (const std::string &feature : missingCpuFeatures(manifest.targetFeatures)) {
    missing += (missing.empty() ? "" : ", ") + feature;
  }
  if (!missing.empty()) {
    return Status::machine("this processor, or its kernel, lacks " + missing +
                           ", which the program was compiled for; compile with --cpu=x86-64-v3, or "
                           "on this machine with --cpu=native");
  }
  // The kernel would promise the memory and kill the process once it is touched.
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  if (memory > 0 && manifest.plannedBytes() > memory) {
    return Status::machine(
        format("the plan needs %lld bytes and this machine has %lld; compile with "
               "a smaller micro-batch",
               static_cast<long long>(manifest.plannedBytes()), static_cast<long long>(memory)));
  }
  return createCpuDevice(threads);
}
