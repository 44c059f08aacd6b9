// Whether this processor can run a program.
// A program compiled for instructions that the processor or its kernel lacks would die of SIGILL;
// this names what is missing before anything runs.

#ifndef DSC_RUNTIME_CPUFEATURES_H
#define DSC_RUNTIME_CPUFEATURES_H

#include <string>
#include <vector>

namespace dsc {

/// The features of LLVM's list ("+avx2,+fma,-avx512f") that are asked for and not there. Features
/// that are not known here are taken to be there.
std::vector<std::string> missingCpuFeatures(const std::string &features);

} // namespace dsc

#endif // DSC_RUNTIME_CPUFEATURES_H
