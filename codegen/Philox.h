// Philox4x32-10 (Salmon et al., SC'11) on vectors of counters: counter (number, step, sample,
// element / 4), key seed.

#ifndef DSC_CODEGEN_PHILOX_H
#define DSC_CODEGEN_PHILOX_H

#include "codegen/VectorBuilder.h"

#include <array>

namespace dsc {

class Philox {
public:
  explicit Philox(VectorBuilder &b) : b(b), words(b.vectorOf(b.getI32Type())) {}

  /// The numbers of `op` that elements 4 q .. 4 q + 3 of a sample get, in [0, 1) or normal; `seed`,
  /// `step` and `sample` are 64-bit scalars, `q` is a vector of 32-bit ones.
  std::array<mlir::Value, 4> numbers(RandomOp op, mlir::Value seed, mlir::Value step,
                                     mlir::Value sample, mlir::Value q);

private:
  std::array<mlir::Value, 4> generate(std::array<mlir::Value, 4> counter, mlir::Value key0,
                                      mlir::Value key1);
  mlir::Value half(mlir::Value scalar, bool high);
  mlir::Value uniform(mlir::Value bits);
  std::pair<mlir::Value, mlir::Value> multiply(mlir::Value x, int64_t factor);
  mlir::Value exclusiveOr(mlir::Value x, mlir::Value y) {
    return b.create<mlir::arith::XOrIOp>(x, y);
  }

  VectorBuilder &b;
  mlir::VectorType words;
};

} // namespace dsc

#endif // DSC_CODEGEN_PHILOX_H
