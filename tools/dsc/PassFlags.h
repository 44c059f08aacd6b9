// `--disable=PASS,..` and `--pass-limit=PASS:N,..`: which rewrites that only improve a program are
// left out.

#ifndef DSC_TOOLS_DSC_PASSFLAGS_H
#define DSC_TOOLS_DSC_PASSFLAGS_H

#include "tools/dsc/Flags.h"
#include "tools/dsc/Phases.h"

namespace dsc {

/// What the two flags were given.
struct PassFlags {
  std::string disable, limits;
};

void addPassFlags(FlagTable &table, PassFlags &flags);

/// Sets `run.disabled` and `run.limits`. Returns what is wrong with the flags, or nothing.
std::string applyPassFlags(const PassFlags &flags, PhaseRun &run);

} // namespace dsc

#endif // DSC_TOOLS_DSC_PASSFLAGS_H
