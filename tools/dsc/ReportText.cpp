// The report as text and as JSON.

#include "tools/dsc/Report.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace dsc;
using llvm::formatv;

static std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

static int64_t peakOf(const ReportedEntry &entry) {
  return entry.live.empty() ? 0 : *std::max_element(entry.live.begin(), entry.live.end());
}

void dsc::printText(const Report &report, llvm::raw_ostream &out) {
  out << report.model << ", compiled by dsc " << report.version << "\n  " << report.command << "\n";
  out << "  " << report.target << "\n\n";
  for (const auto &[what, value] : report.choices) {
    out << formatv("{0,-14} {1}\n", what, value);
  }
  for (const std::string &notice : report.notices) {
    out << "note: " << notice << "\n";
  }
  out << "\nphases\n";
  for (const ReportedPhase &phase : report.phases) {
    out << formatv("  {0,-10} {1,8:f3} s  {2,7} ops  ", phase.name, phase.seconds, phase.ops)
        << llvm::join(phase.facts, "; ") << "\n";
    std::string changes;
    for (const auto &[name, count] : phase.changes) {
      changes +=
          formatv("{0}{1}{2} {3}", changes.empty() ? "" : ", ", count > 0 ? "+" : "", count, name)
              .str();
    }
    if (!changes.empty()) {
      out << std::string(36, ' ') << changes << "\n";
    }
  }
  out << "\nparameters\n";
  for (const ReportedParameter &parameter : report.parameters) {
    out << formatv("  {0,-9} {1,-40} {2,-5} {3,-18} {4}\n", parameter.role, parameter.name,
                   parameter.type, shapeText(parameter.shape), parameter.reason);
  }
  out << "\nmemory\n";
  for (const auto &[space, bytes] : report.spaces) {
    out << formatv("  {0,-10} {1,14} bytes  {2}\n", space, bytes, bytesInWords(bytes));
  }
  for (const ReportedEntry &entry : report.entries) {
    if (entry.live.empty()) {
      continue;
    }
    size_t at = std::max_element(entry.live.begin(), entry.live.end()) - entry.live.begin();
    out << formatv("  @{0}: at most {1} of the arena in use, at op {2} of {3} ({4})\n", entry.name,
                   bytesInWords(peakOf(entry)), at, entry.ops.size(), entry.ops[at]);
  }
  if (!report.casts.empty()) {
    out << "\ncasts\n";
    for (const auto &[what, count] : report.casts) {
      out << formatv("  {0,6} {1}\n", count, what);
    }
  }
  out << "\nkernels and library calls\n";
  for (const ReportedKernel &kernel : report.kernels) {
    out << formatv("  {0,-16} {1,6} calls {2,16} flops {3,16} bytes  {4}\n", kernel.kind,
                   kernel.calls, kernel.flops, kernel.bytes, kernel.example);
  }
  if (!report.refusedFusions.empty()) {
    out << "\nfusions that were not made\n";
    for (const auto &[reason, count] : report.refusedFusions) {
      out << formatv("  {0,6} {1}\n", count, reason);
    }
  }
}

llvm::json::Value dsc::toJson(const Report &report) {
  using llvm::json::Array;
  using llvm::json::fixUTF8;
  using llvm::json::Object;
  Object choices, spaces, casts, refused;
  for (const auto &[what, value] : report.choices) {
    choices[what] = value;
  }
  for (const auto &[space, bytes] : report.spaces) {
    spaces[space] = bytes;
  }
  for (const auto &[what, count] : report.casts) {
    casts[what] = count;
  }
  for (const auto &[reason, count] : report.refusedFusions) {
    refused[fixUTF8(reason)] = count;
  }
  Array notices(report.notices), phases, parameters, entries, kernels;
  for (const ReportedPhase &phase : report.phases) {
    Object changes;
    for (const auto &[name, count] : phase.changes) {
      changes[name] = count;
    }
    phases.push_back(Object{{"name", phase.name},
                            {"then_holds", phase.guarantee},
                            {"seconds", phase.seconds},
                            {"ops", phase.ops},
                            {"changes", std::move(changes)},
                            {"facts", Array(phase.facts)}});
  }
  for (const ReportedParameter &parameter : report.parameters) {
    parameters.push_back(Object{{"name", fixUTF8(parameter.name)},
                                {"dtype", parameter.type},
                                {"shape", Array(parameter.shape)},
                                {"bytes", parameter.bytes},
                                {"role", parameter.role},
                                {"reason", fixUTF8(parameter.reason)}});
  }
  for (const ReportedEntry &entry : report.entries) {
    Array buffers, ops;
    for (const std::string &op : entry.ops) {
      ops.push_back(fixUTF8(op));
    }
    for (const ReportedBuffer &buffer : entry.buffers) {
      buffers.push_back(Object{{"what", fixUTF8(buffer.what)},
                               {"group", buffer.group},
                               {"offset", buffer.offset},
                               {"bytes", buffer.bytes},
                               {"first", buffer.first},
                               {"last", buffer.last}});
    }
    entries.push_back(Object{{"name", entry.name},
                             {"peak_bytes", peakOf(entry)},
                             {"ops", std::move(ops)},
                             {"live_bytes", Array(entry.live)},
                             {"buffers", std::move(buffers)}});
  }
  for (const ReportedKernel &kernel : report.kernels) {
    kernels.push_back(Object{{"kind", kernel.kind},
                             {"calls", kernel.calls},
                             {"flops", kernel.flops},
                             {"bytes", kernel.bytes},
                             {"example", fixUTF8(kernel.example)}});
  }
  return Object{{"model", fixUTF8(report.model)},
                {"version", report.version},
                {"command", fixUTF8(report.command)},
                {"target", report.target},
                {"choices", std::move(choices)},
                {"notices", std::move(notices)},
                {"phases", std::move(phases)},
                {"parameters", std::move(parameters)},
                {"memory", Object{{"spaces", std::move(spaces)}, {"entries", std::move(entries)}}},
                {"casts", std::move(casts)},
                {"kernels", std::move(kernels)},
                {"fusions_refused", std::move(refused)}};
}
