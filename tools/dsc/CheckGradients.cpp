// A direction d has unit length, and the step is h = 2^-13, so the difference is off by about h^2
// times the third derivative and by 2^-53 |loss| / h of rounding:
//     bound = 1e-6 max(|g.d|, |difference|, |g|) + 64 * 2^-53 max(1, |loss|) / h
// Where a function has a kink within h of a value (ReLU, max) the difference is wrong: the step is
// then divided by 64 twice before a difference counts.

#include "tools/dsc/CheckGradients.h"

#include "tools/dsc/Commands.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {
/// One parameter's gradient, kept while the program runs on.
struct Gradient {
  std::string name;
  Shape shape;
  Dtype dtype;
  std::vector<double> values;
};

class GradientCheck {
public:
  explicit GradientCheck(ProgramRun &program) : program(program) {}

  Status run(int64_t directions) {
    program.makeUpInputs(1);
    DSC_RETURN_IF_FAILED(evaluate(loss));
    if (!std::isfinite(loss)) {
      return Status::user(
          format("the loss on made-up inputs is %g, so it has no differences", loss));
    }
    std::vector<Gradient> gradients;
    for (const TensorView &view : program.gradients()) {
      Gradient gradient{view.name, view.shape, view.dtype, {}};
      for (int64_t i = 0; i < view.elements(); ++i) {
        gradient.values.push_back(loadAsDouble(view.dtype, view.data, i));
      }
      gradients.push_back(std::move(gradient));
    }
    for (const Gradient &gradient : gradients) {
      DSC_RETURN_IF_FAILED(checkParameter(gradient, directions));
    }
    llvm::outs() << llvm::formatv(
        "{0} of {1} gradients agree with central differences (loss {2})\n",
        gradients.size() - wrong, gradients.size(), format("%.9g", loss));
    return {};
  }

  int64_t failures() const { return wrong; }

private:
  ProgramRun &program;
  double loss = 0;
  int64_t wrong = 0;
  uint64_t random = 1;

  Status evaluate(double &value) {
    DSC_RETURN_IF_FAILED(program.run("last"));
    std::optional<TensorView> result = program.result("last", "loss");
    if (!result) {
      return Status::internal("the program returns no loss");
    }
    value = loadAsDouble(result->dtype, result->data, 0);
    return {};
  }

  /// loss(p + h d) - loss(p - h d) over 2h; p, whose elements are `saved`, is as before afterwards.
  Status difference(const Gradient &gradient, const std::vector<std::byte> &saved,
                    const std::vector<double> &direction, double h, double &slope) {
    double sides[2];
    Status status;
    for (int side = 0; side < 2 && status.ok(); ++side) {
      std::vector<std::byte> moved(saved);
      for (size_t i = 0; i < direction.size(); ++i) {
        double old = loadAsDouble(gradient.dtype, saved.data(), static_cast<int64_t>(i));
        storeFromDouble(gradient.dtype, moved.data(), static_cast<int64_t>(i),
                        old + (side ? -h : h) * direction[i]);
      }
      program.setParameter(gradient.name, moved);
      status = evaluate(sides[side]);
    }
    program.setParameter(gradient.name, saved);
    slope = (sides[0] - sides[1]) / (2 * h);
    return status;
  }

  Status checkParameter(const Gradient &gradient, int64_t directions) {
    std::string line = llvm::formatv("{0,-40} {1,-16} ", gradient.name, shapeText(gradient.shape));
    std::optional<std::vector<std::byte>> saved = program.parameter(gradient.name);
    if (!saved) {
      return Status::internal("gradient \"" + gradient.name + "\" is of no parameter");
    }
    double norm = 0, worst = 0;
    for (double value : gradient.values) {
      norm += value * value;
    }
    norm = std::sqrt(norm);
    bool agrees = true;
    for (int64_t k = 0; k < directions && agrees; ++k) {
      std::vector<double> direction(gradient.values.size());
      double along = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        direction[i] = (random >> 63 ? 1 : -1) / std::sqrt(static_cast<double>(direction.size()));
        along += gradient.values[i] * direction[i];
      }
      agrees = false;
      for (double h : {0x1p-13, 0x1p-19, 0x1p-25}) {
        double slope = 0;
        DSC_RETURN_IF_FAILED(difference(gradient, *saved, direction, h, slope));
        double bound = 1e-6 * std::max({std::fabs(along), std::fabs(slope), norm}) +
                       64 * 0x1p-53 * std::max(1.0, std::fabs(loss)) / h;
        double off = std::fabs(along - slope);
        worst = off;
        if (off <= bound) {
          agrees = true;
          break;
        }
        line += h == 0x1p-13 ? format("gradient %.9g, difference %.9g ", along, slope) : "";
      }
    }
    llvm::outs() << line << (agrees ? "agrees" : "DIFFERS")
                 << format(", norm %.3g, off by %.1e\n", norm, worst);
    wrong += !agrees;
    return {};
  }
};
} // namespace

int dsc::checkGradients(MLIRContext &context, CheckedProgramOptions options,
                        const GradientCheckOptions &gradients) {
  options.inDouble = true;
  options.import.options.accumulate = 1;
  CheckedProgram program = compileAndLoad(context, options);
  if (!program.run) {
    llvm::errs() << "dsc check: " << program.failedStage << " failed"
                 << (program.message.empty() ? "" : ": ") << program.message << "\n";
    return program.exitCode;
  }
  GradientCheck check(*program.run);
  if (Status status = check.run(gradients.directions); status.failed()) {
    llvm::errs() << "dsc check: " << status.message() << "\n";
    return static_cast<int>(status.exitCode());
  }
  return check.failures() ? kDifference : kDone;
}
