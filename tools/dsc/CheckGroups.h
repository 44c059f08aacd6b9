// Whether the parameter groups of a compiled program fit its parameters.

#ifndef DSC_TOOLS_DSC_CHECKGROUPS_H
#define DSC_TOOLS_DSC_CHECKGROUPS_H

#include <string>
#include <string_view>

namespace dsc {

/// What is wrong with --group and --no-decay as they stand in the manifest, by what the executable
/// would say at its start; empty: nothing.
std::string checkGroups(std::string_view manifest);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHECKGROUPS_H
