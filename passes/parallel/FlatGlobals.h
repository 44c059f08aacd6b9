// The flat globals of buckets, and where in them each parameter and its state lie.

#ifndef DSC_PASSES_PARALLEL_FLATGLOBALS_H
#define DSC_PASSES_PARALLEL_FLATGLOBALS_H

#include "ir/Chunks.h"
#include "ir/Dialect.h"
#include "passes/parallel/ShardPlan.h"

#include "llvm/ADT/MapVector.h"

namespace dsc {

/// A parameter and the globals that belong to it, by slot kind: those of its shape, and numbers
/// (run-time scalars, such as its group's learning rate). The parameter itself has kind "".
struct ShardedParameter {
  GlobalOp parameter;
  llvm::MapVector<llvm::StringRef, GlobalOp> globals;
};

/// Whether `global` is a number of a parameter.
bool isNumber(GlobalOp global);

/// One bucket: its parameters, in flat order, and one global of shape [chunks, 1024] a kind, or
/// [chunks, 1] for numbers: each chunk has its parameter's.
struct Bucket {
  std::string name;
  ShardBucket plan; // members count `parameters`
  llvm::SmallVector<ShardedParameter> parameters;
  llvm::MapVector<llvm::StringRef, GlobalOp> flat;
  GlobalOp chunkElements; // how many elements of each chunk are no padding; null where all are

  mlir::RankedTensorType type(mlir::Type element) const {
    return mlir::RankedTensorType::get({plan.chunks, DSC_CHUNK_ELEMENTS}, element);
  }
  mlir::RankedTensorType numberType(mlir::Type element) const {
    return mlir::RankedTensorType::get({plan.chunks, 1}, element);
  }
  mlir::RankedTensorType memberType(size_t member) const {
    GlobalOp parameter = parameters[member].parameter;
    return parameter.getTensorType();
  }
  /// The first element of a member.
  int64_t offset(size_t member) const {
    return plan.members[member].firstChunk * DSC_CHUNK_ELEMENTS;
  }
};

/// Where a global went.
struct FlatPlace {
  const Bucket *bucket = nullptr;
  size_t member = 0;
  llvm::StringRef kind;
  bool isNumber = false;
};

/// All buckets of a module.
class FlatGlobals {
public:
  /// Sorts `parameters`, whose gradients have the element types `gradients`, into buckets of
  /// `bucketBytes` of gradients (0: defaultBucketChunks) and declares the flat globals. Parameters
  /// whose globals differ in kinds or types are never in one bucket; what is alike stands together
  /// in the flat order. A single number that is like no other stays as it is (cutBuckets).
  FlatGlobals(mlir::ModuleOp module, llvm::ArrayRef<GlobalOp> parameters,
              llvm::ArrayRef<mlir::Type> gradients, int64_t bucketBytes);

  const std::vector<Bucket> &buckets() const { return buckets_; }

  /// The place of the global `name`, if it is part of a bucket.
  const FlatPlace *find(mlir::Attribute name) const;

  /// Makes parameters and state parts of the flat globals, once no entry reads or writes them.
  void placeParts();

private:
  void declare(Bucket &bucket);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  std::vector<Bucket> buckets_;
  llvm::DenseMap<mlir::Attribute, FlatPlace> places;
};

} // namespace dsc

#endif // DSC_PASSES_PARALLEL_FLATGLOBALS_H
