// What `--report=FILE` tells: the phases and what each did, the parameters, the memory plan and the
// collectives over the schedule, casts, recomputation, the kernels. Gathered while the phases run,
// then written as text, JSON or one HTML page.

#ifndef DSC_TOOLS_DSC_REPORT_H
#define DSC_TOOLS_DSC_REPORT_H

#include "tools/dsc/Phases.h"
#include "tools/dsc/PlannedBytes.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <array>
#include <map>
#include <string>
#include <vector>

namespace dsc {

struct ReportedPhase {
  std::string name, guarantee;
  double seconds = 0;
  int64_t ops = 0; // after it
  /// Ops whose number it changed the most: name and difference.
  std::vector<std::pair<std::string, int64_t>> changes;
  std::vector<std::string> facts; // in words
};

struct ReportedParameter {
  std::string name, type, role, reason;
  std::vector<int64_t> shape;
  int64_t bytes = 0;
};

/// What a place of the arena is for: the parts of `dsc plan`, values told apart by who computes
/// them.
enum class ArenaPart { Gathered, Forward, Again, Backward, Buckets, Update, Workspace };
constexpr size_t kArenaParts = 7;
/// "forward values"
llvm::StringRef arenaPartName(ArenaPart part);

/// A place of the arena and what takes it.
struct ReportedBuffer {
  std::string what; // "matmul h.0/attn/MatMul"
  std::string type; // "f32 1024x128"; empty for scratch
  ArenaPart part = ArenaPart::Forward;
  int64_t offset = 0, bytes = 0, first = 0, last = 0;
};

/// A collective of an entry, from the op that starts it to the one that waits for it.
struct ReportedCollective {
  std::string name; // "reduce_scatter bucket.3"
  std::string kind, type;
  int64_t id = 0, bytes = 0;    // of the whole value
  int64_t issue = 0, wait = -1; // ops; -1: left to the next entry, or followed by another one
  bool isFromBefore = false;    // an entry before this one started it
  bool isLeft = false;          // the next entry waits for it
  int64_t calls = 0, flops = 0, moved = 0; // of what runs meanwhile, in this entry
};

struct ReportedEntry {
  std::string name;
  std::vector<std::string> ops; // the schedule, in words
  /// Number of ops before each one, and in the end of all, that run something: kernels, library
  /// calls, collectives. Views and accesses of globals take no time.
  std::vector<int64_t> calls;
  std::vector<int64_t> live; // arena bytes in use at each op
  std::vector<ReportedBuffer> buffers;
  std::vector<ReportedCollective> collectives;
  int64_t backward = 0, update = 0; // first op of each; where the entry has none its end

  int64_t peak() const;
  size_t peakOp() const;
};

/// Calls of one kernel or library function in all entries.
struct ReportedKernel {
  std::string kind, example; // "kernel_7" or "matmul"; an ONNX node that it serves
  int64_t calls = 0, flops = 0, bytes = 0;
};

/// Casts between two float types, by the part of the step that has them.
struct ReportedCasts {
  std::string from, to;
  int64_t forward = 0, backward = 0, update = 0;
  std::string example; // what is cast, for one
};

/// What is computed again instead of being kept, as the recompute phase says it of @last.
struct ReportedRecomputation {
  struct Block {
    std::string first; // node
    int64_t saved = 0, freed = 0, flops = 0;
  };
  std::string mode;
  int64_t saved = 0, freed = 0, flops = 0, stepFlops = 0;
  std::vector<Block> blocks;
};

/// What one of so many ranks has and sends.
struct ReportedRanks {
  int64_t ranks = 1, bytes = 0, traffic = 0;
};

struct Report {
  std::string model, version, command, target;
  std::vector<std::pair<std::string, std::string>> choices; // what was chosen
  std::vector<std::string> notices;
  std::vector<ReportedPhase> phases;
  std::vector<ReportedParameter> parameters;
  std::vector<std::pair<std::string, int64_t>> spaces; // bytes of each, then the whole
  MemoryParts outside = {}; // of the arena, with one rank: at every op of every entry
  std::vector<ReportedRanks> ranks;
  std::vector<ReportedEntry> entries;
  std::vector<ReportedKernel> kernels;
  std::vector<ReportedCasts> casts;
  int64_t castsInserted = -1, castsLeft = -1;    // between f32 and the half type; -1 without one
  ReportedRecomputation recomputation;           // no blocks: nothing is computed again
  std::map<std::string, int64_t> refusedFusions; // reason -> number

  int64_t arena() const;
  int64_t peak() const; // of memory, with one rank
};

/// Fills a report while the phases run.
class ReportRecorder : public PhaseObserver {
public:
  Report report;

  /// The module after import.
  void imported(mlir::ModuleOp module, double seconds);
  void phaseDone(mlir::ModuleOp module, Phase phase, double seconds) override;
  bool seesEveryPhase() const override { return true; }

private:
  std::map<std::string, int64_t> counts; // ops before the phase that runs
};

/// What runs, in words: "matmul h.0/attn/MatMul", "row kernel h.0/ln_1", "read bucket.3".
std::string describeOp(mlir::Operation *op);
/// Whether `op` belongs to backward: a place in its location is named "grad".
bool isOfBackward(mlir::Operation *op);

/// The schedule of an entry after the memory phase with its places and collectives.
ReportedEntry reportEntry(mlir::func::FuncOp entry);

llvm::json::Value toJson(const Report &report);
void printText(const Report &report, llvm::raw_ostream &out);
/// One page without references to anything outside: well-formed as XML, too.
void printHtml(const Report &report, llvm::raw_ostream &out);

/// Writes `report` to `path` in the form of its extension. Returns what is wrong, or nothing.
std::string writeReport(const Report &report, llvm::StringRef path);

/// Whether `path` ends in .txt, .json or .html.
bool isReportPath(llvm::StringRef path);

/// "12.3 MiB"
std::string bytesInWords(int64_t bytes);

} // namespace dsc

#endif // DSC_TOOLS_DSC_REPORT_H
