//===- Elementwise ops --------------------------------------------------===//

#ifndef DSC_IR_OPS_ELEMENTWISE_TD
#define DSC_IR_OPS_ELEMENTWISE_TD

include "ir/Attrs.td"

def Dsc_Elementwise : NativeOpTrait<"Elementwise"> { let cppNamespace = "::dsc"; }

/// The element type that the examples of generated pages use.
class Dsc_ExampleElement<Type type> {
  string name = !if(!eq(type, Dsc_IntegerTensor), "i64", "f32");
}

/// result[i] = f(operand[i]), of the operand's type.
class Dsc_UnaryOp<string mnemonic, Type type, string formula, string exampleAttributes = "">
    : Dsc_FoldableOp<mnemonic, [Dsc_Elementwise]> {
  defvar example = "tensor<4x8x" # Dsc_ExampleElement<type>.name # ">";
  let summary = "Elementwise " # formula;
  let description = [{
    Elementwise }] # formula # [{.

    Example:
    ```mlir
    %y = dsc.}] # mnemonic # " %x" # exampleAttributes # " : (" # example # ") -> " # example # [{
    ```
  }];
  let arguments = (ins type:$x);
  let results = (outs type:$y);
  let extraClassDefinition = foldByEvaluation # [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, std::optional<::mlir::Location>, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      types.push_back(adaptor.getX().getType());
      return ::mlir::success();
    }
  }];
}

/// result[i] = f(lhs[i], rhs[i]) of the operands' common element type, broadcast.
class Dsc_BinaryOp<string mnemonic, Type type, string formula, list<Trait> traits = []>
    : Dsc_FoldableOp<mnemonic, !listconcat([Dsc_Elementwise], traits)> {
  defvar element = Dsc_ExampleElement<type>.name;
  let summary = "Elementwise " # formula;
  let description = [{
    Elementwise }] # formula # [{.
    1. The element types are equal.
    2. The shapes broadcast.

    Example:
    ```mlir
    %z = dsc.}] # mnemonic # " %x, %y : (tensor<4x8x" # element # ">, tensor<8x" # element # ">) -> tensor<4x8x" # element # [{>
    ```
  }];
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let extraClassDefinition = foldByEvaluation # [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, std::optional<::mlir::Location> loc, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::dsc::inferBroadcast("dsc.}] # mnemonic # [{", loc, adaptor.getOperands(), {}, types);
    }
  }];
}

def Dsc_ElementwiseGroup : OpDocGroup {
  let summary = "Elementwise ops";
  let description = [{
    Operands broadcast as in NumPy: shapes are aligned at the last dimension, a missing or size-1
    dimension repeats. The IR keeps broadcasts implicit, so that kernels read each operand once.
  }];
}

let opDocGroup = Dsc_ElementwiseGroup in {

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

def Dsc_NegOp : Dsc_UnaryOp<"neg", Dsc_Tensor, "-x">;
def Dsc_AbsOp : Dsc_UnaryOp<"abs", Dsc_Tensor, "|x|">;
def Dsc_SignOp : Dsc_UnaryOp<"sign", Dsc_Tensor, "-1, 0 or 1 by the sign of x (NaN stays NaN)">;
def Dsc_ExpOp : Dsc_UnaryOp<"exp", Dsc_FloatTensor, "e^x"> {
  let description = [{
    Elementwise e^x. `approximate`: a part of an op on half types; the target's own exponential serves, as for a half result.

    Example:
    ```mlir
    %y = dsc.exp %x {approximate} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, UnitAttr:$approximate);
}
def Dsc_Expm1Op : Dsc_UnaryOp<"expm1", Dsc_FloatTensor, "e^x - 1, accurate near 0">;
def Dsc_LogOp : Dsc_UnaryOp<"log", Dsc_FloatTensor, "natural logarithm">;
def Dsc_Log1pOp : Dsc_UnaryOp<"log1p", Dsc_FloatTensor, "log(1 + x), accurate near 0">;
def Dsc_SqrtOp : Dsc_UnaryOp<"sqrt", Dsc_FloatTensor, "square root">;
def Dsc_RsqrtOp : Dsc_UnaryOp<"rsqrt", Dsc_FloatTensor, "1 / sqrt(x)">;
def Dsc_ReciprocalOp : Dsc_UnaryOp<"reciprocal", Dsc_FloatTensor, "1 / x">;
def Dsc_SinOp : Dsc_UnaryOp<"sin", Dsc_FloatTensor, "sine">;
def Dsc_CosOp : Dsc_UnaryOp<"cos", Dsc_FloatTensor, "cosine">;
def Dsc_TanOp : Dsc_UnaryOp<"tan", Dsc_FloatTensor, "tangent">;
def Dsc_AsinOp : Dsc_UnaryOp<"asin", Dsc_FloatTensor, "arc sine">;
def Dsc_AcosOp : Dsc_UnaryOp<"acos", Dsc_FloatTensor, "arc cosine">;
def Dsc_AtanOp : Dsc_UnaryOp<"atan", Dsc_FloatTensor, "arc tangent">;
def Dsc_SinhOp : Dsc_UnaryOp<"sinh", Dsc_FloatTensor, "hyperbolic sine">;
def Dsc_CoshOp : Dsc_UnaryOp<"cosh", Dsc_FloatTensor, "hyperbolic cosine">;
def Dsc_AsinhOp : Dsc_UnaryOp<"asinh", Dsc_FloatTensor, "inverse hyperbolic sine">;
def Dsc_AcoshOp : Dsc_UnaryOp<"acosh", Dsc_FloatTensor, "inverse hyperbolic cosine">;
def Dsc_AtanhOp : Dsc_UnaryOp<"atanh", Dsc_FloatTensor, "inverse hyperbolic tangent">;
def Dsc_TanhOp : Dsc_UnaryOp<"tanh", Dsc_FloatTensor, "hyperbolic tangent">;
def Dsc_ErfOp : Dsc_UnaryOp<"erf", Dsc_FloatTensor, "Gauss error function">;
def Dsc_SigmoidOp : Dsc_UnaryOp<"sigmoid", Dsc_FloatTensor, "1 / (1 + e^-x)">;
def Dsc_SoftplusOp : Dsc_UnaryOp<"softplus", Dsc_FloatTensor, "log(1 + e^x), without overflow">;
def Dsc_ReluOp : Dsc_UnaryOp<"relu", Dsc_Tensor, "max(x, 0); NaN stays NaN">;
def Dsc_FloorOp : Dsc_UnaryOp<"floor", Dsc_FloatTensor, "largest integer <= x">;
def Dsc_CeilOp : Dsc_UnaryOp<"ceil", Dsc_FloatTensor, "smallest integer >= x">;
def Dsc_RoundOp : Dsc_UnaryOp<"round", Dsc_FloatTensor, "nearest integer, halves to even">;
def Dsc_NotOp : Dsc_UnaryOp<"not", Dsc_IntegerTensor, "logical (i1) or bitwise complement">;

def Dsc_GeluOp : Dsc_UnaryOp<"gelu", Dsc_FloatTensor, "x * Phi(x): 0.5 x (1 + erf(x / sqrt 2)) or its tanh form",
                             " {kind = #dsc.gelu_kind<erf>}"> {
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_GeluKindAttr:$kind);
}

class Dsc_TestOp<string mnemonic, string formula, dag extra = (ins)> : Dsc_FoldableOp<mnemonic, [Dsc_Elementwise]> {
  let summary = "Elementwise " # formula;
  let description = [{
    Elementwise }] # formula # [{.

    Example:
    ```mlir
    %y = dsc.}] # mnemonic # [{ %x : (tensor<4xf32>) -> tensor<4xi1>
    ```
  }];
  let arguments = !con((ins Dsc_Tensor:$x), extra);
  let results = (outs Dsc_BoolTensor:$y);
  let extraClassDefinition = foldByEvaluation # [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context, std::optional<::mlir::Location>, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      types.push_back(::llvm::cast<::mlir::RankedTensorType>(adaptor.getX().getType()).clone(::mlir::IntegerType::get(context, 1)));
      return ::mlir::success();
    }
  }];
}
def Dsc_IsNanOp : Dsc_TestOp<"is_nan", "x is not a number">;
def Dsc_IsInfOp : Dsc_TestOp<"is_inf", "x is infinite, of a sign that is asked for",
    (ins DefaultValuedAttr<BoolAttr, "true">:$positive, DefaultValuedAttr<BoolAttr, "true">:$negative)>;

def Dsc_CastOp : Dsc_Op<"cast", [Pure, Dsc_Elementwise, SameOperandsAndResultShape]> {
  let summary = "Conversion of the element type.";
  let description = [{
    Float to float rounds to nearest even; float to integer truncates; to boolean: x != 0; a
    boolean is 0 or 1.
    1. The shapes are equal.

    Example:
    ```mlir
    %y = dsc.cast %x : (tensor<4xi64>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Dsc_BitcastOp : Dsc_Op<"bitcast", [Pure, Dsc_Elementwise, SameOperandsAndResultShape]> {
  let summary = "The same bits as another element type.";
  let description = [{
    Booleans, which are bytes in memory and bits in kernels, have no bits of their own here.
    1. The shapes are equal.
    2. The element types are integers of 8 or more bits or floats, of one width.

    Example:
    ```mlir
    %y = dsc.bitcast %x : (tensor<4xf32>) -> tensor<4xi32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Binary and ternary
//===----------------------------------------------------------------------===//

def Dsc_AddOp : Dsc_BinaryOp<"add", Dsc_Tensor, "x + y", [Commutative]>;
def Dsc_SubOp : Dsc_BinaryOp<"sub", Dsc_Tensor, "x - y">;
def Dsc_MulOp : Dsc_BinaryOp<"mul", Dsc_Tensor, "x * y", [Commutative]>;
def Dsc_DivOp : Dsc_BinaryOp<"div", Dsc_Tensor, "x / y (integers truncate)">;
def Dsc_MaxOp : Dsc_BinaryOp<"max", Dsc_Tensor, "larger of x and y; NaN if one is", [Commutative]>;
def Dsc_MinOp : Dsc_BinaryOp<"min", Dsc_Tensor, "smaller of x and y; NaN if one is", [Commutative]>;
def Dsc_PowOp : Dsc_BinaryOp<"pow", Dsc_Tensor, "x to the power y">;
def Dsc_AndOp : Dsc_BinaryOp<"and", Dsc_IntegerTensor, "logical (i1) or bitwise and", [Commutative]>;
def Dsc_OrOp : Dsc_BinaryOp<"or", Dsc_IntegerTensor, "logical (i1) or bitwise or", [Commutative]>;
def Dsc_XorOp : Dsc_BinaryOp<"xor", Dsc_IntegerTensor, "logical (i1) or bitwise exclusive or", [Commutative]>;
def Dsc_ShiftLeftOp : Dsc_BinaryOp<"shift_left", Dsc_IntegerTensor, "x << y">;
def Dsc_ShiftRightOp : Dsc_BinaryOp<"shift_right", Dsc_IntegerTensor, "x >> y, logical for unsigned types">;

def Dsc_ModOp : Dsc_BinaryOp<"mod", Dsc_Tensor, "remainder with the sign of y, or of x with fmod"> {
  let arguments = (ins Dsc_Tensor:$lhs, Dsc_Tensor:$rhs, DefaultValuedAttr<BoolAttr, "false">:$fmod);
}

def Dsc_CompareOp : Dsc_FoldableOp<"compare", [Dsc_Elementwise]> {
  let summary = "Elementwise comparison; every comparison with NaN but `ne` is false.";
  let description = [{
    1. The element types are equal.
    2. The shapes broadcast.

    Example:
    ```mlir
    %m = dsc.compare %x, %y {predicate = #dsc.compare_predicate<lt>}
        : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$lhs, Dsc_Tensor:$rhs, Dsc_ComparePredicateAttr:$predicate);
  let results = (outs Dsc_BoolTensor:$result);
  let extraClassDefinition = foldByEvaluation # [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context, std::optional<::mlir::Location> loc, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::dsc::inferBroadcast("dsc.compare", loc, adaptor.getOperands(), ::mlir::IntegerType::get(context, 1), types);
    }
  }];
}

def Dsc_SelectOp : Dsc_FoldableOp<"select", [Dsc_Elementwise]> {
  let summary = "Elementwise choice: condition ? x : y.";
  let description = [{
    1. x and y have one element type.
    2. All three shapes broadcast.

    Example:
    ```mlir
    %z = dsc.select %c, %x, %y : (tensor<4x1xi1>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_BoolTensor:$condition, Dsc_Tensor:$x, Dsc_Tensor:$y);
  let results = (outs Dsc_Tensor:$result);
  let extraClassDefinition = foldByEvaluation # [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, std::optional<::mlir::Location> loc, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::dsc::inferSelect(loc, adaptor.getOperands(), types);
    }
  }];
}

def Dsc_GeluGradOp : Dsc_PureOp<"gelu_grad", [Dsc_Elementwise, SameTypeOperands]> {
  let summary = "dy * gelu'(x)";
  let description = [{
    erf: dy (Phi(x) + x phi(x)); tanh: the derivative of the tanh form.
    1. x and dy have one type.

    Example:
    ```mlir
    %dx = dsc.gelu_grad %x, %dy {kind = #dsc.gelu_kind<erf>} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$dy, Dsc_GeluKindAttr:$kind);
  let results = (outs Dsc_FloatTensor:$dx);
  let extraClassDefinition = [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, std::optional<::mlir::Location>, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      types.push_back(adaptor.getX().getType());
      return ::mlir::success();
    }
  }];
}

def Dsc_IotaOp : Dsc_Op<"iota", [Pure, Dsc_Elementwise]> {
  let summary = "The index of each element along one dimension.";
  let description = [{
    An elementwise op without operands: kernels make it where they need it. The fusion phase compares it with labels.
    1. `axis` is a dimension of the result.
    2. The element type holds every index.

    Example:
    ```mlir
    %i = dsc.iota {axis = 1 : i64} : () -> tensor<1x65xi32>
    ```
  }];
  let arguments = (ins I64Attr:$axis);
  let results = (outs Dsc_IntegerTensor:$result);
  let assemblyFormat = "attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

} // opDocGroup

#endif // DSC_IR_OPS_ELEMENTWISE_TD
