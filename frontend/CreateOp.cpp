// One way to make any op: infer its types, verify, cut down to what differs, fold, insert.

#include "frontend/Emitter.h"
#include "ir/Evaluate.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dsc;

/// Storage for an op's properties that lives as long as its creation.
namespace {
class Properties {
public:
  explicit Properties(OperationName name)
      : name(name), storage(name.getOpPropertyByteSize() / sizeof(uint64_t) + 1) {
    if (name.getOpPropertyByteSize() > 0) {
      name.initOpProperties(get(), OpaqueProperties(nullptr));
    }
  }
  ~Properties() {
    if (name.getOpPropertyByteSize() > 0) {
      name.destroyOpProperties(get());
    }
  }
  OpaqueProperties get() { return OpaqueProperties(storage.data()); }

private:
  OperationName name;
  SmallVector<uint64_t> storage;
};
} // namespace

//===----------------------------------------------------------------------===//
// Folding
//===----------------------------------------------------------------------===//

bool Emitter::spend(int64_t elements) {
  if (!memo) {
    return true;
  }
  int64_t &budget = elements <= kMaxWrittenOut ? memo->shapes : memo->tables;
  budget -= std::min(elements, budget);
  return budget > 0;
}

/// What is kept of a fold's result: large ones without what they repeat.
static DenseElementsAttr keptOf(DenseElementsAttr elements) {
  return elements.getNumElements() > kMaxWrittenOut ? withoutRepeats(elements) : elements;
}

/// What a fold depends on, where it is worth remembering; null elsewhere.
Attribute Emitter::memoKey(OperationName name, ValueRange operands, Attribute attributes,
                           Type result) {
  constexpr int64_t worthwhile = 4096;
  if (!memo || operands.empty() || cast<RankedTensorType>(result).getNumElements() < worthwhile) {
    return {};
  }
  SmallVector<Attribute> parts = {builder.getStringAttr(name.getStringRef()), attributes,
                                  TypeAttr::get(result)};
  for (Value operand : operands) {
    DenseElementsAttr value = constantOf(operand);
    if (!value) {
      return {};
    }
    parts.push_back(value);
  }
  return builder.getArrayAttr(parts);
}

/// A known operand at `shape`, between what it keeps and its own. Null where it is too large.
Value Emitter::narrowOperand(Value operand, const KnownValue &known, ArrayRef<int64_t> shape) {
  if (known.elements) {
    bool isLarge =
        !known.elements.isSplat() && ShapedType::getNumElements(shape) > kMaxFoldedElements;
    return isLarge ? Value() : constant(writeOut(known.elements, shape));
  }
  return shape == known.shape() ? operand : broadcast(reshape(known.source, known.kept), shape);
}

/// The op on known operands as a smaller one that is repeated, where the operands or the result are
/// large; null where it is no smaller.
Value Emitter::createNarrow(OperationName name, ValueRange operands, DictionaryAttr attributes,
                            RankedTensorType type, bool isInferred) {
  auto isLarge = [](Type operand) {
    return cast<RankedTensorType>(operand).getNumElements() > kMaxWrittenOut;
  };
  if (type.getNumElements() == 0 || name.getTypeID() == TypeID::get<BroadcastOp>() ||
      !(isLarge(type) || llvm::any_of(operands.getTypes(), isLarge))) {
    return {};
  }
  SmallVector<KnownValue> known;
  for (Value operand : operands) {
    std::optional<KnownValue> value = knownValue(operand, derived);
    if (!value || value->type.getNumElements() == 0) {
      return {};
    }
    known.push_back(*value);
  }
  if (known.empty()) {
    return {};
  }
  NarrowOp narrow = narrowOp(name, attributes, known, type);
  SmallVector<Value> smaller;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    bool isOther = !narrow.replaced.empty() && narrow.replaced[i];
    smaller.push_back(isOther ? constant(narrow.replaced[i])
                              : narrowOperand(operand, known[i], narrow.operands[i]));
  }
  if (llvm::is_contained(smaller, Value()) || llvm::equal(smaller, operands)) {
    return {};
  }
  SmallVector<Type> types;
  if (!isInferred) {
    types.push_back(type.clone(narrow.shape));
  }
  SmallVector<Value> result = create(name, smaller, narrow.attributes.getValue(), types);
  return result.empty() ? Value() : broadcast(result.front(), type.getShape());
}

/// Operands of an elementwise op of `shape` without the broadcasts that it does by itself.
static SmallVector<Value> withoutBroadcasts(ValueRange operands, ArrayRef<int64_t> shape,
                                            const DerivedValues &derived) {
  SmallVector<Value> result(operands);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    auto broadcast = operand.getDefiningOp<BroadcastOp>();
    if (!broadcast || !knownValue(operand, derived)) {
      continue;
    }
    result[i] = broadcast.getX();
    SmallVector<int64_t> joined;
    for (Value other : result) {
      joined = *broadcastShapes(joined, Emitter::shapeOf(other));
    }
    if (ArrayRef<int64_t>(joined) != shape) {
      result[i] = operand;
    }
  }
  return result;
}

/// Elements that folding an op reads and writes.
static int64_t foldCost(OperationName name, ValueRange operands, TypeRange results) {
  auto isSplat = [](Value operand) { return Emitter::constantOf(operand).isSplat(); };
  if (name.getTypeID() == TypeID::get<BroadcastOp>() ||
      (name.hasTrait<Elementwise>() && llvm::all_of(operands, isSplat))) {
    return 1;
  }
  int64_t cost = 0;
  for (Type type :
       llvm::concat<const Type>(llvm::to_vector(operands.getTypes()), llvm::to_vector(results))) {
    cost += cast<RankedTensorType>(type).getNumElements();
  }
  return cost;
}

/// Whether an elementwise op makes a large result of much smaller operands, as a mask is made of
/// positions: such a result stays an op, for it costs more to keep than to compute.
static bool growsLarge(OperationName name, ValueRange operands, TypeRange results) {
  constexpr int64_t most = int64_t(1) << 20;
  if (!name.hasTrait<Elementwise>()) {
    return false;
  }
  int64_t read = 0, written = 0;
  for (Type type : operands.getTypes()) {
    read += cast<RankedTensorType>(type).getNumElements();
  }
  for (Type type : results) {
    written += cast<RankedTensorType>(type).getNumElements();
  }
  return written > most && written / 2 > read;
}

SmallVector<Value> Emitter::create(OperationName name, ValueRange given,
                                   ArrayRef<NamedAttribute> attributes, TypeRange types) {
  SmallVector<Value> operands(given);
  if (llvm::is_contained(operands, Value())) {
    return {};
  }
  MLIRContext *context = builder.getContext();
  auto onError = [&] { return emitError(loc); };
  DictionaryAttr dictionary = builder.getDictionaryAttr(attributes);
  Properties properties(name);
  bool hasProperties = name.getOpPropertyByteSize() > 0;
  if (hasProperties &&
      failed(name.setOpPropertiesFromAttribute(name, properties.get(), dictionary, onError))) {
    return {};
  }
  SmallVector<Type> inferred(types.begin(), types.end());
  if (types.empty()) {
    auto *inference = name.getInterface<InferTypeOpInterface>();
    if (!inference ||
        failed(inference->inferReturnTypes(context, loc, operands, dictionary, properties.get(),
                                           RegionRange(), inferred))) {
      return {};
    }
  }
  for (Type type : inferred) {
    // Later phases multiply sizes freely; what cannot be addressed stops here.
    int64_t count = 1;
    for (int64_t dim : cast<RankedTensorType>(type).getShape()) {
      if (__builtin_mul_overflow(count, dim, &count) || count > (int64_t(1) << 46)) {
        error() << "its result " << type << " is too large";
        return {};
      }
    }
  }
  if (inferred.size() == 1) {
    auto type = cast<RankedTensorType>(inferred.front());
    if (Value narrow = createNarrow(name, operands, dictionary, type, types.empty())) {
      return {narrow};
    }
    if (name.hasTrait<Elementwise>() && operands.size() > 1) {
      operands = withoutBroadcasts(operands, type.getShape(), derived);
    }
  }
  Attribute key =
      inferred.size() == 1 ? memoKey(name, operands, dictionary, inferred[0]) : Attribute();
  if (key && memo->results.count(key)) {
    return {broadcast(constant(memo->results.lookup(key)),
                      cast<RankedTensorType>(inferred.front()).getShape())};
  }
  NamedAttrList discardable;
  if (!hasProperties) {
    discardable = NamedAttrList(dictionary);
  }
  Operation *op = Operation::create(loc, name, inferred, operands, std::move(discardable),
                                    properties.get(), BlockRange(), 0);
  if (!types.empty() && failed(name.verifyInvariants(op))) {
    op->destroy();
    return {};
  }
  SmallVector<OpFoldResult> results;
  // Evaluating reads and writes whole tensors; the rest of folding is free.
  bool allConstant =
      !operands.empty() && llvm::all_of(operands, [](Value v) { return constantOf(v) != nullptr; });
  bool affordable = !allConstant || (!growsLarge(name, operands, inferred) &&
                                     spend(foldCost(name, operands, inferred)));
  if (affordable && succeeded(op->fold(results)) && !results.empty()) {
    SmallVector<Value> values;
    for (auto [result, type] : llvm::zip_equal(results, inferred)) {
      if (auto value = dyn_cast<Value>(result)) {
        values.push_back(value);
      } else if (auto elements = dyn_cast<DenseElementsAttr>(cast<Attribute>(result));
                 elements && elements.getType() == type) {
        DenseElementsAttr kept = keptOf(elements);
        if (key) {
          memo->results[key] = kept;
        }
        values.push_back(broadcast(constant(kept), cast<RankedTensorType>(type).getShape()));
      }
    }
    if (values.size() == inferred.size()) {
      op->destroy();
      return values;
    }
  }
  builder.insert(op);
  auto isKnown = [&](Value operand) { return knownValue(operand, derived).has_value(); };
  if (!operands.empty() && !isa<BroadcastOp>(op) && llvm::all_of(operands, isKnown)) {
    derived.insert(op->result_begin(), op->result_end());
  }
  return SmallVector<Value>(op->getResults());
}
