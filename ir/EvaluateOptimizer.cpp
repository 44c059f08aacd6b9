// Evaluation of the optimizer ops, so that whole training steps can be checked without generated
// code.

#include "ir/Evaluate.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {
/// The operands of an update, by position, at one element after the other.
struct Operands {
  Operation *op;
  ArrayRef<EvaluatedTensor> tensors;
  std::vector<EvaluatedTensor> &results;

  int64_t size() const { return results[0].size(); }
  /// Operand `i` at `element`: its own element, its row's, or its only one.
  double at(size_t i, int64_t element) const {
    return tensors[i].floats[element * tensors[i].size() / size()];
  }
  double scalar(size_t i) const { return tensors[i].floats.front(); }
  bool ok() const { return tensors.back().integers.front() != 0; }
  /// Stores the new values, or `old` operands where the update does not take place.
  void store(int64_t element, ArrayRef<double> values, ArrayRef<size_t> old) {
    for (size_t i = 0; i < values.size(); ++i) {
      results[i].floats[element] = ok() ? values[i] : at(old[i], element);
    }
    if (results.size() > values.size()) { // the copy
      results.back().floats[element] = static_cast<float>(results[0].floats[element]);
    }
  }
};
} // namespace

static void evaluateAdam(AdamOp op, Operands o) {
  double t = o.scalar(4), beta1 = o.scalar(6), beta2 = o.scalar(7), epsilon = o.scalar(8);
  double scale = o.scalar(10), bias1 = 1 - std::pow(beta1, t), bias2 = 1 - std::pow(beta2, t);
  for (int64_t i = 0; i < o.size(); ++i) {
    double p = o.at(0, i), m = o.at(2, i), v = o.at(3, i), lr = o.at(5, i), decay = o.at(9, i);
    double g = scale * o.at(1, i) + (op.getDecoupled() ? 0 : decay * p);
    double newM = m + (1 - beta1) * (g - m), newV = beta2 * v + (1 - beta2) * g * g;
    double shrunk = p * (op.getDecoupled() ? 1 - lr * decay : 1);
    double newP = shrunk - lr / bias1 * newM / (std::sqrt(newV) / std::sqrt(bias2) + epsilon);
    o.store(i, {newP, newM, newV}, {0, 2, 3});
  }
}

static void evaluateSgd(SgdOp op, Operands o) {
  double t = o.scalar(3), momentum = o.scalar(5), dampening = o.scalar(6), scale = o.scalar(8);
  for (int64_t i = 0; i < o.size(); ++i) {
    double p = o.at(0, i), b = o.at(2, i), g = scale * o.at(1, i) + o.at(7, i) * p;
    double newB = t == 1 ? g : momentum * b + (1 - dampening) * g;
    double newP = p - o.at(4, i) * (op.getNesterov() ? g + momentum * newB : newB);
    o.store(i, {newP, newB}, {0, 2});
  }
}

static void evaluateLion(Operands o) {
  double beta1 = o.scalar(4), beta2 = o.scalar(5), scale = o.scalar(7);
  for (int64_t i = 0; i < o.size(); ++i) {
    double p = o.at(0, i), m = o.at(2, i), g = scale * o.at(1, i), lr = o.at(3, i);
    double towards = beta1 * m + (1 - beta1) * g;
    double sign = towards > 0 ? 1 : towards < 0 ? -1 : 0;
    o.store(i, {p * (1 - lr * o.at(6, i)) - lr * sign, beta2 * m + (1 - beta2) * g}, {0, 2});
  }
}

static void evaluateAdagrad(Operands o) {
  double t = o.scalar(3), epsilon = o.scalar(6), scale = o.scalar(8);
  for (int64_t i = 0; i < o.size(); ++i) {
    double p = o.at(0, i), g = scale * o.at(1, i) + o.at(7, i) * p, sum = o.at(2, i) + g * g;
    double rate = o.at(4, i) / (1 + (t - 1) * o.scalar(5));
    o.store(i, {p - rate * g / (std::sqrt(sum) + epsilon), sum}, {0, 2});
  }
}

static void evaluateLamb(Operands o) {
  double beta1 = o.scalar(4), beta2 = o.scalar(5), epsilon = o.scalar(6), scale = o.scalar(8);
  for (int64_t i = 0; i < o.size(); ++i) {
    double m = o.at(2, i), v = o.at(3, i), g = scale * o.at(1, i);
    double newM = m + (1 - beta1) * (g - m), newV = beta2 * v + (1 - beta2) * g * g;
    o.store(i, {0, newM, newV}, {0, 2, 3});
    o.results[0].floats[i] = newM / (std::sqrt(newV) + epsilon) + o.at(7, i) * o.at(0, i);
  }
}

static void evaluateLambStep(Operands o) {
  for (int64_t i = 0; i < o.size(); ++i) {
    o.store(i, {o.at(0, i) - o.at(2, i) * o.at(1, i)}, {0});
  }
}

bool dsc::evaluateOptimizer(Operation *op, ArrayRef<EvaluatedTensor> operands,
                            std::vector<EvaluatedTensor> &results) {
  if (isa<ChunkSquaresOp>(op)) {
    for (int64_t i = 0; i < operands[0].size(); ++i) {
      results[0].floats[i / DSC_CHUNK_ELEMENTS] += operands[0].floats[i] * operands[0].floats[i];
    }
    return true;
  }
  if (!op->hasTrait<Update>()) {
    return false;
  }
  Operands o{op, operands, results};
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](AdamOp adam) { evaluateAdam(adam, o); })
      .Case([&](SgdOp sgd) { evaluateSgd(sgd, o); })
      .Case([&](LionOp) { evaluateLion(o); })
      .Case([&](AdagradOp) { evaluateAdagrad(o); })
      .Case([&](LambOp) { evaluateLamb(o); })
      .Case([&](LambStepOp) { evaluateLambStep(o); });
  return true;
}
