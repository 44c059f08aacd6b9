// The table and the curve of learning rates.

#include "runtime/LearningRates.h"

#include "runtime/FileWriter.h"
#include "runtime/Json.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Startup.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

using namespace dsc;

std::string dsc::learningRateTable(const std::string &schedule, int64_t steps,
                                   const std::function<double(int64_t)> &rateOfStep) {
  std::string text =
      format("schedule %s over %lld steps\n", schedule.c_str(), static_cast<long long>(steps));
  const int64_t rows = std::min<int64_t>(steps, 21);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t step = rows == 1 ? 1 : 1 + row * (steps - 1) / (rows - 1);
    text += format("%12lld  %.6g\n", static_cast<long long>(step), rateOfStep(step));
  }
  return text;
}

//===----------------------------------------------------------------------===//
// The curve
//===----------------------------------------------------------------------===//

namespace {
/// In pixels.
constexpr double pictureWidth = 720, pictureHeight = 360, left = 76, right = 20, top = 44,
                 bottom = 44;
/// How our pictures begin, after which they may be overwritten.
constexpr const char *beginning = "<svg xmlns=\"http://www.w3.org/2000/svg\" data-dsc=\"lr\"";

/// A round distance (1, 2 or 5 times a power of ten) of which about five fit into `span`.
double roundDistance(double span) {
  const double raw = span / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) {
      return factor * power;
    }
  }
  return 10 * power;
}

std::string escaped(const std::string &text) {
  std::string result;
  for (char c : text) {
    result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return result;
}
} // namespace

std::string dsc::learningRateCurve(const std::string &schedule, int64_t steps,
                                   const std::function<double(int64_t)> &rateOfStep) {
  // At most one point a pixel, and both ends.
  const auto points = std::min<int64_t>(steps, static_cast<int64_t>(pictureWidth));
  std::vector<std::pair<double, double>> curve;
  double highest = 0;
  for (int64_t i = 0; i < points; ++i) {
    const int64_t step = points == 1 ? 1 : 1 + i * (steps - 1) / (points - 1);
    curve.emplace_back(static_cast<double>(step), rateOfStep(step));
    highest = std::max(highest, curve.back().second);
  }
  highest = highest > 0 ? highest : 1;
  const double last = std::max(2.0, static_cast<double>(steps));
  auto x = [&](double step) {
    return left + (pictureWidth - left - right) * (step - 1) / (last - 1);
  };
  auto y = [&](double rate) {
    return pictureHeight - bottom - (pictureHeight - top - bottom) * rate / highest;
  };
  std::string svg = std::string(beginning) +
                    format(" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" font-size=\"12\">\n"
                           "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                           "<text x=\"%g\" y=\"24\" font-size=\"14\">learning rate: %s</text>\n",
                           pictureWidth, pictureHeight, left, escaped(schedule).c_str());
  auto line = [&](double x1, double y1, double x2, double y2, const char *color) {
    svg += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1,
                  x2, y2, color);
  };
  auto label = [&](double at, double height, const char *anchor, const std::string &text) {
    svg += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", at, height, anchor,
                  text.c_str());
  };
  const double rateDistance = roundDistance(highest);
  for (int i = 0; i * rateDistance <= highest * (1 + 1e-9); ++i) {
    const double height = y(i * rateDistance);
    line(left, height, pictureWidth - right, height, i == 0 ? "black" : "lightgray");
    label(left - 8, height + 4, "end", format("%.4g", i * rateDistance));
  }
  const double stepDistance = std::max(1.0, roundDistance(last));
  label(x(1), pictureHeight - bottom + 20, "middle", "1");
  for (double step = stepDistance; step <= last; step += stepDistance) {
    if (x(step) - x(1) > 24) {
      line(x(step), y(0), x(step), y(0) + 5, "black");
      label(x(step), pictureHeight - bottom + 20, "middle", format("%.10g", step));
    }
  }
  label(pictureWidth - right, pictureHeight - 6, "end", "step");
  svg += "<polyline fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\" points=\"";
  for (auto [step, rate] : curve) {
    svg += format("%.1f,%.1f ", x(step), y(rate));
  }
  return svg + "\"/>\n</svg>\n";
}

static Status writeCurve(const std::string &path, const std::string &svg, bool force) {
  std::ifstream file(path, std::ios::binary);
  std::string start(std::string(beginning).size(), '\0');
  if (!force && file &&
      (!file.read(start.data(), static_cast<std::streamsize>(start.size())) ||
       start != beginning)) {
    return Status::user(path + ": is there and was not written by lr; name another file, or use "
                               "--force");
  }
  FileWriter writer;
  DSC_RETURN_IF_FAILED(writer.open(path));
  DSC_RETURN_IF_FAILED(writer.write(svg));
  return writer.commit();
}

//===----------------------------------------------------------------------===//
// The command
//===----------------------------------------------------------------------===//

Status dsc::runLearningRates(Executable &executable, const CommandLine &line) {
  Result<RunTimeValues> values = RunTimeValues::parse(executable.manifest(), line);
  if (values.failed()) {
    return values.status();
  }
  Result<int64_t> steps = line.integer("--steps", 0, 1);
  if (steps.failed() || *steps == 0) {
    return steps.failed() ? steps.status() : Status::user("lr needs --steps N");
  }
  auto rateOfStep = [&](int64_t step) { return values->learningRate(step, *steps); };
  if (line.has("-o")) {
    const std::string path = line.text("-o");
    if (path.size() < 4 || path.compare(path.size() - 4, 4, ".svg") != 0) {
      return Status::user("-o " + path + ": lr writes an SVG; name a FILE.svg");
    }
    DSC_RETURN_IF_FAILED(writeCurve(path, learningRateCurve(values->schedule(), *steps, rateOfStep),
                                    line.has("--force")));
    printNote("the curve is in " + path);
  }
  if (line.has("--json")) {
    std::vector<double> rates;
    for (int64_t step = 1; step <= *steps; ++step) {
      rates.push_back(rateOfStep(step));
    }
    OrderedJson object = {
        {"schedule", values->schedule()}, {"steps", *steps}, {"lr", std::move(rates)}};
    std::printf("%s\n", jsonText(object).c_str());
    return {};
  }
  std::printf("%s", printable(learningRateTable(values->schedule(), *steps, rateOfStep)).c_str());
  return {};
}
