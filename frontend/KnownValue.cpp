// Which dimensions of an op's result repeat because those of its operands do, one rule an op. Ops
// without a rule take their operands as they are.

#include "frontend/KnownValue.h"

#include "ir/Evaluate.h"

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// Known values
//===----------------------------------------------------------------------===//

/// `shape` with leading dimensions of 1 up to `rank`.
static SmallVector<int64_t> ofRank(ArrayRef<int64_t> shape, size_t rank) {
  SmallVector<int64_t> result(rank - shape.size(), 1);
  llvm::append_range(result, shape);
  return result;
}

std::optional<KnownValue> dsc::knownValue(Value value, const DerivedValues &derived) {
  KnownValue known;
  known.type = cast<RankedTensorType>(value.getType());
  if (auto broadcast = value.getDefiningOp<BroadcastOp>()) {
    value = broadcast.getX();
  }
  auto type = cast<RankedTensorType>(value.getType());
  known.kept = ofRank(type.getShape(), known.shape().size());
  if (derived.contains(value)) {
    known.source = value;
    return known;
  }
  auto constant = value.getDefiningOp<ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!elements) {
    return std::nullopt;
  }
  if (elements.isSplat() && known.type.getNumElements() > 0) {
    known.kept.assign(known.shape().size(), 1);
    known.elements = elements.resizeSplat(type.clone(known.kept));
    return known;
  }
  // Large ones were read when they were made.
  known.elements = elements.reshape(type.clone(known.kept));
  if (type.getNumElements() <= kMaxWrittenOut) {
    known.elements = withoutRepeats(known.elements);
    known.kept = llvm::to_vector(cast<RankedTensorType>(known.elements.getType()).getShape());
  }
  return known;
}

/// Whether the `count` blocks of `size` elements in each of `elements`' parts are equal.
template <typename T> static bool repeatsBlocks(ArrayRef<T> elements, int64_t count, int64_t size) {
  for (size_t part = 0; part < elements.size(); part += count * size) {
    for (int64_t i = size; i < count * size; ++i) {
      if (elements[part + i] != elements[part + i - size]) {
        return false;
      }
    }
  }
  return true;
}

/// Takes out the dimensions along which `elements` repeat; false where there is none.
template <typename T>
static bool removeRepeats(std::vector<T> &elements, MutableArrayRef<int64_t> shape) {
  bool found = false;
  size_t block = 1;
  for (size_t dim = shape.size(); dim-- > 0;) {
    auto count = static_cast<size_t>(shape[dim]);
    if (count > 1 && repeatsBlocks(ArrayRef<T>(elements), count, block)) {
      std::vector<T> kept;
      for (size_t part = 0; part < elements.size(); part += count * block) {
        kept.insert(kept.end(), elements.begin() + part, elements.begin() + part + block);
      }
      elements = std::move(kept);
      shape[dim] = 1;
      found = true;
    }
    block *= static_cast<size_t>(shape[dim]);
  }
  return found;
}

DenseElementsAttr dsc::withoutRepeats(DenseElementsAttr elements) {
  auto type = cast<RankedTensorType>(elements.getType());
  if (elements.isSplat() || type.getNumElements() == 0) {
    return elements;
  }
  // Equal bits: numbers that compare equal (0 and -0) may differ, and NaN is itself.
  SmallVector<int64_t> shape(type.getShape());
  if (type.getElementType().isInteger(1)) {
    std::vector<char> bits(elements.getValues<bool>().begin(), elements.getValues<bool>().end());
    if (!removeRepeats(bits, MutableArrayRef<int64_t>(shape))) {
      return elements;
    }
    return DenseElementsAttr::get(
        type.clone(shape), ArrayRef<bool>(reinterpret_cast<bool *>(bits.data()), bits.size()));
  }
  auto narrowed = [&](auto unit) -> DenseElementsAttr {
    using Unit = decltype(unit);
    ArrayRef<char> raw = elements.getRawData();
    std::vector<Unit> units(raw.size() / sizeof(Unit));
    std::memcpy(units.data(), raw.data(), raw.size());
    if (!removeRepeats(units, MutableArrayRef<int64_t>(shape))) {
      return elements;
    }
    return DenseElementsAttr::getFromRawBuffer(
        type.clone(shape),
        ArrayRef<char>(reinterpret_cast<const char *>(units.data()), units.size() * sizeof(Unit)));
  };
  switch (elementBytes(type.getElementType())) {
  case 1:
    return narrowed(uint8_t());
  case 2:
    return narrowed(uint16_t());
  case 4:
    return narrowed(uint32_t());
  default:
    return narrowed(uint64_t());
  }
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

namespace {

/// An op that is being cut down. Rules first say what of each operand they need, then change
/// attributes.
class Narrowing {
public:
  Narrowing(DictionaryAttr attributes, ArrayRef<KnownValue> operands, RankedTensorType type)
      : attributes(attributes), operands(operands), type(type) {
    for (const KnownValue &operand : operands) {
      kept.push_back(operand.kept);
    }
  }

  DictionaryAttr attributes;
  ArrayRef<KnownValue> operands;
  RankedTensorType type;
  SmallVector<SmallVector<int64_t>> kept;    // shapes that the op will see
  SmallVector<DenseElementsAttr> replaced{}; // operands that are others altogether, or null
  SmallVector<int64_t> shape;

  bool repeats(size_t operand, int64_t dim) const { return kept[operand][dim] == 1; }
  /// The op sees all of dimension `dim`.
  void need(size_t operand, int64_t dim) { kept[operand][dim] = operands[operand].shape()[dim]; }
  void needAll(size_t operand) { kept[operand] = SmallVector<int64_t>(operands[operand].shape()); }
  void needLast(size_t operand, size_t dims) {
    size_t rank = kept[operand].size();
    for (size_t dim = rank - std::min(rank, dims); dim < rank; ++dim) {
      need(operand, dim);
    }
  }

  int64_t integer(StringRef name) const {
    auto value = attributes.getAs<IntegerAttr>(name);
    return value ? value.getInt() : 0;
  }
  SmallVector<int64_t> integers(StringRef name) const {
    auto list = attributes.getAs<DenseI64ArrayAttr>(name);
    return list ? SmallVector<int64_t>(list.asArrayRef()) : SmallVector<int64_t>();
  }
  void setIntegers(StringRef name, ArrayRef<int64_t> values) {
    NamedAttrList list(attributes);
    list.set(name, DenseI64ArrayAttr::get(attributes.getContext(), values));
    attributes = list.getDictionary(attributes.getContext());
  }
};

} // namespace

/// Groups of old and new dimensions that hold the same elements: what repeats as a whole, or is one
/// dimension in both, stays as it is.
static void narrowReshape(Narrowing &n) {
  ArrayRef<int64_t> from = n.operands[0].shape(), to = n.type.getShape();
  n.shape.assign(to.begin(), to.end());
  for (size_t i = 0, j = 0; i < from.size() || j < to.size();) {
    size_t firstOld = i, firstNew = j;
    int64_t old = i < from.size() ? from[i++] : 1, made = j < to.size() ? to[j++] : 1;
    while (old != made) {
      old < made ? old *= from[i++] : made *= to[j++];
    }
    SmallVector<size_t> wide, wideNew; // dimensions of more than 1
    for (size_t dim = firstOld; dim < i; ++dim) {
      if (from[dim] != 1) {
        wide.push_back(dim);
      }
    }
    for (size_t dim = firstNew; dim < j; ++dim) {
      if (to[dim] != 1) {
        wideNew.push_back(dim);
      }
    }
    bool repeats = llvm::all_of(wide, [&](size_t dim) { return n.repeats(0, dim); });
    if (repeats) {
      llvm::for_each(wideNew, [&](size_t dim) { n.shape[dim] = 1; });
    } else if (wide.size() > 1 || wideNew.size() > 1) {
      llvm::for_each(wide, [&](size_t dim) { n.need(0, dim); });
    }
  }
}

static void narrowSlice(Narrowing &n) {
  SmallVector<int64_t> starts = n.integers("starts"), sizes = n.integers("sizes"),
                       steps = n.integers("steps");
  for (size_t dim = 0; dim < sizes.size(); ++dim) {
    if (n.repeats(0, dim)) {
      starts[dim] = 0;
      sizes[dim] = steps[dim] = 1;
    }
  }
  n.setIntegers("starts", starts);
  n.setIntegers("sizes", sizes);
  n.setIntegers("steps", steps);
}

static void narrowConcat(Narrowing &n) {
  int64_t axis = n.integer("axis");
  for (int64_t dim = 0; dim < n.type.getRank(); ++dim) {
    bool repeats = dim != axis;
    for (size_t i = 0; i < n.kept.size(); ++i) {
      repeats &= n.repeats(i, dim);
    }
    for (size_t i = 0; i < n.kept.size() && !repeats; ++i) {
      n.need(i, dim);
    }
  }
}

static void narrowPad(Narrowing &n) {
  SmallVector<int64_t> low = n.integers("low"), high = n.integers("high"),
                       interior = n.integers("interior");
  for (size_t dim = 0; dim < low.size(); ++dim) {
    if (low[dim] != 0 || high[dim] != 0 || interior[dim] != 0) {
      n.need(0, dim);
    }
  }
}

/// The largest or the smallest of equal numbers is one of them; their sum is not.
static void narrowReduce(Narrowing &n) {
  auto kind = n.attributes.getAs<ReduceKindAttr>("kind");
  if (kind && (kind.getValue() == ReduceKind::max || kind.getValue() == ReduceKind::min)) {
    return;
  }
  for (int64_t axis : n.integers("axes")) {
    n.need(0, axis);
  }
}

/// An index tensor of `shape` that asks for the first element everywhere.
static DenseElementsAttr firstIndex(Type element, ArrayRef<int64_t> shape) {
  return DenseElementsAttr::get(RankedTensorType::get(shape, element),
                                APInt::getZero(element.getIntOrFloatBitWidth()));
}

/// Where data repeats along the axis, every index finds the same.
static void narrowGather(Narrowing &n) {
  int64_t axis = n.integer("axis");
  if (n.repeats(0, axis)) {
    n.kept[1].assign(n.kept[1].size(), 1);
    n.replaced = {{}, firstIndex(n.operands[1].type.getElementType(), n.kept[1])};
  }
}

static void narrowGatherNd(Narrowing &n) {
  int64_t batch = n.integer("batch_dims"), depth = n.operands[1].shape().back();
  bool repeats = true;
  for (int64_t dim = 0; dim < batch + depth; ++dim) {
    repeats &= n.repeats(0, dim);
  }
  n.needLast(1, 1);
  if (repeats) {
    for (int64_t &size : MutableArrayRef<int64_t>(n.kept[1]).drop_back()) {
      size = 1;
    }
    n.replaced = {{}, firstIndex(n.operands[1].type.getElementType(), n.kept[1])};
    return;
  }
  for (int64_t dim = 0; dim < batch + depth; ++dim) {
    n.need(0, dim);
  }
  for (int64_t dim = 0; dim < batch; ++dim) {
    n.need(1, dim);
  }
}

static void applyRule(OperationName name, Narrowing &n) {
  auto is = [&](auto op) { return name.getTypeID() == TypeID::get<decltype(op)>(); };
  if (name.hasTrait<Elementwise>()) {
    for (ArrayRef<int64_t> kept : n.kept) {
      n.shape = *broadcastShapes(n.shape, kept);
    }
  } else if (is(ReshapeOp())) {
    narrowReshape(n);
  } else if (is(SliceOp())) {
    narrowSlice(n);
  } else if (is(ConcatOp())) {
    narrowConcat(n);
  } else if (is(PadOp())) {
    narrowPad(n);
  } else if (is(ReduceOp())) {
    narrowReduce(n);
  } else if (is(CumulativeOp()) || is(ArgReduceOp())) {
    n.need(0, n.integer("axis"));
  } else if (is(GatherOp())) {
    narrowGather(n);
  } else if (is(GatherNdOp())) {
    narrowGatherNd(n);
  } else if (is(MatmulOp()) && n.operands.size() == 2) {
    n.needLast(0, 2);
    n.needLast(1, 2);
  } else if (!is(TransposeOp())) {
    for (size_t i = 0; i < n.operands.size(); ++i) {
      n.needAll(i);
    }
    n.shape.assign(n.type.getShape().begin(), n.type.getShape().end());
  }
}

NarrowOp dsc::narrowOp(OperationName name, DictionaryAttr attributes, ArrayRef<KnownValue> operands,
                       RankedTensorType type) {
  Narrowing n(attributes, operands, type);
  applyRule(name, n);
  return {n.kept, n.replaced, n.attributes, n.shape};
}
