// The copies in the compute type that forward and backward read.

#ifndef DSC_RUNTIME_COMPUTECOPIES_H
#define DSC_RUNTIME_COMPUTECOPIES_H

#include "runtime/Session.h"

namespace dsc {

/// Rounds the weights to the copies that forward and backward read; call whenever weights were
/// loaded, on all ranks. Each rank rounds what it has, on the device where the program has a kernel
/// for it; where a stage shards the weights and not the copies, the ranks exchange the rounded
/// chunks. Error: a finite weight is out of the compute type's range.
Status fillComputeCopies(Session &session);

} // namespace dsc

#endif // DSC_RUNTIME_COMPUTECOPIES_H
