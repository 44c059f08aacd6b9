// Evaluation of elementwise ops.

#include "ir/Evaluate.h"

#include "llvm/ADT/TypeSwitch.h"

#include <array>
#include <cmath>

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// Broadcasting
//===----------------------------------------------------------------------===//

namespace {
/// Walks the elements of a result and the elements of broadcast operands that stand at the same
/// position. Masks have millions of elements, so what a step costs matters.
template <size_t count> class BroadcastWalk {
public:
  BroadcastWalk(ArrayRef<int64_t> shape, ArrayRef<EvaluatedTensor> operands) : shape(shape) {
    for (const EvaluatedTensor &operand : operands.take_front(count)) {
      strides.push_back(broadcastStrides(operand.shape(), shape));
    }
  }

  /// Calls `visit(element, operand elements)`.
  template <typename Visit> void run(Visit visit) const {
    std::array<int64_t, count> steps;
    for (size_t k = 0; k < count; ++k) {
      steps[k] = shape.empty() ? 0 : strides[k].back();
    }
    forEachRow(shape, strides, [&](int64_t first, ArrayRef<int64_t> offsets, int64_t length) {
      std::array<int64_t, count> at;
      llvm::copy(offsets, at.begin());
      for (int64_t i = 0; i < length; ++i) {
        visit(first + i, at);
        for (size_t k = 0; k < count; ++k) {
          at[k] += steps[k];
        }
      }
    });
  }

private:
  ArrayRef<int64_t> shape;
  SmallVector<SmallVector<int64_t>> strides;
};
} // namespace

//===----------------------------------------------------------------------===//
// Scalar functions
//===----------------------------------------------------------------------===//

using UnaryFloat = double (*)(double);

static double relu(double x) { return std::isnan(x) || x > 0 ? x : 0; }
static double sign(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
static double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
static double softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}
static double geluErf(double x) { return 0.5 * x * (1 + std::erf(x * M_SQRT1_2)); }
static double tanhInner(double x) { return std::sqrt(M_2_PI) * (x + 0.044715 * x * x * x); }
static double geluTanh(double x) { return 0.5 * x * (1 + std::tanh(tanhInner(x))); }

static UnaryFloat unaryFloat(Operation *op) {
  return llvm::TypeSwitch<Operation *, UnaryFloat>(op)
      .Case<NegOp>([](auto) { return [](double x) { return -x; }; })
      .Case<AbsOp>([](auto) { return [](double x) { return std::fabs(x); }; })
      .Case<SignOp>([](auto) { return sign; })
      .Case<ExpOp>([](auto) { return [](double x) { return std::exp(x); }; })
      .Case<Expm1Op>([](auto) { return [](double x) { return std::expm1(x); }; })
      .Case<LogOp>([](auto) { return [](double x) { return std::log(x); }; })
      .Case<Log1pOp>([](auto) { return [](double x) { return std::log1p(x); }; })
      .Case<SqrtOp>([](auto) { return [](double x) { return std::sqrt(x); }; })
      .Case<RsqrtOp>([](auto) { return [](double x) { return 1 / std::sqrt(x); }; })
      .Case<ReciprocalOp>([](auto) { return [](double x) { return 1 / x; }; })
      .Case<SinOp>([](auto) { return [](double x) { return std::sin(x); }; })
      .Case<CosOp>([](auto) { return [](double x) { return std::cos(x); }; })
      .Case<TanOp>([](auto) { return [](double x) { return std::tan(x); }; })
      .Case<AsinOp>([](auto) { return [](double x) { return std::asin(x); }; })
      .Case<AcosOp>([](auto) { return [](double x) { return std::acos(x); }; })
      .Case<AtanOp>([](auto) { return [](double x) { return std::atan(x); }; })
      .Case<SinhOp>([](auto) { return [](double x) { return std::sinh(x); }; })
      .Case<CoshOp>([](auto) { return [](double x) { return std::cosh(x); }; })
      .Case<AsinhOp>([](auto) { return [](double x) { return std::asinh(x); }; })
      .Case<AcoshOp>([](auto) { return [](double x) { return std::acosh(x); }; })
      .Case<AtanhOp>([](auto) { return [](double x) { return std::atanh(x); }; })
      .Case<TanhOp>([](auto) { return [](double x) { return std::tanh(x); }; })
      .Case<ErfOp>([](auto) { return [](double x) { return std::erf(x); }; })
      .Case<SigmoidOp>([](auto) { return sigmoid; })
      .Case<SoftplusOp>([](auto) { return softplus; })
      .Case<ReluOp>([](auto) { return relu; })
      .Case<FloorOp>([](auto) { return [](double x) { return std::floor(x); }; })
      .Case<CeilOp>([](auto) { return [](double x) { return std::ceil(x); }; })
      .Case<RoundOp>([](auto) { return [](double x) { return std::nearbyint(x); }; })
      .Case<GeluOp>(
          [](GeluOp gelu) { return gelu.getKind() == GeluKind::erf ? geluErf : geluTanh; })
      .Default([](auto) { return UnaryFloat(nullptr); });
}

using UnaryInteger = int64_t (*)(int64_t);

static UnaryInteger unaryInteger(Operation *op) {
  return llvm::TypeSwitch<Operation *, UnaryInteger>(op)
      .Case<NegOp>([](auto) {
        return [](int64_t x) { return static_cast<int64_t>(-static_cast<uint64_t>(x)); };
      })
      .Case<AbsOp>([](auto) {
        return
            [](int64_t x) { return x < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(x)) : x; };
      })
      .Case<SignOp>(
          [](auto) { return [](int64_t x) { return static_cast<int64_t>((x > 0) - (x < 0)); }; })
      .Case<ReluOp>([](auto) { return [](int64_t x) { return std::max<int64_t>(x, 0); }; })
      .Case<NotOp>([](auto) { return [](int64_t x) { return ~x; }; })
      .Default([](auto) { return UnaryInteger(nullptr); });
}

static double floatModulo(double x, double y, bool fmod) {
  double r = std::fmod(x, y);
  return !fmod && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

using BinaryFloat = double (*)(double, double);

static BinaryFloat binaryFloat(Operation *op) {
  return llvm::TypeSwitch<Operation *, BinaryFloat>(op)
      .Case<AddOp>([](auto) { return [](double x, double y) { return x + y; }; })
      .Case<SubOp>([](auto) { return [](double x, double y) { return x - y; }; })
      .Case<MulOp>([](auto) { return [](double x, double y) { return x * y; }; })
      .Case<DivOp>([](auto) { return [](double x, double y) { return x / y; }; })
      .Case<MaxOp>([](auto) {
        return [](double x, double y) {
          return std::isnan(x) || std::isnan(y) ? NAN : std::max(x, y);
        };
      })
      .Case<MinOp>([](auto) {
        return [](double x, double y) {
          return std::isnan(x) || std::isnan(y) ? NAN : std::min(x, y);
        };
      })
      .Case<PowOp>([](auto) { return [](double x, double y) { return std::pow(x, y); }; })
      .Case<ModOp>([](ModOp mod) {
        return mod.getFmod()
                   ? BinaryFloat([](double x, double y) { return floatModulo(x, y, true); })
                   : BinaryFloat([](double x, double y) { return floatModulo(x, y, false); });
      })
      .Default([](auto) { return BinaryFloat(nullptr); });
}

static int64_t integerPower(int64_t x, int64_t y) {
  if (y < 0) {
    return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
  }
  uint64_t result = 1, base = x;
  for (; y; y >>= 1, base *= base) {
    result *= y & 1 ? base : 1;
  }
  return result;
}

using BinaryInteger = int64_t (*)(int64_t, int64_t);

static int64_t signedDivide(int64_t x, int64_t y) {
  return y == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(x)) : x / y;
}

static int64_t signedModulo(int64_t x, int64_t y, bool fmod) {
  int64_t r = y == -1 ? 0 : x % y;
  return !fmod && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/// Arithmetic on uint64_t, as the bits of int64_t.
#define DSC_UNSIGNED(expression)                                                                   \
  BinaryInteger([](int64_t sx, int64_t sy) {                                                       \
    [[maybe_unused]] uint64_t x = sx, y = sy;                                                      \
    return static_cast<int64_t>(expression);                                                       \
  })
#define DSC_SIGNED(expression) BinaryInteger([](int64_t x, int64_t y) { return expression; })

/// Integer arithmetic wraps. Division by zero has no value: the caller does not fold it.
static BinaryInteger binaryInteger(Operation *op) {
  bool isUnsigned = getElementTypeOrSelf(op->getOperand(0).getType()).isUnsignedInteger();
  return llvm::TypeSwitch<Operation *, BinaryInteger>(op)
      .Case<AddOp>([](auto) { return DSC_UNSIGNED(x + y); })
      .Case<SubOp>([](auto) { return DSC_UNSIGNED(x - y); })
      .Case<MulOp>([](auto) { return DSC_UNSIGNED(x * y); })
      .Case<DivOp>(
          [&](auto) { return isUnsigned ? DSC_UNSIGNED(x / y) : BinaryInteger(signedDivide); })
      .Case<ModOp>([&](ModOp mod) {
        return isUnsigned      ? DSC_UNSIGNED(x % y)
               : mod.getFmod() ? DSC_SIGNED(signedModulo(x, y, true))
                               : DSC_SIGNED(signedModulo(x, y, false));
      })
      .Case<MaxOp>([&](auto) {
        return isUnsigned ? DSC_UNSIGNED(std::max(x, y)) : DSC_SIGNED(std::max(x, y));
      })
      .Case<MinOp>([&](auto) {
        return isUnsigned ? DSC_UNSIGNED(std::min(x, y)) : DSC_SIGNED(std::min(x, y));
      })
      .Case<PowOp>([](auto) { return BinaryInteger(integerPower); })
      .Case<AndOp>([](auto) { return DSC_SIGNED(x & y); })
      .Case<OrOp>([](auto) { return DSC_SIGNED(x | y); })
      .Case<XorOp>([](auto) { return DSC_SIGNED(x ^ y); })
      .Case<ShiftLeftOp>([](auto) { return DSC_UNSIGNED(y < 64 ? x << y : 0); })
      .Case<ShiftRightOp>([&](auto) {
        return isUnsigned ? DSC_UNSIGNED(y < 64 ? x >> y : 0)
                          : DSC_SIGNED(x >> std::min<uint64_t>(static_cast<uint64_t>(y), 63));
      })
      .Default([](auto) { return BinaryInteger(nullptr); });
}
#undef DSC_UNSIGNED
#undef DSC_SIGNED

template <typename T> static bool compare(ComparePredicate predicate, T x, T y) {
  switch (predicate) {
  case ComparePredicate::eq:
    return x == y;
  case ComparePredicate::ne:
    return x != y;
  case ComparePredicate::lt:
    return x < y;
  case ComparePredicate::le:
    return x <= y;
  case ComparePredicate::gt:
    return x > y;
  case ComparePredicate::ge:
    return x >= y;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

static void evaluateCast(const EvaluatedTensor &x, EvaluatedTensor &y) {
  bool toBool = y.type.getElementType().isInteger(1);
  bool fromUnsigned64 = x.type.getElementType().isUnsignedInteger(64);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (y.isFloat()) {
      y.floats[i] = x.isFloat()      ? x.floats[i]
                    : fromUnsigned64 ? static_cast<double>(static_cast<uint64_t>(x.integers[i]))
                                     : static_cast<double>(x.integers[i]);
    } else if (toBool) {
      y.integers[i] = x.isFloat() ? x.floats[i] != 0 : x.integers[i] != 0;
    } else if (x.isFloat()) {
      // Conversions of values that do not fit are undefined in C++: saturate, as the hardware's do
      // not trap.
      double value = std::trunc(x.floats[i]);
      y.integers[i] = !(value > -0x1p63) ? INT64_MIN
                      : value >= 0x1p63  ? INT64_MAX
                                         : static_cast<int64_t>(value);
    } else {
      y.integers[i] = x.integers[i];
    }
  }
}

/// The bits of `value`, which `semantics` has exactly.
static APInt bitsOf(double value, const llvm::fltSemantics &semantics) {
  APFloat exact(value);
  bool losesInfo;
  exact.convert(semantics, APFloat::rmNearestTiesToEven, &losesInfo);
  return exact.bitcastToAPInt();
}

static void evaluateBitcast(const EvaluatedTensor &x, EvaluatedTensor &y) {
  Type from = x.type.getElementType(), to = y.type.getElementType();
  for (int64_t i = 0; i < x.size(); ++i) {
    APInt bits = x.isFloat() ? bitsOf(x.floats[i], cast<FloatType>(from).getFloatSemantics())
                             : APInt(from.getIntOrFloatBitWidth(), x.integers[i], true);
    if (y.isFloat()) {
      y.floats[i] = APFloat(cast<FloatType>(to).getFloatSemantics(), bits).convertToDouble();
    } else {
      y.integers[i] =
          to.isUnsignedInteger() ? static_cast<int64_t>(bits.getZExtValue()) : bits.getSExtValue();
    }
  }
}

static double geluGrad(GeluKind kind, double x) {
  if (kind == GeluKind::erf) {
    return 0.5 * (1 + std::erf(x * M_SQRT1_2)) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
  }
  double t = std::tanh(tanhInner(x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(M_2_PI) * (1 + 3 * 0.044715 * x * x);
}

static bool dividesByZero(Operation *op, const EvaluatedTensor &divisor) {
  return isa<DivOp, ModOp>(op) && llvm::is_contained(divisor.integers, 0);
}

bool dsc::evaluateElementwise(Operation *op, ArrayRef<EvaluatedTensor> operands,
                              std::vector<EvaluatedTensor> &results) {
  EvaluatedTensor &y = results.front();
  if (auto iota = dyn_cast<IotaOp>(op)) {
    int64_t axis = iota.getAxis();
    forEachIndex(y.shape(),
                 [&](int64_t to, ArrayRef<int64_t> index) { y.integers[to] = index[axis]; });
    return true;
  }
  if (isa<CastOp>(op)) {
    evaluateCast(operands[0], y);
    return true;
  }
  if (isa<BitcastOp>(op)) {
    evaluateBitcast(operands[0], y);
    return true;
  }
  if (auto test = dyn_cast<IsInfOp>(op)) {
    for (int64_t i = 0; i < y.size() && operands[0].isFloat(); ++i) {
      double x = operands[0].floats[i];
      y.integers[i] = std::isinf(x) && (x > 0 ? test.getPositive() : test.getNegative());
    }
    return true;
  }
  if (isa<IsNanOp>(op)) {
    for (int64_t i = 0; i < y.size() && operands[0].isFloat(); ++i) {
      y.integers[i] = std::isnan(operands[0].floats[i]);
    }
    return true;
  }
  if (operands.size() == 1) {
    if (UnaryFloat function = y.isFloat() ? unaryFloat(op) : nullptr) {
      llvm::transform(operands[0].floats, y.floats.begin(), function);
      return true;
    }
    if (UnaryInteger function = y.isFloat() ? nullptr : unaryInteger(op)) {
      llvm::transform(operands[0].integers, y.integers.begin(), function);
      return true;
    }
    return false;
  }
  if (isa<SelectOp>(op)) {
    BroadcastWalk<3>(y.shape(), operands).run([&](int64_t i, const auto &at) {
      int chosen = operands[0].integers[at[0]] ? 1 : 2;
      y.copyElement(i, operands[chosen], at[chosen]);
    });
    return true;
  }
  if (operands.size() != 2) {
    return false;
  }
  BroadcastWalk<2> walk(y.shape(), operands);
  if (auto grad = dyn_cast<GeluGradOp>(op)) {
    walk.run([&](int64_t i, const auto &at) {
      y.floats[i] = operands[1].floats[at[1]] * geluGrad(grad.getKind(), operands[0].floats[at[0]]);
    });
    return true;
  }
  if (auto comparison = dyn_cast<CompareOp>(op)) {
    ComparePredicate predicate = comparison.getPredicate();
    bool isUnsigned = operands[0].type.getElementType().isUnsignedInteger();
    walk.run([&](int64_t i, const auto &at) {
      if (operands[0].isFloat()) {
        y.integers[i] = compare(predicate, operands[0].floats[at[0]], operands[1].floats[at[1]]);
      } else if (isUnsigned) {
        y.integers[i] =
            compare<uint64_t>(predicate, operands[0].integers[at[0]], operands[1].integers[at[1]]);
      } else {
        y.integers[i] =
            compare(predicate, operands[0].integers[at[0]], operands[1].integers[at[1]]);
      }
    });
    return true;
  }
  if (BinaryFloat function = y.isFloat() ? binaryFloat(op) : nullptr) {
    walk.run([&](int64_t i, const auto &at) {
      y.floats[i] = function(operands[0].floats[at[0]], operands[1].floats[at[1]]);
    });
    return true;
  }
  BinaryInteger function = y.isFloat() ? nullptr : binaryInteger(op);
  if (!function || dividesByZero(op, operands[1])) {
    return false;
  }
  walk.run([&](int64_t i, const auto &at) {
    y.integers[i] = function(operands[0].integers[at[0]], operands[1].integers[at[1]]);
  });
  return true;
}
