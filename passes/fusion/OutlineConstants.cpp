// Constants that kernels cannot make become globals of role `constant`. Splats are made in kernels;
// where a library call or a loops kernel reads one, small ones become globals too and large ones
// the broadcast of a scalar global, which is a kernel that fills (of a scalar constant it would
// fold back).

#include "passes/Passes.h"

#include "mlir/IR/SymbolTable.h"

namespace dsc {
#define GEN_PASS_DEF_OUTLINECONSTANTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// Splats up to this size are stored rather than filled in at run time.
static constexpr int64_t kStoredSplat = 1024;

static bool isFusable(Operation *op) {
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    return llvm::all_of(reshape->getUsers(), isFusable);
  }
  // What makes no element is in a kernel of its own, which holds no constants.
  bool isEmpty = llvm::any_of(op->getResultTypes(), [](Type type) {
    return cast<RankedTensorType>(type).getNumElements() == 0;
  });
  return !isEmpty && (op->hasTrait<Elementwise>() || isa<BroadcastOp, ReduceOp>(op));
}

namespace {
struct OutlineConstants : public dsc::impl::OutlineConstantsBase<OutlineConstants> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    DenseMap<Attribute, GlobalOp> globals; // equal constants share one
    for (auto function : module.getOps<func::FuncOp>()) {
      SmallVector<ConstantOp> constants;
      function.walk([&](ConstantOp op) { constants.push_back(op); });
      for (ConstantOp op : constants) {
        outline(op, module, symbols, globals);
      }
    }
  }

  /// The value of a global that holds `constant`; equal constants share one.
  static Value load(OpBuilder &builder, Location loc, ElementsAttr constant, ModuleOp module,
                    SymbolTable &symbols, DenseMap<Attribute, GlobalOp> &globals) {
    GlobalOp &global = globals[constant];
    if (!global) {
      OpBuilder atTop = OpBuilder::atBlockBegin(module.getBody());
      global = atTop.create<GlobalOp>(loc, "constant", constant.getType(), GlobalRole::constant,
                                      constant, SourceAttr(), ArrayAttr(), StringAttr(),
                                      FlatSymbolRefAttr(), StringAttr(), SlotAttr(), StorageAttr(),
                                      PlaceAttr());
      symbols.insert(global);
    }
    return builder.create<GetGlobalOp>(loc, constant.getType(),
                                       FlatSymbolRefAttr::get(global.getSymNameAttr()));
  }

  void outline(ConstantOp op, ModuleOp module, SymbolTable &symbols,
               DenseMap<Attribute, GlobalOp> &globals) {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    bool splat = op.getValue().isSplat();
    auto staysMade = [&](OpOperand &use) { return splat && isFusable(use.getOwner()); };
    if (llvm::all_of(op->getUses(), staysMade)) {
      return;
    }
    OpBuilder builder(op);
    builder.setInsertionPointAfter(op);
    Value value;
    if (splat && type.getNumElements() > kStoredSplat) {
      auto scalar =
          DenseElementsAttr::get(type.clone(ArrayRef<int64_t>{}),
                                 cast<DenseElementsAttr>(op.getValue()).getSplatValue<Attribute>());
      value = builder.create<BroadcastOp>(
          op.getLoc(), type, load(builder, op.getLoc(), scalar, module, symbols, globals));
    } else {
      value = load(builder, op.getLoc(), op.getValue(), module, symbols, globals);
    }
    op.getResult().replaceUsesWithIf(value, [&](OpOperand &use) {
      return !staysMade(use) && use.getOwner() != value.getDefiningOp();
    });
    if (op.use_empty()) {
      op.erase();
    }
  }
};
} // namespace
