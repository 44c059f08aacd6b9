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

  /// The words of a counter and a key, vectors of 32-bit words.
  std::array<mlir::Value, 4> generate(std::array<mlir::Value, 4> counter, mlir::Value key0,
                                      mlir::Value key1);
  /// The low or high half of a 64-bit scalar, in all lanes.
  mlir::Value half(mlir::Value scalar, bool high);
  /// [0, 1) from the upper 24 bits.
  mlir::Value uniform(mlir::Value bits);

  /// The numbers of `op` that elements 4 q .. 4 q + 3 of a sample get, in [0, 1) or normal; `seed`,
  /// `step` and `sample` are 64-bit scalars, `q` is a vector of 32-bit ones.
  std::array<mlir::Value, 4> numbers(RandomOp op, mlir::Value seed, mlir::Value step,
                                     mlir::Value sample, mlir::Value q);

private:
  std::pair<mlir::Value, mlir::Value> multiply(mlir::Value x, int64_t factor);
  mlir::Value exclusiveOr(mlir::Value x, mlir::Value y) {
    return b.create<mlir::arith::XOrIOp>(x, y);
  }

  VectorBuilder &b;
  mlir::VectorType words;
};

} // namespace dsc

#endif // DSC_CODEGEN_PHILOX_H
