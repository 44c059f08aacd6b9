// SVG of the memory plan and of collectives. The x axis counts what runs: kernels, library calls,
// collectives; views and accesses of globals have no width.

#include "tools/dsc/ReportDrawings.h"

#include "tools/dsc/ReportMarkup.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>
#include <set>
#include <tuple>

using namespace dsc;
using llvm::formatv;
using llvm::StringRef;

/// Units of a drawing; it is stretched to the width that it gets.
static constexpr double kWidth = 1000, kHeight = 260;
/// At most so many steps of a band; the drawing is hardly wider on any screen.
static constexpr int64_t kColumns = 500;

const llvm::StringLiteral dsc::kDrawingStyle = R"css(
.plot { position: relative; background: var(--panel); border-radius: 8px 8px 0 0; overflow: hidden; }
.plot svg { display: block; width: 100%; }
.plot .label { position: absolute; font-size: 12px; line-height: 1.2; padding: 1px 5px; color: var(--soft); white-space: nowrap; pointer-events: none;
  background: var(--page); border-radius: 4px; opacity: .92; }
.plot .label.top { color: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.planned { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 5 4; vector-effect: non-scaling-stroke; }
.peak { stroke: var(--peak); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.stages { display: flex; margin-bottom: 10px; font-size: 12px; color: var(--soft); border-radius: 0 0 8px 8px; overflow: hidden; }
.stages span { border-top: 3px solid; padding: 2px 0; text-indent: 5px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; background: var(--panel); }
.stages .forward { border-color: var(--forward); } .stages .backward { border-color: var(--backward); } .stages .update { border-color: var(--update); }
.legend span { display: inline-block; margin-right: 16px; white-space: nowrap; }
.legend i, td i.part { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; }
svg .weights { fill: var(--weights); } i.weights { background: var(--weights); }
svg .state { fill: var(--state); } i.state { background: var(--state); }
svg .kept { fill: var(--kept); } i.kept { background: var(--kept); }
svg .other { fill: var(--other); } i.other { background: var(--other); }
svg .gathered { fill: var(--gathered); } i.gathered { background: var(--gathered); }
svg .forward { fill: var(--forward); } i.forward { background: var(--forward); }
svg .again { fill: var(--again); } i.again { background: var(--again); }
svg .backward { fill: var(--backward); } i.backward { background: var(--backward); }
svg .buckets { fill: var(--buckets); } i.buckets { background: var(--buckets); }
svg .update { fill: var(--update); } i.update { background: var(--update); }
svg .workspace { fill: var(--workspace); } i.workspace { background: var(--workspace); }
svg .reduce_scatter { fill: var(--buckets); } i.reduce_scatter { background: var(--buckets); }
svg .all_gather { fill: var(--forward); } i.all_gather { background: var(--forward); }
svg .all_reduce { fill: var(--workspace); } i.all_reduce { background: var(--workspace); }
)css";

StringRef dsc::classOf(ArenaPart part) {
  static const StringRef names[kArenaParts] = {"gathered", "forward", "again",    "backward",
                                               "buckets",  "update",  "workspace"};
  return names[static_cast<size_t>(part)];
}

/// Parts outside the arena that are drawn, from the bottom up, with their class and name.
static constexpr struct {
  MemoryPart part;
  StringRef name, words;
} kOutside[] = {{MemoryPart::Weights, "weights", "weights"},
                {MemoryPart::State, "state", "optimizer state"},
                {MemoryPart::Gradients, "kept", "gradients kept over the step"},
                {MemoryPart::Other, "other", "constants, inputs, results"}};

/// From the bottom up: what stays longest first.
static constexpr ArenaPart kStacked[kArenaParts] = {
    ArenaPart::Gathered, ArenaPart::Forward,   ArenaPart::Buckets, ArenaPart::Again,
    ArenaPart::Backward, ArenaPart::Workspace, ArenaPart::Update};

static int64_t callsOf(const ReportedEntry &entry) {
  return std::max<int64_t>(1, entry.calls.back());
}

/// Where op `at` begins.
static double xOf(const ReportedEntry &entry, int64_t at) {
  const auto index = std::min(static_cast<size_t>(std::max<int64_t>(at, 0)), entry.ops.size());
  return kWidth * static_cast<double>(entry.calls[index]) / static_cast<double>(callsOf(entry));
}

/// Where what lasts to op `last` ends; at least one call behind `first`.
static double endOf(const ReportedEntry &entry, int64_t first, int64_t last) {
  return std::max(xOf(entry, last + 1),
                  xOf(entry, first) + kWidth / static_cast<double>(callsOf(entry)));
}

static void line(StringRef name, double x1, double y1, double x2, double y2,
                 llvm::raw_ostream &out) {
  out << formatv("<line class=\"{0}\" x1=\"{1:f1}\" y1=\"{2:f1}\" x2=\"{3:f1}\" y2=\"{4:f1}\"/>\n",
                 name, x1, y1, x2, y2);
}

/// Text over a drawing. `x` and `y` are parts of its width and height; it stands to the left of x
/// where it would not fit to the right.
static void label(StringRef name, double x, double y, const std::string &text,
                  llvm::raw_ostream &out) {
  out << formatv("<span class=\"label{0}\" style=\"{1}:{2:f1}%;top:{3:f1}%\">{4}</span>\n", name,
                 x > 0.5 ? "right" : "left", 100 * (x > 0.5 ? 1 - x : x), 100 * y, text);
}

static void beginPlot(StringRef kind, double height, const std::string &words,
                      llvm::raw_ostream &out) {
  out << formatv("<div class=\"plot {0}\"><svg viewBox=\"0 0 {1:f0} {2:f0}\" "
                 "style=\"height:{2:f0}px\" preserveAspectRatio=\"none\" role=\"img\" "
                 "aria-label=\"{3}\">\n",
                 kind, kWidth, height, escaped(words));
}

//===----------------------------------------------------------------------===//
// Memory over the schedule
//===----------------------------------------------------------------------===//

namespace {
/// Bytes of each part at the fullest op of each column.
class Columns {
public:
  explicit Columns(const ReportedEntry &entry) {
    const size_t ops = entry.ops.size();
    std::vector<std::array<int64_t, kArenaParts>> change(ops + 1), columns;
    for (const ReportedBuffer &buffer : entry.buffers) {
      change[buffer.first][static_cast<size_t>(buffer.part)] += buffer.bytes;
      change[buffer.last + 1][static_cast<size_t>(buffer.part)] -= buffer.bytes;
    }
    count = std::min<int64_t>(callsOf(entry), kColumns);
    bytes.resize(count);
    std::vector<int64_t> fullest(count, -1);
    std::array<int64_t, kArenaParts> now = {};
    for (size_t at = 0; at < ops; ++at) {
      int64_t sum = 0;
      for (size_t part = 0; part < kArenaParts; ++part) {
        sum += now[part] += change[at][part];
      }
      const int64_t column = std::min(count - 1, entry.calls[at] * count / callsOf(entry));
      if (sum > fullest[column]) {
        fullest[column] = sum;
        bytes[column] = now;
      }
    }
    for (int64_t column = 1; column < count; ++column) {
      bytes[column] = fullest[column] < 0 ? bytes[column - 1] : bytes[column];
    }
  }

  int64_t count = 0;
  std::vector<std::array<int64_t, kArenaParts>> bytes;
};
} // namespace

/// A band between two lines of steps, `lower` and `upper` at each column.
static void drawBand(StringRef name, StringRef title, llvm::ArrayRef<double> lower,
                     llvm::ArrayRef<double> upper, llvm::raw_ostream &out) {
  const double step = kWidth / static_cast<double>(lower.size());
  std::string path;
  llvm::raw_string_ostream to(path);
  auto follow = [&](llvm::ArrayRef<double> levels, bool isBack) {
    const size_t count = levels.size();
    for (size_t i = 0; i < count;) {
      const size_t at = isBack ? count - 1 - i : i;
      size_t next = i + 1;
      while (next < count && levels[isBack ? count - 1 - next : next] == levels[at]) {
        ++next;
      }
      const double end = step * static_cast<double>(isBack ? count - next : next);
      to << formatv("V{0:f1}H{1:f1}", levels[at], end);
      i = next;
    }
  };
  to << formatv("M0 {0:f1}", lower.front());
  follow(upper, false);
  follow(lower, true);
  out << "<path class=\"" << name << "\" d=\"" << path << "Z\"><title>" << title
      << "</title></path>\n";
}

/// A power of two, so that `most` has two to four of them.
static int64_t gridStep(int64_t most) {
  int64_t step = 1;
  while (most > 4 * step) {
    step *= 2;
  }
  return step;
}

void dsc::drawMemory(const Report &report, const ReportedEntry &entry, llvm::raw_ostream &out) {
  const int64_t most = std::max<int64_t>(report.peak(), 1), outside = sumOf(report.outside);
  constexpr double top = 24;
  auto y = [&](int64_t bytes) {
    return kHeight - (kHeight - top) * static_cast<double>(bytes) / static_cast<double>(most);
  };
  Columns columns(entry);
  beginPlot("memory", kHeight, "bytes in use over the schedule of @" + entry.name, out);
  const int64_t step = gridStep(most);
  for (int64_t bytes = step; bytes < most; bytes += step) {
    line("grid", 0, y(bytes), kWidth, y(bytes), out);
  }
  std::vector<int64_t> level(columns.count, 0);
  auto band = [&](StringRef name, const std::string &title, auto bytesAt) {
    std::vector<double> lower, upper;
    bool isSeen = false;
    for (int64_t column = 0; column < columns.count; ++column) {
      lower.push_back(y(level[column]));
      level[column] += bytesAt(column);
      upper.push_back(y(level[column]));
      isSeen |= upper.back() != lower.back();
    }
    if (isSeen) {
      drawBand(name, title, lower, upper, out);
    }
  };
  for (const auto &[part, name, words] : kOutside) {
    const int64_t bytes = report.outside[static_cast<size_t>(part)];
    band(name, words.str() + ", " + bytesInWords(bytes), [&](int64_t) { return bytes; });
  }
  for (ArenaPart part : kStacked) {
    band(classOf(part), arenaPartName(part).str(),
         [&](int64_t column) { return columns.bytes[column][static_cast<size_t>(part)]; });
  }
  line("planned", 0, y(most), kWidth, y(most), out);
  const double at = xOf(entry, static_cast<int64_t>(entry.peakOp())) +
                    kWidth / 2 / static_cast<double>(callsOf(entry));
  const double peak = y(outside + entry.peak());
  line("peak", at, peak, at, kHeight, out);
  out << "</svg>\n";
  for (int64_t bytes = step; bytes < most; bytes += step) {
    label("", 0, y(bytes) / kHeight - 0.065, bytesInWords(bytes), out);
  }
  label(" top", at / kWidth, std::max(0.0, peak / kHeight - 0.085),
        bytesInWords(outside + entry.peak()) + " at op " + std::to_string(entry.peakOp()), out);
  out << "</div>\n";
}

void dsc::drawMemoryLegend(const Report &report, llvm::raw_ostream &out) {
  std::set<ArenaPart> parts;
  for (const ReportedEntry &entry : report.entries) {
    for (const ReportedBuffer &buffer : entry.buffers) {
      parts.insert(buffer.part);
    }
  }
  out << "<p class=\"legend soft\">";
  for (const auto &[part, name, words] : kOutside) {
    if (report.outside[static_cast<size_t>(part)]) {
      out << formatv("<span><i class=\"{0}\"></i>{1}</span> ", name, words);
    }
  }
  for (ArenaPart part : kStacked) {
    if (parts.count(part)) {
      out << formatv("<span><i class=\"{0}\"></i>{1}</span> ", classOf(part), arenaPartName(part));
    }
  }
  out << "</p>\n";
}

void dsc::drawStages(const ReportedEntry &entry, llvm::raw_ostream &out) {
  const double backward = xOf(entry, entry.backward) / kWidth * 100,
               update = xOf(entry, entry.update) / kWidth * 100;
  out << "<div class=\"stages\">";
  auto stage = [&](StringRef name, double width) {
    if (width > 0) {
      out << formatv("<span class=\"{0}\" style=\"width:{1:f2}%\" title=\"{0}\">{2}</span>", name,
                     width, width < 8 ? "&#160;" : name);
    }
  };
  stage("forward", backward);
  stage("backward", update - backward);
  stage("update", 100 - update);
  out << "</div>\n";
}

//===----------------------------------------------------------------------===//
// Where buffers lie
//===----------------------------------------------------------------------===//

namespace {
/// One rectangle: a buffer, or several small ones that lie side by side.
struct Area {
  const ReportedBuffer *example;
  int64_t buffers = 1, bytes = 0, offset = 0, end = 0, first = 0, last = 0;
};
} // namespace

/// What takes at least `least` units of the drawing one by one; smaller ones are joined with others
/// of their part that begin in the same cell of `side` units.
static std::vector<Area> areasOf(const ReportedEntry &entry, double bytesInUnit, double least,
                                 double side) {
  std::vector<Area> areas;
  std::map<std::tuple<ArenaPart, int64_t, int64_t>, Area> cells;
  for (const ReportedBuffer &buffer : entry.buffers) {
    const double x = xOf(entry, buffer.first), end = endOf(entry, buffer.first, buffer.last);
    const Area area{
        &buffer,      1,          buffer.bytes, buffer.offset, buffer.offset + buffer.bytes,
        buffer.first, buffer.last};
    if ((end - x) * static_cast<double>(buffer.bytes) / bytesInUnit >= least) {
      areas.push_back(area);
      continue;
    }
    const auto row = static_cast<int64_t>(static_cast<double>(buffer.offset) / bytesInUnit / side);
    auto [it, isNew] = cells.try_emplace({buffer.part, row, static_cast<int64_t>(x / side)}, area);
    if (Area &joined = it->second; !isNew) {
      joined.buffers += 1;
      joined.bytes += area.bytes;
      joined.offset = std::min(joined.offset, area.offset);
      joined.end = std::max(joined.end, area.end);
      joined.first = std::min(joined.first, area.first);
      joined.last = std::max(joined.last, area.last);
    }
  }
  for (const auto &[cell, area] : cells) {
    areas.push_back(area);
  }
  return areas;
}

void dsc::drawArena(const Report &report, const ReportedEntry &entry, llvm::raw_ostream &out) {
  constexpr double height = 320;
  const auto arena = static_cast<double>(std::max<int64_t>(report.arena(), 1));
  beginPlot("arena", height, "where buffers of @" + entry.name + " lie in the arena", out);
  for (const Area &area : areasOf(entry, arena / height, 12, 8)) {
    const double x = xOf(entry, area.first), end = endOf(entry, area.first, area.last),
                 y = height * (1 - static_cast<double>(area.end) / arena),
                 high = height * static_cast<double>(area.end - area.offset) / arena;
    if (high < 0.1) {
      continue; // a hair on any screen
    }
    const std::string what =
        area.buffers > 1 ? std::to_string(area.buffers) + " buffers" : escaped(area.example->what);
    out << formatv("<rect class=\"{0}\" x=\"{1:f1}\" y=\"{2:f1}\" width=\"{3:f1}\" "
                   "height=\"{4:f1}\"><title>{5}, {6}, ops {7} to {8}</title></rect>\n",
                   classOf(area.example->part), x, y, std::max(end - x, 0.6), std::max(high, 0.4),
                   what, bytesInWords(area.bytes), area.first, area.last);
  }
  out << "</svg></div>\n";
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

void dsc::drawCollectives(const ReportedEntry &entry, llvm::raw_ostream &out) {
  // Each goes into the first row that is free where it begins.
  constexpr double row = 12;
  std::vector<double> rows;
  struct Bar {
    const ReportedCollective *collective;
    double x, end;
    size_t row;
  };
  std::vector<Bar> bars;
  const double call = kWidth / static_cast<double>(callsOf(entry));
  for (const ReportedCollective &collective : entry.collectives) {
    const double x = xOf(entry, collective.issue);
    double end = collective.wait < 0 ? kWidth : xOf(entry, collective.wait);
    end = std::max(end, x + std::max(call, 3.0));
    auto it = llvm::find_if(rows, [&](double taken) { return taken <= x; });
    const auto at = static_cast<size_t>(it - rows.begin());
    if (it == rows.end()) {
      rows.push_back(end);
    } else {
      *it = end;
    }
    bars.push_back({&collective, x, end, at});
  }
  const double height = 4 + row * static_cast<double>(rows.size());
  beginPlot("collectives", height, "collectives over the schedule of @" + entry.name, out);
  for (const Bar &bar : bars) {
    const ReportedCollective &collective = *bar.collective;
    out << formatv("<rect class=\"{0}\" x=\"{1:f1}\" y=\"{2:f0}\" width=\"{3:f1}\" height=\"{4}\">"
                   "<title>{5}, {6}</title></rect>\n",
                   collective.kind, bar.x, 3 + row * static_cast<double>(bar.row), bar.end - bar.x,
                   row - 3, escaped(collective.name), bytesInWords(collective.bytes));
  }
  out << "</svg></div>\n";
}
