// Ops on large known operands that repeat along some dimensions: what the importer computes of the
// part that differs, and repeats, is what the op gives on the whole operands.

#include "frontend/Emitter.h"
#include "ir/Evaluate.h"

#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace dsc;

namespace {

struct RepeatedValues : testing::Test {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<Emitter> emitter;
  std::mt19937 random{1};

  RepeatedValues() {
    context.loadDialect<DscDialect, func::FuncDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    emitter = std::make_unique<Emitter>(module->getBody(), nullptr);
  }

  Type floats() { return Float32Type::get(&context); }
  Type integers() { return IntegerType::get(&context, 64); }
  NamedAttribute ints(StringRef name, ArrayRef<int64_t> values) {
    return emitter->ints(name, values);
  }

  /// Small integers, of any element type; with a `bound`, indices below it.
  DenseElementsAttr numbers(Type element, ArrayRef<int64_t> shape, int64_t bound) {
    EvaluatedTensor tensor(RankedTensorType::get(shape, element));
    std::uniform_int_distribution<int64_t> number(bound > 0 ? 0 : -3, bound > 0 ? bound - 1 : 3);
    for (double &x : tensor.floats) {
      x = static_cast<double>(number(random));
    }
    for (int64_t &x : tensor.integers) {
      x = number(random);
    }
    return tensor.toAttribute();
  }

  struct Operand {
    Type element;
    SmallVector<int64_t> shape;
    int64_t bound = 0;
  };

  /// Runs `OpTy` on operands that repeat along every set of their dimensions.
  template <typename OpTy>
  void check(ArrayRef<Operand> shapes, ArrayRef<NamedAttribute> attributes, Type result = {}) {
    size_t dims = 0;
    for (const Operand &operand : shapes) {
      dims += operand.shape.size();
    }
    for (size_t set = 0; set < size_t(1) << dims; ++set) {
      size_t bit = 0;
      SmallVector<Value> operands;
      std::vector<EvaluatedTensor> whole, expected;
      for (const Operand &operand : shapes) {
        SmallVector<int64_t> kept(operand.shape);
        for (int64_t &size : kept) {
          size = set >> bit++ & 1 ? 1 : size;
        }
        DenseElementsAttr elements = numbers(operand.element, kept, operand.bound);
        whole.push_back(EvaluatedTensor::fromAttribute(writeOut(elements, operand.shape)));
        operands.push_back(emitter->broadcast(emitter->constant(elements), operand.shape));
      }
      SmallVector<Type> types;
      if (result) {
        types.push_back(result);
      }
      Value value = emitter->op<OpTy>(operands, attributes, types);
      ASSERT_TRUE(value);
      DenseElementsAttr found = Emitter::knownElements(value);
      ASSERT_TRUE(found) << "set " << set << " is not folded";

      OperationState state(UnknownLoc::get(&context), OpTy::getOperationName());
      state.addOperands(operands);
      state.addAttributes(attributes);
      state.addTypes(value.getType());
      Operation *op = Operation::create(state);
      ASSERT_TRUE(evaluate(op, whole, expected));
      op->destroy();
      EXPECT_EQ(found, expected.front().toAttribute()) << "set " << set;
      // Dimensions that repeat in all operands of an elementwise op are not computed.
      if (op = value.getDefiningOp(); set + 1 == size_t(1) << dims) {
        EXPECT_TRUE(isa<ConstantOp>(op) || isa<BroadcastOp>(op));
      }
    }
  }
};

constexpr int64_t n = 17, m = 18, k = 19; // 5814 elements: too many to be written out

} // namespace

TEST_F(RepeatedValues, Elementwise) {
  check<NegOp>({{floats(), {n, m, k}}}, {});
  check<AddOp>({{floats(), {n, m, k}}, {floats(), {m, k}}}, {});
  check<SubOp>({{integers(), {n, 1, k}}, {integers(), {m, k}}}, {});
  auto predicate =
      emitter->attr("predicate", ComparePredicateAttr::get(&context, ComparePredicate::le));
  check<CompareOp>({{integers(), {n, m, 1}}, {integers(), {1, 1, k}}}, {predicate});
  check<SelectOp>({{IntegerType::get(&context, 1), {n, m, k}, 2}, {floats(), {k}}, {floats(), {}}},
                  {});
  check<CastOp>({{integers(), {n, m, k}}}, {}, RankedTensorType::get({n, m, k}, floats()));
}

TEST_F(RepeatedValues, Views) {
  auto shaped = [&](ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, floats()); };
  check<ReshapeOp>({{floats(), {n, m, k}}}, {}, shaped({n * m, k}));
  check<ReshapeOp>({{floats(), {n, m, k}}}, {}, shaped({1, n, m, 1, k, 1}));
  check<ReshapeOp>({{floats(), {n, m, k}}}, {}, shaped({n, 3, 6, k}));
  check<ReshapeOp>({{floats(), {n, 1, m, k}}}, {}, shaped({n, m * k}));
  check<ReshapeOp>({{floats(), {n, m, k}}}, {}, shaped({n * m * k}));
  check<TransposeOp>({{floats(), {n, m, k}}}, {ints("permutation", {2, 0, 1})});
  check<SliceOp>({{floats(), {n, m, k}}}, {ints("starts", {1, m - 1, 0}), ints("sizes", {4, 3, k}),
                                           ints("steps", {2, -1, 1})});
  check<ConcatOp>({{floats(), {n, 2, k}}, {floats(), {n, m, k}}}, {emitter->i64("axis", 1)});
  check<PadOp>({{floats(), {n, m, k}}}, {ints("low", {0, 1, 0}), ints("high", {0, 0, 2}),
                                         ints("interior", {0, 0, 0}), emitter->f64("value", 5)});
}

TEST_F(RepeatedValues, Reductions) {
  for (ReduceKind kind : {ReduceKind::sum, ReduceKind::prod, ReduceKind::max, ReduceKind::min}) {
    auto attribute = emitter->attr("kind", ReduceKindAttr::get(&context, kind));
    check<ReduceOp>({{integers(), {n, m, k}}}, {attribute, ints("axes", {0, 2})});
  }
  for (ReduceKind kind : {ReduceKind::max, ReduceKind::min}) {
    auto attribute = emitter->attr("kind", ReduceKindAttr::get(&context, kind));
    check<ArgReduceOp>({{floats(), {n, m, k}}}, {attribute, emitter->i64("axis", 1)});
  }
  auto sum = emitter->attr("kind", ReduceKindAttr::get(&context, ReduceKind::sum));
  check<CumulativeOp>({{floats(), {n, m, k}}},
                      {sum, emitter->i64("axis", 1), emitter->flag("exclusive", false),
                       emitter->flag("reverse", true)});
}

TEST_F(RepeatedValues, Indexing) {
  check<GatherOp>({{floats(), {n, m, k}}, {integers(), {2, 3}, m}}, {emitter->i64("axis", 1)});
  check<GatherNdOp>({{floats(), {n, m, k}}, {integers(), {5, 2}, n}},
                    {emitter->i64("batch_dims", 0)});
  check<GatherNdOp>({{floats(), {n, m, k}}, {integers(), {n, 5, 1}, m}},
                    {emitter->i64("batch_dims", 1)});
  // No rule: taken as they are.
  check<GatherElementsOp>({{floats(), {n, m, k}}, {integers(), {n, 2, k}, m}},
                          {emitter->i64("axis", 1)});
}

/// A mask of a long sequence stays an op, whatever is done with it on the way to the whole batch.
TEST_F(RepeatedValues, LargeTablesStayOps) {
  constexpr int64_t length = 3000, batch = 100;
  SmallVector<int64_t> positions = llvm::to_vector(llvm::seq<int64_t>(0, length));
  Value keys = emitter->intTensor(positions, {1, 1, 1, length}),
        queries = emitter->intTensor(positions, {1, 1, length, 1});
  Value visible = emitter->compare(ComparePredicate::le, keys, queries);
  Value all = emitter->broadcast(visible, {batch, 1, length, length});
  Value hidden = emitter->unary<NotOp>(emitter->reshape(all, {batch, length, length}));
  Value turned = emitter->transpose(hidden, {0, 2, 1});
  EXPECT_EQ(ArrayRef<int64_t>({batch, length, length}), Emitter::shapeOf(turned));
  module->walk([&](Operation *op) {
    if (op->getNumResults() == 1 && !isa<BroadcastOp>(op)) {
      EXPECT_LE(Emitter::typeOf(op->getResult(0)).getNumElements(), length * length);
    }
  });
  EXPECT_FALSE(Emitter::knownElements(turned));
}

/// Products are not folded; of a batch of equal ones, one is computed.
TEST_F(RepeatedValues, ProductsAreComputedOnce) {
  Value a = emitter->broadcast(emitter->constant(numbers(floats(), {1, m, 3}, 0)), {n, m, 3}),
        b = emitter->broadcast(emitter->constant(numbers(floats(), {3, k}, 0)), {n, 3, k});
  Value product = emitter->matmul(a, b);
  EXPECT_EQ(ArrayRef<int64_t>({n, m, k}), Emitter::shapeOf(product));
  auto broadcast = product.getDefiningOp<BroadcastOp>();
  ASSERT_TRUE(broadcast);
  EXPECT_EQ(ArrayRef<int64_t>({1, m, k}), Emitter::shapeOf(broadcast.getX()));
}

/// Shape arithmetic is folded though tables have used up what folding may cost.
TEST_F(RepeatedValues, TablesLeaveShapesTheirBudget) {
  FoldMemo memo;
  memo.tables = 0;
  Emitter e(module->getBody(), &memo);
  Value table = e.constant(numbers(floats(), {n, m, k}, 0));
  EXPECT_FALSE(Emitter::knownElements(e.unary<NegOp>(table)));
  Value sizes = e.intTensor({2, 3}, {2});
  EXPECT_EQ(Emitter::intsOf(e.add(sizes, sizes)), SmallVector<int64_t>({4, 6}));
}
