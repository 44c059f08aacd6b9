// Finds GELU written out around erf or tanh.
//
// The anchor is the erf or tanh. Its operand must be the right polynomial in some x; from there on
// every op must be a step from t to 0.5 x (1 + t), whatever the order of the factors. SiLU stays x
// * sigmoid(x): it is already two ops that one kernel computes.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"

#include "mlir/Transforms/RegionUtils.h"

#include <cmath>

namespace dsc {
#define GEN_PASS_DEF_RAISEACTIVATION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// Polynomials
//===----------------------------------------------------------------------===//

namespace {
/// c[0] + c[1] x + c[2] x^2 + c[3] x^3
using Polynomial = std::array<double, 4>;
} // namespace

static std::optional<Polynomial> multiply(const Polynomial &a, const Polynomial &b) {
  Polynomial product{};
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      if (a[i] * b[j] == 0) {
        continue;
      }
      if (i + j >= product.size()) {
        return std::nullopt;
      }
      product[i + j] += a[i] * b[j];
    }
  }
  return product;
}

/// `value` as a polynomial in x of degree at most 3; nothing where it is none, or not within
/// `depth` ops.
static std::optional<Polynomial> polynomialIn(Value value, Value x, int depth = 8) {
  if (value == x) {
    return Polynomial{0, 1, 0, 0};
  }
  if (std::optional<double> c = splatValue(value)) {
    return Polynomial{*c, 0, 0, 0};
  }
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0 || !isa<AddOp, SubOp, MulOp, DivOp, PowOp, NegOp>(op)) {
    return std::nullopt;
  }
  std::optional<Polynomial> a = polynomialIn(op->getOperand(0), x, depth - 1);
  if (!a) {
    return std::nullopt;
  }
  if (isa<NegOp>(op)) {
    return multiply(*a, {-1, 0, 0, 0});
  }
  std::optional<Polynomial> b = polynomialIn(op->getOperand(1), x, depth - 1);
  if (!b) {
    return std::nullopt;
  }
  if (isa<MulOp>(op)) {
    return multiply(*a, *b);
  }
  bool constantB = (*b)[1] == 0 && (*b)[2] == 0 && (*b)[3] == 0;
  if (isa<DivOp>(op)) {
    return constantB && (*b)[0] != 0 ? multiply(*a, {1 / (*b)[0], 0, 0, 0}) : std::nullopt;
  }
  if (isa<PowOp>(op)) {
    double exponent = (*b)[0];
    if (!constantB || (exponent != 1 && exponent != 2 && exponent != 3)) {
      return std::nullopt;
    }
    std::optional<Polynomial> power = a;
    for (int i = 1; i < exponent && power; ++i) {
      power = multiply(*power, *a);
    }
    return power;
  }
  for (size_t i = 0; i < a->size(); ++i) {
    (*a)[i] += isa<SubOp>(op) ? -(*b)[i] : (*b)[i];
  }
  return a;
}

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

/// Whether `p` is what GELU gives to erf or tanh.
static bool isGeluArgument(const Polynomial &p, GeluKind kind, Type element) {
  bool odd = p[0] == 0 && p[2] == 0;
  if (kind == GeluKind::erf) {
    return odd && p[3] == 0 && sameNumber(p[1], M_SQRT1_2, element);
  }
  double root = std::sqrt(2 / M_PI);
  return odd && sameNumber(p[1], root, element) && sameNumber(p[3], 0.044715 * root, element);
}

/// The x that `argument` is GELU's polynomial of, searched among the values that it is computed
/// from.
static Value findGeluInput(Value argument, GeluKind kind) {
  Type element = cast<RankedTensorType>(argument.getType()).getElementType();
  SmallVector<std::pair<Value, int>> queue{{argument, 0}};
  for (size_t i = 0; i < queue.size() && queue.size() < 64; ++i) {
    auto [value, depth] = queue[i];
    std::optional<Polynomial> p = value == argument ? std::nullopt : polynomialIn(argument, value);
    if (p && isGeluArgument(*p, kind, element)) {
      return value;
    }
    Operation *op = value.getDefiningOp();
    if (op && depth < 6 && isa<AddOp, MulOp, DivOp, PowOp>(op)) {
      for (Value operand : op->getOperands()) {
        if (!splatValue(operand)) {
          queue.push_back({operand, depth + 1});
        }
      }
    }
  }
  return {};
}

namespace {
/// A value of the form (constant + slope * t) * x^power on the way from t to the result.
struct GeluStep {
  Value value;
  double constant = 0, slope = 1;
  int power = 0;
};
} // namespace

/// The step to the one user of `step.value`, or nothing where the user does something else.
static std::optional<GeluStep> advance(const GeluStep &step, Value x) {
  if (!step.value.hasOneUse()) {
    return std::nullopt;
  }
  Operation *user = *step.value.getUsers().begin();
  if (!isa<AddOp, MulOp, DivOp>(user) || user->getResult(0).getType() != x.getType()) {
    return std::nullopt;
  }
  Value other = otherOperand(user, step.value);
  std::optional<Polynomial> p = polynomialIn(other, x);
  if (!p || (*p)[2] != 0 || (*p)[3] != 0) {
    return std::nullopt;
  }
  GeluStep next = step;
  next.value = user->getResult(0);
  bool constant = (*p)[1] == 0;
  if (isa<AddOp>(user)) {
    next.constant += (*p)[0];
    return constant && step.power == 0 ? std::optional(next) : std::nullopt;
  }
  double factor = constant ? (*p)[0] : (*p)[1];
  if (isa<DivOp>(user)) {
    if (!constant || factor == 0 || user->getOperand(0) != step.value) {
      return std::nullopt;
    }
    factor = 1 / factor;
  } else if (!constant) {
    if ((*p)[0] != 0 || step.power != 0) {
      return std::nullopt;
    }
    next.power = 1;
  }
  next.constant *= factor;
  next.slope *= factor;
  return next;
}

/// The value that is gelu(x) for t = erf or tanh of its argument; null where there is none, with
/// what was found instead.
static Value findGeluResult(Value t, Value x, std::string &reason) {
  Type element = cast<RankedTensorType>(x.getType()).getElementType();
  GeluStep step{t};
  for (int i = 0; i < 5; ++i) {
    std::optional<GeluStep> next = advance(step, x);
    if (!next) {
      reason = step.value.hasOneUse() ? "what follows is not 0.5 x (1 + t)"
                                      : "a part of it is used elsewhere";
      return {};
    }
    step = *next;
    if (step.power == 1 && sameNumber(step.constant, 0.5, element) &&
        sameNumber(step.slope, 0.5, element)) {
      return step.value;
    }
  }
  reason = "the factors are not those of 0.5 x (1 + t)";
  return {};
}

namespace {
struct RaiseActivation : dsc::impl::RaiseActivationBase<RaiseActivation> {
  using RaiseActivationBase::RaiseActivationBase;
  void runOnOperation() override {
    RewriteLimit left(limit);
    PatternLog log;
    log.foundAsOps<GeluOp>("gelu", getOperation());
    SmallVector<Operation *> anchors;
    getOperation().walk([&](Operation *op) {
      if (isa<ErfOp, TanhOp>(op)) {
        anchors.push_back(op);
      }
    });
    for (Operation *anchor : anchors) {
      GeluKind kind = isa<ErfOp>(anchor) ? GeluKind::erf : GeluKind::tanh;
      Value x = findGeluInput(anchor->getOperand(0), kind);
      if (!x) {
        continue; // an erf or tanh of its own
      }
      std::string reason;
      Value result = findGeluResult(anchor->getResult(0), x, reason);
      if (!result) {
        log.missed("gelu", anchor, reason);
        continue;
      }
      if (!left.take()) {
        break;
      }
      Operation *last = result.getDefiningOp();
      OpBuilder builder(last);
      Value gelu = createValue<GeluOp>(builder, last->getLoc(), x, kind);
      result.replaceAllUsesWith(gelu);
      log.found("gelu", last, kind == GeluKind::erf ? "erf form" : "tanh form");
    }
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
    log.attach(getOperation());
  }
};
} // namespace
