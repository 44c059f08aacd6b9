// The report as one page: no script, nothing fetched, drawings as inline SVG. Wide tables scroll
// inside their frame, so that the page itself fits a phone.

#include "tools/dsc/Report.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace dsc;
using llvm::formatv;
using llvm::StringRef;

static constexpr llvm::StringLiteral kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5d6670; --line: #d9dde1; --page: #fff; --panel: #f6f7f8;
  --activation: #3b7dd8; --gradient: #d9822b; --update: #3a9a5b; --scratch: #a3a9b0; --peak: #c22d4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #9aa4ae; --line: #363c43; --page: #14171a;
  --panel: #1d2125; --activation: #5c9cf0; --gradient: #eda04f; --update: #5dbb7f; --scratch: #6a727b; --peak: #ef6480; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 19px; margin: 40px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 6px; } p { margin: 6px 0; } .soft { color: var(--soft); }
code, .mono { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; overflow-wrap: anywhere; }
.frame { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 6px 12px; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child th { border-top: 0; } th { background: var(--panel); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 12em; } td.wide { min-width: 18em; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 16px 0; }
.card { background: var(--panel); border-radius: 8px; padding: 10px 14px; } .card b { display: block; font-size: 19px; }
.notice { border-left: 3px solid var(--gradient); padding: 4px 12px; margin: 8px 0; background: var(--panel); }
.legend span { display: inline-block; margin-right: 16px; white-space: nowrap; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; }
svg { display: block; width: 100%; height: auto; background: var(--panel); border-radius: 8px; }
svg text { fill: var(--soft); font: 13px system-ui, sans-serif; }
.activation { fill: var(--activation); background: var(--activation); } .gradient { fill: var(--gradient); background: var(--gradient); }
.update { fill: var(--update); background: var(--update); } .scratch { fill: var(--scratch); background: var(--scratch); }
.peak { stroke: var(--peak); background: var(--peak); }
details summary { cursor: pointer; margin: 8px 0; }
@media (max-width: 600px) { main { padding: 18px 12px 40px; } th, td { padding: 5px 8px; } body { font-size: 14px; }
  td.name { min-width: 9em; } td.wide { min-width: 14em; } svg text { font-size: 22px; } }
)css";

static std::string escaped(StringRef text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '&':
      out += "&amp;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return llvm::json::fixUTF8(out);
}

/// 1234567 as 1 234 567, with thin spaces.
static std::string grouped(int64_t number) {
  std::string digits = std::to_string(number), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    out += (i && (digits.size() - i) % 3 == 0 ? "&#8239;" : "") + std::string(1, digits[i]);
  }
  return out;
}

static std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? " &times; " : "") + std::to_string(shape[i]);
  }
  return shape.empty() ? "scalar" : text;
}

static void card(llvm::raw_ostream &out, StringRef title, const std::string &value) {
  out << "<div class=card><span class=soft>" << title << "</span><b>" << value << "</b></div>\n";
}

//===----------------------------------------------------------------------===//
// Memory over the schedule
//===----------------------------------------------------------------------===//

/// The arena of one entry: time from left to right, addresses from the bottom up, a rectangle a
/// buffer, and the bytes in use as a line.
static void drawEntry(const ReportedEntry &entry, int64_t arena, llvm::raw_ostream &out) {
  constexpr double width = 1080, height = 320, left = 8, top = 26, bottom = 24;
  constexpr size_t mostRectangles = 4000;
  const double steps = std::max<double>(1, static_cast<double>(entry.ops.size()));
  auto x = [&](double op) { return left + op / steps * (width - 2 * left); };
  auto y = [&](double bytes) {
    return top +
           (1 - bytes / std::max<double>(1, static_cast<double>(arena))) * (height - top - bottom);
  };
  out << formatv("<svg viewBox=\"0 0 {0} {1}\" role=img aria-label=\"arena of entry {2} over its "
                 "schedule\">\n",
                 width, height, escaped(entry.name));
  // The largest first: what is too small to see is left out.
  std::vector<const ReportedBuffer *> buffers;
  for (const ReportedBuffer &buffer : entry.buffers) {
    buffers.push_back(&buffer);
  }
  auto area = [](const ReportedBuffer *buffer) {
    return static_cast<double>(buffer->bytes) *
           static_cast<double>(buffer->last - buffer->first + 1);
  };
  llvm::stable_sort(buffers, [&](auto *a, auto *b) { return area(a) > area(b); });
  buffers.resize(std::min(buffers.size(), mostRectangles));
  for (const ReportedBuffer *buffer : buffers) {
    double x0 = x(static_cast<double>(buffer->first)),
           x1 = x(static_cast<double>(buffer->last + 1)),
           y0 = y(static_cast<double>(buffer->offset + buffer->bytes)),
           y1 = y(static_cast<double>(buffer->offset));
    if (y1 - y0 < 0.05) {
      continue;
    }
    out << formatv("<rect class={0} opacity=.72 x={1:f1} y={2:f1} width={3:f1} height={4:f1}>"
                   "<title>{5}, {6}, ops {7} to {8}</title></rect>\n",
                   buffer->group, x0, y0, std::max(x1 - x0, 0.6), std::max(y1 - y0, 0.4),
                   escaped(buffer->what), bytesInWords(buffer->bytes), buffer->first, buffer->last);
  }
  out << "<polyline class=peak fill=none stroke-width=1.6 points=\"";
  for (auto [at, live] : llvm::enumerate(entry.live)) {
    double level = y(static_cast<double>(live));
    out << formatv("{0:f1},{1:f1} {2:f1},{1:f1} ", x(static_cast<double>(at)), level,
                   x(static_cast<double>(at + 1)));
  }
  out << "\"/>\n";
  auto peak = std::max_element(entry.live.begin(), entry.live.end());
  if (peak != entry.live.end()) {
    auto at = static_cast<double>(peak - entry.live.begin());
    bool isRight = at > steps / 2;
    out << formatv("<text x={0:f1} y={1:f1} text-anchor={2}>{3} at op {4}</text>\n", x(at),
                   std::max(18.0, y(static_cast<double>(*peak)) - 6), isRight ? "end" : "start",
                   bytesInWords(*peak), static_cast<int64_t>(at));
  }
  out << formatv(
      "<text x={0} y={1}>first op</text><text x={2} y={1} text-anchor=end>op {3}</text>\n", left,
      height - 6, width - left, entry.ops.size());
  out << "</svg>\n";
}

static void printMemory(const Report &report, llvm::raw_ostream &out) {
  out << "<h2>Memory</h2>\n<div class=frame><table><tr><th>space<th "
         "class=number>bytes<th>what</tr>\n";
  auto what = [](StringRef space) -> StringRef {
    return space == "state"       ? "parameters, optimizer state, run-time values"
           : space == "arena"     ? "everything that lives within a step, planned below"
           : space == "constants" ? "tables and masks of the program"
           : space == "io"        ? "the batch, and small results"
                                  : "the peak";
  };
  int64_t arena = 1;
  for (const auto &[space, bytes] : report.spaces) {
    arena = space == "arena" ? std::max<int64_t>(bytes, 1) : arena;
    out << "<tr><td>" << space << "<td class=number>" << grouped(bytes) << "<td class=wide>"
        << bytesInWords(bytes) << " &mdash; " << what(space) << "</tr>\n";
  }
  out << "</table></div>\n";
  out << "<p class=\"legend soft\"><span><i class=activation></i>forward</span><span><i "
         "class=gradient></i>backward</span><span><i class=update></i>update</span><span><i "
         "class=scratch></i>scratch</span><span><i class=peak></i>bytes in use</span></p>\n";
  for (const ReportedEntry &entry : report.entries) {
    if (entry.buffers.empty()) {
      continue;
    }
    int64_t peak = *std::max_element(entry.live.begin(), entry.live.end());
    out << "<h3>@" << escaped(entry.name) << " <span class=soft>" << entry.ops.size()
        << " ops, at most " << bytesInWords(peak) << " of the arena's " << bytesInWords(arena)
        << "</span></h3>\n";
    drawEntry(entry, arena, out);
  }
}

//===----------------------------------------------------------------------===//
// The other sections
//===----------------------------------------------------------------------===//

static void printPhases(const Report &report, llvm::raw_ostream &out) {
  out << "<h2>Phases</h2>\n<div class=frame><table><tr><th>phase<th class=number>seconds<th "
         "class=number>ops<th>what it did<th>what then holds</tr>\n";
  for (const ReportedPhase &phase : report.phases) {
    out << formatv("<tr><td>{0}<td class=number>{1:f3}<td class=number>{2}<td class=wide>",
                   phase.name, phase.seconds, grouped(phase.ops));
    for (const std::string &fact : phase.facts) {
      out << escaped(fact) << "<br>";
    }
    for (auto [i, change] : llvm::enumerate(phase.changes)) {
      out << (i ? ", " : "<span class=\"soft mono\">") << (change.second > 0 ? "+" : "&minus;")
          << std::abs(change.second) << " " << escaped(change.first);
    }
    out << (phase.changes.empty() ? "" : "</span>") << "<td class=\"wide soft\">"
        << escaped(phase.guarantee) << "</tr>\n";
  }
  out << "</table></div>\n";
}

static void printParameters(const Report &report, llvm::raw_ostream &out) {
  out << "<h2>Parameters</h2>\n<div class=frame><table><tr><th>name<th>role<th>type<th>shape<th "
         "class=number>bytes<th>why</tr>\n";
  for (const ReportedParameter &parameter : report.parameters) {
    out << "<tr><td class=\"name mono\">" << escaped(parameter.name) << "<td>" << parameter.role
        << "<td>" << parameter.type << "<td style=\"white-space:nowrap\">"
        << shapeText(parameter.shape) << "<td class=number>" << grouped(parameter.bytes)
        << "<td class=wide>" << escaped(parameter.reason) << "</tr>\n";
  }
  out << "</table></div>\n";
}

static void printCounts(StringRef title, StringRef what,
                        const std::map<std::string, int64_t> &counts, llvm::raw_ostream &out) {
  if (counts.empty()) {
    return;
  }
  out << "<h2>" << title << "</h2>\n<div class=frame><table><tr><th class=number>number<th>" << what
      << "</tr>\n";
  for (const auto &[name, count] : counts) {
    out << "<tr><td class=number>" << count << "<td class=wide>" << escaped(name) << "</tr>\n";
  }
  out << "</table></div>\n";
}

static void printKernels(const Report &report, llvm::raw_ostream &out) {
  out << "<h2>Kernels and library calls</h2>\n<p class=soft>Calls of all entries, with what they "
         "compute and move by the cost model; <code>bench --kernels</code> measures them.</p>\n"
         "<div class=frame><table><tr><th>kind<th class=number>calls<th class=number>Mflop<th "
         "class=number>KiB<th>serves, for one</tr>\n";
  for (const ReportedKernel &kernel : report.kernels) {
    out << formatv("<tr><td class=mono>{0}<td class=number>{1}<td class=number>{2:f2}<td "
                   "class=number>{3:f1}<td class=\"name mono\">{4}</tr>\n",
                   escaped(kernel.kind), kernel.calls, static_cast<double>(kernel.flops) / 1e6,
                   static_cast<double>(kernel.bytes) / 1024, escaped(kernel.example));
  }
  out << "</table></div>\n";
}

void dsc::printHtml(const Report &report, llvm::raw_ostream &out) {
  out << "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\n<meta name=viewport "
         "content=\"width=device-width, initial-scale=1\">\n<title>"
      << escaped(report.model) << " &mdash; dsc</title>\n<style>" << kStyle
      << "</style></head>\n<body><main>\n<h1>" << escaped(report.model) << "</h1>\n";
  out << "<p class=soft>compiled by dsc " << report.version << "</p>\n<p><code>"
      << escaped(report.command) << "</code></p>\n<p class=soft>" << escaped(report.target)
      << "</p>\n";
  int64_t trained = 0, elements = 0, calls = 0;
  double seconds = 0;
  for (const ReportedParameter &parameter : report.parameters) {
    if (parameter.role == "trained") {
      int64_t count = 1;
      for (int64_t size : parameter.shape) {
        count *= size;
      }
      ++trained;
      elements += count;
    }
  }
  for (const ReportedKernel &kernel : report.kernels) {
    calls += kernel.calls;
  }
  for (const ReportedPhase &phase : report.phases) {
    seconds += phase.seconds;
  }
  out << "<div class=cards>\n";
  card(out, "trained", grouped(elements) + " in " + std::to_string(trained) + " tensors");
  card(out, "peak memory", report.spaces.empty() ? "" : bytesInWords(report.spaces.back().second));
  card(out, "kernels and calls", grouped(calls));
  card(out, "phases", formatv("{0:f2} s", seconds).str());
  out << "</div>\n";
  for (const auto &[what, value] : report.choices) {
    out << "<p><span class=soft>" << escaped(what) << ":</span> " << escaped(value) << "</p>\n";
  }
  for (const std::string &notice : report.notices) {
    out << "<p class=notice>" << escaped(notice) << "</p>\n";
  }
  printPhases(report, out);
  printMemory(report, out);
  printCounts("Casts", "between float types", report.casts, out);
  printParameters(report, out);
  printKernels(report, out);
  printCounts("Fusions that were not made", "why", report.refusedFusions, out);
  out << "</main></body></html>\n";
}
