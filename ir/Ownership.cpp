// Following own chunks through an entry.

#include "ir/Ownership.h"

#include "ir/OpsOrder.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The symbols that an entry's ops name: looked up by name in a table, for there are hundreds.
static SymbolTable symbolsAround(func::FuncOp entry) {
  return SymbolTable(SymbolTable::getNearestSymbolTable(entry->getParentOp()));
}

/// Whether the op shows its operand, or a part of it, where it lies.
static bool passesOn(Operation *op) { return isa<ReshapeOp, SliceOp, AfterOp, WaitOp>(op); }

/// Whether each row of the results of `op` depends on that row of its operands only.
static bool worksByRow(Operation *op, int64_t rows) {
  bool isUpdate = op->hasTrait<Update>();
  auto reduce = dyn_cast<ReduceOp>(op);
  if (reduce && (reduce.getAxes().size() != 1 || reduce.getAxes()[0] != 1)) {
    return false;
  }
  return (isUpdate || reduce || op->hasTrait<Elementwise>() || isa<BroadcastOp>(op)) &&
         llvm::all_of(op->getResults(), [&](Value result) {
           return typeOf(result).getRank() == 2 && typeOf(result).getDimSize(0) == rows;
         });
}

Ownership::Ownership(func::FuncOp entry) {
  Block &block = entry.getBody().front();
  SymbolTable symbols = symbolsAround(entry);
  for (Operation &op : block) {
    int64_t own = 0;
    if (auto get = dyn_cast<GetGlobalOp>(op)) {
      auto global = symbols.lookup<GlobalOp>(get.getName());
      own = global && global.getSharded() ? typeOf(get.getResult()).getDimSize(0) : 0;
    } else if (auto scatter = dyn_cast<ReduceScatterOp>(op)) {
      own = typeOf(scatter.getY()).getDimSize(0);
    } else if (auto kernel = dyn_cast<KernelOp>(op)) {
      own = kernel.getOwnedChunks();
    } else if (!isa<AllGatherOp, AllReduceOp>(op)) {
      for (Value operand : op.getOperands()) {
        own = std::max(own, chunksOf(operand));
      }
    }
    for (Value result : op.getResults()) {
      if (own) {
        chunks[result] = own;
      }
    }
  }
  for (Operation &op : llvm::reverse(block)) {
    if (op.getNumResults() == 0 || chunksOf(&op) || op.use_empty()) {
      continue;
    }
    int64_t own = chunksOf(*op.user_begin());
    if (own && worksByRow(&op, own) && llvm::all_of(op.getUsers(), [&](Operation *user) {
          return chunksOf(user) == own && worksByRow(user, own);
        })) {
      for (Value result : op.getResults()) {
        chunks[result] = own;
      }
    }
  }
}

int64_t dsc::ownedChunks(Value value) {
  Operation *op = value.getDefiningOp();
  if (op && passesOn(op)) {
    return ownedChunks(op->getOperand(0));
  }
  if (auto get = dyn_cast_if_present<GetGlobalOp>(op)) {
    auto global = SymbolTable::lookupNearestSymbolFrom<GlobalOp>(get, get.getNameAttr());
    return global.getSharded() ? typeOf(value).getDimSize(0) : 0;
  }
  if (auto kernel = dyn_cast_if_present<KernelOp>(op)) {
    return kernel.getOwnedChunks();
  }
  return isa_and_nonnull<ReduceScatterOp>(op) ? typeOf(value).getDimSize(0) : 0;
}

LogicalResult dsc::verifyOwnership(func::FuncOp entry) {
  Ownership ownership(entry);
  SymbolTable symbols = symbolsAround(entry);
  for (Operation &op : entry.getBody().front()) {
    for (Value operand : op.getOperands()) {
      int64_t own = ownership.chunksOf(operand);
      if (own == 0 || passesOn(&op) || isa<AllGatherOp, GradientsOp>(op)) {
        continue;
      }
      if (auto set = dyn_cast<SetGlobalOp>(op)) {
        auto global = symbols.lookup<GlobalOp>(set.getName());
        if (global && global.getSharded()) {
          continue;
        }
      } else if (auto kernel = dyn_cast<KernelOp>(op);
                 kernel ? static_cast<int64_t>(kernel.getOwnedChunks()) == own
                        : worksByRow(&op, own)) {
        continue;
      }
      return op.emitError("reads all of a value of which this rank has its own of ")
             << own << " chunks only; gather it first";
    }
  }
  return success();
}
