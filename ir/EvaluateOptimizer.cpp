// Evaluation of the optimizer ops, so that whole training steps can be checked without generated
// code.

#include "ir/Evaluate.h"

#include "runtime/abi.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

static void evaluateAdam(AdamOp op, ArrayRef<EvaluatedTensor> operands,
                         std::vector<EvaluatedTensor> &results) {
  auto scalar = [&](size_t i) { return operands[i].floats.front(); };
  double t = scalar(4), lr = scalar(5), beta1 = scalar(6), beta2 = scalar(7), epsilon = scalar(8),
         decay = scalar(9);
  double scale = scalar(10), bias1 = 1 - std::pow(beta1, t), bias2 = 1 - std::pow(beta2, t);
  bool ok = operands[11].integers.front();
  for (int64_t i = 0; i < results[0].size(); ++i) {
    double p = operands[0].floats[i], m = operands[2].floats[i], v = operands[3].floats[i];
    double g = scale * operands[1].floats[i] + (op.getDecoupled() ? 0 : decay * p);
    double newM = m + (1 - beta1) * (g - m), newV = beta2 * v + (1 - beta2) * g * g;
    double shrunk = p * (op.getDecoupled() ? 1 - lr * decay : 1);
    double newP = shrunk - lr / bias1 * newM / (std::sqrt(newV) / std::sqrt(bias2) + epsilon);
    results[0].floats[i] = ok ? newP : p;
    results[1].floats[i] = ok ? newM : m;
    results[2].floats[i] = ok ? newV : v;
    if (op.getCopy()) {
      results[3].floats[i] = static_cast<float>(results[0].floats[i]);
    }
  }
}

static void evaluateSgd(SgdOp op, ArrayRef<EvaluatedTensor> operands,
                        std::vector<EvaluatedTensor> &results) {
  auto scalar = [&](size_t i) { return operands[i].floats.front(); };
  double t = scalar(3), lr = scalar(4), momentum = scalar(5), dampening = scalar(6),
         decay = scalar(7);
  double scale = scalar(8);
  bool ok = operands[9].integers.front();
  for (int64_t i = 0; i < results[0].size(); ++i) {
    double p = operands[0].floats[i], b = operands[2].floats[i];
    double g = scale * operands[1].floats[i] + decay * p;
    double newB = t == 1 ? g : momentum * b + (1 - dampening) * g;
    double newP = p - lr * (op.getNesterov() ? g + momentum * newB : newB);
    results[0].floats[i] = ok ? newP : p;
    results[1].floats[i] = ok ? newB : b;
    if (op.getCopy()) {
      results[2].floats[i] = static_cast<float>(results[0].floats[i]);
    }
  }
}

bool dsc::evaluateOptimizer(Operation *op, ArrayRef<EvaluatedTensor> operands,
                            std::vector<EvaluatedTensor> &results) {
  if (isa<ChunkSquaresOp>(op)) {
    for (int64_t i = 0; i < operands[0].size(); ++i) {
      results[0].floats[i / DSC_CHUNK_ELEMENTS] += operands[0].floats[i] * operands[0].floats[i];
    }
  } else if (auto adam = dyn_cast<AdamOp>(op)) {
    evaluateAdam(adam, operands, results);
  } else if (auto sgd = dyn_cast<SgdOp>(op)) {
    evaluateSgd(sgd, operands, results);
  } else {
    return false;
  }
  return true;
}
