// Drawings of a report's page: memory and collectives over the schedule of an entry, as SVG that
// takes the width it gets. Text stands beside it as HTML, so that it keeps its size on a phone.

#ifndef DSC_TOOLS_DSC_REPORTDRAWINGS_H
#define DSC_TOOLS_DSC_REPORTDRAWINGS_H

#include "tools/dsc/Report.h"

namespace dsc {

/// Rules for the classes that drawings use; belongs into the page's <style>.
extern const llvm::StringLiteral kDrawingStyle;

/// Bytes in use over the schedule, by part, from what is taken all the while (`report.outside`)
/// upwards; the peak is marked. Columns of the drawing show the fullest op of those they stand for.
void drawMemory(const Report &report, const ReportedEntry &entry, llvm::raw_ostream &out);

/// Where in the arena buffers lie: time from left to right, offsets from the bottom up. What is too
/// small to be seen is drawn as one with its neighbours.
void drawArena(const Report &report, const ReportedEntry &entry, llvm::raw_ostream &out);

/// A bar a collective, from its start to its wait; the same schedule from left to right.
void drawCollectives(const ReportedEntry &entry, llvm::raw_ostream &out);

/// "forward, backward, update" under a drawing, as wide as they are in the schedule.
void drawStages(const ReportedEntry &entry, llvm::raw_ostream &out);

/// What the colours of `drawMemory` and `drawArena` mean, those that occur.
void drawMemoryLegend(const Report &report, llvm::raw_ostream &out);

/// The class of a part, which gives its colour.
llvm::StringRef classOf(ArenaPart part);

} // namespace dsc

#endif // DSC_TOOLS_DSC_REPORTDRAWINGS_H
