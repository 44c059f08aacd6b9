//===- Collectives: what ranks exchange ---------------------------------===//

#ifndef DSC_IR_OPS_COLLECTIVE_TD
#define DSC_IR_OPS_COLLECTIVE_TD

include "ir/Attrs.td"

def Dsc_CollectiveGroup : OpDocGroup {
  let summary = "Collectives";
  let description = [{
    Every rank runs the same program on its own samples. A flat value [chunks, elements] has an owner for each chunk,
    by one formula of the run-time number of ranks (dsc_slice_begin, runtime/abi.h); with one rank all of these ops
    give what they get. They work in place: the result lies where the operand does. After the memory phase an op
    with `id` only starts the collective, and dsc.wait of that number ends it.
  }];
}

let opDocGroup = Dsc_CollectiveGroup in {

def Dsc_ReduceScatterOp : Dsc_Op<"reduce_scatter", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "The mean over the ranks, each rank having its own chunks of it.";
  let description = [{
    Ranks are added one by one from rank 0 on, in f32 (f64 for f64), divided by their number and rounded once, so the
    bits depend neither on buckets nor on who owns what. Other chunks of the result are unspecified.
    1. x is of rank 2, [chunks, elements].

    Example:
    ```mlir
    %r = dsc.reduce_scatter %g : tensor<42x1024xbf16>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, OptionalAttr<I64Attr>:$id);
  let results = (outs Dsc_FloatTensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Dsc_AllGatherOp : Dsc_Op<"all_gather", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "All chunks, each from the rank that owns it.";
  let description = [{
    With `apart` x is a sharded global, which has no place for chunks of others, so the result has one of its own.
    1. x is of rank 2, [chunks, elements].

    Example:
    ```mlir
    %w = dsc.all_gather %p1 : tensor<42x1024xbf16>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, OptionalAttr<I64Attr>:$id, UnitAttr:$apart);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Dsc_AllReduceOp : Dsc_Op<"all_reduce", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "The sum over the ranks of a few numbers.";
  let description = [{
    Added one by one from rank 0 on, so that all ranks get the same bits.
    1. x is of rank 0 or 1.
    2. The type is f32 or f64.

    Example:
    ```mlir
    %sum = dsc.all_reduce %loss : tensor<f32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, OptionalAttr<I64Attr>:$id);
  let results = (outs Dsc_FloatTensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Dsc_WaitOp : Dsc_Op<"wait", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "The value x, once the collective `id` that makes it is done.";
  let description = [{
    x is the result of the collective, or a global into which an earlier entry started to gather; where that is done
    already, the wait is nothing.

    Example:
    ```mlir
    %r1 = dsc.wait %r {id = 3 : i64} : tensor<42x1024xbf16>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, I64Attr:$id);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

} // opDocGroup

#endif // DSC_IR_OPS_COLLECTIVE_TD
