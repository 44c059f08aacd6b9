// Gradients of elementwise ops. The comment of each rule is its formula; `give` undoes
// broadcasting.

#include "passes/autodiff/GradRules.h"

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

/// 1 - x^2, 1 + x^2 and x^2 - 1
static Value oneMinusSquare(Grad &g, Value x) { return g.sub(g.scalar(1, x), g.mul(x, x)); }
static Value onePlusSquare(Grad &g, Value x) { return g.add(g.mul(x, x), 1); }
static Value squareMinusOne(Grad &g, Value x) { return g.add(g.mul(x, x), -1); }

// dx = -dy
void dsc::gradNeg(NegOp op, Grad &g) { g.give(0, g.neg(g.of())); }

// dx = dy sign(x)
void dsc::gradAbs(AbsOp op, Grad &g) { g.give(0, g.chain(g.of(), g.create<SignOp>(op.getX()))); }

// dx = dy y
void dsc::gradExp(ExpOp op, Grad &g) { g.give(0, g.chain(g.of(), op.getY())); }

// dx = dy (y + 1)
void dsc::gradExpm1(Expm1Op op, Grad &g) { g.give(0, g.chain(g.of(), g.add(op.getY(), 1))); }

// dx = dy / x
void dsc::gradLog(LogOp op, Grad &g) { g.give(0, g.chainDiv(g.of(), op.getX())); }

// dx = dy / (1 + x)
void dsc::gradLog1p(Log1pOp op, Grad &g) { g.give(0, g.chainDiv(g.of(), g.add(op.getX(), 1))); }

// dx = dy / (2 y)
void dsc::gradSqrt(SqrtOp op, Grad &g) { g.give(0, g.chainDiv(g.of(), g.mul(op.getY(), 2))); }

// dx = dy (-1/2 y^3)
void dsc::gradRsqrt(RsqrtOp op, Grad &g) {
  Value y = op.getY();
  g.give(0, g.chain(g.of(), g.mul(g.mul(g.mul(y, y), y), -0.5)));
}

// dx = dy (-y^2)
void dsc::gradReciprocal(ReciprocalOp op, Grad &g) {
  g.give(0, g.chain(g.of(), g.neg(g.mul(op.getY(), op.getY()))));
}

// dx = dy cos(x)
void dsc::gradSin(SinOp op, Grad &g) { g.give(0, g.chain(g.of(), g.create<CosOp>(op.getX()))); }

// dx = -dy sin(x)
void dsc::gradCos(CosOp op, Grad &g) {
  g.give(0, g.neg(g.chain(g.of(), g.create<SinOp>(op.getX()))));
}

// dx = dy (1 + y^2)
void dsc::gradTan(TanOp op, Grad &g) { g.give(0, g.chain(g.of(), onePlusSquare(g, op.getY()))); }

// dx = dy / sqrt(1 - x^2)
void dsc::gradAsin(AsinOp op, Grad &g) {
  g.give(0, g.chain(g.of(), g.create<RsqrtOp>(oneMinusSquare(g, op.getX()))));
}

// dx = -dy / sqrt(1 - x^2)
void dsc::gradAcos(AcosOp op, Grad &g) {
  g.give(0, g.neg(g.chain(g.of(), g.create<RsqrtOp>(oneMinusSquare(g, op.getX())))));
}

// dx = dy / (1 + x^2)
void dsc::gradAtan(AtanOp op, Grad &g) {
  g.give(0, g.chainDiv(g.of(), onePlusSquare(g, op.getX())));
}

// dx = dy cosh(x)
void dsc::gradSinh(SinhOp op, Grad &g) { g.give(0, g.chain(g.of(), g.create<CoshOp>(op.getX()))); }

// dx = dy sinh(x)
void dsc::gradCosh(CoshOp op, Grad &g) { g.give(0, g.chain(g.of(), g.create<SinhOp>(op.getX()))); }

// dx = dy / sqrt(x^2 + 1)
void dsc::gradAsinh(AsinhOp op, Grad &g) {
  g.give(0, g.chain(g.of(), g.create<RsqrtOp>(onePlusSquare(g, op.getX()))));
}

// dx = dy / sqrt(x^2 - 1)
void dsc::gradAcosh(AcoshOp op, Grad &g) {
  g.give(0, g.chain(g.of(), g.create<RsqrtOp>(squareMinusOne(g, op.getX()))));
}

// dx = dy / (1 - x^2)
void dsc::gradAtanh(AtanhOp op, Grad &g) {
  g.give(0, g.chainDiv(g.of(), oneMinusSquare(g, op.getX())));
}

// dx = dy (1 - y^2)
void dsc::gradTanh(TanhOp op, Grad &g) { g.give(0, g.chain(g.of(), oneMinusSquare(g, op.getY()))); }

// dx = dy 2/sqrt(pi) e^(-x^2)
void dsc::gradErf(ErfOp op, Grad &g) {
  Value bell = g.create<ExpOp>(g.neg(g.mul(op.getX(), op.getX())));
  g.give(0, g.chain(g.of(), g.mul(bell, 1.1283791670955126)));
}

// dx = dy y (1 - y)
void dsc::gradSigmoid(SigmoidOp op, Grad &g) {
  Value y = op.getY();
  g.give(0, g.chain(g.of(), g.mul(y, g.sub(g.scalar(1, y), y))));
}

// dx = dy sigmoid(x)
void dsc::gradSoftplus(SoftplusOp op, Grad &g) {
  g.give(0, g.chain(g.of(), g.create<SigmoidOp>(op.getX())));
}

// dx = y <= 0 ? 0 : dy (NaN passes); y and not x, so that x need not be kept
void dsc::gradRelu(ReluOp op, Grad &g) {
  Value off = g.compare(ComparePredicate::le, op.getY(), 0.0);
  g.give(0, g.select(off, g.scalar(0, g.of()), g.of()));
}

// dx = dy gelu'(x)
void dsc::gradGelu(GeluOp op, Grad &g) {
  g.give(0, g.create<GeluGradOp>(op.getX(), g.of(), op.getKind()));
}

// dx = dy in x's type
void dsc::gradCast(CastOp op, Grad &g) { g.give(0, g.of()); }

//===----------------------------------------------------------------------===//
// Binary and ternary
//===----------------------------------------------------------------------===//

// dx = dz, dy = dz
void dsc::gradAdd(AddOp op, Grad &g) {
  g.give(0, g.of());
  g.give(1, g.of());
}

// dx = dz, dy = -dz
void dsc::gradSub(SubOp op, Grad &g) {
  g.give(0, g.of());
  if (g.wants(1)) {
    g.give(1, g.neg(g.sumToShape(g.of(), tensorType(op.getRhs()))));
  }
}

// dx = dz y, dy = dz x; for a square dx = 2 dz x
void dsc::gradMul(MulOp op, Grad &g) {
  if (op.getLhs() == op.getRhs()) {
    g.give(0, g.chain(g.of(), g.mul(op.getLhs(), 2)));
    return;
  }
  if (g.wants(0)) {
    g.give(0, g.chain(g.of(), op.getRhs()));
  }
  if (g.wants(1)) {
    g.give(1, g.chain(g.of(), op.getLhs()));
  }
}

// dx = dz / y, dy = -(dz / y) z
void dsc::gradDiv(DivOp op, Grad &g) {
  Value dx = g.chainDiv(g.of(), op.getRhs());
  g.give(0, dx);
  if (g.wants(1)) {
    g.give(1, g.neg(g.chain(dx, op.getResult())));
  }
}

/// The larger (or smaller) operand takes dz, equal ones half each; NaN passes to both, as in
/// PyTorch.
static void gradExtremum(Operation *op, Grad &g, ComparePredicate xLoses, ComparePredicate yLoses) {
  Value x = op->getOperand(0), y = op->getOperand(1), dz = g.of();
  Value zero = g.scalar(0, dz);
  Value share = g.select(g.compare(ComparePredicate::eq, x, y), g.mul(dz, 0.5), dz);
  if (g.wants(0)) {
    g.give(0, g.select(g.compare(xLoses, x, y), zero, share));
  }
  if (g.wants(1)) {
    g.give(1, g.select(g.compare(yLoses, x, y), zero, share));
  }
}

// dx = x > y ? dz : x == y ? dz / 2 : 0, dy with the roles exchanged
void dsc::gradMax(MaxOp op, Grad &g) {
  gradExtremum(op, g, ComparePredicate::lt, ComparePredicate::gt);
}

// dx = x < y ? dz : x == y ? dz / 2 : 0, dy with the roles exchanged
void dsc::gradMin(MinOp op, Grad &g) {
  gradExtremum(op, g, ComparePredicate::gt, ComparePredicate::lt);
}

// dx = dz y x^(y-1), 0 for y = 0; dy = dz z log(x), 0 for x = 0 and y >= 0
void dsc::gradPow(PowOp op, Grad &g) {
  Value x = op.getLhs(), y = op.getRhs(), dz = g.of();
  if (g.wants(0)) {
    if (isSplat(y, 2)) {
      g.give(0, g.chain(dz, g.mul(x, 2)));
    } else if (isSplat(y, 3)) {
      g.give(0, g.chain(dz, g.mul(g.mul(x, x), 3)));
    } else {
      Value slope = g.mul(g.create<PowOp>(x, g.add(y, -1)), y);
      Value flat = g.compare(ComparePredicate::eq, y, 0.0);
      g.give(0, g.chain(g.select(flat, g.scalar(0, dz), dz), slope));
    }
  }
  if (g.wants(1)) {
    Value flat = g.create<AndOp>(g.compare(ComparePredicate::eq, x, 0.0),
                                 g.compare(ComparePredicate::ge, y, 0.0));
    Value slope = g.mul(op.getResult(), g.create<LogOp>(x));
    g.give(1, g.chain(g.select(flat, g.scalar(0, dz), dz), slope));
  }
}

// dx = dz, dy = -dz (x - z) / y: the quotient is a whole number
void dsc::gradMod(ModOp op, Grad &g) {
  g.give(0, g.of());
  if (g.wants(1)) {
    Value quotient = g.create<RoundOp>(g.div(g.sub(op.getLhs(), op.getResult()), op.getRhs()));
    g.give(1, g.neg(g.chain(g.of(), quotient)));
  }
}

// dx = c ? dz : 0, dy = c ? 0 : dz
void dsc::gradSelect(SelectOp op, Grad &g) {
  Value zero = g.scalar(0, g.of());
  if (g.wants(1)) {
    g.give(1, g.select(op.getCondition(), g.of(), zero));
  }
  if (g.wants(2)) {
    g.give(2, g.select(op.getCondition(), zero, g.of()));
  }
}
