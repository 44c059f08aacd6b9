// Pass: weights that are read in the compute type get a copy in it, which the optimizer writes.
//
// A step then never reads an f32 parameter but to update it: the update rounds the new value on the
// way (the optimizer ops' last result). The first copies are made by the runner when it loads
// weights, and those of constants here.

#include "passes/Passes.h"
#include "passes/precision/Casts.h"

namespace dsc {
#define GEN_PASS_DEF_COPYWEIGHTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
class WeightCopier {
public:
  WeightCopier(ModuleOp module, Type half) : module(module), half(half), symbols(module) {}

  void run();

private:
  GlobalOp copyOf(GlobalOp global);
  void writeCopies();

  ModuleOp module;
  Type half;
  SymbolTable symbols;
  llvm::DenseMap<Attribute, GlobalOp> copies; // by the name of what they copy
};
} // namespace

/// The optimizer op whose new parameter `set` stores, or null where it stores something else.
static Operation *updateOf(SetGlobalOp set) {
  auto result = dyn_cast<OpResult>(set.getValue());
  bool isUpdate = result && result.getOwner()->hasTrait<Update>() && result.getResultNumber() == 0;
  return isUpdate ? result.getOwner() : nullptr;
}

/// The half copy of `global`, or null where there can be none: what entries write otherwise than by
/// the optimizer, and constants whose bytes are not here.
GlobalOp WeightCopier::copyOf(GlobalOp global) {
  GlobalOp &copy = copies[global.getSymNameAttr()];
  if (copy) {
    return copy;
  }
  RankedTensorType type = global.getTensorType().clone(half);
  bool isConstant = global.getRole() == GlobalRole::constant;
  auto value = dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr());
  if (isConstant && !value) {
    return nullptr;
  }
  OpBuilder builder(global);
  builder.setInsertionPointAfter(global);
  std::string name = (global.getSymName() + (half.isBF16() ? ".bf16" : ".f16")).str();
  ElementsAttr initial = isConstant ? roundedConstant(value, half)
                                    : DenseElementsAttr::get(type, builder.getFloatAttr(half, 0));
  copy = builder.create<GlobalOp>(
      global.getLoc(), builder.getStringAttr(name), TypeAttr::get(type),
      GlobalRoleAttr::get(module.getContext(),
                          isConstant ? GlobalRole::constant : GlobalRole::compute),
      initial, SourceAttr(), ArrayAttr(), StringAttr(),
      isConstant ? FlatSymbolRefAttr() : FlatSymbolRefAttr::get(global.getSymNameAttr()),
      isConstant ? StringAttr() : builder.getStringAttr("compute"), SlotAttr(), StorageAttr(),
      PlaceAttr(), UnitAttr());
  symbols.insert(copy, std::next(Block::iterator(global)));
  return copy;
}

/// Gives every update of a parameter with a copy the result that is written to it.
void WeightCopier::writeCopies() {
  SmallVector<SetGlobalOp> sets;
  module.walk([&](SetGlobalOp set) { sets.push_back(set); });
  for (SetGlobalOp set : sets) {
    GlobalOp copy = copies.lookup(set.getNameAttr().getAttr());
    Operation *update = updateOf(set);
    if (!copy || !update) {
      continue;
    }
    OpBuilder builder(update);
    SmallVector<Type> types(update->getResultTypes());
    types.push_back(copy.getType());
    OperationState state(update->getLoc(), update->getName(), update->getOperands(), types,
                         update->getAttrs());
    Operation *wider = builder.create(state);
    update->replaceAllUsesWith(wider->getResults().drop_back());
    update->erase();
    builder.setInsertionPointAfter(set);
    builder.create<SetGlobalOp>(set.getLoc(), FlatSymbolRefAttr::get(copy.getSymNameAttr()),
                                wider->getResults().back());
  }
}

void WeightCopier::run() {
  // What an entry writes for itself (running statistics) has no copy that stays up to date.
  llvm::DenseSet<Attribute> written;
  module.walk([&](SetGlobalOp set) {
    if (!updateOf(set)) {
      written.insert(set.getNameAttr().getAttr());
    }
  });
  SmallVector<CastOp> casts;
  module.walk([&](CastOp op) {
    if (isNarrowing(op, half) && op.getX().getDefiningOp<GetGlobalOp>()) {
      casts.push_back(op);
    }
  });
  for (CastOp op : casts) {
    auto get = op.getX().getDefiningOp<GetGlobalOp>();
    auto global = symbols.lookup<GlobalOp>(get.getName());
    bool isWeight = global.getRole() == GlobalRole::trained ||
                    global.getRole() == GlobalRole::buffer ||
                    global.getRole() == GlobalRole::constant;
    if (!isWeight || written.contains(global.getSymNameAttr())) {
      continue;
    }
    GlobalOp copy = copyOf(global);
    if (!copy) {
      continue;
    }
    OpBuilder builder(get);
    Value value = builder.create<GetGlobalOp>(get.getLoc(), copy.getTensorType(),
                                              FlatSymbolRefAttr::get(copy.getSymNameAttr()));
    op.getY().replaceAllUsesWith(value);
    op.erase();
    if (get->use_empty()) {
      get.erase();
    }
  }
  writeCopies();
}

namespace {
struct CopyWeights : public dsc::impl::CopyWeightsBase<CopyWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    if (failed(options)) {
      return signalPassFailure();
    }
    Type half = halfTypeOf(&getContext(), *options);
    if (!half) {
      return;
    }
    WeightCopier(module, half).run();
    // What is left of the casts is what a step executes.
    Builder b(&getContext());
    auto known = module->getAttrOfType<DictionaryAttr>(kCastsAttr);
    NamedAttrList casts(known ? known : b.getDictionaryAttr({}));
    casts.set("left", b.getI64IntegerAttr(countCasts(module, half)));
    module->setAttr(kCastsAttr, casts.getDictionary(&getContext()));
  }
};
} // namespace
