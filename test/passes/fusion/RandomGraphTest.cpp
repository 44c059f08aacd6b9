// The fusion phase on random graphs: chains and diamonds of elementwise ops, reductions over all
// kinds of axes, reshapes, broadcasts, constants and ops that are kernels of their own, evaluated
// before and after in f64.

#include "passes/Pipeline.h"
#include "passes/autodiff/ValueBuilder.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {
class RandomGraph : public testing::TestWithParam<int> {
protected:
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); }

  Value any() {
    // Often a recent value, so that chains grow.
    size_t window = below(2) ? values.size() : std::min<size_t>(values.size(), 6);
    return values[values.size() - 1 - below(window)];
  }

  /// A value that broadcasts with `other`, or a constant.
  Value partner(ValueBuilder &b, Value other) {
    for (int tries = 0; tries < 10; ++tries) {
      Value value = any();
      if (succeeded(broadcastShapes(tensorType(value).getShape(), tensorType(other).getShape()))) {
        return value;
      }
    }
    return below(2) ? b.scalar(0.5, other) : b.splat(tensorType(other), 0.25);
  }

  /// A shape of as many elements.
  SmallVector<int64_t> reshaped(RankedTensorType type) {
    SmallVector<int64_t> dims;
    for (int64_t size : type.getShape()) {
      if (size != 1) {
        dims.push_back(size);
      }
    }
    if (dims.size() > 1 && below(2)) { // two neighbours become one
      size_t i = below(dims.size() - 1);
      dims[i] *= dims[i + 1];
      dims.erase(dims.begin() + i + 1);
    } else if (!dims.empty()) { // one becomes two
      size_t i = below(dims.size());
      for (int64_t factor : {2, 3}) {
        if (dims[i] % factor == 0 && dims[i] != factor) {
          dims[i] /= factor;
          dims.insert(dims.begin() + i, factor);
          break;
        }
      }
    }
    if (below(2)) {
      dims.insert(dims.begin() + below(dims.size() + 1), 1);
    }
    return dims;
  }

  Value next(ValueBuilder &b) {
    Value x = any();
    RankedTensorType type = tensorType(x);
    switch (below(12)) {
    case 0:
      return b.create<TanhOp>(x);
    case 1:
      return b.neg(x);
    case 2:
    case 3:
      return b.add(x, partner(b, x));
    case 4:
      return b.mul(x, partner(b, x));
    case 5:
      return b.select(b.compare(ComparePredicate::lt, x, 0.0), x, partner(b, x));
    case 6:
    case 7: {
      SmallVector<int64_t> axes;
      size_t first = below(type.getRank() + 1), last = below(type.getRank() + 1);
      for (size_t i = std::min(first, last); i < std::max(first, last); ++i) {
        axes.push_back(i);
      }
      return b.reduce(below(2) ? ReduceKind::sum : ReduceKind::max, x, axes);
    }
    case 8:
    case 9:
      return b.reshape(x, reshaped(type));
    case 10: {
      SmallVector<int64_t> wide(type.getShape());
      wide.insert(wide.begin(), 2);
      return type.getNumElements() > 64 ? b.create<AbsOp>(x).getResult() : b.broadcast(x, wide);
    }
    default: {
      SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
      std::shuffle(permutation.begin(), permutation.end(), random);
      return b.transpose(x, permutation);
    }
    }
  }

  std::mt19937 random;
  SmallVector<Value> values;
};
} // namespace

TEST_P(RandomGraph, ResultsStay) {
  random.seed(GetParam());
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> before = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(before->getBody());
  SmallVector<Type> types;
  const std::vector<std::vector<int64_t>> shapes = {{2, 3, 4}, {6, 4}, {4}, {3, 4},
                                                    {2, 3, 1}, {},     {12}};
  for (const std::vector<int64_t> &shape : shapes) {
    types.push_back(RankedTensorType::get(shape, builder.getF64Type()));
  }
  auto function = builder.create<func::FuncOp>(loc, "graph", builder.getFunctionType(types, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  values.append(function.getArguments().begin(), function.getArguments().end());
  ValueBuilder b(builder, loc);
  for (int i = 0; i < 40; ++i) {
    values.push_back(next(b));
  }
  SmallVector<Value> results{values.back()};
  for (int i = 0; i < 4; ++i) {
    results.push_back(any());
  }
  builder.create<func::ReturnOp>(loc, results);
  function.setType(builder.getFunctionType(types, ValueRange(results).getTypes()));
  ASSERT_TRUE(succeeded(verify(*before)));

  OwningOpRef<ModuleOp> after = before->clone();
  PassManager manager(&context);
  buildPhasePipeline(manager, Phase::Fusion);
  ASSERT_TRUE(succeeded(manager.run(*after)));
  after->walk([](func::FuncOp fused) {
    for (Operation &op : fused.getOps()) {
      EXPECT_TRUE((isa<KernelOp, ReshapeOp, SliceOp, GetGlobalOp, func::ReturnOp>(op)))
          << op.getName().getStringRef().str();
    }
  });

  Tensors arguments;
  for (Type type : types) {
    arguments.push_back(randomTensor(cast<RankedTensorType>(type), -1, 1, random));
  }
  Tensors expected = FunctionEvaluator(*before).run("graph", arguments),
          found = FunctionEvaluator(*after).run("graph", arguments);
  ASSERT_EQ(expected.size(), found.size());
  for (auto [x, y] : llvm::zip_equal(expected, found)) {
    ASSERT_EQ(x.type, y.type);
    for (auto [p, q] : llvm::zip_equal(x.floats, y.floats)) {
      ASSERT_NEAR(p, q, 1e-9 * std::max(1.0, std::abs(p)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraph, testing::Range(0, 200));
