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

static void printCollectives(const Report &report, llvm::raw_ostream &out) {
  for (const ReportedEntry &entry : report.entries) {
    if (entry.collectives.empty()) {
      continue;
    }
    out << "\ncommunication of @" << entry.name << ", from the op that starts it to the wait\n";
    for (const ReportedCollective &collective : entry.collectives) {
      std::string from = collective.isFromBefore ? "before" : std::to_string(collective.issue);
      std::string to = collective.isLeft ? "next" : std::to_string(collective.wait);
      out << formatv("  {0,-28} {1,12} bytes  {2,6} to {3,-6} under it {4} calls, {5} flops\n",
                     collective.name, collective.bytes, from, to, collective.calls,
                     collective.flops);
    }
  }
}

static void printCasts(const Report &report, llvm::raw_ostream &out) {
  if (report.casts.empty() && report.castsInserted < 0) {
    return;
  }
  out << "\ncasts\n";
  if (report.castsInserted >= 0) {
    out << formatv("  {0} inserted, {1} left between f32 and the compute type\n",
                   report.castsInserted, report.castsLeft);
  }
  for (const ReportedCasts &casts : report.casts) {
    out << formatv("  {0} to {1}: {2} in forward, {3} in backward, {4} in the update\n", casts.from,
                   casts.to, casts.forward, casts.backward, casts.update);
  }
}

static void printRecomputation(const Report &report, llvm::raw_ostream &out) {
  const ReportedRecomputation &told = report.recomputation;
  if (told.blocks.empty()) {
    return;
  }
  out << formatv("\nrecomputation ({0}): {1} bytes kept, {2} bytes saved, {3} of {4} flops added\n",
                 told.mode, told.saved, told.freed, told.flops, told.stepFlops);
  for (const ReportedRecomputation::Block &block : told.blocks) {
    out << formatv("  {0,-40} {1,14} kept {2,14} saved {3,16} flops\n", block.first, block.saved,
                   block.freed, block.flops);
  }
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
    const size_t at = entry.peakOp();
    out << formatv("  @{0}: at most {1} of the arena in use, at op {2} of {3} ({4})\n", entry.name,
                   bytesInWords(entry.peak()), at, entry.ops.size(), entry.ops[at]);
  }
  for (const ReportedRanks &ranks : report.ranks) {
    out << formatv("  {0,3} ranks: {1} bytes on each, {2} sent by each in a step\n", ranks.ranks,
                   ranks.bytes, ranks.traffic);
  }
  printCollectives(report, out);
  printCasts(report, out);
  printRecomputation(report, out);
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

static llvm::json::Value toJson(const ReportedCollective &collective) {
  using llvm::json::Value;
  return llvm::json::Object{
      {"name", collective.name},
      {"kind", collective.kind},
      {"id", collective.id},
      {"bytes", collective.bytes},
      {"issue", collective.isFromBefore ? Value(nullptr) : Value(collective.issue)},
      {"wait", collective.wait < 0 ? Value(nullptr) : Value(collective.wait)},
      {"calls", collective.calls},
      {"flops", collective.flops},
      {"bytes_moved", collective.moved}};
}

static llvm::json::Value castsJson(const Report &report) {
  using llvm::json::Value;
  llvm::json::Array types;
  for (const ReportedCasts &casts : report.casts) {
    types.push_back(llvm::json::Object{{"from", casts.from},
                                       {"to", casts.to},
                                       {"forward", casts.forward},
                                       {"backward", casts.backward},
                                       {"update", casts.update}});
  }
  const bool isMixed = report.castsInserted >= 0;
  return llvm::json::Object{{"inserted", isMixed ? Value(report.castsInserted) : Value(nullptr)},
                            {"left", isMixed ? Value(report.castsLeft) : Value(nullptr)},
                            {"types", std::move(types)}};
}

static llvm::json::Value toJson(const ReportedRecomputation &told) {
  llvm::json::Array blocks;
  for (const ReportedRecomputation::Block &block : told.blocks) {
    blocks.push_back(llvm::json::Object{{"first", llvm::json::fixUTF8(block.first)},
                                        {"saved_bytes", block.saved},
                                        {"freed_bytes", block.freed},
                                        {"added_flops", block.flops}});
  }
  return llvm::json::Object{
      {"mode", told.mode},         {"saved_bytes", told.saved},    {"freed_bytes", told.freed},
      {"added_flops", told.flops}, {"step_flops", told.stepFlops}, {"blocks", std::move(blocks)}};
}

llvm::json::Value dsc::toJson(const Report &report) {
  using llvm::json::Array;
  using llvm::json::fixUTF8;
  using llvm::json::Object;
  Object choices, spaces, refused;
  for (const auto &[what, value] : report.choices) {
    choices[what] = value;
  }
  for (const auto &[space, bytes] : report.spaces) {
    spaces[space] = bytes;
  }
  for (const auto &[reason, count] : report.refusedFusions) {
    refused[fixUTF8(reason)] = count;
  }
  Array notices(report.notices), phases, parameters, entries, kernels, ranks;
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
    Array buffers, ops, collectives;
    for (const std::string &op : entry.ops) {
      ops.push_back(fixUTF8(op));
    }
    for (const ReportedBuffer &buffer : entry.buffers) {
      buffers.push_back(Object{{"what", fixUTF8(buffer.what)},
                               {"type", buffer.type},
                               {"part", arenaPartName(buffer.part)},
                               {"offset", buffer.offset},
                               {"bytes", buffer.bytes},
                               {"first", buffer.first},
                               {"last", buffer.last}});
    }
    for (const ReportedCollective &collective : entry.collectives) {
      collectives.push_back(::toJson(collective));
    }
    entries.push_back(Object{{"name", entry.name},
                             {"peak_bytes", entry.peak()},
                             {"backward", entry.backward},
                             {"update", entry.update},
                             {"collectives", std::move(collectives)},
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
  for (const ReportedRanks &each : report.ranks) {
    ranks.push_back(
        Object{{"ranks", each.ranks}, {"bytes", each.bytes}, {"traffic_bytes", each.traffic}});
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
                {"ranks", std::move(ranks)},
                {"casts", castsJson(report)},
                {"recomputation", ::toJson(report.recomputation)},
                {"kernels", std::move(kernels)},
                {"fusions_refused", std::move(refused)}};
}
