// Every elementwise op in the element types that models use, against the compiler's own evaluation.

#include "test/codegen/CompiledKernels.h"

#include "ir/Evaluate.h"

#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace dsc::test;
using namespace mlir;

namespace {

struct OpCase {
  std::string op, attributes;
  std::vector<std::string> operands; // element types
  std::string result;
};

std::string shaped(const std::string &element) { return "37x" + element; }

/// Integers in [-20, 20] but 0 (positive ones where the type is unsigned), floats in [-2, 2].
Buffer randomValues(Type element, size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  auto fill = [&](auto example, auto draw) {
    std::vector<decltype(example)> values(count);
    for (auto &value : values) {
      value = static_cast<decltype(example)>(draw(generator));
    }
    return Buffer::of(values);
  };
  std::uniform_real_distribution<double> real(-2, 2);
  std::uniform_int_distribution<int> drawn(element.isUnsignedInteger() ? 1 : -20, 20), bit(0, 1);
  auto whole = [&](std::mt19937 &from) {
    int value = drawn(from);
    return value == 0 ? 7 : value; // division by zero has no defined result
  };
  if (element.isF32()) {
    return fill(float(), real);
  }
  if (element.isF64()) {
    return fill(double(), real);
  }
  switch (element.getIntOrFloatBitWidth()) {
  case 1:
    return fill(uint8_t(), bit);
  case 8:
    return fill(int8_t(), whole);
  case 16:
    return fill(int16_t(), whole);
  case 32:
    return fill(int32_t(), whole);
  default:
    return fill(int64_t(), whole);
  }
}

/// Element `i` of `buffer`, of storage type `element`.
double valueAt(const Buffer &buffer, Type element, size_t i) {
  auto read = [&](auto example) {
    std::memcpy(&example, buffer.data() + i * sizeof(example), sizeof(example));
    return static_cast<double>(example);
  };
  if (element.isF32()) {
    return read(float());
  }
  if (element.isF64()) {
    return read(double());
  }
  bool isUnsigned = element.isUnsignedInteger() || element.isInteger(1);
  switch (element.getIntOrFloatBitWidth()) {
  case 1:
  case 8:
    return isUnsigned ? read(uint8_t()) : read(int8_t());
  case 16:
    return isUnsigned ? read(uint16_t()) : read(int16_t());
  case 32:
    return isUnsigned ? read(uint32_t()) : read(int32_t());
  default:
    return read(int64_t());
  }
}

/// One kernel that runs all `cases`, each on operands of its own.
void check(const std::vector<OpCase> &cases) {
  std::vector<std::string> operands, results;
  std::string body, yields;
  for (const OpCase &test : cases) {
    std::string types, names, name = "%r" + std::to_string(results.size());
    for (const std::string &element : test.operands) {
      std::string separator = types.empty() ? "" : ", ";
      types += separator + "tensor<" + shaped(element) + ">";
      names += separator + "%a" + std::to_string(operands.size());
      operands.push_back(shaped(element));
    }
    body += "\n" + name + " = dsc." + test.op + " " + names + " " + test.attributes + " : (" +
            types + ") -> tensor<" + shaped(test.result) + ">";
    yields += (yields.empty() ? "" : ", ") + name;
    results.push_back(shaped(test.result));
  }
  std::string source = kernelModule(
      "kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 37>, row_rank = 1 : i64", operands,
      body, yields, results);
  MLIRContext context;
  context.loadDialect<dsc::DscDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
  ASSERT_TRUE(module) << source;
  dsc::KernelOp kernel;
  module->walk([&](dsc::KernelOp op) { kernel = op; });
  std::vector<Buffer> buffers;
  std::vector<dsc::EvaluatedTensor> values;
  for (Value argument : kernel.getBody().getArguments()) {
    auto type = cast<RankedTensorType>(argument.getType());
    buffers.push_back(randomValues(type.getElementType(), 37, buffers.size() + 1));
    dsc::EvaluatedTensor tensor(type);
    for (int i = 0; i < 37; ++i) {
      double value = valueAt(buffers.back(), type.getElementType(), i);
      if (tensor.isFloat()) {
        tensor.floats[i] = value;
      } else {
        tensor.integers[i] = static_cast<int64_t>(value);
      }
    }
    values.push_back(tensor);
  }
  CompiledKernels kernels(source);
  std::vector<Buffer> actual = kernels.run(buffers);
  size_t index = 0;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    std::vector<dsc::EvaluatedTensor> inputs, expected;
    for (Value operand : op.getOperands()) {
      inputs.push_back(values[cast<BlockArgument>(operand).getArgNumber()]);
    }
    std::string name = op.getName().getStringRef().str() + " " + cases[index].operands[0] + " -> " +
                       cases[index].result;
    ASSERT_TRUE(dsc::evaluate(&op, inputs, expected)) << name;
    Type element = expected[0].type.getElementType();
    for (int i = 0; i < 37; ++i) {
      double got = valueAt(actual[index], element, i);
      double want = expected[0].isFloat() ? expected[0].floats[i] : double(expected[0].integers[i]);
      double bound =
          element.isF32() ? 1e-6 * std::max(1.0, std::fabs(want)) : 1e-13 * std::fabs(want);
      bool same = std::isnan(want)   ? std::isnan(got)
                  : std::isinf(want) ? want == got
                                     : std::fabs(got - want) <= bound;
      ASSERT_TRUE(same) << name << " at " << i << ": " << got << ", expected " << want;
    }
    ++index;
  }
}

TEST(ElementwiseOps, UnaryOnFloats) {
  for (const char *element : {"f32", "f64"}) {
    std::vector<OpCase> cases;
    for (const char *op :
         {"neg",      "abs",        "sign",  "exp",   "expm1", "log",  "log1p", "sqrt",
          "rsqrt",    "reciprocal", "sin",   "cos",   "tan",   "asin", "acos",  "atan",
          "sinh",     "cosh",       "asinh", "acosh", "atanh", "tanh", "erf",   "sigmoid",
          "softplus", "relu",       "floor", "ceil",  "round"}) {
      cases.push_back({op, "", {element}, element});
    }
    cases.push_back({"gelu", "{kind = #dsc.gelu_kind<erf>}", {element}, element});
    cases.push_back({"gelu", "{kind = #dsc.gelu_kind<tanh>}", {element}, element});
    cases.push_back({"is_nan", "", {element}, "i1"});
    cases.push_back({"is_inf", "{positive = false}", {element}, "i1"});
    check(cases);
  }
}

TEST(ElementwiseOps, Binary) {
  for (const char *element : {"f32", "f64", "i64", "i32", "i8", "ui8", "ui16"}) {
    std::vector<OpCase> cases;
    for (const char *op : {"add", "sub", "mul", "div", "max", "min", "mod"}) {
      cases.push_back({op, "", {element, element}, element});
    }
    bool isFloat = element[0] == 'f';
    cases.push_back({"mod", "{fmod = true}", {element, element}, element});
    for (const char *predicate : {"eq", "ne", "lt", "le", "gt", "ge"}) {
      cases.push_back({"compare",
                       std::string("{predicate = #dsc.compare_predicate<") + predicate + ">}",
                       {element, element},
                       "i1"});
    }
    cases.push_back({"select", "", {"i1", element, element}, element});
    if (isFloat) {
      cases.push_back({"pow", "", {element, element}, element});
    } else {
      for (const char *op : {"and", "or", "xor"}) {
        cases.push_back({op, "", {element, element}, element});
      }
      cases.push_back({"not", "", {element}, element});
    }
    check(cases);
  }
}

TEST(ElementwiseOps, Booleans) {
  std::vector<OpCase> cases = {{"not", "", {"i1"}, "i1"}};
  for (const char *op : {"and", "or", "xor"}) {
    cases.push_back({op, "", {"i1", "i1"}, "i1"});
  }
  check(cases);
}

TEST(ElementwiseOps, Shifts) {
  std::vector<OpCase> cases;
  for (const char *element : {"ui8", "ui32"}) {
    cases.push_back({"shift_left", "", {element, element}, element});
    cases.push_back({"shift_right", "", {element, element}, element});
  }
  check(cases);
}

TEST(ElementwiseOps, Casts) {
  std::vector<OpCase> cases;
  for (const char *from : {"f32", "f64", "i64", "i32", "i8", "ui8", "i1"}) {
    for (const char *to : {"f32", "f64", "i64", "i32", "i16", "i8", "i1"}) {
      if (std::string(from) != to) {
        cases.push_back({"cast", "", {from}, to});
      }
    }
  }
  check(cases);
}

// f16 and bf16 have no randomValues here: they are converted on the way.
TEST(ElementwiseOps, Bitcasts) {
  std::vector<OpCase> cases;
  for (auto [a, b] : {std::pair{"f32", "i32"}, {"f64", "i64"}, {"ui32", "i32"}, {"i8", "ui8"}}) {
    cases.push_back({"bitcast", "", {a}, b});
    cases.push_back({"bitcast", "", {b}, a});
  }
  check(cases);
}

} // namespace
