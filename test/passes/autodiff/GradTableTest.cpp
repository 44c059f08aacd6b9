// The table of gradients against the dialect: every op has exactly one row, and a row without a
// rule has a reason.

#include "passes/autodiff/GradTable.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

TEST(GradTable, EveryOpHasOneRow) {
  MLIRContext context;
  context.loadDialect<DscDialect>();
  llvm::StringMap<int> rows;
  for (const GradRow &row : gradTable()) {
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

TEST(GradTable, RowsHaveRuleOrReason) {
  for (const GradRow &row : gradTable()) {
    EXPECT_NE(row.rule == nullptr, row.reason.empty()) << row.op.str();
  }
}
