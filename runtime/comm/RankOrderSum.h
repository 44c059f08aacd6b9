// Sums over ranks.
// Adds the parts of all ranks one by one from rank 0's on, in f32 (f64 for f64), and rounds once at
// the end: the bits do not depend on which rank adds, nor on how data is cut for the wire.

#ifndef DSC_RUNTIME_COMM_RANKORDERSUM_H
#define DSC_RUNTIME_COMM_RANKORDERSUM_H

#include <cstdint>

namespace dsc {

/// target[i] = sum over ranks of parts[rank][i], divided by `ranks` where `mean` is set. `target`
/// may be one of the parts. Types: f32, f64, f16, bf16.
void addInRankOrder(int32_t dtype, const void *const *parts, int ranks, int64_t count, bool mean,
                    void *target);

/// Whether addInRankOrder takes the type.
bool canAddInRankOrder(int32_t dtype);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_RANKORDERSUM_H
