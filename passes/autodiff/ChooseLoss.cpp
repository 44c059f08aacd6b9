// Which loss a model gets: the options' word, or what its outputs look like.

#include "ir/Diagnostic.h"
#include "passes/autodiff/AddLoss.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kChoices =
    "--loss=cross-entropy|nll|mse|l1|bce-with-logits|mean|sum, or --loss=output:NAME for an output "
    "that is the loss";

static constexpr std::pair<LossKind, llvm::StringLiteral> kNames[] = {
    {LossKind::CrossEntropy, "cross-entropy"},
    {LossKind::Nll, "nll"},
    {LossKind::Mse, "mse"},
    {LossKind::L1, "l1"},
    {LossKind::Mean, "mean"},
    {LossKind::Sum, "sum"},
    {LossKind::BceWithLogits, "bce-with-logits"},
    {LossKind::Output, "output"},
};

StringRef dsc::lossName(LossKind kind) {
  return llvm::find_if(kNames, [&](const auto &entry) { return entry.first == kind; })->second;
}

std::string LossChoice::option() const {
  return kind == LossKind::Output ? "output:" + outputName : lossName(kind).str();
}

static RankedTensorType resultType(func::FuncOp forward, unsigned i) {
  return cast<RankedTensorType>(forward.getResultTypes()[i]);
}

static StringRef resultName(func::FuncOp forward, unsigned i) {
  auto name = forward.getResultAttrOfType<StringAttr>(i, "dsc.name");
  return name ? name.getValue() : "";
}

static std::string listOutputs(func::FuncOp forward) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (unsigned i = 0; i < forward.getNumResults(); ++i) {
    stream << (i ? ", " : "") << "'" << resultName(forward, i) << "' (" << resultType(forward, i)
           << ")";
  }
  return text;
}

static bool isFloat(RankedTensorType type) { return isa<FloatType>(type.getElementType()); }

static FailureOr<unsigned> findOutput(func::FuncOp forward, StringRef name, StringRef flag) {
  for (unsigned i = 0; i < forward.getNumResults(); ++i) {
    if (resultName(forward, i) == name) {
      return i;
    }
  }
  return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
         << flag << " names the output '" << name << "', the model has " << listOutputs(forward);
}

/// Whether `value` is a parameter, perhaps in another shape.
static bool isParameter(Value value) {
  Operation *op = value.getDefiningOp();
  while (isa_and_nonnull<ReshapeOp, TransposeOp, BroadcastOp, CastOp>(op)) {
    op = op->getOperand(0).getDefiningOp();
  }
  return isa_and_nonnull<GetGlobalOp>(op);
}

/// Whether `value` is a product with a parameter, perhaps with a bias: the last layer of a
/// classifier or language model.
static bool endsInProduct(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<ReshapeOp, CastOp>(op)) {
      value = op->getOperand(0);
    } else if (isa<AddOp>(op) && isParameter(op->getOperand(1))) {
      value = op->getOperand(0);
    } else if (isa<AddOp>(op) && isParameter(op->getOperand(0))) {
      value = op->getOperand(1);
    } else {
      return isa<MatmulOp>(op) &&
             (isParameter(op->getOperand(0)) || isParameter(op->getOperand(1)));
    }
  }
  return false;
}

/// The op that makes a result, for hints.
static Operation *producer(func::FuncOp forward, unsigned i) {
  return forward.getBody().front().getTerminator()->getOperand(i).getDefiningOp();
}

static FailureOr<LossChoice> chooseByOutputs(func::FuncOp forward, ArrayRef<unsigned> candidates) {
  auto choice = [&](LossKind kind, unsigned i, const Twine &reason) {
    return LossChoice{kind, i, resultName(forward, i).str(), reason.str()};
  };
  for (unsigned i : candidates) {
    RankedTensorType type = resultType(forward, i);
    if (isFloat(type) && type.getNumElements() == 1 && type.getRank() <= 1) {
      return choice(LossKind::Output, i, "output '" + resultName(forward, i) + "' is a scalar");
    }
  }
  for (unsigned i : candidates) {
    RankedTensorType type = resultType(forward, i);
    if (!isFloat(type) || type.getRank() < 2) {
      continue;
    }
    if (resultName(forward, i).contains_insensitive("logits")) {
      return choice(LossKind::CrossEntropy, i,
                    "output '" + resultName(forward, i) + "' has logits in its name");
    }
    Value value = forward.getBody().front().getTerminator()->getOperand(i);
    if (type.getRank() <= 3 && type.getShape().back() > 1 && endsInProduct(value)) {
      return choice(LossKind::CrossEntropy, i,
                    "output '" + resultName(forward, i) +
                        "' is the last matrix product of a classifier or language model");
    }
  }
  InFlightDiagnostic error =
      dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
      << "no loss was given, and no output is a scalar or looks like logits; the model has "
      << listOutputs(forward) << "; choose " << kChoices;
  for (unsigned i : candidates) {
    if (isa_and_nonnull<SoftmaxOp>(producer(forward, i))) {
      error << "; output '" << resultName(forward, i)
            << "' is a softmax: export the model without it for cross-entropy";
    } else if (isa_and_nonnull<LogSoftmaxOp>(producer(forward, i))) {
      error << "; output '" << resultName(forward, i) << "' is a log-softmax: --loss=nll fits it";
    }
  }
  return error;
}

FailureOr<LossChoice> dsc::chooseLoss(func::FuncOp forward, const CompileOptions &options) {
  if (forward.getNumResults() == 0) {
    return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
           << "the model has no output, so it has no loss";
  }
  StringRef loss = options.loss;
  std::optional<unsigned> asked;
  if (!options.output.empty()) {
    FailureOr<unsigned> found = findOutput(forward, options.output, "--output");
    if (failed(found)) {
      return failure();
    }
    asked = *found;
  }
  if (loss.empty()) {
    return chooseByOutputs(forward, asked
                                        ? SmallVector<unsigned>{*asked}
                                        : llvm::to_vector(llvm::seq(0u, forward.getNumResults())));
  }
  LossChoice choice;
  if (loss.consume_front("output:")) {
    FailureOr<unsigned> found = findOutput(forward, loss, "--loss=output");
    if (failed(found)) {
      return failure();
    }
    choice = {LossKind::Output, *found, loss.str(), "--loss"};
    if (resultType(forward, *found).getNumElements() != 1) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "--loss=output:" << loss << ": the output is " << resultType(forward, *found)
             << ", not one number; --loss=mean --output=" << loss << " takes its mean";
    }
  } else {
    const auto *entry =
        llvm::find_if(kNames, [&](const auto &name) { return name.second == loss; });
    if (entry == std::end(kNames) || entry->first == LossKind::Output) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "unknown loss '" << loss << "'; choose " << kChoices;
    }
    unsigned output = asked.value_or(0);
    choice = {entry->first, output, resultName(forward, output).str(), "--loss"};
  }
  if (!isFloat(resultType(forward, choice.output))) {
    return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
           << "output '" << choice.outputName << "' is " << resultType(forward, choice.output)
           << ", a loss needs floats; name another with --output, the model has "
           << listOutputs(forward);
  }
  return choice;
}
