// Running statistics of several ranks.

#include "runtime/Buffers.h"

#include "runtime/checkpoint/Crc32c.h"

#include <algorithm>
#include <cstring>

using namespace dsc;

/// The buffers in which ranks differ, found by their checksums.
static Result<std::vector<const GlobalSpec *>> findDiffering(Session &session, Ranks &ranks) {
  std::vector<const GlobalSpec *> buffers;
  std::vector<uint32_t> checksums;
  for (const GlobalSpec &spec : session.manifest().globals) {
    if (spec.role != GlobalRole::Buffer || !isFloat(spec.dtype)) {
      continue;
    }
    uint32_t checksum = 0;
    DSC_RETURN_IF_FAILED(session.read(spec, [&](const std::byte *data, int64_t, int64_t bytes) {
      checksum = crc32cRemainder(data, bytes, checksum);
      return Status();
    }));
    buffers.push_back(&spec);
    checksums.push_back(checksum);
  }
  const std::string own(reinterpret_cast<const char *>(checksums.data()),
                        checksums.size() * sizeof(uint32_t));
  Result<std::vector<std::string>> all = ranks.exchange(own);
  DSC_RETURN_IF_FAILED(all.status());
  std::vector<const GlobalSpec *> differing;
  for (size_t i = 0; i < buffers.size(); ++i) {
    auto checksumIn = [&](const std::string &theirs) {
      return theirs.substr(i * sizeof(uint32_t), sizeof(uint32_t));
    };
    if (std::any_of(all->begin(), all->end(), [&](const std::string &theirs) {
          return checksumIn(theirs) != checksumIn(all->front());
        })) {
      differing.push_back(buffers[i]);
    }
  }
  return differing;
}

Result<RankBuffers> RankBuffers::read(Session &session, Ranks &ranks) {
  RankBuffers buffers;
  if (ranks.count() == 1) {
    return buffers;
  }
  DSC_RETURN_IF_FAILED(session.wait());
  Result<std::vector<const GlobalSpec *>> differing = findDiffering(session, ranks);
  DSC_RETURN_IF_FAILED(differing.status());
  if (differing->empty()) {
    return buffers;
  }
  for (const GlobalSpec *spec : *differing) {
    Result<std::vector<std::byte>> own = session.bytes(*spec);
    DSC_RETURN_IF_FAILED(own.status());
    buffers.differing.push_back({spec, std::move(*own), {}});
  }
  // Rank 0 adds them and tells the means: statistics are small, and so everyone has the same bits.
  std::string own;
  for (const Values &values : buffers.differing) {
    own.append(reinterpret_cast<const char *>(values.own.data()), values.own.size());
  }
  Result<std::vector<std::string>> all = ranks.gather(own);
  DSC_RETURN_IF_FAILED(all.status());
  std::string means;
  size_t at = 0;
  for (const Values &values : buffers.differing) {
    if (!ranks.isFirst()) {
      break;
    }
    const Dtype dtype = values.spec->dtype;
    std::vector<std::byte> mean(values.own.size());
    for (int64_t i = 0; i < values.spec->bytes / dtypeSize(dtype); ++i) {
      double sum = 0;
      for (const std::string &theirs : *all) {
        sum += loadAsDouble(dtype, reinterpret_cast<const std::byte *>(theirs.data() + at), i);
      }
      storeFromDouble(dtype, mean.data(), i, sum / ranks.count());
    }
    means.append(reinterpret_cast<const char *>(mean.data()), mean.size());
    at += mean.size();
  }
  all = ranks.exchange(means);
  DSC_RETURN_IF_FAILED(all.status());
  at = 0;
  for (Values &values : buffers.differing) {
    values.mean.resize(values.own.size());
    std::memcpy(values.mean.data(), all->front().data() + at, values.mean.size());
    at += values.mean.size();
  }
  return buffers;
}

const RankBuffers::Values *RankBuffers::find(const GlobalSpec &spec) const {
  auto found = std::find_if(differing.begin(), differing.end(),
                            [&](const Values &values) { return values.spec == &spec; });
  return found == differing.end() ? nullptr : &*found;
}

static Status put(Session &session, const GlobalSpec &spec, const std::vector<std::byte> &values) {
  return session.write(spec, [&](std::byte *target, int64_t offset, int64_t bytes) {
    std::copy_n(values.begin() + offset, bytes, target);
    return Status();
  });
}

Status RankBuffers::putMeans(Session &session) const {
  for (const Values &values : differing) {
    DSC_RETURN_IF_FAILED(put(session, *values.spec, values.mean));
  }
  return {};
}

Status RankBuffers::putOwn(Session &session) const {
  for (const Values &values : differing) {
    DSC_RETURN_IF_FAILED(put(session, *values.spec, values.own));
  }
  return {};
}
