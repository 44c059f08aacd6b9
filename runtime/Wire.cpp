// What a run's collectives sent.

#include "runtime/Wire.h"

#include <cstring>

using namespace dsc;

OrderedJson Wire::json(double steps) const {
  return {{"payload_bytes", payload() / steps},    {"reduce_scatter_bytes", reduceScatter / steps},
          {"all_gather_bytes", allGather / steps}, {"padding_bytes", padding / steps},
          {"scalar_bytes", scalars / steps},       {"busy_ms", busy * 1e3 / steps},
          {"waited_ms", waited * 1e3 / steps}};
}

WireCount::WireCount(Session &session, Ranks &ranks)
    : manifest(session.manifest()), ranks(ranks), communicator(session.context().communicator),
      before(sent()) {
  if (communicator) {
    trafficBefore = communicator->traffic();
  }
}

std::vector<int64_t> WireCount::sent() const {
  std::vector<int64_t> bytes;
  for (size_t id = 0; communicator && id < manifest.collectives.size(); ++id) {
    bytes.push_back(communicator->sentBytes(static_cast<int32_t>(id)));
  }
  return bytes;
}

Result<Wire> WireCount::finish() const {
  Wire wire;
  if (!communicator) {
    return wire;
  }
  std::vector<int64_t> own = sent();
  for (size_t id = 0; id < own.size(); ++id) {
    own[id] -= before[id];
  }
  Result<std::vector<std::string>> all = ranks.exchange(
      std::string(reinterpret_cast<const char *>(own.data()), own.size() * sizeof own[0]));
  DSC_RETURN_IF_FAILED(all.status());
  for (size_t id = 0; id < own.size(); ++id) {
    double bytes = 0;
    for (const std::string &theirs : *all) {
      int64_t sent;
      std::memcpy(&sent, theirs.data() + id * sizeof sent, sizeof sent);
      bytes += static_cast<double>(sent);
    }
    const CollectiveSpec &spec = manifest.collectives[id];
    const auto room =
        static_cast<double>(communicator->sentChunks(spec.chunks) * spec.chunkElements);
    const double payload = room > 0 ? bytes * static_cast<double>(spec.elements) / room : 0;
    if (spec.chunkElements != DSC_CHUNK_ELEMENTS || spec.kind == "all_reduce") {
      wire.scalars += bytes;
      continue;
    }
    (spec.kind == "reduce_scatter" ? wire.reduceScatter : wire.allGather) += payload;
    wire.padding += bytes - payload;
  }
  const Traffic traffic = communicator->traffic();
  wire.busy = traffic.busy - trafficBefore.busy;
  wire.waited = traffic.waited - trafficBefore.waited;
  return wire;
}
