//===- Memory: globals, kernels and launches ----------------------------===//

#ifndef DSC_IR_OPS_MEMORY_TD
#define DSC_IR_OPS_MEMORY_TD

include "ir/Attrs.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Dsc_MemoryGroup : OpDocGroup {
  let summary = "Memory";
  let description = [{
    Globals outlive an entry; kernels, launches and slots are the plan of what runs where in memory.
  }];
}

let opDocGroup = Dsc_MemoryGroup in {

def Dsc_GlobalOp : Dsc_Op<"global", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A tensor that outlives an entry: parameter, buffer, constant, optimizer state, run-time value.";
  let description = [{
    Trained parameters and buffers name their bytes by `source`; constants hold `value`; state starts
    at the splat `value`; run-time values have the default `value`. A `compute` global holds its `of`
    rounded to the compute type: the runner fills it whenever weights are loaded, the optimizer keeps
    it up to date, and it is in no weights file. `reason` says which rule decided the role;
    `onnx_names` the initializers it came from. `of` and `slot_kind` tie optimizer state to its
    parameter. A global with `storage` is a part of another one, which entries read and write in its
    place: what the user knows as two weights may be one matrix, a weight may be padded or transposed.
    Names, shapes, roles and sources stay with the parts; the storing global starts at the splat 0.
    A global that lies `within` a flat one has no storage of its own either: entries read and write the
    flat one, and the global says what these bytes are. Of a `sharded` global each rank has the chunks
    that it owns (dsc_slice_begin, runtime/abi.h), and nothing reads others.
    1. Exactly one of value and source is present.
    2. value has the global's type.
    3. State, run-time values and compute globals are splats.
    4. `of` names a global.
    5. The `of` of a compute global has its shape.
    6. `storage` names a global of the same role, element type and rank that is no part itself.
    7. The part lies inside it.
    8. A part has no slot.
    9. What lies `within` a global is inside it, of its element type, and that one lies in no other.
    10. The type is a statically shaped tensor.
    11. A sharded global is of rank 2, [chunks, elements]; of role trained, state or compute; no part of another one.

    Example:
    ```mlir
    dsc.global @"h.0.ln_1.weight" : tensor<64xf32> {role = #dsc.role<trained>,
        source = #dsc.source<"model.onnx", "h.0.ln_1.weight", "">, reason = "kind PARAMETER"}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, Dsc_GlobalRoleAttr:$role,
                       OptionalAttr<ElementsAttr>:$value, OptionalAttr<Dsc_SourceAttr>:$source,
                       OptionalAttr<StrArrayAttr>:$onnx_names, OptionalAttr<StrAttr>:$reason,
                       OptionalAttr<FlatSymbolRefAttr>:$of, OptionalAttr<StrAttr>:$slot_kind,
                       OptionalAttr<Dsc_SlotAttr>:$slot, OptionalAttr<Dsc_StorageAttr>:$storage,
                       OptionalAttr<Dsc_PlaceAttr>:$within, UnitAttr:$sharded);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getType()); }
  }];
}

def Dsc_GetGlobalOp : Dsc_Op<"get_global", [DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    MemoryEffects<[MemRead]>]> {
  let summary = "The value of a global at this point of the entry.";
  let description = [{
    1. The symbol is a global.
    2. The types are equal.
    3. The global is no part of another one and lies within no other.

    Example:
    ```mlir
    %w = dsc.get_global @"h.0.ln_1.weight" : tensor<64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Dsc_Tensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Dsc_SetGlobalOp : Dsc_Op<"set_global", [DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    MemoryEffects<[MemWrite]>]> {
  let summary = "Replaces the value of a global; reads before it in the entry see the old value.";
  let description = [{
    The memory phase lets the value be written in place where no later op reads the old one.
    1. The symbol is a global.
    2. The types are equal.
    3. The role is not constant.
    4. The global is no part of another one and lies within no other.

    Example:
    ```mlir
    dsc.set_global @"h.0.ln_1.weight", %w1 : tensor<64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name, Dsc_Tensor:$value);
  let assemblyFormat = "$name `,` $value attr-dict `:` type($value)";
}

def Dsc_GradientsOp : Dsc_Op<"gradients", [MemoryEffects<[MemWrite]>]> {
  let summary = "The end of backward: all gradients are known, no parameter is updated yet.";
  let description = [{
    Splits an entry in two: what follows is the update, which the runner may leave out (`gradients`
    command, checks). Keeps the gradients alive up to here. `names` are the parameters; the last
    `kept` operands are no gradients of parameters but values that --keep-values asked for.
    1. One name an operand.
    2. `kept` is between 0 and the number of operands.

    Example:
    ```mlir
    dsc.gradients %dw, %db {names = ["weight", "bias"]} : tensor<4x8xf32>, tensor<4xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_Tensor>:$gradients, StrArrayAttr:$names,
                       DefaultValuedOptionalAttr<I64Attr, "0">:$kept);
  let assemblyFormat = "$gradients attr-dict (`:` type($gradients)^)?";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Pairs of a gradient and the name of its parameter.
    auto getParameters() {
      return ::llvm::zip(getGradients().drop_back(getKept()),
                         getNames().getAsRange<::mlir::StringAttr>());
    }
  }];
}

def Dsc_PackOp : Dsc_Op<"pack", [Pure]> {
  let summary = "Tensors one behind the other in one value.";
  let description = [{
    Element i of part p, in row-major order, is element offsets[p] + i of the result; what no part
    covers is unspecified. The memory phase has the parts computed where they lie in the result, so
    that the op itself does nothing; a part that cannot be (one that lies in another place already)
    is copied.
    1. There is one offset a part.
    2. Parts have the result's element type.
    3. They lie inside it, in order, apart from each other.

    Example:
    ```mlir
    %b = dsc.pack %dw, %db {offsets = array<i64: 0, 1024>} : (tensor<20x50xf32>, tensor<50xf32>) -> tensor<2x1024xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_Tensor>:$parts, DenseI64ArrayAttr:$offsets);
  let results = (outs Dsc_Tensor:$result);
  let assemblyFormat = "$parts attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_KernelOp : Dsc_Op<"kernel", [Pure, IsolatedFromAbove, SingleBlock,
    SingleBlockImplicitTerminator<"::dsc::YieldOp">]> {
  let summary = "A region of ops that becomes one generated kernel.";
  let description = [{
    The body's arguments are the operands, what it yields are the results. `kind` is the schedule class; `domain` the
    iteration space, split into `row_rank` leading dimensions (rows) and the rest (columns). `scratch` is the number of
    bytes of arena that the schedule needs beside operands and results. `refused` lists the fusions that were not made
    with the makers of its operands, and why. docs/architecture.md has the table of kinds. With `owned_chunks` the
    domain is cut into so many equal parts, the first one first, of which a rank computes those that it owns.
    1. Block arguments have the operands' types.
    2. Yielded types are the results'.
    3. row_rank is at most the rank of domain.
    4. Kinds but `loops` hold elementwise ops, updates, broadcasts, reductions and splats only.
    5. There, values broadcast to the domain.
    6. A reduction combines all columns (`row`, `row_column`) or all rows (`column`, `row_column`).
    7. Results have the domain's shape, or one element a row or column where there are such reductions.
    8. A `loops` kernel holds one op and yields its results.
    9. scratch holds the partial sums of columns.
    10. Owned chunks divide the domain's points, in a kernel of kind `elementwise`; or are the rows of kind `row`.

    Example:
    ```mlir
    %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
    ^bb0(%a: tensor<4x8xf32>):
      %m = dsc.reduce %a {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
      %d = dsc.sub %a, %m : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
      dsc.yield %d : tensor<4x8xf32>
    } : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_Tensor>:$inputs, Dsc_KernelKindAttr:$kind, DenseI64ArrayAttr:$domain,
                       I64Attr:$row_rank, DefaultValuedAttr<I64Attr, "0">:$scratch,
                       OptionalAttr<StrArrayAttr>:$refused, DefaultValuedAttr<I64Attr, "0">:$owned_chunks);
  let results = (outs Variadic<Dsc_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` attr-dict-with-keyword $body `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_YieldOp : Dsc_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"::dsc::KernelOp">]> {
  let summary = "The results of a kernel's body.";
  let description = [{
    Example:
    ```mlir
    %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
    ^bb0(%a: tensor<4x8xf32>):
      %d = dsc.tanh %a : (tensor<4x8xf32>) -> tensor<4x8xf32>
      dsc.yield %d : tensor<4x8xf32>
    } : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_Tensor>:$operands);
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

def Dsc_LaunchOp : Dsc_Op<"launch", [Pure]> {
  let summary = "A kernel after outlining: the generated functions that compute the results, run in order.";
  let description = [{
    `units` and `grains` have one entry a function. On the CPU functions take the addresses of operands, results and
    scratch, and a range of units: `units` is the size of the iteration space, `grains` the least number of units worth
    a thread. On CUDA they take the addresses alone: `units` is the number of blocks, `grains` that of a block's threads. Slots stand in `dsc.slots` and `dsc.scratch`, as for a kernel,
    and so does `owned_chunks`; on the CPU a chunk is then a unit.
    1. As many units and grains as functions.

    Example:
    ```mlir
    %y = dsc.launch [@kernel_0] (%x) {units = array<i64: 4>, grains = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "functions">:$kernels, Variadic<Dsc_Tensor>:$inputs,
                       DenseI64ArrayAttr:$units, DenseI64ArrayAttr:$grains,
                       DefaultValuedAttr<I64Attr, "0">:$owned_chunks);
  let results = (outs Variadic<Dsc_Tensor>:$results);
  let assemblyFormat = "$kernels `(` $inputs `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

} // opDocGroup

#endif // DSC_IR_OPS_MEMORY_TD
