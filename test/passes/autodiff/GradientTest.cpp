// Every rule of the gradient table against central differences in f64 (docs/testing.md,
// Tolerances). A case is a function of the dialect; the loss is the sum of its float results times
// random weights. Arguments are drawn from [-2, 2) or from the range that their attributes test.low
// and test.high give.

#include "passes/Passes.h"
#include "passes/autodiff/GradTable.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;
using namespace dsc;

namespace {

struct Case {
  std::string name, text;
};

void PrintTo(const Case &test, std::ostream *stream) { *stream << test.name; }

/// "tensor<2x3xf64>" of "2x3"; "" is rank 0.
std::string tensorText(const std::string &shape, const std::string &element = "f64") {
  return "tensor<" + shape + (shape.empty() ? "" : "x") + element + ">";
}

const char *const kShapes[] = {"3x5", "1x7", "", "2x1x3"};

struct Unary {
  const char *op;
  double low, high;
};
const Unary kUnary[] = {
    {"neg", -2, 2},         {"abs", -2, 2},      {"exp", -2, 2},     {"expm1", -2, 2},
    {"log", 0.2, 3},        {"log1p", -0.7, 3},  {"sqrt", 0.2, 3},   {"rsqrt", 0.2, 3},
    {"reciprocal", 0.4, 3}, {"sin", -3, 3},      {"cos", -3, 3},     {"tan", -1.2, 1.2},
    {"asin", -0.9, 0.9},    {"acos", -0.9, 0.9}, {"atan", -3, 3},    {"sinh", -2, 2},
    {"cosh", -2, 2},        {"asinh", -3, 3},    {"acosh", 1.3, 4},  {"atanh", -0.9, 0.9},
    {"tanh", -2, 2},        {"erf", -2, 2},      {"sigmoid", -4, 4}, {"softplus", -4, 4},
    {"relu", -2, 2},        {"sign", -2, 2},     {"floor", -2, 2},   {"ceil", -2, 2},
    {"round", -2, 2},
};

/// Pairs of shapes that broadcast: equal, missing dimensions, size 1 on either side, scalars.
const char *const kPairs[][3] = {
    {"3x5", "3x5", "3x5"}, {"3x5", "5", "3x5"},     {"1x5", "3x1", "3x5"},       {"", "2x3", "2x3"},
    {"2x3", "", "2x3"},    {"7", "2x1x7", "2x1x7"}, {"2x1x3", "1x4x1", "2x4x3"}, {"1", "1", "1"},
};

struct Binary {
  const char *op;
  double low0, high0, low1, high1;
  const char *attributes;
};
const Binary kBinary[] = {
    {"add", -2, 2, -2, 2, ""},
    {"sub", -2, 2, -2, 2, ""},
    {"mul", -2, 2, -2, 2, ""},
    {"div", -2, 2, 0.5, 2, ""},
    {"max", -2, 2, -2, 2, ""},
    {"min", -2, 2, -2, 2, ""},
    {"pow", 0.3, 2, -2, 2, ""},
    {"mod", -5, 5, 1.1, 1.9, ""},
    {"mod", -5, 5, -1.9, -1.1, " {fmod = true}"},
};

std::string range(double low, double high) {
  return " {test.low = " + std::to_string(low) + ", test.high = " + std::to_string(high) + "}";
}

/// Cases written out, in the format "// NAME" and a function @f.
const char *const kWritten =
#include "test/passes/autodiff/GradientCases.inc"
    ;

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Unary &unary : kUnary) {
    for (const char *shape : kShapes) {
      std::string type = tensorText(shape), op = unary.op;
      all.push_back({op + "_" + shape, "func.func @f(%x: " + type + range(unary.low, unary.high) +
                                           ") -> " + type + " {\n  %y = dsc." + op + " %x : (" +
                                           type + ") -> " + type + "\n  return %y : " + type +
                                           "\n}"});
    }
  }
  for (const Binary &binary : kBinary) {
    for (const auto &[left, right, result] : kPairs) {
      std::string x = tensorText(left), y = tensorText(right), z = tensorText(result),
                  op = binary.op;
      all.push_back({op + "_" + left + "_" + right + (*binary.attributes ? "_fmod" : ""),
                     "func.func @f(%x: " + x + range(binary.low0, binary.high0) + ", %y: " + y +
                         range(binary.low1, binary.high1) + ") -> " + z + " {\n  %z = dsc." + op +
                         " %x, %y" + binary.attributes + " : (" + x + ", " + y + ") -> " + z +
                         "\n  return %z : " + z + "\n}"});
    }
  }
  StringRef rest = kWritten;
  while (rest.consume_front("// ") || rest.consume_front("\n// ")) {
    auto [name, tail] = rest.split('\n');
    size_t end = tail.find("\n// ");
    all.push_back({name.str(), tail.take_front(end).str()});
    rest = end == StringRef::npos ? StringRef() : tail.drop_front(end);
  }
  return all;
}

class Gradient : public ::testing::TestWithParam<Case> {
protected:
  Gradient() {
    context.loadDialect<DscDialect, func::FuncDialect>();
    context.allowUnregisteredDialects(); // test.low, test.high
  }
  MLIRContext context;
};

double bound(func::FuncOp function, unsigned argument, StringRef key, double fallback) {
  auto value = function.getArgAttrOfType<FloatAttr>(argument, key);
  return value ? value.getValueAsDouble() : fallback;
}

} // namespace

TEST_P(Gradient, AgreesWithDifferences) {
  OwningOpRef<ModuleOp> plain = parseSourceString<ModuleOp>(GetParam().text, &context);
  ASSERT_TRUE(plain);
  OwningOpRef<ModuleOp> module = plain->clone();
  PassManager manager(&context);
  manager.addPass(createDifferentiateFunctions());
  ASSERT_TRUE(succeeded(manager.run(*module)));

  std::mt19937 random(20);
  auto function = plain->lookupSymbol<func::FuncOp>("f");
  Tensors arguments, weights;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    arguments.push_back(randomTensor(cast<RankedTensorType>(function.getArgumentTypes()[i]),
                                     bound(function, i, "test.low", -2),
                                     bound(function, i, "test.high", 2), random));
  }
  for (Type type : function.getResultTypes()) {
    weights.push_back(randomTensor(cast<RankedTensorType>(type), 0.5, 1.5, random));
  }
  FunctionEvaluator original(*plain), differentiated(*module);
  double magnitude = 0;
  auto loss = [&] {
    Tensors results = original.run("f", arguments);
    double sum = 0;
    for (auto [result, weight] : llvm::zip_equal(results, weights)) {
      for (auto [value, factor] : llvm::zip_equal(result.floats, weight.floats)) {
        sum += value * factor;
        magnitude = std::max(magnitude, std::abs(value));
      }
    }
    return sum;
  };
  double at = loss();
  ASSERT_TRUE(std::isfinite(at));

  Tensors all = arguments;
  llvm::copy_if(weights, std::back_inserter(all),
                [](const EvaluatedTensor &weight) { return weight.isFloat(); });
  Tensors results = differentiated.run("f", all);
  ASSERT_GE(results.size(), weights.size());
  size_t next = weights.size();
  for (EvaluatedTensor &argument : arguments) {
    if (!argument.isFloat()) {
      continue;
    }
    ASSERT_LT(next, results.size());
    const EvaluatedTensor &gradient = results[next++];
    ASSERT_EQ(gradient.type, argument.type);
    for (int64_t i = 0; i < argument.size(); ++i) {
      double value = argument.floats[i], h = 0x1p-17 * std::max(1.0, std::abs(value));
      argument.floats[i] = value + h;
      double above = loss();
      argument.floats[i] = value - h;
      double below = loss();
      argument.floats[i] = value;
      double expected = (above - below) / (2 * h);
      ASSERT_NEAR(gradient.floats[i], expected,
                  1e-6 * std::max({1.0, std::abs(expected), std::abs(at), magnitude}))
          << "element " << i << " of argument " << &argument - arguments.data();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, Gradient, ::testing::ValuesIn(cases()), [](const auto &info) {
  std::string name = info.param.name;
  for (char &c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
});

/// Ops whose rule no case above visits would be rules that nobody has checked.
TEST(GradientCases, CoverEveryRule) {
  MLIRContext context;
  context.loadDialect<DscDialect, func::FuncDialect>();
  context.allowUnregisteredDialects();
  std::set<std::string> seen;
  for (const Case &test : cases()) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(test.text, &context);
    ASSERT_TRUE(module) << test.name;
    module->walk([&](Operation *op) { seen.insert(op->getName().getStringRef().str()); });
  }
  for (const GradRow &row : gradTable()) {
    if (row.rule) {
      EXPECT_TRUE(seen.count(row.op.str())) << row.op.str();
    }
  }
}
