//===- Attributes and enumerations of the dsc dialect -------------------===//

#ifndef DSC_IR_ATTRS_TD
#define DSC_IR_ATTRS_TD

include "ir/Dialect.td"

class Dsc_Attr<string name, string mnemonic_> : AttrDef<Dsc_Dialect, name> {
  let mnemonic = mnemonic_;
}

class Dsc_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::dsc";
  let genSpecializedAttr = 0;
}
class Dsc_EnumAttr<EnumAttrInfo info, string name> : EnumAttr<Dsc_Dialect, info, name> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Enumerations of single ops
//===----------------------------------------------------------------------===//

def Dsc_ComparePredicate : Dsc_Enum<"ComparePredicate", "comparison", [
  I32EnumAttrCase<"eq", 0>, I32EnumAttrCase<"ne", 1>, I32EnumAttrCase<"lt", 2>,
  I32EnumAttrCase<"le", 3>, I32EnumAttrCase<"gt", 4>, I32EnumAttrCase<"ge", 5>]>;
def Dsc_ComparePredicateAttr : Dsc_EnumAttr<Dsc_ComparePredicate, "compare_predicate">;

def Dsc_ReduceKind : Dsc_Enum<"ReduceKind", "associative combination", [
  I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"prod", 1>, I32EnumAttrCase<"max", 2>,
  I32EnumAttrCase<"min", 3>]>;
def Dsc_ReduceKindAttr : Dsc_EnumAttr<Dsc_ReduceKind, "reduce_kind">;

def Dsc_ScatterKind : Dsc_Enum<"ScatterKind", "what a scatter does where an index repeats", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"add", 1>, I32EnumAttrCase<"mul", 2>,
  I32EnumAttrCase<"max", 3>, I32EnumAttrCase<"min", 4>]>;
def Dsc_ScatterKindAttr : Dsc_EnumAttr<Dsc_ScatterKind, "scatter_kind">;

def Dsc_GeluKind : Dsc_Enum<"GeluKind", "exact (erf) or tanh form of GELU", [
  I32EnumAttrCase<"erf", 0>, I32EnumAttrCase<"tanh", 1>]>;
def Dsc_GeluKindAttr : Dsc_EnumAttr<Dsc_GeluKind, "gelu_kind">;

def Dsc_Epilogue : Dsc_Enum<"Epilogue", "activation applied to a contraction's result", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"relu", 1>, I32EnumAttrCase<"gelu_erf", 2>,
  I32EnumAttrCase<"gelu_tanh", 3>]>;
def Dsc_EpilogueAttr : Dsc_EnumAttr<Dsc_Epilogue, "epilogue">;

def Dsc_Distribution : Dsc_Enum<"Distribution", "distribution of random numbers", [
  I32EnumAttrCase<"uniform", 0>, I32EnumAttrCase<"normal", 1>]>;
def Dsc_DistributionAttr : Dsc_EnumAttr<Dsc_Distribution, "distribution">;

def Dsc_ConvLayout : Dsc_Enum<"ConvLayout", "order of the dimensions of images", [
  I32EnumAttrCase<"channels_first", 0>, I32EnumAttrCase<"channels_last", 1>]>;
def Dsc_ConvLayoutAttr : Dsc_EnumAttr<Dsc_ConvLayout, "conv_layout">;

//===----------------------------------------------------------------------===//
// Globals
//===----------------------------------------------------------------------===//

def Dsc_GlobalRole : Dsc_Enum<"GlobalRole", "what a global tensor is to training", [
  I32EnumAttrCase<"trained", 0, "trained">,   // a parameter that the optimizer updates
  I32EnumAttrCase<"buffer", 1, "buffer">,     // saved with the weights, not trained by gradients
  I32EnumAttrCase<"constant", 2, "constant">, // never changes; over 32 elements
  I32EnumAttrCase<"state", 3, "state">,       // optimizer moments, accumulators, step count
  I32EnumAttrCase<"runtime", 4, "runtime">, // scalars that the runner writes before a step
  I32EnumAttrCase<"compute", 5, "compute">]>; // `of` in the compute type, for forward and backward
def Dsc_GlobalRoleAttr : Dsc_EnumAttr<Dsc_GlobalRole, "role">;

def Dsc_SourceAttr : Dsc_Attr<"Source", "source"> {
  let summary = "Bytes of a tensor that stand in a file, not in the IR.";
  let description = [{
    `file` is a path relative to the folder of the dump or the model, `name` the tensor's key in it,
    `hash` the first 16 hex digits of the SHA-256 of its bytes (empty where not yet computed).

    Example: `#dsc.source<"model.weights.safetensors", "h.0.ln_1.weight", "90ab...">`
  }];
  let parameters = (ins StringRefParameter<>:$file, StringRefParameter<>:$name,
                        StringRefParameter<>:$hash);
  let assemblyFormat = "`<` $file `,` $name `,` $hash `>`";
}

def Dsc_PlaceAttr : Dsc_Attr<"Place", "place"> {
  let summary = "Where a global lies in a flat one: its elements, row-major, from `offset` on.";
  let description = [{
    Example: `#dsc.place<@bucket.0, 4096>`
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$flat, "int64_t":$offset);
  let assemblyFormat = "`<` $flat `,` $offset `>`";
}

def Dsc_StorageAttr : Dsc_Attr<"Storage", "storage"> {
  let summary = "Where the elements of a global stand in the larger global that stores them.";
  let description = [{
    Dimension i of the part runs along dimension permutation[i] of `global`, from offsets[permutation[i]]
    on: part = transpose(slice(global, offsets), permutation). Elements of `global` that belong to no
    part are padding: they are 0 and stay 0.

    Example: `#dsc.storage<@"attn.{q,k,v}.weight", [64, 0], [0, 1]>`
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$global, ArrayRefParameter<"int64_t">:$offsets,
                        ArrayRefParameter<"int64_t">:$permutation);
  let assemblyFormat = "`<` $global `,` `[` $offsets `]` `,` `[` $permutation `]` `>`";
}

//===----------------------------------------------------------------------===//
// Kernels and the memory plan
//===----------------------------------------------------------------------===//

def Dsc_KernelKind : Dsc_Enum<"KernelKind", "schedule class of a kernel", [
  I32EnumAttrCase<"elementwise", 0>,  // independent elements of one iteration space
  I32EnumAttrCase<"row", 1>,          // reductions over the trailing dimensions
  I32EnumAttrCase<"column", 2>,       // reductions over the leading dimensions
  I32EnumAttrCase<"row_column", 3>,   // both over the same rows
  I32EnumAttrCase<"loops", 4>]>;      // one op as plain loops over its result
def Dsc_KernelKindAttr : Dsc_EnumAttr<Dsc_KernelKind, "kernel_kind">;

def Dsc_Space : Dsc_Enum<"Space", "memory space (runtime/abi.h, dsc_space)", [
  I32EnumAttrCase<"state", 0>, I32EnumAttrCase<"arena", 1>, I32EnumAttrCase<"constants", 2>,
  I32EnumAttrCase<"io", 3>, I32EnumAttrCase<"shard", 4>]>;
def Dsc_SpaceAttr : Dsc_EnumAttr<Dsc_Space, "space">;

def Dsc_SlotAttr : Dsc_Attr<"Slot", "slot"> {
  let summary = "Where a value lives: space, byte offset, bytes, and the ops that need it.";
  let description = [{
    `first` and `last` are positions in the entry's schedule (the order of its ops): the slot is
    reserved from the op that writes it to the last op that reads it, both included. A view repeats
    the slot of its base with its own offset. Offsets in `shard` are those that one rank has, where all
    chunks are its own; with more ranks the runtime finds the place of the same chunk.

    Example: `#dsc.slot<arena, 4096, 1024, 3, 9>`
  }];
  let parameters = (ins EnumParameter<Dsc_Space>:$space, "int64_t":$offset, "int64_t":$bytes,
                        "int64_t":$first, "int64_t":$last);
  let assemblyFormat = "`<` $space `,` $offset `,` $bytes `,` $first `,` $last `>`";
}

#endif // DSC_IR_ATTRS_TD
