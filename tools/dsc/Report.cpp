// Reads what a report tells out of the module after each phase.

#include "tools/dsc/Report.h"

#include "ir/Options.h"

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

/// The first ONNX node or other name in a location.
static StringRef firstName(Location loc) {
  StringRef name;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    // A role such as "grad" stands around the location of the forward op.
    if (named && !isa<NameLoc, FusedLoc>(named.getChildLoc())) {
      name = name.empty() ? named.getName().getValue() : name;
    } else if (named && isa<NameLoc>(named.getChildLoc()) &&
               isa<FileLineColLoc>(cast<NameLoc>(named.getChildLoc()).getChildLoc())) {
      name = named.getName().getValue();
      return WalkResult::interrupt();
    }
    return name.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return name;
}

static std::string describeOp(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  if (auto kernel = dyn_cast<KernelOp>(op)) {
    text = stringifyKernelKind(kernel.getKind()).str() + " kernel";
  } else if (auto get = dyn_cast<GetGlobalOp>(op)) {
    return "read " + get.getName().str();
  } else if (auto set = dyn_cast<SetGlobalOp>(op)) {
    return "write " + set.getName().str();
  }
  StringRef name = firstName(op->getLoc());
  return name.empty() ? text : text + " " + name.str();
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

static void addFusionFacts(ModuleOp module, ReportedPhase &phase, Report &report) {
  std::map<std::string, int64_t> kinds;
  for (func::FuncOp entry : entriesOf(module)) {
    for (Operation &op : entry.getOps()) {
      if (auto kernel = dyn_cast<KernelOp>(op)) {
        ++kinds[stringifyKernelKind(kernel.getKind()).str() + " kernel"];
        for (Attribute reason : kernel.getRefused().value_or(ArrayAttr::get(op.getContext(), {}))) {
          ++report.refusedFusions[cast<StringAttr>(reason).str()];
        }
      } else if (op.getNumResults() && !isa<GetGlobalOp, ReshapeOp, SliceOp>(op)) {
        ++kinds["call of " + op.getName().stripDialect().str()];
      }
    }
  }
  for (const auto &[kind, count] : kinds) {
    phase.facts.push_back(plural(count, kind));
  }
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static StringRef groupOf(Operation *op, bool behindBackward) {
  bool isGradient = false;
  op->getLoc()->walk([&](Location part) {
    auto name = dyn_cast<NameLoc>(part);
    isGradient |= name && name.getName() == "grad";
    return WalkResult::advance();
  });
  return behindBackward ? "update" : isGradient ? "gradient" : "activation";
}

static ReportedEntry entryOf(func::FuncOp entry) {
  ReportedEntry result;
  result.name = entry.getName().str();
  std::map<std::pair<int64_t, int64_t>, size_t> seen; // (offset, first) -> buffer
  bool behindBackward = false;
  auto add = [&](Operation *op, SlotAttr slot, StringRef group) {
    if (slot.getSpace() != Space::arena || slot.getBytes() == 0) {
      return;
    }
    auto [it, isNew] = seen.try_emplace({slot.getOffset(), slot.getFirst()}, result.buffers.size());
    if (isNew) {
      result.buffers.push_back({describeOp(op), group.str(), slot.getOffset(), slot.getBytes(),
                                slot.getFirst(), slot.getLast()});
    }
  };
  for (Operation &op : entry.getOps()) {
    result.ops.push_back(describeOp(&op));
    behindBackward |= isa<GradientsOp>(op);
    if (isa<ReshapeOp, SliceOp>(op)) {
      continue; // a view of what has been counted
    }
    if (auto slots = op.getAttrOfType<ArrayAttr>("dsc.slots")) {
      for (auto slot : slots.getAsRange<SlotAttr>()) {
        add(&op, slot, groupOf(&op, behindBackward));
      }
    }
    if (auto slot = op.getAttrOfType<SlotAttr>("dsc.scratch")) {
      add(&op, slot, "scratch");
    }
  }
  // A result may lie where an operand ends: bytes are counted by place, not by value.
  const size_t end = result.ops.size();
  for (size_t at = 0; at < end; ++at) {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (const ReportedBuffer &buffer : result.buffers) {
      if (buffer.first <= static_cast<int64_t>(at) && static_cast<int64_t>(at) <= buffer.last) {
        ranges.emplace_back(buffer.offset, buffer.offset + buffer.bytes);
      }
    }
    llvm::sort(ranges);
    int64_t live = 0, reached = 0;
    for (auto [from, to] : ranges) {
      live += std::max<int64_t>(0, to - std::max(from, reached));
      reached = std::max(reached, to);
    }
    result.live.push_back(live);
  }
  return result;
}

static void addMemory(ModuleOp module, Report &report) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  int64_t sum = 0;
  for (StringRef space : {"state", "arena", "constants", "io", "shard"}) {
    auto size = memory ? memory.getAs<IntegerAttr>(space) : nullptr;
    report.spaces.emplace_back(space.str(), size ? size.getInt() : 0);
    sum += report.spaces.back().second;
  }
  report.spaces.emplace_back("together", sum);
  for (func::FuncOp entry : entriesOf(module)) {
    report.entries.push_back(entryOf(entry));
  }
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

static void addCasts(ModuleOp module, Report &report) {
  auto isFloatType = [](RankedTensorType type) { return isa<FloatType>(type.getElementType()); };
  module.walk([&](CastOp op) {
    auto from = cast<RankedTensorType>(op->getOperand(0).getType());
    auto to = cast<RankedTensorType>(op->getResult(0).getType());
    if (isFloatType(from) && isFloatType(to)) {
      ++report.casts[typeText(from) + " to " + typeText(to)];
    }
  });
}

static void addParameters(ModuleOp module, Report &report) {
  for (auto global : module.getOps<GlobalOp>()) {
    RankedTensorType type = global.getTensorType();
    if (global.getRole() == GlobalRole::trained || global.getRole() == GlobalRole::buffer) {
      report.parameters.push_back(
          {global.getSymName().str(), typeText(type), stringifyGlobalRole(global.getRole()).str(),
           global.getReason().value_or("").str(), type.getShape().vec(), tensorBytes(type)});
    }
  }
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
    addCasts(module, report);
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
  case Phase::Recompute:
  case Phase::Parallel:
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
