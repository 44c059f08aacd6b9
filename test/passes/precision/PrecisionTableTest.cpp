// The precision table against the dialect, and rounding of constants.

#include "passes/precision/PrecisionTable.h"
#include "passes/precision/Casts.h"

#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

TEST(PrecisionTable, EveryOpHasOneRow) {
  MLIRContext context;
  context.loadDialect<DscDialect>();
  llvm::StringMap<int> rows;
  for (const PrecisionRow &row : precisionTable()) {
    ++rows[row.op];
  }
  int ops = 0;
  for (RegisteredOperationName name : context.getRegisteredOperations()) {
    if (name.getDialectNamespace() == "dsc") {
      ++ops;
      EXPECT_EQ(rows.lookup(name.getStringRef()), 1) << name.getStringRef().str();
    }
  }
  EXPECT_EQ(rows.size(), static_cast<unsigned>(ops))
      << "a row names an op that the dialect does not have";
}

/// What is finite stays finite, infinities and NaN stay what they are.
TEST(RoundedConstant, KeepsFiniteNumbersFinite) {
  MLIRContext context;
  Builder b(&context);
  auto type = RankedTensorType::get({6}, b.getF32Type());
  auto elements = DenseElementsAttr::get(
      type, llvm::ArrayRef<float>{1.0f, 0.1f, 3.4e38f, -3.4e38f, INFINITY, NAN});
  auto rounded = [&](Type half) {
    std::vector<double> values;
    for (APFloat value : roundedConstant(elements, half).getValues<APFloat>()) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(value.convertToDouble());
    }
    return values;
  };
  std::vector<double> f16 = rounded(b.getF16Type()), bf16 = rounded(b.getBF16Type());
  EXPECT_EQ(f16[0], 1);
  EXPECT_EQ(f16[1], 0.0999755859375);
  EXPECT_EQ(f16[2], 65504);
  EXPECT_EQ(f16[3], -65504);
  EXPECT_EQ(f16[4], INFINITY);
  EXPECT_TRUE(std::isnan(f16[5]));
  EXPECT_EQ(bf16[1], 0.10009765625);
  EXPECT_TRUE(std::isfinite(bf16[2]));
}
