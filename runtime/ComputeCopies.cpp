// The copies in the compute type that forward and backward read.

#include "runtime/ComputeCopies.h"

#include "runtime/Convert.h"
#include "runtime/Pieces.h"
#include "runtime/StartTimes.h"

#include <algorithm>
#include <cstring>
#include <map>

using namespace dsc;

/// Elements [first, second) of a storage.
using Elements = std::pair<int64_t, int64_t>;

static Status outOfRange(const GlobalSpec &of, int64_t element, const std::string &why) {
  return Status::user(format("weight \"%s\": element %lld: %s, which this program computes in; "
                             "compile it with --bf16 or --fp32",
                             of.name.c_str(), static_cast<long long>(element), why.c_str()));
}

/// Rounds `elements` of `of`, which are at `values` and begin at `first`, to `target`.
static Status roundOnHost(const GlobalSpec &of, const GlobalSpec &copy, const std::byte *values,
                          std::byte *target, int64_t first, int64_t elements, int threads) {
  const int64_t from = dtypeSize(of.dtype), to = dtypeSize(copy.dtype);
  return forPieces(threads, elements, [&](int64_t at, int64_t count) -> Status {
    std::optional<BadValue> bad = convertValues(of.dtype, values + at * from, copy.dtype,
                                                target + at * to, count, ValueRange());
    return bad ? outOfRange(of, first + at + bad->index, bad->why) : Status();
  });
}

namespace {
/// Makes the copies of one session.
class CopyMaker {
public:
  explicit CopyMaker(Session &session)
      : session(session), manifest(session.manifest()), threads(session.startThreads()) {}

  Status run();

private:
  Status round(const GlobalSpec &of, const GlobalSpec &copy);
  Result<bool> roundOnDevice(const GlobalSpec &of, const GlobalSpec &copy, Elements own);
  Status roundThroughHost(const GlobalSpec &of, const GlobalSpec &copy, Elements own);
  Status findOverflow();
  Elements ownOf(const GlobalSpec &of, const GlobalSpec &copy) const;
  Status gather(const GlobalSpec &of, const GlobalSpec &copy);

  Session &session;
  const Manifest &manifest;
  const int threads;
  /// i32 of the arena, which is free between entries: whether the device rounded a number to
  /// infinity.
  PlannedTensor flag;
  bool flagIsCleared = false;
};
} // namespace

/// What this rank has of both; where it has all of the copy and some chunks of its origin, those.
Elements CopyMaker::ownOf(const GlobalSpec &of, const GlobalSpec &copy) const {
  auto elements = [&](const GlobalSpec &spec) {
    auto [begin, end] = manifest.ownBytes(spec, session.ranks(), session.rank());
    return Elements{begin / dtypeSize(spec.dtype), end / dtypeSize(spec.dtype)};
  };
  const Elements a = elements(of), b = elements(copy);
  return {std::max(a.first, b.first), std::min(a.second, b.second)};
}

Result<bool> CopyMaker::roundOnDevice(const GlobalSpec &of, const GlobalSpec &copy, Elements own) {
  const char *kernel = copy.dtype == DSC_F16    ? DSC_START_ROUND_F16
                       : copy.dtype == DSC_BF16 ? DSC_START_ROUND_BF16
                                                : nullptr;
  if (!kernel || of.dtype != DSC_F32 || session.device().isHostMemory() ||
      !session.device().kernelNamed(kernel) || manifest.spaceBytes[DSC_SPACE_ARENA] < flag.bytes) {
    return false;
  }
  if (!flagIsCleared) {
    flagIsCleared = true;
    DSC_RETURN_IF_FAILED(session.write(flag, [](std::byte *target, int64_t, int64_t bytes) {
      std::memset(target, 0, static_cast<size_t>(bytes));
      return Status();
    }));
  }
  const int64_t count = own.second - own.first;
  Device &device = session.device();
  return session.launchStart(kernel,
                             {device.address(of) + own.first * dtypeSize(of.dtype),
                              device.address(copy) + own.first * dtypeSize(copy.dtype),
                              reinterpret_cast<void *>(static_cast<uintptr_t>(count)),
                              device.address(flag)},
                             count);
}

Status CopyMaker::roundThroughHost(const GlobalSpec &of, const GlobalSpec &copy, Elements own) {
  const int64_t from = dtypeSize(of.dtype), to = dtypeSize(copy.dtype);
  const int64_t count = own.second - own.first;
  const std::byte *values = session.hostAddress(of);
  std::byte *target = session.hostAddress(copy);
  if (values && target) {
    return roundOnHost(of, copy, values + own.first * from, target + own.first * to, own.first,
                       count, threads);
  }
  std::vector<std::byte> read(static_cast<size_t>(count * from));
  DSC_RETURN_IF_FAILED(session.read(of, own.first * from, own.second * from,
                                    [&](const std::byte *data, int64_t offset, int64_t bytes) {
                                      std::copy_n(data, bytes,
                                                  read.data() + offset - own.first * from);
                                      return Status();
                                    }));
  std::byte *place = session.device().address(copy) + own.first * to;
  return session.device().write(
      place, count * to, to, [&](std::byte *piece, int64_t offset, int64_t bytes) {
        return roundOnHost(of, copy, read.data() + offset / to * from, piece,
                           own.first + offset / to, bytes / to, threads);
      });
}

Status CopyMaker::round(const GlobalSpec &of, const GlobalSpec &copy) {
  const Elements own = ownOf(of, copy);
  if (own.first >= own.second) {
    return {};
  }
  Result<bool> rounded = roundOnDevice(of, copy, own);
  DSC_RETURN_IF_FAILED(rounded.status());
  return *rounded ? Status() : roundThroughHost(of, copy, own);
}

/// Which number it was that the device rounded to infinity, if any.
Status CopyMaker::findOverflow() {
  if (!flagIsCleared) {
    return {};
  }
  int64_t found = 0;
  DSC_RETURN_IF_FAILED(session.read(flag, [&](const std::byte *data, int64_t, int64_t) {
    found = loadAsInteger(flag.dtype, data, 0);
    return Status();
  }));
  for (const GlobalSpec &copy : manifest.globals) {
    if (found && copy.role == GlobalRole::Compute) {
      const GlobalSpec &of = *manifest.global(copy.of);
      const Elements own = ownOf(of, copy);
      DSC_RETURN_IF_FAILED(own.first < own.second ? roundThroughHost(of, copy, own) : Status());
    }
  }
  return {};
}

/// Brings the chunks of other ranks to the copies that lie as `of`'s shard does, one of which is
/// `copy`.
Status CopyMaker::gather(const GlobalSpec &of, const GlobalSpec &copy) {
  const ShardSpec &shard = manifest.shards[static_cast<size_t>(of.shard)];
  const int64_t from = dtypeSize(of.dtype);
  const dsc_collective collective{
      DSC_HOST_COLLECTIVES + of.shard, DSC_ALL_GATHER,     copy.dtype, shard.chunks,
      shard.chunkBytes / from,         shard.name.c_str(), 0};
  std::byte *first = session.device().address(copy) - of.offset / from * dtypeSize(copy.dtype);
  return session.context().communicator->run(collective, nullptr, first);
}

Status CopyMaker::run() {
  flag.name = "overflow";
  flag.dtype = DSC_I32;
  flag.space = DSC_SPACE_ARENA;
  flag.bytes = dtypeSize(flag.dtype);
  Status rounded;
  std::map<int, std::pair<const GlobalSpec *, const GlobalSpec *>> gathered; // by shard
  for (const GlobalSpec &copy : manifest.globals) {
    if (copy.role != GlobalRole::Compute) {
      continue;
    }
    const GlobalSpec &of = *manifest.global(copy.of);
    rounded = rounded.ok() ? round(of, copy) : rounded;
    if (session.ranks() > 1 && of.shard >= 0 && copy.shard < 0) {
      gathered.try_emplace(of.shard, &of, &copy);
    }
  }
  rounded = rounded.ok() ? findOverflow() : rounded;
  // Also where this rank failed: the others wait for it.
  for (const auto &[shard, pair] : gathered) {
    DSC_RETURN_IF_FAILED(gather(*pair.first, *pair.second));
  }
  return rounded;
}

Status dsc::fillComputeCopies(Session &session) {
  StartPhase phase("compute copies");
  return CopyMaker(session).run();
}
