// Contraction: Einsum as sums, transposes and matrix products, two operands at a time from left to
// right.

#include "frontend/OpTable.h"

#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace dsc;

namespace {
/// A tensor whose dimensions have labels; each label once.
struct Labelled {
  Value value;
  SmallVector<char> labels;
};

/// Labels of the dimensions that "..." stands for: no letter, so that no equation can name them.
constexpr char kFirstEllipsisLabel = 1;

class Contraction {
public:
  explicit Contraction(NodeImport &n) : n(n) {}
  LogicalResult run();

private:
  FailureOr<SmallVector<char>> labelsOf(StringRef term, int64_t rank);
  FailureOr<Labelled> takeDiagonals(Labelled operand);
  Value arrange(const Labelled &operand, ArrayRef<char> order);
  Labelled sumAway(Labelled operand, ArrayRef<char> kept);
  FailureOr<Labelled> multiply(Labelled a, Labelled b, ArrayRef<char> needed);

  NodeImport &n;
  llvm::DenseMap<int, int64_t> sizes; // of labels, 1 where every operand has 1
  int64_t ellipsisRank = 0;
};
} // namespace

/// Labels of one term for an operand of `rank`; rank -1: of the result.
FailureOr<SmallVector<char>> Contraction::labelsOf(StringRef term, int64_t rank) {
  SmallVector<char> labels;
  size_t dots = term.find("...");
  int64_t letters = llvm::count_if(term, [](char c) { return c != '.'; });
  int64_t hidden = rank < 0 ? ellipsisRank : rank - letters;
  if ((dots == StringRef::npos && rank >= 0 && hidden != 0) || hidden < 0 ||
      llvm::count(term, '.') != (dots == StringRef::npos ? 0 : 3)) {
    return n.error() << "term '" << term << "' of the equation does not fit an operand of rank "
                     << rank;
  }
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == '.') {
      int64_t first = rank < 0 ? 0 : ellipsisRank - hidden;
      for (int64_t k = first; k < ellipsisRank; ++k) {
        labels.push_back(static_cast<char>(kFirstEllipsisLabel + k));
      }
      i += 2;
    } else {
      labels.push_back(term[i]);
    }
  }
  return labels;
}

/// A label that stands twice keeps the diagonal: the rest is masked and summed away.
FailureOr<Labelled> Contraction::takeDiagonals(Labelled operand) {
  for (size_t i = 0; i < operand.labels.size(); ++i) {
    for (size_t j = i + 1; j < operand.labels.size(); ++j) {
      if (operand.labels[i] != operand.labels[j]) {
        continue;
      }
      ArrayRef<int64_t> shape = Emitter::shapeOf(operand.value);
      if (shape[i] != shape[j]) {
        return n.error() << "a label stands for dimensions of " << shape[i] << " and " << shape[j];
      }
      SmallVector<int64_t> rowShape(shape.size(), 1), columnShape(shape.size(), 1);
      rowShape[i] = columnShape[j] = shape[i];
      Value row = n.numbers(shape[i], rowShape);
      if (!row) {
        return failure();
      }
      Value same = n.e.compare(ComparePredicate::eq, row, n.numbers(shape[i], columnShape));
      Value masked = n.e.select(same, operand.value, n.e.like(operand.value, 0));
      operand.value = n.e.reduce(ReduceKind::sum, masked, {static_cast<int64_t>(j)}, false);
      operand.labels.erase(operand.labels.begin() + j);
      --j;
      if (!operand.value) {
        return failure();
      }
    }
  }
  return operand;
}

/// The operand with its dimensions in `order`, which holds all its labels; absent ones become 1.
Value Contraction::arrange(const Labelled &operand, ArrayRef<char> order) {
  SmallVector<int64_t> permutation, shape;
  for (char label : order) {
    const auto *at = llvm::find(operand.labels, label);
    if (at == operand.labels.end()) {
      shape.push_back(1);
    } else {
      permutation.push_back(at - operand.labels.begin());
      shape.push_back(Emitter::shapeOf(operand.value)[permutation.back()]);
    }
  }
  return n.e.reshape(n.e.transpose(operand.value, permutation), shape);
}

Labelled Contraction::sumAway(Labelled operand, ArrayRef<char> kept) {
  SmallVector<int64_t> axes;
  SmallVector<char> labels;
  for (auto [i, label] : llvm::enumerate(operand.labels)) {
    if (llvm::is_contained(kept, label)) {
      labels.push_back(label);
    } else {
      axes.push_back(static_cast<int64_t>(i));
    }
  }
  return {n.e.reduce(ReduceKind::sum, operand.value, axes, false), labels};
}

/// The product of a and b, summed over labels that nothing needs any more.
FailureOr<Labelled> Contraction::multiply(Labelled a, Labelled b, ArrayRef<char> needed) {
  SmallVector<char> keptByA(needed), keptByB(needed);
  llvm::append_range(keptByA, b.labels);
  llvm::append_range(keptByB, a.labels);
  a = sumAway(a, keptByA);
  b = sumAway(b, keptByB);
  if (!a.value || !b.value) {
    return failure();
  }
  SmallVector<char> batch, inner, left, right;
  for (char label : a.labels) {
    bool inB = llvm::is_contained(b.labels, label);
    (inB ? llvm::is_contained(needed, label) ? batch : inner : left).push_back(label);
  }
  for (char label : b.labels) {
    if (!llvm::is_contained(a.labels, label)) {
      right.push_back(label);
    }
  }
  auto join = [](std::initializer_list<ArrayRef<char>> parts) {
    SmallVector<char> all;
    for (ArrayRef<char> part : parts) {
      all.append(part.begin(), part.end());
    }
    return all;
  };
  if (inner.empty()) {
    SmallVector<char> order = join({batch, left, right});
    return Labelled{n.e.mul(arrange(a, order), arrange(b, order)), order};
  }
  auto product = [&](ArrayRef<char> labels) {
    int64_t count = 1;
    for (char label : labels) {
      count *= sizes[label];
    }
    return count;
  };
  auto full = [&](const Labelled &operand, ArrayRef<char> order) {
    SmallVector<int64_t> shape;
    for (char label : order) {
      shape.push_back(sizes[label]);
    }
    return n.e.broadcast(arrange(operand, order), shape);
  };
  Value x = n.e.reshape(full(a, join({batch, left, inner})),
                        {product(batch), product(left), product(inner)});
  Value y = n.e.reshape(full(b, join({batch, inner, right})),
                        {product(batch), product(inner), product(right)});
  Value z = n.e.matmul(x, y);
  SmallVector<char> order = join({batch, left, right});
  SmallVector<int64_t> shape;
  for (char label : order) {
    shape.push_back(sizes[label]);
  }
  return Labelled{n.e.reshape(z, shape), order};
}

LogicalResult Contraction::run() {
  std::string equation;
  for (char c : n.stringAttr("equation", "")) {
    if (c != ' ') {
      equation += c;
    }
  }
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != n.numInputs() || terms.empty()) {
    return n.error() << "the equation has " << terms.size() << " terms for " << n.numInputs()
                     << " operands";
  }
  for (auto [i, term] : llvm::enumerate(terms)) {
    if (!n.input(i)) {
      return n.error() << "an operand is missing";
    }
    if (!Emitter::isFloat(n.input(i))) {
      return n.refuse("operands of integers are not supported");
    }
    int64_t letters = llvm::count_if(term, [](char c) { return c != '.'; });
    ellipsisRank =
        std::max(ellipsisRank, static_cast<int64_t>(Emitter::shapeOf(n.input(i)).size()) - letters);
  }
  SmallVector<Labelled> operands;
  for (auto [i, term] : llvm::enumerate(terms)) {
    FailureOr<SmallVector<char>> labels = labelsOf(term, Emitter::shapeOf(n.input(i)).size());
    FailureOr<Labelled> operand = failure();
    if (failed(labels) || failed(operand = takeDiagonals({n.input(i), *labels}))) {
      return failure();
    }
    for (auto [label, size] : llvm::zip_equal(operand->labels, Emitter::shapeOf(operand->value))) {
      int64_t &known = sizes.try_emplace(label, size).first->second;
      if (known != size && known != 1 && size != 1) {
        return n.error() << "a label stands for dimensions of " << known << " and " << size;
      }
      known = known == 1 ? size : known;
    }
    operands.push_back(*operand);
  }
  SmallVector<char> result;
  if (StringRef(equation).contains("->")) {
    FailureOr<SmallVector<char>> labels = labelsOf(right, -1);
    if (failed(labels)) {
      return failure();
    }
    result = *labels;
  } else {
    // Without a result: the hidden dimensions, then the letters that stand once, in the alphabet's
    // order.
    for (int64_t k = 0; k < ellipsisRank; ++k) {
      result.push_back(static_cast<char>(kFirstEllipsisLabel + k));
    }
    for (int c = 'A'; c <= 'z'; ++c) {
      if (left.count(static_cast<char>(c)) == 1) {
        result.push_back(static_cast<char>(c));
      }
    }
  }
  for (auto [i, label] : llvm::enumerate(result)) {
    if (!sizes.count(label) ||
        llvm::is_contained(ArrayRef<char>(result).drop_front(i + 1), label)) {
      return n.error() << "the result has a label that no operand has, or one twice";
    }
  }
  Labelled all = operands.front();
  for (size_t i = 1; i < operands.size(); ++i) {
    SmallVector<char> needed(result);
    for (size_t j = i + 1; j < operands.size(); ++j) {
      llvm::append_range(needed, operands[j].labels);
    }
    FailureOr<Labelled> product = multiply(all, operands[i], needed);
    if (failed(product) || !product->value) {
      return failure();
    }
    all = *product;
  }
  all = sumAway(all, result);
  return all.value ? n.result(arrange(all, result)) : failure();
}

LogicalResult dsc::importEinsum(NodeImport &n) { return Contraction(n).run(); }
