// The host program, built directly in the LLVM dialect.

#include "codegen/HostProgram.h"

#include "codegen/LibraryPlans.h"
#include "codegen/RuntimeCalls.h"
#include "ir/Phase.h"
#include "ir/Target.h"
#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

#include <functional>

using namespace mlir;
using namespace dsc;

std::string dsc::kernelEntryName(StringRef symbol) { return (symbol + "_entry").str(); }

static bool callsRuntime(Operation &op) {
  return isa<LaunchOp, MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp,
             AttentionGradOp, ReduceScatterOp, AllGatherOp, AllReduceOp, WaitOp>(op);
}

SmallVector<GlobalOp> dsc::shardedGlobals(ModuleOp module) {
  SmallVector<GlobalOp> globals;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getSharded()) {
      globals.push_back(global);
    }
  }
  llvm::sort(globals, [](GlobalOp a, GlobalOp b) {
    return a.getSlotAttr().getOffset() < b.getSlotAttr().getOffset();
  });
  return globals;
}

SmallVector<Operation *> dsc::collectivesOf(ModuleOp module) {
  SmallVector<Operation *> collectives;
  for (func::FuncOp entry : entriesOf(module)) {
    for (Operation &op : entry.getBody().front()) {
      if (isa<ReduceScatterOp, AllGatherOp, AllReduceOp>(op)) {
        collectives.push_back(&op);
      }
    }
  }
  llvm::sort(collectives, [](Operation *a, Operation *b) {
    return a->getAttrOfType<IntegerAttr>("id").getInt() <
           b->getAttrOfType<IntegerAttr>("id").getInt();
  });
  return collectives;
}

std::string dsc::collectiveName(Operation *op) {
  std::string name = op->getName().stripDialect().str();
  std::function<void(Location)> add = [&](Location loc) {
    if (auto part = dyn_cast<NameLoc>(loc)) {
      name += " " + part.getName().str();
    } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
      llvm::for_each(fused.getLocations(), add);
    }
  };
  add(op->getLoc());
  return name;
}

llvm::DenseMap<Operation *, int32_t> dsc::numberRuntimeOps(ModuleOp module) {
  llvm::DenseMap<Operation *, int32_t> numbers;
  for (func::FuncOp entry : entriesOf(module)) {
    for (Operation &op : entry.getBody().front()) {
      if (callsRuntime(op)) {
        numbers[&op] = static_cast<int32_t>(numbers.size());
      }
    }
  }
  return numbers;
}

namespace {
/// One LLVM function under construction: (ctx, spaces) -> status, left at the first call that
/// fails.
class EntryBuilder {
public:
  EntryBuilder(RuntimeCalls &calls, ModuleOp module, ArrayRef<GlobalOp> shards, StringRef name,
               Location loc)
      : calls(calls), b(OpBuilder::atBlockEnd(module.getBody())), loc(loc) {
    function = b.create<LLVM::LLVMFuncOp>(
        loc, name, LLVM::LLVMFunctionType::get(calls.i32(), {calls.ptr(), calls.ptr()}));
    Block *entry = function.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    context = entry->getArgument(0);
    for (GlobalOp each : shards) {
      GlobalOp shard = each;
      shardBegins.push_back(shard.getSlotAttr().getOffset());
    }
    for (size_t space = 0; space < DSC_SPACE_COUNT + shards.size(); ++space) {
      Value at = b.create<LLVM::GEPOp>(loc, calls.ptr(), calls.ptr(), entry->getArgument(1),
                                       ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(space)});
      bases.push_back(b.create<LLVM::LoadOp>(loc, calls.ptr(), at));
    }
    Value count = b.create<LLVM::ConstantOp>(loc, calls.i32(), b.getI32IntegerAttr(kMaxArguments));
    arguments = b.create<LLVM::AllocaOp>(loc, calls.ptr(), calls.ptr(), count, 8);
    failed = new Block();
  }

  OpBuilder &builder() { return b; }
  Value ctx() const { return context; }

  Value address(SlotAttr slot, int64_t extraBytes = 0) {
    if (!slot) {
      return calls.null(b, loc);
    }
    size_t base = static_cast<size_t>(slot.getSpace());
    int64_t bytes = slot.getOffset() + extraBytes;
    if (slot.getSpace() == Space::shard) {
      size_t shard = llvm::upper_bound(shardBegins, slot.getOffset()) - shardBegins.begin() - 1;
      base = DSC_SPACE_COUNT + shard;
      bytes -= shardBegins[shard];
    }
    return b.create<LLVM::GEPOp>(loc, calls.ptr(), b.getI8Type(), bases[base],
                                 ArrayRef<LLVM::GEPArg>{offset(bytes)});
  }

  /// Stores addresses into the argument array of a kernel and returns it.
  Value argumentArray(ArrayRef<SlotAttr> slots) {
    for (auto [i, slot] : llvm::enumerate(slots)) {
      Value at = b.create<LLVM::GEPOp>(loc, calls.ptr(), calls.ptr(), arguments,
                                       ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
      b.create<LLVM::StoreOp>(loc, address(slot), at);
    }
    return arguments;
  }

  void setLocation(Location location) { loc = location; }
  Location location() const { return loc; }

  Value constant(int64_t value, bool wide) {
    Type type = wide ? calls.i64() : calls.i32();
    return b.create<LLVM::ConstantOp>(loc, type, b.getIntegerAttr(type, value));
  }

  /// Calls the runtime and leaves the function with its status where it is not 0.
  void call(StringRef name, ValueRange operands) {
    Value status = calls.call(b, loc, name, operands);
    Value zero = constant(0, false);
    Value bad = b.create<LLVM::ICmpOp>(loc, LLVM::ICmpPredicate::ne, status, zero);
    Block *next = new Block();
    function.getBody().push_back(next);
    b.create<LLVM::CondBrOp>(loc, bad, failed, ValueRange{status}, next, ValueRange{});
    b.setInsertionPointToStart(next);
  }

  void finish() {
    b.create<LLVM::ReturnOp>(loc, constant(0, false));
    if (failed->hasNoPredecessors()) {
      delete failed;
      return;
    }
    function.getBody().push_back(failed);
    b.setInsertionPointToStart(failed);
    b.create<LLVM::ReturnOp>(loc, failed->addArgument(calls.i32(), loc));
  }

  static constexpr int32_t kMaxArguments = 512;

private:
  RuntimeCalls &calls;
  OpBuilder b;
  Location loc;
  LLVM::LLVMFuncOp function;
  Value context, arguments;
  SmallVector<Value> bases;         // of spaces, then of shards
  SmallVector<int64_t> shardBegins; // their offsets with one rank
  Block *failed;

  /// A constant byte offset as a GEP index: in the op where it fits GEPArg's 29 bits, else a 64-bit
  /// constant value.
  LLVM::GEPArg offset(int64_t bytes) {
    if (bytes < (1ll << 28)) {
      return LLVM::GEPArg(static_cast<int32_t>(bytes));
    }
    return LLVM::GEPArg(constant(bytes, true));
  }
};

/// Lowers one entry; library calls get their plans from `plans`.
class EntryLowering {
public:
  /// `kernels`: numbers of a device's kernels by name; empty where kernels run on the CPU.
  EntryLowering(func::FuncOp entry, RuntimeCalls &calls, LibraryPlans &plans,
                ArrayRef<GlobalOp> shards, const llvm::DenseMap<Operation *, int32_t> &numbers,
                const llvm::StringMap<int32_t> &kernels)
      : entry(entry), module(entry->getParentOfType<ModuleOp>()), calls(calls), plans(plans),
        shards(shards), numbers(numbers), kernels(kernels) {}

  LogicalResult run() {
    for (BlockArgument argument : entry.getArguments()) {
      slots[argument] = entry.getArgAttrOfType<SlotAttr>(argument.getArgNumber(), "dsc.slot");
    }
    std::string name = ("dsc_entry_" + entry.getName()).str();
    auto builder = std::make_unique<EntryBuilder>(calls, module, shards, name, entry.getLoc());
    for (Operation &op : entry.getBody().front()) {
      if (auto list = op.getAttrOfType<ArrayAttr>("dsc.slots")) {
        for (auto [result, slot] : llvm::zip(op.getResults(), list)) {
          slots[result] = cast<SlotAttr>(slot);
        }
      }
      builder->setLocation(op.getLoc());
      if (isa<GradientsOp>(op)) {
        builder->finish();
        builder =
            std::make_unique<EntryBuilder>(calls, module, shards, name + "_update", op.getLoc());
      } else if (failed(lower(op, *builder))) {
        return failure();
      }
    }
    builder->finish();
    return success();
  }

private:
  func::FuncOp entry;
  ModuleOp module;
  RuntimeCalls &calls;
  LibraryPlans &plans;
  ArrayRef<GlobalOp> shards;
  const llvm::DenseMap<Operation *, int32_t> &numbers;
  const llvm::StringMap<int32_t> &kernels;
  llvm::DenseMap<Value, SlotAttr> slots;

  SlotAttr slotOf(Value value) { return value ? slots.lookup(value) : SlotAttr(); }
  static SlotAttr scratchOf(Operation &op) { return op.getAttrOfType<SlotAttr>("dsc.scratch"); }

  LogicalResult lower(Operation &op, EntryBuilder &b) {
    return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
        .Case<LaunchOp>([&](LaunchOp launch) { return lowerLaunch(launch, b); })
        .Case<MatmulOp>([&](MatmulOp matmul) {
          // An accumulator lies where the result does: the plan adds to it.
          planned(op, "dsc_rt_matmul", plans.matmul(matmul, numbers.lookup(&op)), b,
                  {{slotOf(matmul.getA())},
                   {slotOf(matmul.getB())},
                   {slotOf(matmul.getBias())},
                   {slotOf(matmul.getResult())},
                   {scratchOf(op)}});
          return success();
        })
        .Case<ConvOp>([&](ConvOp conv) {
          planned(op, "dsc_rt_conv", plans.conv(conv, numbers.lookup(&op)), b,
                  {{slotOf(conv.getX())},
                   {slotOf(conv.getW())},
                   {slotOf(conv.getBias())},
                   {slotOf(conv.getY())},
                   {scratchOf(op)}});
          return success();
        })
        .Case<ConvGradInputOp>([&](ConvGradInputOp conv) {
          planned(op, "dsc_rt_conv", plans.convGradInput(conv, numbers.lookup(&op)), b,
                  {{slotOf(conv.getDy())},
                   {slotOf(conv.getW())},
                   {},
                   {slotOf(conv.getDx())},
                   {scratchOf(op)}});
          return success();
        })
        .Case<ConvGradWeightOp>([&](ConvGradWeightOp conv) {
          planned(op, "dsc_rt_conv", plans.convGradWeight(conv, numbers.lookup(&op)), b,
                  {{slotOf(conv.getX())},
                   {slotOf(conv.getDy())},
                   {},
                   {slotOf(conv.getDw())},
                   {scratchOf(op)}});
          return success();
        })
        .Case<AttentionOp>([&](AttentionOp attention) {
          SmallVector<Address> addresses =
              projections(attention.getQkv(), attention.getHeads(), attention.getKvHeads());
          addresses.append({{slotOf(attention.getMask())},
                            {slotOf(attention.getOut())},
                            {slotOf(attention.getLse())},
                            {scratchOf(op)}});
          planned(op, "dsc_rt_attention", plans.attention(attention, numbers.lookup(&op)), b,
                  addresses);
          return success();
        })
        .Case<AttentionGradOp>([&](AttentionGradOp grad) {
          SmallVector<Address> addresses =
              projections(grad.getQkv(), grad.getHeads(), grad.getKvHeads());
          addresses.append({{slotOf(grad.getMask())},
                            {slotOf(grad.getOut())},
                            {slotOf(grad.getLse())},
                            {slotOf(grad.getDout())}});
          addresses.append(projections(grad.getDqkv(), grad.getHeads(), grad.getKvHeads()));
          addresses.push_back({scratchOf(op)});
          planned(op, "dsc_rt_attention_grad", plans.attentionGrad(grad, numbers.lookup(&op)), b,
                  addresses);
          return success();
        })
        .Case<ReduceScatterOp, AllGatherOp, AllReduceOp>([&](Operation *collective) {
          auto gather = dyn_cast<AllGatherOp>(collective);
          SlotAttr source = gather && gather.getApart() ? slotOf(gather.getX()) : SlotAttr();
          b.call("dsc_rt_collective_issue",
                 {b.ctx(), b.constant(numbers.lookup(&op), false), b.constant(idOf(op), false),
                  b.address(source), b.address(slotOf(collective->getResult(0)))});
          return success();
        })
        .Case<WaitOp>([&](WaitOp wait) {
          b.call("dsc_rt_collective_wait",
                 {b.ctx(), b.constant(numbers.lookup(&op), false), b.constant(idOf(op), false)});
          return success();
        })
        .Case<ReshapeOp, SliceOp, PackOp, GetGlobalOp, SetGlobalOp, func::ReturnOp>(
            [](auto) { return success(); })
        .Default([](Operation *other) { return other->emitError("no runtime call for this op"); });
  }

  static int64_t idOf(Operation &op) { return op.getAttrOfType<IntegerAttr>("id").getInt(); }

  struct Address {
    SlotAttr slot;
    int64_t extraBytes = 0;
  };

  /// Addresses of q, k and v, also where they are packed in one tensor.
  SmallVector<Address> projections(ValueRange qkv, int64_t heads, int64_t kvHeads) {
    if (qkv.size() == 3) {
      return {{slotOf(qkv[0])}, {slotOf(qkv[1])}, {slotOf(qkv[2])}};
    }
    auto type = cast<RankedTensorType>(qkv[0].getType());
    int64_t head = type.getDimSize(2) / (heads + 2 * kvHeads) * elementBytes(type.getElementType());
    SlotAttr slot = slotOf(qkv[0]);
    return {{slot, 0}, {slot, heads * head}, {slot, (heads + kvHeads) * head}};
  }

  void planned(Operation &op, StringRef function, int32_t plan, EntryBuilder &b,
               ArrayRef<Address> addresses) {
    SmallVector<Value> operands{b.ctx(), b.constant(numbers.lookup(&op), false),
                                b.constant(plan, false)};
    for (const Address &address : addresses) {
      operands.push_back(b.address(address.slot, address.extraBytes));
    }
    b.call(function, operands);
  }

  LogicalResult lowerLaunch(LaunchOp launch, EntryBuilder &b) {
    SmallVector<SlotAttr> arguments;
    for (Value value : launch.getInputs()) {
      arguments.push_back(slotOf(value));
    }
    for (Value value : launch.getResults()) {
      arguments.push_back(slotOf(value));
    }
    if (SlotAttr scratch = scratchOf(*launch)) {
      arguments.push_back(scratch);
    }
    if (arguments.size() > EntryBuilder::kMaxArguments) {
      return launch.emitError("kernel has ")
             << arguments.size() << " operands and results, the limit is "
             << EntryBuilder::kMaxArguments;
    }
    Value array = b.argumentArray(arguments);
    for (auto [symbol, units, grain] :
         llvm::zip(launch.getKernels(), launch.getUnits(), launch.getGrains())) {
      StringRef function = cast<FlatSymbolRefAttr>(symbol).getValue();
      if (auto kernel = kernels.find(function); kernel != kernels.end()) {
        if (int64_t chunks = launch.getOwnedChunks()) {
          b.call("dsc_rt_launch_owned",
                 {b.ctx(), b.constant(numbers.lookup(launch), false),
                  b.constant(kernel->second, false), array,
                  b.constant(static_cast<int64_t>(arguments.size()), false),
                  b.constant(chunks, true), b.constant(grain, true), b.constant(units, true)});
        } else if (units > 0) {
          b.call("dsc_rt_launch", {b.ctx(), b.constant(numbers.lookup(launch), false),
                                   b.constant(kernel->second, false), array,
                                   b.constant(static_cast<int64_t>(arguments.size()), false),
                                   b.constant(units, true), b.constant(1, false)});
        }
        continue;
      }
      std::string name = kernelEntryName(function);
      Value kernel = b.builder().create<LLVM::AddressOfOp>(launch.getLoc(), calls.ptr(), name);
      StringRef call =
          launch.getOwnedChunks() ? "dsc_rt_parallel_for_owned" : "dsc_rt_parallel_for";
      b.call(call, {b.ctx(), b.constant(numbers.lookup(launch), false), kernel, array,
                    b.constant(units, true), b.constant(grain, true)});
    }
    return success();
  }
};
} // namespace

LogicalResult dsc::lowerEntries(ModuleOp module) {
  RuntimeCalls calls(module);
  LibraryPlans plans(module, calls);
  llvm::DenseMap<Operation *, int32_t> numbers = numberRuntimeOps(module);
  llvm::StringMap<int32_t> kernels;
  if (targetOf(module)->kind() == "cuda") {
    SmallVector<cuda::DeviceKernel> device = cuda::deviceKernels(module);
    for (const cuda::DeviceKernel &kernel : device) {
      kernels[kernel.name] = static_cast<int32_t>(kernels.size());
    }
    plans.registerKernels(device);
  }
  for (Operation *collective : collectivesOf(module)) {
    plans.collective(collective);
  }
  SmallVector<GlobalOp> shards = shardedGlobals(module);
  SmallVector<func::FuncOp> entries = entriesOf(module);
  for (func::FuncOp entry : entries) {
    EntryLowering lowering(entry, calls, plans, shards, numbers, kernels);
    if (failed(lowering.run())) {
      return failure();
    }
  }
  plans.finish();
  for (func::FuncOp entry : entries) {
    entry.erase();
  }
  return success();
}
