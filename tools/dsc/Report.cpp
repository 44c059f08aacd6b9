// Reads what a report tells out of the module after each phase; schedules are read by
// ReportSchedule.cpp.

#include "tools/dsc/Report.h"

#include "ir/OpsOrder.h"
#include "ir/Options.h"
#include "passes/precision/Casts.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace dsc;

std::string dsc::bytesInWords(int64_t bytes) {
  double size = static_cast<double>(bytes);
  for (const char *unit : {"bytes", "KiB", "MiB", "GiB"}) {
    if (size < 1024 || StringRef(unit) == "GiB") {
      return StringRef(unit) == "bytes" ? std::to_string(bytes) + " bytes"
                                        : llvm::formatv("{0:f1} {1}", size, unit).str();
    }
    size /= 1024;
  }
  return "";
}

//===----------------------------------------------------------------------===//
// Names and counts
//===----------------------------------------------------------------------===//

static std::map<std::string, int64_t> countOps(ModuleOp module) {
  std::map<std::string, int64_t> counts;
  module.walk([&](Operation *op) {
    if (!isa<ModuleOp, func::FuncOp, GlobalOp, YieldOp>(op) &&
        !op->hasTrait<OpTrait::ReturnLike>()) {
      ++counts[op->getName().stripDialect().str()];
    }
  });
  return counts;
}

static int64_t total(const std::map<std::string, int64_t> &counts) {
  int64_t sum = 0;
  for (const auto &[name, count] : counts) {
    sum += count;
  }
  return sum;
}

static std::string typeText(RankedTensorType type) {
  std::string text;
  llvm::raw_string_ostream(text) << type.getElementType();
  return text;
}

//===----------------------------------------------------------------------===//
// Phases in words
//===----------------------------------------------------------------------===//

static std::string plural(int64_t count, StringRef word) {
  StringRef ending = count == 1 ? "" : word.ends_with("s") ? "es" : "s";
  return std::to_string(count) + " " + word.str() + ending.str();
}

static void addImportFacts(ModuleOp module, ReportedPhase &phase) {
  int64_t trained = 0, elements = 0;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() == GlobalRole::trained) {
      ++trained;
      elements += global.getTensorType().getNumElements();
    }
  }
  phase.facts.push_back(plural(trained, "trained tensor") + " of " + plural(elements, "element"));
}

static void addRaiseFacts(ModuleOp module, ReportedPhase &phase) {
  std::map<std::string, int64_t> found, missed;
  auto log = module->getAttrOfType<ArrayAttr>("dsc.patterns");
  for (Attribute entry : log ? log.getValue() : ArrayRef<Attribute>()) {
    auto dictionary = dyn_cast<DictionaryAttr>(entry);
    auto pattern = dictionary ? dictionary.getAs<StringAttr>("pattern") : nullptr;
    auto function = dictionary ? dictionary.getAs<StringAttr>("function") : nullptr;
    auto isFound = dictionary ? dictionary.getAs<BoolAttr>("found") : nullptr;
    if (pattern && isFound && (!function || function.getValue() == "forward")) {
      ++(isFound.getValue() ? found : missed)[pattern.str()];
    }
  }
  for (const auto &[name, count] : found) {
    phase.facts.push_back("found " + name + " " + plural(count, "time"));
  }
  for (const auto &[name, count] : missed) {
    phase.facts.push_back(plural(count, "near miss") + " of " + name +
                          " (inspect --patterns says what differed)");
  }
}

static void addEntryFacts(ModuleOp module, ReportedPhase &phase) {
  for (func::FuncOp entry : entriesOf(module)) {
    auto all = entry.getOps();
    int64_t ops = std::distance(all.begin(), all.end()) - 1;
    phase.facts.push_back("@" + entry.getName().str() + ": " + plural(ops, "op"));
  }
}

static void addCollectiveFacts(ModuleOp module, ReportedPhase &phase) {
  int64_t buckets = 0;
  std::map<std::string, int64_t> collectives;
  for (auto global : module.getOps<GlobalOp>()) {
    buckets += global.getRole() == GlobalRole::trained && !global.getWithin();
  }
  for (func::FuncOp entry : entriesOf(module)) {
    for (Operation &op : entry.getOps()) {
      if (isa<ReduceScatterOp, AllGatherOp, AllReduceOp>(op)) {
        ++collectives["@" + entry.getName().str() + ": " + op.getName().stripDialect().str()];
      }
    }
  }
  phase.facts.push_back(plural(buckets, "bucket") + " of parameters");
  for (const auto &[name, count] : collectives) {
    phase.facts.push_back(name + " " + plural(count, "time"));
  }
}

static void addFusionFacts(ModuleOp module, ReportedPhase &phase, Report &report) {
  std::map<std::string, int64_t> kernels, calls;
  for (func::FuncOp entry : entriesOf(module)) {
    for (Operation &op : entry.getOps()) {
      if (auto kernel = dyn_cast<KernelOp>(op)) {
        ++kernels[stringifyKernelKind(kernel.getKind()).str()];
        for (Attribute reason : kernel.getRefused().value_or(ArrayAttr::get(op.getContext(), {}))) {
          ++report.refusedFusions[cast<StringAttr>(reason).str()];
        }
      } else if (op.getNumResults() && !isa<GetGlobalOp, ReshapeOp, SliceOp, AfterOp>(op)) {
        ++calls[op.getName().stripDialect().str()];
      }
    }
  }
  auto add = [&](StringRef what, const std::map<std::string, int64_t> &counts) {
    std::string list;
    for (const auto &[kind, count] : counts) {
      list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + kind;
    }
    if (!list.empty()) {
      phase.facts.push_back(plural(total(counts), what) + ": " + list);
    }
  };
  add("kernel", kernels);
  add("call", calls);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static void addMemory(ModuleOp module, Report &report) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  int64_t sum = 0;
  for (StringRef space : {"state", "arena", "constants", "io", "shard"}) {
    auto size = memory ? memory.getAs<IntegerAttr>(space) : nullptr;
    report.spaces.emplace_back(space.str(), size ? size.getInt() : 0);
    sum += report.spaces.back().second;
  }
  report.spaces.emplace_back("together", sum);
  report.outside = plannedBytes(module, 1, 1).outside;
  auto most = module->getAttrOfType<IntegerAttr>("dsc.max_ranks");
  for (int64_t ranks = 1; ranks <= (most ? most.getInt() : 1); ranks *= 2) {
    PlannedBytes bytes = plannedBytes(module, ranks, 1);
    report.ranks.push_back({ranks, bytes.peak, bytes.traffic});
  }
  for (func::FuncOp entry : entriesOf(module)) {
    report.entries.push_back(reportEntry(entry));
  }
}

int64_t Report::peak() const { return spaces.empty() ? 0 : spaces.back().second; }

int64_t Report::arena() const {
  auto it = llvm::find_if(spaces, [](const auto &space) { return space.first == "arena"; });
  return it == spaces.end() ? 0 : it->second;
}

/// From what the recompute phase leaves at the entry that ends a step.
static void addRecomputation(ModuleOp module, ReportedPhase &phase, Report &report) {
  auto last = module.lookupSymbol<func::FuncOp>("last");
  auto told = last ? last->getAttrOfType<DictionaryAttr>("dsc.recompute") : nullptr;
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  auto number = [](DictionaryAttr from, StringRef key) {
    auto value = from.getAs<IntegerAttr>(key);
    return value ? value.getInt() : 0;
  };
  if (!told || failed(options)) {
    return;
  }
  ReportedRecomputation &result = report.recomputation;
  result = {StringRef(options->recompute).split(':').first.str(),
            number(told, "saved_bytes"),
            number(told, "freed_bytes"),
            number(told, "added_flops"),
            number(told, "step_flops"),
            {}};
  auto blocks = told.getAs<ArrayAttr>("blocks");
  for (auto block :
       (blocks ? blocks : ArrayAttr::get(module.getContext(), {})).getAsRange<DictionaryAttr>()) {
    auto first = block.getAs<StringAttr>("first");
    result.blocks.push_back({first ? first.str() : "", number(block, "saved_bytes"),
                             number(block, "freed_bytes"), number(block, "added_flops")});
  }
  phase.facts.push_back(bytesInWords(result.saved) + " kept for backward, " +
                        bytesInWords(result.freed) + " computed again");
}

//===----------------------------------------------------------------------===//
// Kernels, casts, parameters
//===----------------------------------------------------------------------===//

/// From the manifest, which the kernels phase attaches: what `bench --kernels` will name.
static void addKernels(ModuleOp module, Report &report) {
  auto text = module->getAttrOfType<StringAttr>("dsc.manifest");
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(text ? text.getValue() : "{}");
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return;
  }
  const llvm::json::Object *root = parsed->getAsObject();
  const llvm::json::Array *ops = root ? root->getArray("ops") : nullptr;
  std::map<std::string, ReportedKernel> kernels;
  for (const llvm::json::Value &value : ops ? *ops : llvm::json::Array()) {
    const llvm::json::Object *op = value.getAsObject();
    ReportedKernel &kernel = kernels[op->getString("kind").value_or("").str()];
    kernel.kind = op->getString("kind").value_or("").str();
    const llvm::json::Array *nodes = op->getArray("onnx");
    if (kernel.example.empty() && nodes && !nodes->empty()) {
      kernel.example = nodes->front().getAsString().value_or("").str();
    }
    ++kernel.calls;
    kernel.flops += op->getInteger("flops").value_or(0);
    kernel.bytes += op->getInteger("bytes").value_or(0);
  }
  for (auto &[kind, kernel] : kernels) {
    report.kernels.push_back(std::move(kernel));
  }
  llvm::sort(report.kernels, [](const ReportedKernel &a, const ReportedKernel &b) {
    return std::tie(a.flops, a.bytes, b.kind) > std::tie(b.flops, b.bytes, a.kind);
  });
}

/// Casts between float types, each in the part of the step that it stands in.
static void addCasts(ModuleOp module, ReportedPhase &phase, Report &report) {
  std::map<std::pair<std::string, std::string>, ReportedCasts> found;
  for (func::FuncOp entry : entriesOf(module)) {
    bool isBehindBackward = false;
    entry.walk([&](Operation *op) {
      isBehindBackward |= isa<GradientsOp>(op);
      auto cast = dyn_cast<CastOp>(op);
      auto from = cast ? dyn_cast<RankedTensorType>(cast.getX().getType()) : RankedTensorType();
      auto to = cast ? dyn_cast<RankedTensorType>(cast.getY().getType()) : RankedTensorType();
      if (!from || !to || !isa<FloatType>(from.getElementType()) ||
          !isa<FloatType>(to.getElementType())) {
        return;
      }
      ReportedCasts &casts = found[{typeText(from), typeText(to)}];
      casts.from = typeText(from);
      casts.to = typeText(to);
      ++(isBehindBackward ? casts.update : isOfBackward(op) ? casts.backward : casts.forward);
      if (casts.example.empty()) {
        casts.example = StringRef(describeOp(op)).split(' ').second.str();
      }
    });
  }
  for (auto &[types, casts] : found) {
    report.casts.push_back(std::move(casts));
  }
  if (auto counts = module->getAttrOfType<DictionaryAttr>(kCastsAttr)) {
    report.castsInserted = counts.getAs<IntegerAttr>("inserted").getInt();
    report.castsLeft = counts.getAs<IntegerAttr>("left").getInt();
    phase.facts.push_back(plural(report.castsInserted, "cast") + " inserted, " +
                          std::to_string(report.castsLeft) + " left");
  }
}

static void addParameters(ModuleOp module, Report &report) {
  llvm::StringSet<> storing; // globals of a later dump that hold others
  for (auto global : module.getOps<GlobalOp>()) {
    if (std::optional<PlaceAttr> place = global.getWithin()) {
      storing.insert(place->getFlat().getValue());
    }
  }
  for (auto global : module.getOps<GlobalOp>()) {
    RankedTensorType type = global.getTensorType();
    if (!storing.contains(global.getSymName()) && global.getRole() <= GlobalRole::constant) {
      report.parameters.push_back(
          {global.getSymName().str(), typeText(type), stringifyGlobalRole(global.getRole()).str(),
           global.getReason().value_or("").str(), type.getShape().vec(), tensorBytes(type)});
    }
  }
  llvm::stable_sort(report.parameters, [](const auto &a, const auto &b) {
    auto rank = [](StringRef role) { return role == "trained" ? 0 : role == "buffer" ? 1 : 2; };
    return rank(a.role) < rank(b.role);
  });
}

//===----------------------------------------------------------------------===//
// The recorder
//===----------------------------------------------------------------------===//

void ReportRecorder::imported(ModuleOp module, double seconds) {
  auto text = [&](StringRef key) {
    auto value = module->getAttrOfType<StringAttr>(key);
    return value ? value.getValue().str() : std::string();
  };
  report.model = text("dsc.model_name");
  report.version = text("dsc.version");
  report.command = text("dsc.command");
  addParameters(module, report);
  std::optional<Phase> phase = phaseOf(module);
  phaseDone(module, phase.value_or(Phase::Import), seconds);
}

void ReportRecorder::phaseDone(ModuleOp module, Phase phase, double seconds) {
  const PhaseInfo &info = allPhases()[static_cast<int>(phase) - 1];
  ReportedPhase entry;
  entry.name = info.name.str();
  entry.guarantee = info.guarantee.str();
  entry.seconds = seconds;
  std::map<std::string, int64_t> now = countOps(module);
  entry.ops = total(now);
  if (!report.phases.empty() && phase < Phase::Kernels) {
    std::map<std::string, int64_t> difference = now;
    for (const auto &[name, count] : counts) {
      difference[name] -= count;
    }
    for (const auto &[name, count] : difference) {
      if (count != 0) {
        entry.changes.emplace_back(name, count);
      }
    }
    llvm::stable_sort(entry.changes, [](const auto &a, const auto &b) {
      return std::abs(a.second) > std::abs(b.second);
    });
    entry.changes.resize(std::min<size_t>(entry.changes.size(), 8));
  }
  counts = std::move(now);
  switch (phase) {
  case Phase::Import:
    addImportFacts(module, entry);
    break;
  case Phase::Raise:
    addRaiseFacts(module, entry);
    break;
  case Phase::Autodiff:
    addEntryFacts(module, entry);
    break;
  case Phase::Precision:
    addCasts(module, entry, report);
    break;
  case Phase::Recompute:
    addRecomputation(module, entry, report);
    break;
  case Phase::Parallel:
    addCollectiveFacts(module, entry);
    break;
  case Phase::Fusion:
    addFusionFacts(module, entry, report);
    break;
  case Phase::Memory:
    addMemory(module, report);
    entry.facts.push_back("peak " + bytesInWords(report.spaces.back().second));
    break;
  case Phase::Kernels: {
    addKernels(module, report);
    auto features = module->getAttrOfType<StringAttr>("dsc.cpu_features");
    report.target = features ? features.str() : report.target;
    entry.facts.push_back(plural(static_cast<int64_t>(report.kernels.size()), "distinct kernel") +
                          " and library functions");
    break;
  }
  case Phase::Device:
    break;
  }
  if (entry.facts.empty() && entry.changes.empty() && phase != Phase::Device) {
    entry.facts.push_back("changed nothing");
  }
  report.phases.push_back(std::move(entry));
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

bool dsc::isReportPath(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  return extension == ".txt" || extension == ".json" || extension == ".html";
}

std::string dsc::writeReport(const Report &report, StringRef path) {
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error) {
    return "cannot write " + path.str() + ": " + error.message();
  }
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".json") {
    file << llvm::formatv("{0:2}", toJson(report)) << "\n";
  } else if (extension == ".html") {
    printHtml(report, file);
  } else {
    printText(report, file);
  }
  file.close();
  if (file.has_error()) {
    error = file.error();
    file.clear_error();
    return "cannot write " + path.str() + ": " + error.message();
  }
  return "";
}
