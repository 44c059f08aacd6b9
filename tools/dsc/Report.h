// What `dsc compile --report=FILE` tells: the phases and what each did, the parameters, the memory
// plan, the kernels. Gathered while the phases run, then written as text, JSON or one HTML page.

#ifndef DSC_TOOLS_DSC_REPORT_H
#define DSC_TOOLS_DSC_REPORT_H

#include "tools/dsc/Phases.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

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

/// A part of the arena that holds one value, or scratch.
struct ReportedBuffer {
  std::string what;  // "matmul h.0/attn/MatMul"
  std::string group; // "activation", "gradient", "scratch"
  int64_t offset = 0, bytes = 0, first = 0, last = 0;
};

struct ReportedEntry {
  std::string name;
  std::vector<std::string> ops; // the schedule, in words
  std::vector<int64_t> live;    // arena bytes in use at each op
  std::vector<ReportedBuffer> buffers;
};

/// Calls of one kernel or library function in all entries.
struct ReportedKernel {
  std::string kind, example; // "kernel_7" or "matmul"; an ONNX node that it serves
  int64_t calls = 0, flops = 0, bytes = 0;
};

struct Report {
  std::string model, version, command, target;
  std::vector<std::pair<std::string, std::string>> choices; // what was chosen
  std::vector<std::string> notices;
  std::vector<ReportedPhase> phases;
  std::vector<ReportedParameter> parameters;
  std::vector<std::pair<std::string, int64_t>> spaces; // bytes of each, then the whole
  std::vector<ReportedEntry> entries;
  std::vector<ReportedKernel> kernels;
  std::map<std::string, int64_t> casts;          // "f32 to bf16" -> number
  std::map<std::string, int64_t> refusedFusions; // reason -> number
};

/// Fills a report while the phases run.
class ReportRecorder : public PhaseObserver {
public:
  Report report;

  /// The module after import.
  void imported(mlir::ModuleOp module, double seconds);
  void phaseDone(mlir::ModuleOp module, Phase phase, double seconds) override;

private:
  std::map<std::string, int64_t> counts; // ops before the phase that runs
};

llvm::json::Value toJson(const Report &report);
void printText(const Report &report, llvm::raw_ostream &out);
/// One page without references to anything outside.
void printHtml(const Report &report, llvm::raw_ostream &out);

/// Writes `report` to `path` in the form of its extension. Returns what is wrong, or nothing.
std::string writeReport(const Report &report, llvm::StringRef path);

/// Whether `path` ends in .txt, .json or .html.
bool isReportPath(llvm::StringRef path);

/// "12.3 MiB"
std::string bytesInWords(int64_t bytes);

} // namespace dsc

#endif // DSC_TOOLS_DSC_REPORT_H
