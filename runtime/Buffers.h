// Running statistics of several ranks.
// Each rank updates its batch norms' statistics on its own samples; what is evaluated and saved is
// their mean. Training goes on with each rank's own, so that evaluating and saving change nothing.

#ifndef DSC_RUNTIME_BUFFERS_H
#define DSC_RUNTIME_BUFFERS_H

#include "runtime/Session.h"
#include "runtime/comm/Ranks.h"

#include <map>
#include <string>
#include <vector>

namespace dsc {

class RankBuffers {
public:
  struct Values {
    const GlobalSpec *spec = nullptr;
    /// Of the buffer's storage: this rank's, and the mean of all ranks', the same on all.
    std::vector<std::byte> own, mean;
  };

  /// Finds the float buffers in which ranks differ; none with one rank. Means are added in rank
  /// order in double and rounded once. All ranks call it.
  static Result<RankBuffers> read(Session &session, Ranks &ranks);

  /// In the manifest's order.
  const std::vector<Values> &values() const { return differing; }
  /// Null where all ranks have the same.
  const Values *find(const GlobalSpec &spec) const;

  Status putMeans(Session &session) const;
  Status putOwn(Session &session) const;

private:
  std::vector<Values> differing;
};

} // namespace dsc

#endif // DSC_RUNTIME_BUFFERS_H
