// The report as one page: no script, nothing fetched, drawings as inline SVG. Tables scroll inside
// their frame, so that the page itself fits a phone.

#include "tools/dsc/ReportDrawings.h"
#include "tools/dsc/ReportMarkup.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace dsc;
using llvm::formatv;
using llvm::StringRef;

static constexpr llvm::StringLiteral kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5d6670; --line: #d9dde1; --page: #fff; --panel: #f6f7f8; --link: #2460b5;
  --weights: #51606f; --state: #8695a5; --kept: #b08a5a; --other: #c3cad1; --gathered: #7b5fc4; --forward: #3b7dd8; --again: #2aa5a0;
  --backward: #e0902f; --buckets: #c9539a; --update: #3a9a5b; --workspace: #a3a9b0; --peak: #c22d4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #9aa4ae; --line: #363c43; --page: #14171a; --panel: #1d2125; --link: #7fb0f5;
  --weights: #6f8193; --state: #4f5d6b; --kept: #a07f55; --other: #3c444c; --gathered: #9c85e0; --forward: #5c9cf0; --again: #4fc4be;
  --backward: #eda04f; --buckets: #e077b5; --update: #5dbb7f; --workspace: #7d858e; --peak: #ef6480; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 19px; margin: 44px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 6px; overflow-wrap: anywhere; } h3 span { font-weight: 400; } p { margin: 6px 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); } a { color: var(--link); text-decoration: none; } nav a { display: inline-block; margin: 0 14px 4px 0; }
code, .mono { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; overflow-wrap: anywhere; }
.frame { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; }
.long { max-height: 480px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 6px 12px; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child th { border-top: 0; } th { background: var(--panel); font-weight: 600; white-space: nowrap; } .long th { position: sticky; top: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 13em; } td.wide { min-width: 17em; } td.whole { white-space: nowrap; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 16px 0; }
.card { background: var(--panel); border-radius: 8px; padding: 10px 14px; } .card b { display: block; font-size: 18px; line-height: 1.3; }
.choices { display: grid; grid-template-columns: max-content 1fr; gap: 4px 14px; margin: 12px 0; } .choices dt { color: var(--soft); } .choices dd { margin: 0; overflow-wrap: anywhere; }
.unit { display: inline-block; min-width: 6em; }
.notice { border-left: 3px solid var(--backward); padding: 4px 12px; margin: 8px 0; background: var(--panel); }
.share { display: flex; height: 9px; min-width: 7em; margin-top: 7px; border-radius: 3px; overflow: hidden; background: var(--line); }
.share i { background: var(--forward); } .share i + i { background: var(--again); }
details { margin: 10px 0; } details summary { cursor: pointer; margin: 8px 0; color: var(--link); }
@media (max-width: 600px) { main { padding: 18px 12px 40px; } th, td { padding: 5px 8px; } body { font-size: 14px; }
  td.name { min-width: 10em; } td.wide { min-width: 12em; } .cards { grid-template-columns: 1fr 1fr; } .card { padding: 8px 10px; } .card b { font-size: 16px; }
  .unit { display: block; } .choices { grid-template-columns: 1fr; gap: 0; } .choices dd { margin-bottom: 8px; }
  .stacked tr { display: grid; grid-template-columns: 1fr auto auto; border-top: 1px solid var(--line); } .stacked tr:first-child { display: none; }
  .stacked td { border: 0; } .stacked td.wide { grid-column: 1 / -1; padding-top: 0; } .stacked td:first-child { font-weight: 600; }
  .stacked td.number:nth-child(2)::after { content: " s"; } .stacked td.number:nth-child(3)::after { content: " ops"; } }
)css";

static std::string percent(double part, double whole) {
  return formatv("{0:f1}%", whole > 0 ? 100 * part / whole : 0.0).str();
}

static void card(llvm::raw_ostream &out, StringRef title, const std::string &value) {
  out << "<div class=\"card\"><span class=\"soft\">" << title << "</span><b>" << value
      << "</b></div>\n";
}

static void heading(StringRef id, StringRef title, llvm::raw_ostream &out) {
  out << "<h2 id=\"" << id << "\">" << title << "</h2>\n";
}

/// Begins a table in its frame. Columns with a '#' in front hold numbers.
static void beginTable(llvm::ArrayRef<StringRef> columns, size_t rows, llvm::raw_ostream &out,
                       StringRef kind = "") {
  constexpr size_t scrolling = 24;
  out << "<div class=\"frame" << kind << (rows > scrolling ? " long" : "") << "\"><table><tr>";
  for (StringRef column : columns) {
    bool isNumber = column.consume_front("#");
    out << (isNumber ? "<th class=\"number\">" : "<th>") << column << "</th>";
  }
  out << "</tr>\n";
}

static void endTable(llvm::raw_ostream &out) { out << "</table></div>\n"; }

static std::string cell(StringRef kind, const std::string &text) {
  return "<td" + (kind.empty() ? "" : " class=\"" + kind.str() + "\"") + ">" + text + "</td>";
}
static std::string number(int64_t value) { return cell("number", grouped(value)); }

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

static void printPhases(const Report &report, llvm::raw_ostream &out) {
  heading("phases", "Phases", out);
  beginTable({"phase", "#seconds", "#ops", "what it did", "what then holds"}, 0, out, " stacked");
  for (const ReportedPhase &phase : report.phases) {
    std::string did;
    for (const std::string &fact : phase.facts) {
      did += escaped(fact) + "<br/>";
    }
    for (auto [i, change] : llvm::enumerate(phase.changes)) {
      did += i ? ", " : "<span class=\"soft mono\">";
      did += (change.second > 0 ? "+" : "&#8722;") + std::to_string(std::abs(change.second)) + " " +
             escaped(change.first);
    }
    did += phase.changes.empty() ? "" : "</span>";
    out << "<tr>" << cell("", escaped(phase.name))
        << cell("number", formatv("{0:f3}", phase.seconds)) << number(phase.ops)
        << cell("wide", did) << cell("wide soft", escaped(phase.guarantee)) << "</tr>\n";
  }
  endTable(out);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static void printSpaces(const Report &report, llvm::raw_ostream &out) {
  auto what = [](StringRef space) -> StringRef {
    return space == "state"       ? "parameters, optimizer state, run-time values"
           : space == "arena"     ? "everything that lives within a step, drawn below"
           : space == "constants" ? "tables and masks of the program"
           : space == "io"        ? "the batch, and small results"
           : space == "shard"     ? "what ranks divide among them, all of it"
                                  : "the peak of one rank alone";
  };
  beginTable({"space", "#bytes", "what"}, 0, out);
  for (const auto &[space, bytes] : report.spaces) {
    if (bytes || space != "shard") {
      out << "<tr>" << cell("", space) << number(bytes)
          << cell("wide", bytesInWords(bytes) + " &#8212; " + what(space).str()) << "</tr>\n";
    }
  }
  endTable(out);
  if (report.ranks.size() < 2) {
    return;
  }
  out << "<p class=\"soft\">On several ranks, without accumulation. Sent counts what one rank "
         "sends "
         "in a step, padding of chunks included, single numbers not.</p>\n";
  auto inWords = [](int64_t bytes) {
    return cell("number",
                grouped(bytes) + " <span class=\"unit soft\">" + bytesInWords(bytes) + "</span>");
  };
  beginTable({"#ranks", "#bytes on each", "#sent by each"}, 0, out);
  for (const ReportedRanks &ranks : report.ranks) {
    out << "<tr>" << number(ranks.ranks) << inWords(ranks.bytes) << inWords(ranks.traffic)
        << "</tr>\n";
  }
  endTable(out);
}

/// The buffers that are in use where an entry's arena is fullest, the largest first.
static void printPeak(const ReportedEntry &entry, llvm::raw_ostream &out) {
  constexpr size_t most = 12;
  const auto at = static_cast<int64_t>(entry.peakOp());
  std::vector<const ReportedBuffer *> held;
  for (const ReportedBuffer &buffer : entry.buffers) {
    if (buffer.first <= at && at <= buffer.last) {
      held.push_back(&buffer);
    }
  }
  llvm::stable_sort(held, [](auto *a, auto *b) { return a->bytes > b->bytes; });
  out << formatv("<details><summary>The {0} of the arena at op {1}, {2}</summary>\n",
                 bytesInWords(entry.peak()), at, escaped(entry.ops[entry.peakOp()]));
  beginTable({"what", "part", "type", "#bytes", "#from op", "#to op", "last read by"}, 0, out);
  int64_t rest = 0;
  for (auto [i, buffer] : llvm::enumerate(held)) {
    if (i >= most) {
      rest += buffer->bytes;
      continue;
    }
    out << "<tr>" << cell("name mono", escaped(buffer->what))
        << cell("whole", "<i class=\"part " + classOf(buffer->part).str() + "\"></i>" +
                             arenaPartName(buffer->part).str())
        << cell("whole", escaped(buffer->type)) << number(buffer->bytes) << number(buffer->first)
        << number(buffer->last)
        << cell("name mono soft", escaped(entry.ops[static_cast<size_t>(buffer->last)]))
        << "</tr>\n";
  }
  if (rest) {
    out << "<tr>" << cell("soft", std::to_string(held.size() - most) + " smaller ones")
        << "<td></td><td></td>" << number(rest) << "<td></td><td></td><td></td></tr>\n";
  }
  endTable(out);
  out << "</details>\n";
}

static void printMemory(const Report &report, llvm::raw_ostream &out) {
  if (report.entries.empty()) {
    return;
  }
  heading("memory", "Memory", out);
  printSpaces(report, out);
  out << "<h3>Bytes over the schedule <span class=\"soft\">what runs, from left to right; the "
         "dashed line is what is planned, with the arena's gaps</span></h3>\n";
  drawMemoryLegend(report, out);
  for (const ReportedEntry &entry : report.entries) {
    if (entry.buffers.empty()) {
      continue;
    }
    out << "<h3>@" << escaped(entry.name) << " <span class=\"soft\">" << grouped(entry.calls.back())
        << " kernels and calls of " << grouped(static_cast<int64_t>(entry.ops.size()))
        << " ops; at most " << bytesInWords(entry.peak()) << " of the arena's "
        << bytesInWords(report.arena()) << "</span></h3>\n";
    drawMemory(report, entry, out);
    drawStages(entry, out);
    printPeak(entry, out);
    out << "<details><summary>Where buffers lie</summary>\n";
    drawArena(report, entry, out);
    drawStages(entry, out);
    out << "</details>\n";
  }
}

//===----------------------------------------------------------------------===//
// Communication
//===----------------------------------------------------------------------===//

static std::string waitInWords(const ReportedCollective &collective) {
  return collective.isLeft ? "next entry" : collective.wait < 0 ? "" : grouped(collective.wait);
}

static void printCollectives(const ReportedEntry &entry, llvm::raw_ostream &out) {
  std::map<std::string, std::pair<int64_t, int64_t>> kinds; // number and bytes
  for (const ReportedCollective &collective : entry.collectives) {
    if (!collective.isFromBefore) {
      auto &[count, bytes] = kinds[collective.kind];
      ++count;
      bytes += collective.bytes;
    }
  }
  out << "<h3>@" << escaped(entry.name) << "</h3>\n<p class=\"legend soft\">";
  for (const auto &[kind, sum] : kinds) {
    out << formatv("<span><i class=\"{0}\"></i>{1} {0} of {2}</span> ", kind, sum.first,
                   bytesInWords(sum.second));
  }
  out << "</p>\n";
  drawCollectives(entry, out);
  drawStages(entry, out);
  const bool isStep = entry.name == "last" || entry.name == "micro";
  out << "<details" << (isStep ? " open=\"\"" : "") << "><summary>The " << entry.collectives.size()
      << " collectives</summary>\n";
  // Single numbers and sums of chunks, beside the buckets that they belong to.
  int64_t largest = 0;
  for (const ReportedCollective &collective : entry.collectives) {
    largest = std::max(largest, collective.bytes);
  }
  std::map<std::string, std::pair<int64_t, int64_t>> small; // number and bytes
  const bool isLong = entry.collectives.size() > 64;
  beginTable({"collective", "type", "#bytes", "#from op", "#to wait", "work under it"},
             entry.collectives.size(), out);
  for (const ReportedCollective &collective : entry.collectives) {
    if (isLong && collective.bytes < largest / 100) {
      auto &[count, bytes] = small[collective.kind];
      ++count;
      bytes += collective.bytes;
      continue;
    }
    out << "<tr>" << cell("mono whole", escaped(collective.name))
        << cell("whole", escaped(collective.type)) << number(collective.bytes)
        << cell("number", collective.isFromBefore ? "entry before" : grouped(collective.issue))
        << cell("number", waitInWords(collective))
        << cell("whole", grouped(collective.calls) +
                             (collective.calls == 1 ? " call, " : " calls, ") +
                             flopsInWords(collective.flops) + ", " + bytesInWords(collective.moved))
        << "</tr>\n";
  }
  for (const auto &[kind, sum] : small) {
    out << "<tr>" << cell("soft", std::to_string(sum.first) + " smaller " + kind) << "<td></td>"
        << number(sum.second) << "<td></td><td></td><td></td></tr>\n";
  }
  endTable(out);
  out << "</details>\n";
}

static bool communicates(const ReportedEntry &entry) { return !entry.collectives.empty(); }

static void printCommunication(const Report &report, llvm::raw_ostream &out) {
  if (report.entries.empty()) {
    return;
  }
  heading("communication", "Communication", out);
  if (llvm::none_of(report.entries, communicates)) {
    out << "<p>None: the program is for one rank.</p>\n";
    return;
  }
  out << "<p class=\"soft\">Each collective from the op that starts it to the one that waits for "
         "it. "
         "With one rank they are nothing. Work under it is that of the cost model, as far as it is "
         "in "
         "the same entry.</p>\n";
  for (const ReportedEntry &entry : report.entries) {
    if (communicates(entry)) {
      printCollectives(entry, out);
    }
  }
}

//===----------------------------------------------------------------------===//
// Precision, recomputation
//===----------------------------------------------------------------------===//

static void printPrecision(const Report &report, llvm::raw_ostream &out) {
  heading("casts", "Casts", out);
  if (report.castsInserted >= 0) {
    out << "<p>The table of precisions asks for <b>" << report.castsInserted
        << "</b> casts between f32 and the compute type; <b>" << report.castsLeft
        << "</b> are left after elision.</p>\n";
  } else {
    out << "<p>Everything is computed in the types of the file: no casts inserted.</p>\n";
  }
  if (report.casts.empty()) {
    return;
  }
  beginTable({"from", "to", "#in forward", "#in backward", "#in the update", "for one"}, 0, out);
  for (const ReportedCasts &casts : report.casts) {
    out << "<tr>" << cell("", casts.from) << cell("", casts.to) << number(casts.forward)
        << number(casts.backward) << number(casts.update)
        << cell("name mono", escaped(casts.example)) << "</tr>\n";
  }
  endTable(out);
}

static void printRecomputation(const Report &report, llvm::raw_ostream &out) {
  if (report.entries.empty()) {
    return;
  }
  heading("recomputation", "Recomputation", out);
  const ReportedRecomputation &told = report.recomputation;
  if (told.blocks.empty()) {
    out << "<p>Nothing is computed again: all that backward reads is kept.</p>\n";
    return;
  }
  out << "<p><code>--recompute=" << escaped(told.mode) << "</code>: " << bytesInWords(told.saved)
      << " of " << bytesInWords(told.saved + told.freed) << " are kept for backward, "
      << bytesInWords(told.freed) << " ("
      << percent(static_cast<double>(told.freed), static_cast<double>(told.saved + told.freed))
      << ") computed again, for " << flopsInWords(told.flops) << " more (+"
      << percent(static_cast<double>(told.flops), static_cast<double>(told.stepFlops))
      << " of the step's " << flopsInWords(told.stepFlops) << ").</p>\n";
  int64_t most = 1;
  for (const ReportedRecomputation::Block &block : told.blocks) {
    most = std::max(most, block.saved + block.freed);
  }
  beginTable({"#block", "from node", "kept, computed again", "#bytes kept", "#bytes saved",
              "#FLOPs added"},
             told.blocks.size(), out);
  for (auto [i, block] : llvm::enumerate(told.blocks)) {
    auto share = [&](int64_t bytes) {
      return formatv("<i style=\"width:{0:f1}%\"></i>",
                     100 * static_cast<double>(bytes) / static_cast<double>(most))
          .str();
    };
    out << "<tr>" << number(static_cast<int64_t>(i)) << cell("name mono", escaped(block.first))
        << "<td><div class=\"share\">" << share(block.saved) << share(block.freed) << "</div></td>"
        << number(block.saved) << number(block.freed) << number(block.flops) << "</tr>\n";
  }
  endTable(out);
}

//===----------------------------------------------------------------------===//
// Parameters, kernels
//===----------------------------------------------------------------------===//

static int64_t elementsOf(const ReportedParameter &parameter) {
  int64_t count = 1;
  for (int64_t size : parameter.shape) {
    count *= size;
  }
  return count;
}

static std::string roleInWords(const ReportedParameter &parameter) {
  bool isFrozen = parameter.role != "trained" && StringRef(parameter.reason).contains("--freeze");
  return isFrozen ? "frozen" : parameter.role;
}

static void printParameters(const Report &report, llvm::raw_ostream &out) {
  heading("parameters", "Parameters", out);
  std::map<std::string, std::pair<int64_t, int64_t>> roles; // tensors and elements
  for (const ReportedParameter &parameter : report.parameters) {
    auto &[tensors, elements] = roles[roleInWords(parameter)];
    ++tensors;
    elements += elementsOf(parameter);
  }
  out << "<p>";
  for (StringRef role : {"trained", "frozen", "buffer", "constant"}) {
    if (auto it = roles.find(role.str()); it != roles.end()) {
      out << formatv("{0} {1} of {2} elements. ", it->second.first, role,
                     grouped(it->second.second));
    }
  }
  out << "<span class=\"soft\">Why is the number of the rule in docs/parameters.md that decided, "
         "and "
         "what it saw. Frozen tensors are in the weights file, no gradient reaches "
         "them.</span></p>\n";
  beginTable({"name", "role", "type", "shape", "#bytes", "why"}, report.parameters.size(), out);
  for (const ReportedParameter &parameter : report.parameters) {
    out << "<tr>" << cell("name mono", escaped(parameter.name)) << cell("", roleInWords(parameter))
        << cell("", parameter.type) << cell("whole", shapeInMarkup(parameter.shape))
        << number(parameter.bytes) << cell("wide", escaped(parameter.reason)) << "</tr>\n";
  }
  endTable(out);
}

static void printKernels(const Report &report, llvm::raw_ostream &out) {
  if (report.kernels.empty()) {
    return;
  }
  heading("kernels", "Kernels and library calls", out);
  out << "<p class=\"soft\">Calls of all entries, with what they compute and move by the cost "
         "model; "
         "<code>bench --kernels</code> measures them.</p>\n";
  beginTable({"kind", "#calls", "#Mflop", "#KiB", "serves, for one"}, report.kernels.size(), out);
  for (const ReportedKernel &kernel : report.kernels) {
    out << "<tr>" << cell("mono", escaped(kernel.kind)) << number(kernel.calls)
        << cell("number", formatv("{0:f2}", static_cast<double>(kernel.flops) / 1e6))
        << cell("number", formatv("{0:f1}", static_cast<double>(kernel.bytes) / 1024))
        << cell("name mono", escaped(kernel.example)) << "</tr>\n";
  }
  endTable(out);
}

static void printRefusedFusions(const Report &report, llvm::raw_ostream &out) {
  if (report.refusedFusions.empty()) {
    return;
  }
  heading("fusions", "Fusions that were not made", out);
  beginTable({"#number", "why"}, report.refusedFusions.size(), out);
  for (const auto &[reason, count] : report.refusedFusions) {
    out << "<tr>" << number(count) << cell("wide", escaped(reason)) << "</tr>\n";
  }
  endTable(out);
}

//===----------------------------------------------------------------------===//
// The page
//===----------------------------------------------------------------------===//

static void printHead(const Report &report, llvm::raw_ostream &out) {
  out << "<h1>" << escaped(report.model) << "</h1>\n<p class=\"soft\">compiled by dsc "
      << escaped(report.version) << "</p>\n<p><code>" << escaped(report.command)
      << "</code></p>\n<p class=\"soft\">" << escaped(report.target) << "</p>\n";
  int64_t trained = 0, elements = 0, calls = 0;
  double seconds = 0;
  for (const ReportedParameter &parameter : report.parameters) {
    trained += parameter.role == "trained";
    elements += parameter.role == "trained" ? elementsOf(parameter) : 0;
  }
  for (const ReportedKernel &kernel : report.kernels) {
    calls += kernel.calls;
  }
  for (const ReportedPhase &phase : report.phases) {
    seconds += phase.seconds;
  }
  out << "<div class=\"cards\">\n";
  card(out, "trained", grouped(elements) + " in " + std::to_string(trained) + " tensors");
  if (!report.spaces.empty()) {
    card(out, "peak memory", bytesInWords(report.peak()));
  }
  if (calls) {
    card(out, "kernels and calls", grouped(calls));
  }
  card(out, "phases", formatv("{0:f2} s", seconds).str());
  out << "</div>\n<dl class=\"choices\">\n";
  for (const auto &[what, value] : report.choices) {
    out << "<dt>" << escaped(what) << "</dt><dd>" << escaped(value) << "</dd>\n";
  }
  out << "</dl>\n";
  for (const std::string &notice : report.notices) {
    out << "<p class=\"notice\">" << escaped(notice) << "</p>\n";
  }
}

void dsc::printHtml(const Report &report, llvm::raw_ostream &out) {
  out << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<meta "
         "name=\"viewport\" "
         "content=\"width=device-width, initial-scale=1\"/>\n<title>"
      << escaped(report.model) << " &#8212; dsc</title>\n<style>" << kStyle << kDrawingStyle
      << "</style></head>\n<body><main>\n";
  printHead(report, out);
  out << "<nav><a href=\"#phases\">Phases</a>";
  if (!report.entries.empty()) {
    out << " <a href=\"#memory\">Memory</a> <a href=\"#communication\">Communication</a>";
  }
  out << " <a href=\"#casts\">Casts</a>";
  out << (report.entries.empty() ? "" : " <a href=\"#recomputation\">Recomputation</a>");
  out << " <a href=\"#parameters\">Parameters</a>";
  out << (report.kernels.empty() ? "" : " <a href=\"#kernels\">Kernels</a>") << "</nav>\n";
  printPhases(report, out);
  printMemory(report, out);
  printCommunication(report, out);
  printPrecision(report, out);
  printRecomputation(report, out);
  printParameters(report, out);
  printKernels(report, out);
  printRefusedFusions(report, out);
  out << "</main></body></html>\n";
}
