// The ops of each loss: a loss for every position, summed over those that count.
//
// Positions keep the batch as their first dimension, or the batch times something (logits [B * T,
// V]); a loss whose output has no batch dimension counts as one for all samples.

#include "passes/autodiff/AddLoss.h"
#include "ir/Diagnostic.h"

#include <limits>

using namespace mlir;
using namespace dsc;

FailureOr<int64_t> dsc::batchSize(func::FuncOp forward) {
  std::optional<unsigned> first;
  for (unsigned i = 0; i < forward.getNumArguments(); ++i) {
    auto type = cast<RankedTensorType>(forward.getArgumentTypes()[i]);
    auto nameOf = [&](unsigned k) { return forward.getArgAttrOfType<StringAttr>(k, "dsc.name"); };
    if (type.getRank() == 0) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "input " << nameOf(i) << " is a scalar, but a batch has one row a sample; make it "
             << "a constant with --bind";
    }
    if (!first) {
      first = i;
      continue;
    }
    auto other = cast<RankedTensorType>(forward.getArgumentTypes()[*first]);
    if (other.getDimSize(0) != type.getDimSize(0)) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "inputs " << nameOf(*first) << " (" << other << ") and " << nameOf(i) << " ("
             << type << ") have different numbers of samples; make the one that is no data a "
             << "constant with --bind";
    }
  }
  if (!first) {
    return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
           << "the model has no input, so there is nothing to train on";
  }
  return cast<RankedTensorType>(forward.getArgumentTypes()[*first]).getDimSize(0);
}

/// The dimension of the classes: the last one, or 1 for images ([N, C, H, W]) and wherever the
/// labels' shape says so.
static int64_t classDim(ArrayRef<int64_t> output, ArrayRef<int64_t> labels) {
  int64_t rank = output.size();
  if (!labels.empty() && labels.size() + 1 == output.size()) {
    SmallVector<int64_t> without(output);
    without.erase(without.begin() + 1);
    if (output.drop_back() != labels && ArrayRef<int64_t>(without) == labels) {
      return 1;
    }
    return rank - 1;
  }
  return rank >= 4 ? 1 : rank - 1;
}

/// The shape of labels as data: the batch first.
static SmallVector<int64_t> asSamples(ArrayRef<int64_t> positions, int64_t batch) {
  if (!positions.empty() && batch > 0 && positions[0] != batch && positions[0] % batch == 0) {
    SmallVector<int64_t> shape{batch, positions[0] / batch};
    shape.append(positions.begin() + 1, positions.end());
    return shape;
  }
  return SmallVector<int64_t>(positions);
}

static int64_t elements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    count *= size;
  }
  return count;
}

FailureOr<LabelsInfo> dsc::labelsInfo(func::FuncOp forward, const LossChoice &choice,
                                      const CompileOptions &options, int64_t batch) {
  auto output = cast<RankedTensorType>(forward.getResultTypes()[choice.output]);
  LabelsInfo info;
  RankedTensorType given; // an input of the model that serves as labels
  for (unsigned i = 0; i < forward.getNumArguments(); ++i) {
    auto name = forward.getArgAttrOfType<StringAttr>(i, "dsc.name");
    if (name && name.getValue() == options.labels) {
      given = cast<RankedTensorType>(forward.getArgumentTypes()[i]);
    }
  }
  SmallVector<int64_t> positions(output.getShape());
  if (choice.hasClasses()) {
    if (output.getRank() < 2) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "--loss=" << lossName(choice.kind) << " needs an output [samples, .., classes], '"
             << choice.outputName << "' is " << output;
    }
    int64_t dim = classDim(output.getShape(), given ? given.getShape() : ArrayRef<int64_t>());
    info.classes = positions[dim];
    positions.erase(positions.begin() + dim);
  }
  SmallVector<int64_t> shape = asSamples(positions, batch);
  Type element = choice.hasClasses() ? Type(IntegerType::get(forward.getContext(), 64))
                                     : statisticsType(output.getElementType());
  info.type = RankedTensorType::get(shape, element);
  if (given) {
    bool fits = elements(given.getShape()) == elements(positions) &&
                (!choice.hasClasses() || isa<IntegerType>(given.getElementType()));
    if (!fits) {
      return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
             << "input '" << options.labels << "' is " << given << " and cannot be the labels of '"
             << choice.outputName << "' (" << output << "), which are " << info.type
             << "; name the labels otherwise with --labels";
    }
    info.type = given;
  } else if (shape.empty() || shape[0] != batch) {
    return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
           << "output '" << choice.outputName << "' is " << output << ", a batch has " << batch
           << " samples: --loss=" << lossName(choice.kind) << " needs an output whose first "
           << "dimension is the samples; --loss=mean or --loss=sum take any";
  }
  if (options.shiftLabels && (!choice.hasClasses() || info.type.getRank() < 2)) {
    return dsc::emitError(forward.getLoc(), ErrorId::TrainLoss)
           << "--shift-labels shifts labels along positions, but those of --loss="
           << lossName(choice.kind) << " are " << info.type;
  }
  return info;
}

namespace {
/// A loss for each position, and which of them count (i1; null: all).
struct Positions {
  Value loss, valid, right;
};
} // namespace

/// labels[.., t] = labels[.., t + 1]; the last position has nothing to predict. As slicing the
/// logits, without the copy.
static Value shiftLabels(ValueBuilder &b, Value labels, int64_t ignoreIndex) {
  RankedTensorType type = tensorType(labels);
  int64_t axis = type.getRank() - 1;
  SmallVector<int64_t> starts(type.getRank(), 0), sizes(type.getShape()), steps(type.getRank(), 1),
      column(sizes);
  starts[axis] = 1;
  sizes[axis] -= 1;
  column[axis] = 1;
  Value ignored = b.splat(type.clone(column), static_cast<double>(ignoreIndex));
  if (sizes[axis] == 0) {
    return ignored;
  }
  Value tail = b.create<SliceOp>(labels, starts, sizes, steps);
  return b.create<ConcatOp>(ValueRange{tail, ignored}, axis);
}

/// Logits with the padding behind their classes, where a padded product made them
/// (dsc-pad-products): the loss can tell the two apart and need not have the classes copied out.
static Value withPadding(Value logits) {
  auto slice = logits.getDefiningOp<SliceOp>();
  if (!slice) {
    return logits;
  }
  Value whole = slice.getX();
  bool leads = tensorType(whole).getShape().drop_back() == slice.getSizes().drop_back() &&
               llvm::all_of(slice.getStarts(), [](int64_t start) { return start == 0; }) &&
               llvm::all_of(slice.getSteps(), [](int64_t step) { return step == 1; });
  return leads ? whole : logits;
}

static Positions classLoss(ValueBuilder &b, const LossChoice &choice, const CompileOptions &options,
                           Value output, Value labels, bool wantsRight) {
  RankedTensorType type = tensorType(output);
  int64_t rank = type.getRank(), dim = classDim(type.getShape(), tensorType(labels).getShape());
  if (dim != rank - 1) {
    SmallVector<int64_t> permutation;
    for (int64_t i = 0; i < rank; ++i) {
      if (i != dim) {
        permutation.push_back(i);
      }
    }
    permutation.push_back(dim);
    output = b.transpose(output, permutation);
    type = tensorType(output);
  }
  if (options.shiftLabels) {
    labels = shiftLabels(b, labels, options.ignoreIndex);
  }
  labels = b.reshape(labels, type.getShape().drop_back());
  Positions result;
  result.valid = b.compare(ComparePredicate::ne, labels, static_cast<double>(options.ignoreIndex));
  SmallVector<int64_t> column(type.getShape());
  column.back() = 1;
  if (choice.kind == LossKind::CrossEntropy) {
    Value padded = withPadding(output);
    auto classes =
        padded == output ? IntegerAttr() : b.builder.getI64IntegerAttr(type.getShape().back());
    auto op =
        b.create<CrossEntropyOp>(padded, labels, b.builder.getI64IntegerAttr(options.ignoreIndex),
                                 b.builder.getF64FloatAttr(options.labelSmoothing), classes);
    result.loss = op.getLoss();
  } else {
    Value safe = b.select(result.valid, labels, b.scalar(0, labels));
    Value picked = b.create<GatherElementsOp>(output, b.reshape(safe, column), rank - 1);
    Value loss = b.neg(b.reshape(picked, type.getShape().drop_back()));
    loss = b.cast(loss, statisticsType(type.getElementType()));
    result.loss = b.select(result.valid, loss, b.scalar(0, loss));
  }
  if (wantsRight && choice.kind == LossKind::CrossEntropy) {
    Value best = b.create<ArgReduceOp>(output, ReduceKind::max, rank - 1);
    best =
        b.cast(b.reshape(best, type.getShape().drop_back()), tensorType(labels).getElementType());
    result.right = b.create<AndOp>(b.compare(ComparePredicate::eq, best, labels), result.valid);
  }
  return result;
}

static Positions elementLoss(ValueBuilder &b, LossKind kind, Value output, Value labels) {
  Type element = statisticsType(tensorType(output).getElementType());
  Value x = b.cast(output, element);
  if (kind == LossKind::Mean || kind == LossKind::Sum || kind == LossKind::Output) {
    return {x, {}, {}};
  }
  Value target = b.reshape(b.cast(labels, element), tensorType(x).getShape());
  if (kind ==
      LossKind::BceWithLogits) { // softplus(x) - x t = -t log sigmoid(x) - (1 - t) log sigmoid(-x)
    return {b.sub(b.create<SoftplusOp>(x), b.mul(x, target)), {}, {}};
  }
  Value difference = b.sub(x, target);
  return {kind == LossKind::L1 ? b.create<AbsOp>(difference).getResult()
                               : b.mul(difference, difference),
          {},
          {}};
}

/// The weight of each position, of a shape that broadcasts to `positions`; null where they have no
/// batch dimension.
static Value positionWeights(ValueBuilder &b, Value weight, ArrayRef<int64_t> positions,
                             int64_t batch) {
  if (positions.empty() || batch == 0 || positions[0] % batch != 0) {
    return {};
  }
  int64_t each = positions[0] / batch;
  SmallVector<int64_t> shape(positions.size(), 1);
  shape[0] = positions[0];
  if (each > 1) {
    weight = b.broadcast(b.reshape(weight, {batch, 1}), {batch, each});
  }
  return b.reshape(weight, shape);
}

FailureOr<LossTerms> dsc::buildLoss(ValueBuilder &b, const LossChoice &choice,
                                    const CompileOptions &options, Value output, Value labels,
                                    Value sampleWeight, int64_t batch) {
  Positions positions = choice.hasClasses()
                            ? classLoss(b, choice, options, output, labels, bool(sampleWeight))
                            : elementLoss(b, choice.kind, output, labels);
  RankedTensorType type = tensorType(positions.loss);
  bool isOne = choice.kind == LossKind::Sum || choice.kind == LossKind::Output;
  double number = isOne ? 1 : static_cast<double>(type.getNumElements());
  auto numbers = [&](Value flags) { return b.cast(flags, type.getElementType()); };
  LossTerms terms;
  terms.isCounted = bool(positions.valid);
  if (!sampleWeight) {
    terms.sum = b.sum(positions.loss);
    terms.count =
        positions.valid ? b.sum(numbers(positions.valid)) : b.scalar(number, positions.loss);
    return terms;
  }
  Value weight = b.cast(sampleWeight, type.getElementType());
  Value total = b.sum(weight);
  double samples = static_cast<double>(std::max<int64_t>(batch, 1));
  Value each = positionWeights(b, weight, type.getShape(), batch);
  auto weighted = [&](Value x) -> Value {
    if (!each) {
      return b.mul(b.sum(x), b.mul(total, 1 / samples));
    }
    Value used = b.compare(ComparePredicate::ne, each, 0.0);
    return b.sum(b.select(used, b.mul(x, each), b.scalar(0, x)));
  };
  terms.sum = weighted(positions.loss);
  terms.count =
      positions.valid ? weighted(numbers(positions.valid)) : b.mul(total, number / samples);
  if (positions.right) {
    terms.correct = weighted(numbers(positions.right));
  }
  return terms;
}
