// Verifiers of globals and kernels.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

LogicalResult GlobalOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape()) {
    return emitOpError("type is ") << getType() << ", expected a statically shaped tensor";
  }
  if (getValue().has_value() == getSource().has_value()) { // global_1
    return emitOpError(getValue() ? "has both value and source" : "has neither value nor source");
  }
  if (getValue() && getValue()->getType() != type) { // global_2
    return emitOpError("value is ") << getValue()->getType() << ", global is " << type;
  }
  bool fill = getRole() == GlobalRole::state || getRole() == GlobalRole::runtime;
  if (fill && !(getValue() && getValue()->isSplat())) { // global_3
    return emitOpError("of role ") << stringifyGlobalRole(getRole()) << " must start at a splat value";
  }
  if (getOf() && !SymbolTable::lookupNearestSymbolFrom<GlobalOp>(*this, getOfAttr())) { // global_4
    return emitOpError("belongs to '") << *getOf() << "', which is no global";
  }
  return success();
}

static FailureOr<GlobalOp> lookupGlobal(Operation *op, SymbolTableCollection &tables, FlatSymbolRefAttr name,
                                        Type type) {
  auto global = tables.lookupNearestSymbolFrom<GlobalOp>(op, name);
  if (!global) { // get_global_1, set_global_1
    return op->emitOpError("names '") << name.getValue() << "', which is no global";
  }
  if (global.getType() != type) { // get_global_2, set_global_2
    InFlightDiagnostic diagnostic = op->emitOpError("has type ") << type << ", global has " << global.getType();
    diagnostic.attachNote(global.getLoc()) << "global declared here";
    return diagnostic;
  }
  return global;
}

LogicalResult GetGlobalOp::verifySymbolUses(SymbolTableCollection &tables) {
  return lookupGlobal(*this, tables, getNameAttr(), getResult().getType());
}

LogicalResult SetGlobalOp::verifySymbolUses(SymbolTableCollection &tables) {
  FailureOr<GlobalOp> global = lookupGlobal(*this, tables, getNameAttr(), getValue().getType());
  if (succeeded(global) && global->getRole() == GlobalRole::constant) { // set_global_3
    return emitOpError("writes '") << getName() << "', which is a constant";
  }
  return global;
}

LogicalResult GradientsOp::verify() {
  if (getNames().size() != getGradients().size()) { // gradients_1
    return emitOpError("has ") << getGradients().size() << " gradients and " << getNames().size() << " names";
  }
  return success();
}

LogicalResult KernelOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes()) { // kernel_1
    return emitOpError("block arguments and operands have different types");
  }
  if (block.getTerminator()->getOperandTypes() != getResultTypes()) { // kernel_2
    return emitOpError("yielded types and result types differ");
  }
  if (getRowRank() > getDomain().size()) { // kernel_3
    return emitOpError("row_rank is ") << getRowRank() << ", domain has rank " << getDomain().size();
  }
  return success();
}

LogicalResult LaunchOp::verify() {
  if (getKernels().size() != getUnits().size() || getKernels().size() != getGrains().size()) { // launch_1
    return emitOpError("has ") << getKernels().size() << " functions, " << getUnits().size() << " units and "
                               << getGrains().size() << " grains";
  }
  return success();
}
