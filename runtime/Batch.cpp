// Samples into a session's inputs.

#include "runtime/Batch.h"

#include <algorithm>
#include <cstring>

using namespace dsc;

/// Writes the weights of samples: 1 for the first `real`, 0 for padding.
static void writeSampleWeight(const InputSpec &input, std::byte *data, int64_t batch,
                              int64_t real) {
  for (int64_t slot = 0; slot < batch; ++slot) {
    storeFromDouble(input.dtype, data, slot, slot < real ? 1 : 0);
  }
}

Status dsc::loadStreamBatch(Session &session, const Dataset &data, const Sampler &sampler,
                            int64_t position) {
  const Manifest &manifest = session.manifest();
  DSC_RETURN_IF_FAILED(session.setRunTime("rt.sample_base", static_cast<double>(position)));
  for (size_t i = 0; i < manifest.inputs.size(); ++i) {
    const InputSpec &input = manifest.inputs[i];
    Result<std::byte *> place = session.input(input);
    if (place.failed()) {
      return place.status();
    }
    if (input.role == InputRole::SampleWeight) {
      writeSampleWeight(input, *place, manifest.microBatch, manifest.microBatch);
      continue;
    }
    for (int64_t slot = 0; slot < manifest.microBatch; ++slot) {
      DSC_RETURN_IF_FAILED(data.copy(i, sampler.at(position + slot), *place, slot));
    }
  }
  // The next one of this rank.
  const int64_t next = position + manifest.microBatch * session.ranks();
  for (int64_t slot = 0; slot < manifest.microBatch; ++slot) {
    data.prefetch(sampler.at(next + slot));
  }
  return {};
}

Result<int64_t> dsc::loadRangeBatch(Session &session, const Dataset &data, int64_t begin) {
  const Manifest &manifest = session.manifest();
  const int64_t real = std::clamp<int64_t>(data.samples() - begin, 0, manifest.microBatch);
  DSC_RETURN_IF_FAILED(session.setRunTime("rt.sample_base", static_cast<double>(begin)));
  for (size_t i = 0; i < manifest.inputs.size(); ++i) {
    const InputSpec &input = manifest.inputs[i];
    Result<std::byte *> place = session.input(input);
    if (place.failed()) {
      return place.status();
    }
    if (input.role == InputRole::SampleWeight) {
      writeSampleWeight(input, *place, manifest.microBatch, real);
      continue;
    }
    for (int64_t slot = 0; slot < manifest.microBatch; ++slot) {
      // Padding repeats the last sample: real values, so that nothing overflows.
      DSC_RETURN_IF_FAILED(data.copy(i, std::min(begin + slot, data.samples() - 1), *place, slot));
    }
  }
  return real;
}

Status dsc::loadMadeUpBatch(Session &session, uint64_t seed) {
  const Manifest &manifest = session.manifest();
  uint64_t state = seed;
  for (const InputSpec &input : manifest.inputs) {
    Result<std::byte *> place = session.input(input);
    if (place.failed()) {
      return place.status();
    }
    if (input.role == InputRole::SampleWeight) {
      writeSampleWeight(input, *place, manifest.microBatch, manifest.microBatch);
      continue;
    }
    for (int64_t i = 0, end = input.bytes / dtypeSize(input.dtype); i < end; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      uint64_t random = state >> 33;
      if (isFloat(input.dtype)) {
        storeFromDouble(input.dtype, *place, i, static_cast<double>(random) * 0x1p-31);
      } else {
        int64_t classes = input.classes ? input.classes : 2;
        storeFromInteger(input.dtype, *place, i,
                         static_cast<int64_t>(random % static_cast<uint64_t>(classes)));
      }
    }
  }
  return {};
}
