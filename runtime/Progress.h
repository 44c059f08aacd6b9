// What training prints.
// On a terminal a bar that is redrawn in place, with loss, rate, time left, learning rate, gradient
// norm and loss scale as far as there is room; in a pipe a line every so many steps.

#ifndef DSC_RUNTIME_PROGRESS_H
#define DSC_RUNTIME_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace dsc {

/// What one step reports.
struct StepReport {
  int64_t step = 0; ///< from 1
  double loss = 0;
  double learningRate = 0;
  std::optional<double> gradNorm, lossScale;
  bool skipped = false;
  double work = 0; ///< samples or tokens of the step
  double seconds = 0;
};

class Progress {
public:
  /// `silent`: prints nothing.
  Progress(int64_t steps, int64_t every, bool tokens, bool silent = false);

  void step(const StepReport &report);
  /// A line of its own, above the bar where there is one.
  void line(const std::string &text);
  /// Leaves the bar standing and ends its line.
  void finish();

private:
  using Clock = std::chrono::steady_clock;
  void draw(const StepReport &report);
  /// "12.3k tokens/s"
  std::string rateText() const;

  int64_t steps, every;
  bool tokens, silent;
  bool terminal;
  bool drawn = false;
  /// Of a sample or token, smoothed over some ten steps, and its inverse.
  double secondsEach = 0, rate = 0;
  int64_t first = 0;
  Clock::time_point begin, lastDraw;
};

/// "12.3k", for rates and sizes of things that are counted.
std::string shortNumber(double value);
/// "1:02:03" or "2:03".
std::string durationText(double seconds);

} // namespace dsc

#endif // DSC_RUNTIME_PROGRESS_H
