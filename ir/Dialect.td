//===- The dsc dialect and the base classes of its ops ------------------===//
//
// Tensors are immutable and have static shapes from import on. Every op of a phase before `kernels`
// is pure but for `set_global`, so order matters only for what touches globals.
//
//===----------------------------------------------------------------------===//

#ifndef DSC_IR_DIALECT_TD
#define DSC_IR_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Dsc_Dialect : Dialect {
  let name = "dsc";
  let cppNamespace = "::dsc";
  let summary = "Training programs: forward, backward, optimizer, collectives and the memory plan.";
  let description = [{
    A model is imported into about seventy core ops over statically shaped tensors. Passes add the
    backward pass, the optimizer, kernels and the memory plan, all as ops and attributes of this
    dialect: whatever the compiler decided can be read in a dump.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def Dsc_Tensor : Type<
    And<[RankedTensorOf<[AnyFloat, AnyInteger]>.predicate,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).hasStaticShape()">]>,
    "statically shaped tensor of floats, integers or booleans",
    "::mlir::RankedTensorType">;

def Dsc_FloatTensor : Type<
    And<[RankedTensorOf<[AnyFloat]>.predicate,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).hasStaticShape()">]>,
    "statically shaped tensor of floats", "::mlir::RankedTensorType">;

def Dsc_BoolTensor : Type<
    And<[RankedTensorOf<[I1]>.predicate,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).hasStaticShape()">]>,
    "statically shaped tensor of booleans", "::mlir::RankedTensorType">;

def Dsc_IntegerTensor : Type<
    And<[RankedTensorOf<[AnyInteger]>.predicate,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).hasStaticShape()">]>,
    "statically shaped tensor of integers", "::mlir::RankedTensorType">;

//===----------------------------------------------------------------------===//
// Op base classes
//===----------------------------------------------------------------------===//

class Dsc_Op<string mnemonic, list<Trait> traits = []> : Op<Dsc_Dialect, mnemonic, traits>;

/// A pure op whose result types follow from its operands and attributes. The rule is the op's
/// verifier as well: a written type that differs from the inferred one is an error.
class Dsc_PureOp<string mnemonic, list<Trait> traits = []>
    : Dsc_Op<mnemonic, !listconcat([Pure, InferTypeOpAdaptor], traits)> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

/// A pure op that folds where all operands are constants, by ir/Evaluate.
class Dsc_FoldableOp<string mnemonic, list<Trait> traits = []> : Dsc_PureOp<mnemonic, traits> {
  let hasFolder = 1;
  code foldByEvaluation = [{
    ::mlir::OpFoldResult $cppClass::fold(FoldAdaptor adaptor) {
      return ::dsc::foldByEvaluation(getOperation(), adaptor.getOperands());
    }
  }];
  let extraClassDefinition = foldByEvaluation;
}

#endif // DSC_IR_DIALECT_TD
