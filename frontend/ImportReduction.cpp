// Reductions, arg-reductions, running sums and top-k.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

namespace {
struct Reduced {
  Value x;
  SmallVector<int64_t> axes;
  bool keepDims = true;
  bool nothing = false; // no axes were given and that means the operand itself
};
} // namespace

/// Operand, axes (the second operand, all if absent) and keepdims of a Reduce operator.
static FailureOr<Reduced> readReduce(NodeImport &n) {
  Reduced r;
  r.x = n.input(0);
  if (!r.x) {
    return n.error() << "the operand is missing";
  }
  r.keepDims = n.intAttr("keepdims", 1) != 0;
  int64_t rank = Emitter::shapeOf(r.x).size();
  SmallVector<int64_t> given;
  if (n.hasInput(1)) {
    FailureOr<SmallVector<int64_t>> axes = n.constantInts(1, "axes");
    if (failed(axes)) {
      return failure();
    }
    given = *axes;
  } else if (auto axes = n.intsAttr("axes")) {
    given = *axes;
  }
  if (given.empty()) {
    r.nothing = n.intAttr("noop_with_empty_axes", 0) != 0;
    if (!r.nothing) {
      r.axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    }
    return r;
  }
  FailureOr<SmallVector<int64_t>> axes = n.axes(given, rank);
  if (failed(axes)) {
    return failure();
  }
  r.axes = *axes;
  llvm::sort(r.axes);
  return r;
}

/// post(reduce(kind, pre(x))), either of which may be left out.
static LogicalResult importReduce(NodeImport &n, ReduceKind kind,
                                  function_ref<Value(Value)> pre = nullptr,
                                  function_ref<Value(Value)> post = nullptr) {
  FailureOr<Reduced> r = readReduce(n);
  if (failed(r)) {
    return failure();
  }
  Value x = pre ? pre(r->x) : r->x;
  Value y = r->nothing ? x : n.e.reduce(kind, x, r->axes, r->keepDims);
  return n.result(y && post ? post(y) : y);
}

LogicalResult dsc::importReduceSum(NodeImport &n) { return importReduce(n, ReduceKind::sum); }
LogicalResult dsc::importReduceProd(NodeImport &n) { return importReduce(n, ReduceKind::prod); }

/// Largest or smallest elements; booleans as "any" and "all", empty ones as the type's extreme.
static LogicalResult importExtreme(NodeImport &n, ReduceKind kind) {
  FailureOr<Reduced> r = readReduce(n);
  if (failed(r)) {
    return failure();
  }
  if (r->nothing) {
    return n.result(r->x);
  }
  Type element = Emitter::elementOf(r->x);
  if (Emitter::typeOf(r->x).getNumElements() == 0 &&
      (isa<FloatType>(element) || element.isInteger(1))) {
    SmallVector<int64_t> shape;
    for (auto [i, dim] : llvm::enumerate(Emitter::shapeOf(r->x))) {
      bool reduced = llvm::is_contained(r->axes, static_cast<int64_t>(i));
      if (!reduced || r->keepDims) {
        shape.push_back(reduced ? 1 : dim);
      }
    }
    double most = element.isInteger(1) ? 1 : std::numeric_limits<double>::infinity();
    double least = element.isInteger(1) ? 0 : -most;
    return n.result(n.e.splat(element, shape, kind == ReduceKind::max ? least : most));
  }
  if (element.isInteger(1)) {
    Value wide = n.e.convert(r->x, n.e.builder.getI32Type());
    return n.result(n.e.convert(n.e.reduce(kind, wide, r->axes, r->keepDims), element));
  }
  return n.result(n.e.reduce(kind, r->x, r->axes, r->keepDims));
}
LogicalResult dsc::importReduceMax(NodeImport &n) { return importExtreme(n, ReduceKind::max); }
LogicalResult dsc::importReduceMin(NodeImport &n) { return importExtreme(n, ReduceKind::min); }

LogicalResult dsc::importReduceMean(NodeImport &n) {
  FailureOr<Reduced> r = readReduce(n);
  if (failed(r)) {
    return failure();
  }
  return n.result(r->nothing ? r->x : n.e.mean(r->x, r->axes, r->keepDims));
}

LogicalResult dsc::importReduceL1(NodeImport &n) {
  return importReduce(n, ReduceKind::sum, [&](Value x) { return n.e.unary<AbsOp>(x); });
}

LogicalResult dsc::importReduceL2(NodeImport &n) {
  return importReduce(
      n, ReduceKind::sum, [&](Value x) { return n.e.mul(x, x); },
      [&](Value y) -> Value {
        if (Emitter::isFloat(y)) {
          return n.e.unary<SqrtOp>(y);
        }
        Type element = Emitter::elementOf(y);
        return n.e.convert(n.e.unary<SqrtOp>(n.e.convert(y, n.e.builder.getF64Type())), element);
      });
}

LogicalResult dsc::importReduceSumSquare(NodeImport &n) {
  return importReduce(n, ReduceKind::sum, [&](Value x) { return n.e.mul(x, x); });
}

LogicalResult dsc::importReduceLogSum(NodeImport &n) {
  if (n.input(0) && !Emitter::isFloat(n.input(0))) {
    return n.refuse("operands of integers are not supported");
  }
  return importReduce(n, ReduceKind::sum, nullptr, [&](Value y) { return n.e.unary<LogOp>(y); });
}

/// max + log(sum(e^(x - max))), with max 0 where it is infinite: no difference of infinities.
LogicalResult dsc::importReduceLogSumExp(NodeImport &n) {
  FailureOr<Reduced> r = readReduce(n);
  if (failed(r)) {
    return failure();
  }
  if (!Emitter::isFloat(r->x)) {
    return n.refuse("operands of integers are not supported");
  }
  if (r->nothing) {
    return n.result(r->x);
  }
  if (Emitter::typeOf(r->x).getNumElements() == 0) {
    return importReduce(n, ReduceKind::sum, nullptr, [&](Value y) { return n.e.unary<LogOp>(y); });
  }
  Value largest = n.e.reduce(ReduceKind::max, r->x, r->axes, true);
  Value finite = n.e.select(n.e.op<IsInfOp>({largest}), n.e.like(largest, 0), largest);
  Value sum = n.e.reduce(ReduceKind::sum, n.e.unary<ExpOp>(n.e.sub(r->x, finite)), r->axes, true);
  Value y = n.e.add(n.e.unary<LogOp>(sum), finite);
  if (y && !r->keepDims) {
    SmallVector<int64_t> shape;
    for (auto [i, dim] : llvm::enumerate(Emitter::shapeOf(y))) {
      if (!llvm::is_contained(r->axes, static_cast<int64_t>(i))) {
        shape.push_back(dim);
      }
    }
    y = n.e.reshape(y, shape);
  }
  return n.result(y);
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

static LogicalResult importArg(NodeImport &n, ReduceKind kind) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  Value y = n.e.op<ArgReduceOp>(
      {x},
      {n.e.attr("kind", ReduceKindAttr::get(n.e.builder.getContext(), kind)),
       n.e.i64("axis", *axis), n.e.flag("select_last", n.intAttr("select_last_index", 0) != 0)});
  if (y && n.intAttr("keepdims", 1) == 0) {
    SmallVector<int64_t> shape(Emitter::shapeOf(y));
    shape.erase(shape.begin() + *axis);
    y = n.e.reshape(y, shape);
  }
  return n.result(y);
}
LogicalResult dsc::importArgMax(NodeImport &n) { return importArg(n, ReduceKind::max); }
LogicalResult dsc::importArgMin(NodeImport &n) { return importArg(n, ReduceKind::min); }

static LogicalResult importCumulative(NodeImport &n, ReduceKind kind) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "the axis");
  if (!x || failed(given) || given->size() != 1) {
    return failed(given) ? failure() : LogicalResult(n.error() << "the axis must be one number");
  }
  FailureOr<int64_t> axis = n.axis(given->front(), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  return n.result(n.e.op<CumulativeOp>(
      {x}, {n.e.attr("kind", ReduceKindAttr::get(n.e.builder.getContext(), kind)),
            n.e.i64("axis", *axis), n.e.flag("exclusive", n.intAttr("exclusive", 0) != 0),
            n.e.flag("reverse", n.intAttr("reverse", 0) != 0)}));
}
LogicalResult dsc::importCumSum(NodeImport &n) { return importCumulative(n, ReduceKind::sum); }
LogicalResult dsc::importCumProd(NodeImport &n) { return importCumulative(n, ReduceKind::prod); }

/// Hardmax: 1 at the first largest element along the axis, else 0.
LogicalResult dsc::importHardmax(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  int64_t rank = Emitter::shapeOf(x).size();
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", -1), rank);
  if (failed(axis)) {
    return failure();
  }
  Value best = n.e.op<ArgReduceOp>(
      {x}, {n.e.attr("kind", ReduceKindAttr::get(n.e.builder.getContext(), ReduceKind::max)),
            n.e.i64("axis", *axis)});
  SmallVector<int64_t> shape(rank, 1);
  shape[*axis] = Emitter::shapeOf(x)[*axis];
  Value positions = n.numbers(shape[*axis], shape);
  if (!positions) {
    return failure();
  }
  Value hit = n.e.compare(ComparePredicate::eq, best, positions);
  return n.result(n.e.convert(hit, Emitter::elementOf(x)));
}
