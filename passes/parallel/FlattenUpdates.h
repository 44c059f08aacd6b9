// The same arithmetic on every parameter of a bucket becomes one op on the bucket.

#ifndef DSC_PASSES_PARALLEL_FLATTENUPDATES_H
#define DSC_PASSES_PARALLEL_FLATTENUPDATES_H

#include "passes/parallel/FlatGlobals.h"

#include "mlir/IR/Builders.h"

#include <map>

namespace dsc {

/// Finds the flat form of values of one bucket in one entry, given one value a member.
///
/// Members' values are alike where their ops are: elementwise ops and updates of one kind with
/// equal attributes whose operands are the members' state, one value that all share, or alike
/// again. These become one op over [chunks, 1024]. Numbers of members (their group's learning rate,
/// norms over all of a member) and arithmetic on them become [chunks, 1]. Where the likeness ends,
/// the members' values, the gradients, are packed. An op is taken over only if it needs one such
/// pack: a sum of two gradients is computed before it is packed. Flat ops stand right behind their
/// last operand.
class BucketFlattener {
public:
  BucketFlattener(const Bucket &bucket, const FlatGlobals &globals, mlir::func::FuncOp entry);

  /// The flat value whose members are `values`, of the shapes of the bucket's parameters.
  mlir::Value flatten(llvm::ArrayRef<mlir::Value> values);

  /// Member `member` of `flat`, in its own shape; a view, made at `builder`'s place.
  mlir::Value memberOf(mlir::OpBuilder &builder, mlir::Value flat, size_t member);

  /// Number `member` of `flat`, one of [chunks, 1], as a scalar; a view.
  mlir::Value numberOf(mlir::OpBuilder &builder, mlir::Value flat, size_t member);

  /// The sum of squares of each chunk of `flat`, without its padding: [chunks]; right behind it.
  mlir::Value squaresOf(mlir::Value flat);

  /// The flat global of `kind`, read at the entry's start.
  mlir::Value read(llvm::StringRef kind);

  /// Sets `builder` right behind the op that makes `value`.
  static void setBehind(mlir::OpBuilder &builder, mlir::Value value);

private:
  enum class Form { shared, splat, state, op, sumOfSquares, pack };
  /// One value a member, and what they become.
  struct Tuple {
    llvm::SmallVector<mlir::Value> values;
    Form form = Form::pack;
    bool isNumber = false;                     // one element a member
    llvm::StringRef kind;                      // of state
    llvm::SmallVector<const Tuple *> operands; // of the ops
    llvm::SmallVector<const Tuple *> packs;    // that the flat op needs, each once
    mutable mlir::Value flat;
  };

  /// `perMember`: where a scalar could be the number of a bucket's only member, it is that.
  const Tuple &intern(llvm::ArrayRef<mlir::Value> values, bool perMember = false);
  void classify(Tuple &tuple, bool perMember);
  bool isState(Tuple &tuple);
  bool classifyOps(Tuple &tuple, bool perMember);
  bool classifySumOfSquares(Tuple &tuple);
  bool isMemberShaped(const Tuple &tuple) const;
  mlir::Value build(const Tuple &tuple);
  void buildOp(const Tuple &tuple);
  mlir::Value squaresHere(mlir::Value flat);
  mlir::Value sumsOfMembers(mlir::Value chunkSums);

  const Bucket &bucket;
  const FlatGlobals &globals;
  mlir::func::FuncOp entry;
  mlir::OpBuilder builder;
  mlir::Location loc;
  std::map<std::vector<const void *>, Tuple> tuples;
  std::map<std::vector<const void *>, mlir::Operation *> flatOps; // by the members' ops
  llvm::DenseMap<mlir::Value, mlir::Value> lines;                 // a flat value as [chunks * 1024]
  std::map<llvm::StringRef, mlir::Value> reads;
};

} // namespace dsc

#endif // DSC_PASSES_PARALLEL_FLATTENUPDATES_H
