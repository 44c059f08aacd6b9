// Updates with one learning rate and one decay a row, as buckets have them, against their formulas;
// in place, and left alone where `ok` is false.

#include "test/codegen/CompiledKernels.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>

using namespace dsc::test;

namespace {

constexpr int kRows = 3, kColumns = 40, kCount = kRows * kColumns;
constexpr double kT = 3, kBeta1 = 0.875, kBeta2 = 0.9375, kEpsilon = 0x1p-20, kScale = 0.5;
constexpr double kMomentum = 0.75, kDampening = 0.25, kLrDecay = 0.125;
const std::vector<float> kRates = {0x1p-5f, 0x1p-7f, 0}, kDecays = {0.5f, 0, 0.125f};

/// One element before the update.
struct Element {
  double p, g, first, second, lr, decay;
};

struct UpdateCase {
  const char *op;
  int state; ///< tensors of state
  /// Scalars in the op's order; "lr" and "wd" are the rows' numbers.
  std::vector<std::string> numbers;
  const char *attributes;
  std::function<std::vector<double>(const Element &)> formula;
  int kept = 0; ///< results from the first that are not the parameter's: LAMB's direction
};

double valueOf(const std::string &number) {
  return number == "t"          ? kT
         : number == "b1"       ? kBeta1
         : number == "b2"       ? kBeta2
         : number == "eps"      ? kEpsilon
         : number == "momentum" ? kMomentum
         : number == "damp"     ? kDampening
         : number == "lrd"      ? kLrDecay
                                : kScale;
}

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

const UpdateCase kCases[] = {
    {"adam",
     2,
     {"t", "lr", "b1", "b2", "eps", "wd", "scale"},
     " {decoupled = true}",
     [](const Element &e) {
       double g = kScale * e.g, m = e.first + (1 - kBeta1) * (g - e.first);
       double v = kBeta2 * e.second + (1 - kBeta2) * g * g;
       double root = std::sqrt(v) / std::sqrt(1 - std::pow(kBeta2, kT)) + kEpsilon;
       return std::vector{e.p * (1 - e.lr * e.decay) - e.lr / (1 - std::pow(kBeta1, kT)) * m / root,
                          m, v};
     }},
    {"sgd",
     1,
     {"t", "lr", "momentum", "damp", "wd", "scale"},
     " {nesterov = true}",
     [](const Element &e) {
       double g = kScale * e.g + e.decay * e.p;
       double b = kMomentum * e.first + (1 - kDampening) * g;
       return std::vector{e.p - e.lr * (g + kMomentum * b), b};
     }},
    {"lion",
     1,
     {"lr", "b1", "b2", "wd", "scale"},
     "",
     [](const Element &e) {
       double g = kScale * e.g, towards = kBeta1 * e.first + (1 - kBeta1) * g;
       return std::vector{e.p * (1 - e.lr * e.decay) - e.lr * sign(towards),
                          kBeta2 * e.first + (1 - kBeta2) * g};
     }},
    {"adagrad",
     1,
     {"t", "lr", "lrd", "eps", "wd", "scale"},
     "",
     [](const Element &e) {
       double g = kScale * e.g + e.decay * e.p, sum = std::fabs(e.first) + g * g;
       return std::vector{e.p - e.lr / (1 + (kT - 1) * kLrDecay) * g / (std::sqrt(sum) + kEpsilon),
                          sum};
     }},
    {"lamb",
     2,
     {"b1", "b2", "eps", "wd", "scale"},
     "",
     [](const Element &e) {
       double g = kScale * e.g, m = e.first + (1 - kBeta1) * (g - e.first);
       double v = kBeta2 * e.second + (1 - kBeta2) * g * g;
       return std::vector{m / (std::sqrt(v) + kEpsilon) + e.decay * e.p, m, v};
     },
     1},
    {"lamb_step", 0, {"lr"}, "", [](const Element &e) { return std::vector{e.p - e.lr * e.g}; }},
};

class Update : public testing::TestWithParam<UpdateCase> {};

TEST_P(Update, MatchesItsFormula) {
  const UpdateCase &test = GetParam();
  const std::string full = "3x40xf32", row = "3x1xf32";
  std::vector<std::string> operands(2 + test.state, full);
  for (const std::string &number : test.numbers) {
    operands.push_back(number == "lr" || number == "wd" ? row : "f32");
  }
  operands.push_back("i1");
  const int results = 1 + test.state;
  std::string names, types, yields, resultTypes;
  for (size_t i = 0; i < operands.size(); ++i) {
    names += (i ? ", %a" : "%a") + std::to_string(i);
    types += (i ? ", tensor<" : "tensor<") + operands[i] + ">";
  }
  for (int i = 0; i < results; ++i) {
    yields += (i ? ", %r#" : "%r#") + std::to_string(i);
    resultTypes += (i ? ", tensor<" : "tensor<") + full + ">";
  }
  const std::string body = "%r:" + std::to_string(results) + " = dsc." + test.op + " " + names +
                           test.attributes + " : (" + types + ") -> (" + resultTypes + ")";
  CompiledKernels kernels(kernelModule(
      "kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 3, 40>, row_rank = 1 : i64",
      operands, body, yields, std::vector<std::string>(results, full)));

  std::vector<float> p = randomFloats(kCount), g = randomFloats(kCount, -1, 1, 2),
                     first = randomFloats(kCount, -1, 1, 3), second = randomFloats(kCount, 0, 1, 4);
  if (std::string(test.op) == "adagrad") {
    for (float &sum : first) {
      sum = std::fabs(sum);
    }
  }
  for (uint8_t ok : {1, 0}) {
    std::vector<Buffer> values = {Buffer::of(p), Buffer::of(g)};
    for (int i = 0; i < test.state; ++i) {
      values.push_back(Buffer::of(i ? second : first));
    }
    for (const std::string &number : test.numbers) {
      values.push_back(number == "lr"   ? Buffer::of(kRates)
                       : number == "wd" ? Buffer::of(kDecays)
                                        : Buffer::of(std::vector<float>{float(valueOf(number))}));
    }
    values.push_back(Buffer::of(std::vector<uint8_t>{ok}));
    std::vector<Buffer> told = kernels.run(values);
    for (int i = 0; i < kCount; ++i) {
      const Element element{
          p[i], g[i], first[i], second[i], kRates[i / kColumns], kDecays[i / kColumns]};
      std::vector<double> right = test.formula(element);
      const float old[] = {p[i], first[i], second[i]};
      for (int r = 0; r < results; ++r) {
        const bool isKept = r >= test.kept && !ok;
        const double expected = isKept ? old[r] : right[r];
        EXPECT_NEAR(told[r].as<float>()[i], expected,
                    isKept ? 0 : 2e-6 * std::fmax(1, std::fabs(expected)))
            << test.op << " result " << r << " element " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Update, testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.op); });

} // namespace
