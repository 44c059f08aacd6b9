// Random numbers (Philox.h): a thread makes the four of one counter.

#include "codegen/EmitElementwise.h"
#include "codegen/Philox.h"
#include "codegen/cuda/EmitLoops.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using dsc::cuda::LoopKernel;

static int64_t emitRandom(LoopKernel &kernel, RandomOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> shape = kernel.resultShape();
  int64_t samples = shape.empty() ? 1 : shape[0], elements = elementCount(shape) / samples;
  int64_t quarters = llvm::divideCeil(elements, 4);
  Type element = kernel.resultElement();
  Value seed = kernel.load(0, b.index(0)), step = kernel.load(1, b.index(0));
  Value base = kernel.load(2, b.index(0));
  return kernel.forItems(samples * quarters, [&](Value item) {
    Value sample = b.divIndex(item, quarters), quarter = b.remIndex(item, quarters);
    Value global = b.add(base, b.create<arith::IndexCastOp>(b.getI64Type(), sample));
    Value q = b.splat(b.create<arith::IndexCastOp>(b.getI32Type(), quarter));
    std::array<Value, 4> numbers = Philox(b).numbers(op, seed, step, global, q);
    Value first = b.mulIndex(quarter, 4), start = b.mulIndex(sample, elements);
    for (int64_t k = 0; k < 4; ++k) {
      Value value = emitCast(b, b.getF32Type(), element, b.extractLane(numbers[k], 0));
      Value at = b.addIndex(first, b.index(k));
      auto store = [&] { kernel.store(value, b.addIndex(start, at)); };
      if (elements % 4 == 0) {
        store();
      } else {
        b.ifThen(b.cmpi(arith::CmpIPredicate::ult, at, b.index(elements)), store);
      }
    }
  });
}

std::optional<int64_t> cuda::emitRandomLoops(LoopKernel &kernel) {
  if (auto random = dyn_cast<RandomOp>(kernel.op())) {
    return emitRandom(kernel, random);
  }
  return std::nullopt;
}
