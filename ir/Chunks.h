// Chunks and slices of ZeRO's flat order: the formulas that passes share with the runtime.

#ifndef DSC_IR_CHUNKS_H
#define DSC_IR_CHUNKS_H

#include "runtime/abi.h" // DSC_CHUNK_ELEMENTS, dsc_chunks, dsc_slice_begin, dsc_slice_end

#endif // DSC_IR_CHUNKS_H
