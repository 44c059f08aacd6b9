// Loss and metrics over every sample.
// Runs entry eval over a dataset in its own order, each sample once, the last batch padded with
// weight zero. Ranks take batches in turn; sums of batches are added in the order of the data, in
// double on the host, so that the result does not depend on the number of ranks.

#ifndef DSC_RUNTIME_EVALUATE_H
#define DSC_RUNTIME_EVALUATE_H

#include "runtime/CommandLine.h"
#include "runtime/Dataset.h"
#include "runtime/Json.h"
#include "runtime/Session.h"
#include "runtime/comm/Ranks.h"

#include <optional>
#include <string>

namespace dsc {

struct Evaluation {
  int64_t samples = 0;
  std::optional<double> loss, perplexity, accuracy, rmse;
  /// Counted positions of the accuracy.
  double counted = 0;
  /// A stop signal came; the sums cover a part.
  bool stopped = false;

  OrderedJson json() const;
  /// "loss 2.31  perplexity 10.1"
  std::string text() const;
};

/// `outputs` is the file for the graph's outputs, or empty. All ranks call it and get the same.
Result<Evaluation> evaluate(Session &session, const Dataset &data, const std::string &outputs,
                            Ranks &ranks);

/// The command `eval`.
Status runEvaluate(Executable &executable, const CommandLine &line, Ranks &ranks);

} // namespace dsc

#endif // DSC_RUNTIME_EVALUATE_H
