// What training prints.

#include "runtime/Progress.h"

#include "runtime/Status.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

using namespace dsc;

std::string dsc::shortNumber(double value) {
  for (auto [limit, suffix] : {std::pair<double, const char *>{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (value >= limit) {
      return format("%.*f%s", value >= 100 * limit ? 0 : 1, value / limit, suffix);
    }
  }
  return format("%.*f", value >= 100 ? 0 : 1, value);
}

std::string dsc::durationText(double seconds) {
  auto total = static_cast<long long>(std::llround(std::min(std::max(seconds, 0.0), 1e9)));
  if (total >= 3600) {
    return format("%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  }
  return format("%lld:%02lld", total / 60, total % 60);
}

Progress::Progress(int64_t steps, int64_t every, bool tokens, bool silent)
    : steps(steps), every(every), tokens(tokens), silent(silent),
      terminal(isatty(STDOUT_FILENO) == 1) {}

std::string Progress::rateText() const {
  return shortNumber(rate) + (tokens ? " tokens/s" : " samples/s");
}

/// A dynamic loss scale is a power of two, and reads best as one.
static std::string scaleText(double scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5 ? format("2^%d", exponent - 1) : format("%.4g", scale);
}

void Progress::draw(const StepReport &report) {
  // What a narrow terminal has no room for is left out, the last first.
  double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  auto done = static_cast<double>(report.step - first);
  double left = done > 0 ? elapsed / done * static_cast<double>(steps - report.step) : 0;
  winsize size = {};
  int columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
  std::string counts =
      format("%lld/%lld", static_cast<long long>(report.step), static_cast<long long>(steps));
  std::string facts = format("loss %.4f", report.loss);
  std::vector<std::string> more = {rateText(), durationText(left) + " left",
                                   format("lr %.3g", report.learningRate)};
  if (report.skipped) {
    more.insert(more.begin(), "skipped");
  }
  if (report.gradNorm) {
    more.push_back(format("norm %.3g", *report.gradNorm));
  }
  if (report.lossScale) {
    more.push_back("scale " + scaleText(*report.lossScale));
  }
  for (const std::string &fact : more) {
    if (static_cast<int>(counts.size() + facts.size() + fact.size()) + 4 < columns) {
      facts += "  " + fact;
    }
  }
  int room = columns - static_cast<int>(counts.size() + facts.size()) - 8;
  std::string bar;
  if (room >= 8) {
    auto width = static_cast<size_t>(std::min(room, 40));
    auto full = static_cast<size_t>(static_cast<double>(width) * static_cast<double>(report.step) /
                                    static_cast<double>(std::max<int64_t>(steps, 1)));
    bar = " [" + std::string(full, '#') + std::string(width - std::min(full, width), '.') + "]";
  }
  std::printf("\r\033[K%s%s  %s", counts.c_str(), bar.c_str(), facts.c_str());
  std::fflush(stdout);
  drawn = true;
}

void Progress::step(const StepReport &report) {
  if (silent) {
    return;
  }
  // The mean of times, not of rates: it is what the time left follows.
  double each = report.seconds / std::max(report.work, 1.0);
  secondsEach = secondsEach > 0 ? secondsEach + 0.1 * (each - secondsEach) : each;
  rate = 1 / std::max(secondsEach, 1e-12);
  auto now = Clock::now();
  if (begin == Clock::time_point()) {
    // The first step, with its page faults, does not count for the time that is left.
    begin = now;
    first = report.step;
  }
  if (terminal) {
    if (report.step == steps || now - lastDraw >= std::chrono::milliseconds(100)) {
      lastDraw = now;
      draw(report);
    }
    return;
  }
  if (report.step != 1 && report.step != steps && report.step % every != 0) {
    return;
  }
  std::string norm = report.gradNorm ? format("  grad_norm %.4g", *report.gradNorm) : "";
  norm += report.lossScale ? "  loss_scale " + scaleText(*report.lossScale) : "";
  std::printf("step %lld/%lld  loss %.4f  lr %.4g%s  %s%s\n", static_cast<long long>(report.step),
              static_cast<long long>(steps), report.loss, report.learningRate, norm.c_str(),
              rateText().c_str(), report.skipped ? "  skipped" : "");
  std::fflush(stdout);
}

void Progress::line(const std::string &text) {
  if (silent) {
    return;
  }
  std::printf("%s%s\n", drawn ? "\r\033[K" : "", text.c_str());
  std::fflush(stdout);
  drawn = false;
}

void Progress::finish() {
  if (drawn) {
    std::printf("\n");
  }
  drawn = false;
}
