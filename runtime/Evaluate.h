// Loss and metrics over every sample.
// Runs entry eval over a dataset in its own order, each sample once, the last batch padded with
// weight zero; sums are kept in double on the host.

#ifndef DSC_RUNTIME_EVALUATE_H
#define DSC_RUNTIME_EVALUATE_H

#include "runtime/CommandLine.h"
#include "runtime/Dataset.h"
#include "runtime/Json.h"
#include "runtime/Session.h"

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

/// `outputs` is the file for the graph's outputs, or empty.
Result<Evaluation> evaluate(Session &session, const Dataset &data, const std::string &outputs);

/// The command `eval`.
Status runEvaluate(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_EVALUATE_H
