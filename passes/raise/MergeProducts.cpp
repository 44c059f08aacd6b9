// Matrix products of one input with several parameters become one product with one parameter.
//
// A Transformer that projects q, k and v by three Linear layers reads its input three times and
// writes three tensors that attention would have to gather; as one product they are the packed rows
// that attention reads in place. The parameters stay what they are to the user: parts of the new
// one (`storage` of dsc.global). By default only products whose parts are read in place are merged;
// where a part would have to be copied out, the copy costs more than the merge saves.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/AttentionRows.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"
#include "passes/raise/StoringGlobals.h"
#include "passes/raise/StridedView.h"

#include "llvm/ADT/MapVector.h"

namespace dsc {
#define GEN_PASS_DEF_MERGEPRODUCTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {
/// y = x w (+ b) with parameters w [k, n] or [n, k] (transposed) and b [n]: a Linear layer.
struct Linear {
  Value x, y;
  MatmulOp product;
  GlobalOp weight, bias; // bias may be null
  bool transposed;

  int64_t width() { return typeOf(y).getShape().back(); }
};

/// Layers that one product may replace, side by side in this order.
struct Group {
  SmallVector<Linear> layers;
  Operation *at; // what the log is about
};

/// What must be equal for two groups of different functions to share their parameters.
using GroupKey = SmallVector<std::tuple<Operation *, Operation *, bool>>;
} // namespace

/// The global that `value` reads, if it is a parameter of `rank`.
static GlobalOp parameterOf(Value value, int64_t rank, SymbolTable &symbols) {
  auto get = value.getDefiningOp<GetGlobalOp>();
  auto global = get ? symbols.lookup<GlobalOp>(get.getName()) : GlobalOp();
  return global && global.getTensorType().getRank() == rank ? global : GlobalOp();
}

/// The layer whose result is `value`, with its bias where it has one.
static std::optional<Linear> matchLinear(Value value, SymbolTable &symbols) {
  Linear layer;
  layer.y = value;
  if (auto sum = value.getDefiningOp<AddOp>()) {
    for (Value operand : sum->getOperands()) {
      auto product = operand.getDefiningOp<MatmulOp>();
      GlobalOp bias = parameterOf(otherOperand(sum, operand), 1, symbols);
      if (product && bias && product->hasOneUse() && operand.getType() == value.getType()) {
        layer.product = product;
        layer.bias = bias;
      }
    }
  } else {
    layer.product = value.getDefiningOp<MatmulOp>();
  }
  MatmulOp product = layer.product;
  if (!product || product.getTransposeA() || product.getBias() || product.getAccumulator()) {
    return std::nullopt;
  }
  layer.x = product.getA();
  layer.weight = parameterOf(product.getB(), 2, symbols);
  layer.transposed = product.getTransposeB();
  return layer.weight ? std::optional(layer) : std::nullopt;
}

namespace {
class Merger {
public:
  Merger(ModuleOp module, bool all, int64_t limit)
      : module(module), symbols(module), all(all), limit(limit) {}

  void run() {
    for (auto function : module.getOps<func::FuncOp>()) {
      function.walk([&](AttentionOp op) { collectProjections(op); });
      collectSiblings(function);
    }
    for (auto &[key, list] : groups) {
      if (std::string why = whyNot(list); !why.empty()) {
        log.missed("merged_products", list.front().at, why);
      } else if (limit.take()) {
        merge(list);
      }
    }
    log.attach(module);
  }

private:
  ModuleOp module;
  SymbolTable symbols;
  bool all;
  RewriteLimit limit;
  PatternLog log;
  llvm::MapVector<unsigned, SmallVector<Group>> groups; // by order of discovery
  std::map<GroupKey, unsigned> numbers;
  DenseSet<Operation *> taken; // products in a group

  void add(Group group) {
    GroupKey key;
    for (Linear &layer : group.layers) {
      key.emplace_back(layer.weight, layer.bias, layer.transposed);
      taken.insert(layer.product);
    }
    unsigned number = numbers.try_emplace(key, numbers.size()).first->second;
    groups[number].push_back(std::move(group));
  }

  /// q, k and v of `op` as three layers over one input, each read as its rows are.
  void collectProjections(AttentionOp op) {
    if (op.getQkv().size() != 3) {
      return;
    }
    Group group{{}, op};
    const auto kvHeads = static_cast<int64_t>(op.getKvHeads());
    const int64_t heads[] = {static_cast<int64_t>(op.getHeads()), kvHeads, kvHeads};
    const char *const names[] = {"q", "k", "v"};
    for (unsigned i = 0; i < 3; ++i) {
      SmallVector<RowSource> sources = findRowSources(op.getQkv()[i], heads[i], i < 2);
      int64_t width = typeOf(op.getQkv()[i]).getShape().back() / heads[i];
      std::optional<Linear> found;
      for (const RowSource &source : sources) {
        std::optional<Linear> layer = matchLinear(source.value, symbols);
        if (layer && source.offset == 0 && source.row == source.heads * width &&
            layer->width() == source.row) {
          found = layer;
        }
      }
      if (!found) {
        Value made = sources.back().value;
        while (isViewOp(made.getDefiningOp())) {
          made = made.getDefiningOp()->getOperand(0);
        }
        Operation *maker = made.getDefiningOp();
        if (maker && matchLinear(made, symbols)) {
          return; // a part of one projection, which attention finds by itself
        }
        return log.missed(
            "merged_products", op,
            Twine(names[i]) + " is not what a projection writes, but comes from " +
                (maker ? "'" + maker->getName().getStringRef() + "'" : Twine("an input")));
      }
      if (i > 0 && found->x != group.layers[0].x) {
        return log.missed("merged_products", op,
                          Twine(names[i]) + " and q are projections of different values");
      }
      group.layers.push_back(*found);
    }
    if (llvm::all_equal({group.layers[0].product, group.layers[1].product}) ||
        group.layers[1].product == group.layers[2].product) {
      return; // shared keys and values: nothing to put side by side
    }
    add(std::move(group));
  }

  /// All other layers over one input.
  void collectSiblings(func::FuncOp function) {
    llvm::MapVector<Value, SmallVector<Linear>> byInput;
    function.walk([&](MatmulOp product) {
      Value y = product.getResult();
      if (y.hasOneUse() && isa<AddOp>(*y.user_begin()) &&
          matchLinear((*y.user_begin())->getResult(0), symbols)) {
        y = (*y.user_begin())->getResult(0);
      }
      std::optional<Linear> layer = matchLinear(y, symbols);
      if (layer && !taken.contains(product)) {
        byInput[layer->x].push_back(*layer);
      }
    });
    for (auto &[x, layers] : byInput) {
      if (layers.size() < 2 || layers.front().y.use_empty()) {
        continue;
      }
      if (all) {
        add({layers, layers.front().product});
      } else {
        Operation *reader = *layers.front().y.user_begin();
        for (Operation *user : layers.front().y.getUsers()) {
          reader = user->isBeforeInBlock(reader) ? user : reader;
        }
        while (isViewOp(reader) && !reader->use_empty()) {
          reader = *reader->user_begin();
        }
        log.missed("merged_products", layers.front().product,
                   Twine(layers.size()) + " products of one input, but '" +
                       reader->getName().getStringRef() +
                       "' would need its part copied out of the one product's rows");
      }
    }
  }

  /// Why the parameters of `list`, one group of each function, cannot be parts of one; empty where
  /// they can.
  std::string whyNot(MutableArrayRef<Group> list) {
    Group &group = list.front();
    auto nameOf = [](GlobalOp global) { return "'" + global.getSymName().str() + "'"; };
    DenseSet<Operation *> distinct;
    for (Linear &layer : group.layers) {
      for (GlobalOp global : {layer.weight, layer.bias}) {
        if (!global) {
          continue;
        }
        Linear &first = group.layers.front();
        if (global.getRole() != first.weight.getRole()) {
          return nameOf(global) + " is " + stringifyGlobalRole(global.getRole()).str() + ", " +
                 nameOf(first.weight) + " is " + stringifyGlobalRole(first.weight.getRole()).str();
        }
        if (!isUsersTensor(global) || global.getStorage()) {
          return nameOf(global) + " holds no weights of its own";
        }
        if (!distinct.insert(global).second || countReads(global) != list.size()) {
          return nameOf(global) + " is read elsewhere too";
        }
      }
    }
    return "";
  }

  size_t countReads(GlobalOp global) {
    size_t reads = 0;
    module.walk([&](GetGlobalOp get) {
      if (get.getName() == global.getSymName()) {
        reads += std::distance(get->use_begin(), get->use_end());
      }
    });
    return reads;
  }

  void merge(MutableArrayRef<Group> list) {
    Group &first = list.front();
    SmallVector<StringRef> weights, biases;
    int64_t total = 0, inner = typeOf(first.layers.front().x).getShape().back();
    bool anyTransposed = false, allBiased = true, anyBiased = false;
    for (Linear &layer : first.layers) {
      weights.push_back(layer.weight.getSymName());
      total += layer.width();
      anyTransposed |= layer.transposed;
      allBiased &= bool(layer.bias);
      anyBiased |= bool(layer.bias);
      if (layer.bias) {
        biases.push_back(layer.bias.getSymName());
      }
    }
    // [n, k] as PyTorch has it, unless no layer is written so.
    RankedTensorType like = first.layers.front().weight.getTensorType();
    GlobalOp weight =
        createStoringGlobal(first.layers.front().weight, commonName(weights),
                            like.clone(anyTransposed ? ArrayRef<int64_t>{total, inner}
                                                     : ArrayRef<int64_t>{inner, total}));
    GlobalOp bias = allBiased ? createStoringGlobal(first.layers.front().bias, commonName(biases),
                                                    like.clone(ArrayRef<int64_t>{total}))
                              : GlobalOp();
    int64_t offset = 0;
    for (Linear &layer : first.layers) {
      if (anyTransposed) {
        storeIn(layer.weight, weight, {offset, 0},
                layer.transposed ? ArrayRef<int64_t>{0, 1} : ArrayRef<int64_t>{1, 0});
      } else {
        storeIn(layer.weight, weight, {0, offset}, {0, 1});
      }
      if (bias) {
        storeIn(layer.bias, bias, {offset}, {0});
      }
      offset += layer.width();
    }
    log.found("merged_products", first.at,
              Twine(first.layers.size()) + " products of one input: " + weight.getSymName());
    for (Group &group : list) {
      rewrite(group, weight, anyTransposed, bias, anyBiased);
    }
  }

  static Value read(OpBuilder &builder, Location loc, GlobalOp global) {
    return builder.create<GetGlobalOp>(loc, global.getTensorType(), global.getSymName());
  }

  /// The biases side by side, 0 where a layer has none.
  static Value concatBiases(OpBuilder &builder, Location loc, MutableArrayRef<Linear> layers) {
    SmallVector<Value> parts;
    for (Linear &layer : layers) {
      auto type = RankedTensorType::get({layer.width()}, typeOf(layer.y).getElementType());
      parts.push_back(layer.bias ? read(builder, loc, layer.bias)
                                 : createValue<ConstantOp>(
                                       builder, loc,
                                       DenseElementsAttr::get(
                                           type, builder.getZeroAttr(type.getElementType()))));
    }
    return createValue<ConcatOp>(builder, loc, ValueRange(parts), 0);
  }

  void rewrite(Group &group, GlobalOp weight, bool transposed, GlobalOp bias, bool anyBiased) {
    Operation *first = group.layers.front().product;
    SmallVector<Location> locations;
    for (Linear &layer : group.layers) {
      locations.push_back(layer.product.getLoc());
      if (layer.product->isBeforeInBlock(first)) {
        first = layer.product;
      }
    }
    OpBuilder builder(first);
    Location loc = FusedLoc::get(builder.getContext(), locations);
    Value y = createValue<MatmulOp>(builder, loc, group.layers.front().x,
                                    read(builder, weight.getLoc(), weight), false, transposed);
    if (anyBiased) {
      y = createValue<AddOp>(builder, loc, y,
                             bias ? read(builder, bias.getLoc(), bias)
                                  : concatBiases(builder, loc, group.layers));
    }
    SmallVector<int64_t> starts(typeOf(y).getRank(), 0), sizes(typeOf(y).getShape()),
        steps(typeOf(y).getRank(), 1);
    for (Linear &layer : group.layers) {
      sizes.back() = layer.width();
      Value part = createValue<SliceOp>(builder, layer.y.getLoc(), y, starts, sizes, steps);
      layer.y.replaceAllUsesWith(part);
      starts.back() += layer.width();
    }
    for (Linear &layer : group.layers) {
      SmallVector<Operation *> dead;
      if (layer.y.getDefiningOp() != layer.product) {
        dead.push_back(layer.y.getDefiningOp());
      }
      dead.push_back(layer.product);
      for (Operation *op : dead) {
        SmallVector<Value> operands(op->getOperands());
        op->erase();
        for (Value operand : operands) {
          if (auto get = operand.getDefiningOp<GetGlobalOp>(); get && get->use_empty()) {
            get.erase();
          }
        }
      }
    }
  }
};

struct MergeProducts : dsc::impl::MergeProductsBase<MergeProducts> {
  using MergeProductsBase::MergeProductsBase;
  void runOnOperation() override { Merger(getOperation(), all, limit).run(); }
};
} // namespace
