// Plans that share a micro-batch share the phases before recomputation, and those that share the
// setting, too, the recompute phase. Each micro-batch has a context and a thread of its own.

#include "tools/dsc/PlanSweep.h"

#include "tools/dsc/Phases.h"

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

using namespace mlir;
using namespace dsc;

/// Micro-batches that every combination is planned for first, where the batch is free: far enough
/// apart that what grows with the batch stands out from what does not.
static constexpr int64_t kFirstAnchors[] = {2, 16};
/// A micro-batch whose plans are further from their estimates becomes an anchor itself: schedules
/// and workspaces change with shapes.
static constexpr double kTrusted = 0.05;
static constexpr int64_t kMostBatches = 65536;
/// Graphs up to this many ops in their entries are planned in no time: all estimates are tried.
static constexpr size_t kSmallGraph = 600;
/// Estimates within this part of the memory are planned to the end.
static constexpr double kNear = 0.1;
static constexpr unsigned kMostThreads = 4;

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

namespace {

/// Settings of recomputation and stages.
using Wanted = std::set<std::pair<std::string, int64_t>>;

/// The plans of one micro-batch.
class BatchPlanner {
public:
  BatchPlanner(const PlanRequest &request, const MicroBatches &batches, int64_t batch)
      : request(request), options(batches.bind(request.import, batch)), batch(batch) {
    context.loadDialect<DscDialect, func::FuncDialect>();
    context.printOpOnDiagnostic(false);
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error && fault.text.empty()) {
        llvm::raw_string_ostream(fault.text) << diagnostic;
        llvm::raw_string_ostream out(fault.printed);
        fault.id = errorIdOf(diagnostic).value_or(ErrorId::ImportNode);
        printDiagnostic(diagnostic, out, errorInfo(fault.id).name);
      }
      return success();
    });
  }

  LogicalResult plan(const Wanted &wanted, std::vector<PlanRow> &rows) {
    FailureOr<ImportedModel> imported = importModel(context, options);
    if (failed(imported) || failed(advance(*imported->module, Phase::Precision))) {
      return failure();
    }
    notices = imported->notices;
    OwningOpRef<ModuleOp> recomputed;
    std::string setting;
    for (const auto &[recompute, zero] : wanted) {
      if (!recomputed || setting != recompute) {
        recomputed = imported->module->clone();
        setting = recompute;
        if (failed(choose(*recomputed, recompute, 0)) ||
            failed(advance(*recomputed, Phase::Recompute))) {
          return failure();
        }
      }
      OwningOpRef<ModuleOp> module = recomputed->clone();
      if (failed(choose(*module, recompute, zero)) || failed(advance(*module, Phase::Memory))) {
        return failure();
      }
      int64_t micro = std::max<int64_t>(1, request.import.options.accumulate);
      rows.push_back({{zero, recompute, batch}, plannedBytes(*module, request.ranks, micro), true});
    }
    return success();
  }

  std::vector<std::string> notices;
  PlanFault fault;

private:
  LogicalResult advance(ModuleOp module, Phase last) {
    PhaseRun run;
    run.last = last;
    FailedPhase failedPhase;
    return runPhasesPlain(module, run, failedPhase);
  }

  LogicalResult choose(ModuleOp module, const std::string &recompute, int64_t zero) {
    FailureOr<CompileOptions> chosen = CompileOptions::from(module);
    if (failed(chosen)) {
      return failure();
    }
    chosen->recompute = recompute;
    chosen->zero = zero;
    module->setAttr("dsc.options", chosen->toAttribute(&context));
    return success();
  }

  MLIRContext context{MLIRContext::Threading::DISABLED};
  const PlanRequest &request;
  ImportOptions options;
  int64_t batch;
};

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

class Sweep {
public:
  Sweep(const PlanRequest &request, const MicroBatches &batches,
        llvm::function_ref<void(const PlanFault &)> report)
      : request(request), batches(batches), report(report) {}

  FailureOr<PlanTable> run() {
    anchors.insert(request.microBatches.begin(), request.microBatches.end());
    if (!batches.isFree()) {
      anchors = {batches.given()};
    } else if (anchors.empty()) {
      anchors.insert(std::begin(kFirstAnchors), std::end(kFirstAnchors));
    } else if (anchors.size() > 2 && !request.exact) {
      anchors = {*anchors.begin(), *anchors.rbegin()};
    }
    std::set<PlanKey> wanted;
    for (int64_t batch : anchors) {
      addAll(batch, wanted);
    }
    planAll(wanted);
    if (!faults.empty()) {
      report(faults.begin()->second);
      return failure();
    }
    addAnchors();
    if (request.exact) {
      wanted.clear();
      llvm::for_each(listedBatches(), [&](int64_t batch) { addAll(batch, wanted); });
      planAll(wanted);
    }
    // Planning what is near the limit may move the choice, so until nothing is left to plan.
    while (true) {
      PlanTable table = makeTable(listedBatches());
      wanted.clear();
      for (auto [i, row] : llvm::enumerate(table.rows)) {
        double part = static_cast<double>(row.bytes.peak) / static_cast<double>(request.memory);
        bool isNear = part > 1 - kNear && part < 1 + kNear;
        if (!row.isExact && (isNear || static_cast<int64_t>(i) == table.chosen)) {
          wanted.insert(row.key);
        }
      }
      if (wanted.empty()) {
        table.notices = notices;
        for (const auto &[batch, fault] : faults) {
          table.notices.push_back("the model does not compile for a micro-batch of " +
                                  std::to_string(batch) + ": " +
                                  StringRef(fault.text).split('\n').first.str());
        }
        return table;
      }
      planAll(wanted);
    }
  }

private:
  void addAll(int64_t batch, std::set<PlanKey> &keys) const {
    for (int64_t zero : request.stages) {
      for (const std::string &recompute : request.recompute) {
        keys.insert({zero, recompute, batch});
      }
    }
  }

  /// The batches whose estimates are to be tried next: the middle one of those between two anchors,
  /// the outermost beyond them; where such ones were right, all others.
  std::vector<int64_t> probes(const std::vector<int64_t> &listed) const {
    std::map<int64_t, std::vector<int64_t>> gaps; // by the anchor above
    for (int64_t batch : listed) {
      auto above = anchors.lower_bound(batch);
      if (above == anchors.end() || *above != batch) {
        gaps[above == anchors.end() ? 0 : *above].push_back(batch);
      }
    }
    std::vector<int64_t> result, others;
    for (const auto &[above, inside] : gaps) {
      auto isTrusted = [&](int64_t batch) { return trusted.count(batch) != 0; };
      if (llvm::none_of(inside, isTrusted)) {
        result.push_back(above == 0                  ? inside.back()
                         : above == *anchors.begin() ? inside.front()
                                                     : inside[inside.size() / 2]);
      }
      llvm::copy_if(inside, std::back_inserter(others),
                    [&](int64_t batch) { return !isTrusted(batch); });
    }
    return result.empty() ? others : result;
  }

  /// Makes anchors of batches until estimates agree with plans of the outermost stages. Small
  /// graphs are the irregular ones; of large ones a few batches are tried, of one stage.
  void addAnchors() {
    if (anchors.size() < 2) {
      return;
    }
    size_t ops = 0;
    for (const EntryProfile &entry : plans.begin()->second.bytes.entries) {
      ops += entry.live.size();
    }
    const bool isSmall = ops <= kSmallGraph;
    std::set<int64_t> stages = {request.stages.back()};
    if (isSmall) {
      stages.insert(request.stages.front());
    }
    for (int round = 0; round == 0 || isSmall; ++round) {
      std::vector<int64_t> tried = probes(listedBatches());
      if (tried.empty()) {
        break;
      }
      std::set<PlanKey> wanted;
      std::map<PlanKey, int64_t> estimates;
      for (int64_t batch : tried) {
        for (int64_t zero : stages) {
          for (const std::string &recompute : request.recompute) {
            PlanKey key{zero, recompute, batch};
            estimates[key] = rowOf(key).bytes.peak;
            wanted.insert(key);
          }
        }
      }
      planAll(wanted);
      std::set<int64_t> wrong;
      for (const auto &[key, estimate] : estimates) {
        if (!plans.count(key)) {
          continue; // does not compile
        }
        auto exact = static_cast<double>(plans.at(key).bytes.peak);
        if (std::abs(static_cast<double>(estimate) / exact - 1) > kTrusted) {
          wrong.insert(key.microBatch);
        }
      }
      wanted.clear();
      for (int64_t batch : tried) {
        (wrong.count(batch) ? anchors : trusted).insert(batch);
      }
      llvm::for_each(wrong, [&](int64_t batch) { addAll(batch, wanted); });
      planAll(wanted);
    }
  }

  /// Plans what is wanted and not known yet. A micro-batch is a thread's; where there are fewer
  /// than threads, equal parts of its plans are, though each part then imports the model. Of those
  /// that do not compile, the first error becomes their fault.
  void planAll(const std::set<PlanKey> &keys) {
    std::map<int64_t, Wanted> byBatch;
    for (const PlanKey &key : keys) {
      if (!plans.count(key) && !faults.count(key.microBatch)) {
        byBatch[key.microBatch].insert({key.recompute, key.zero});
      }
    }
    const size_t cores = std::min(std::max(1u, std::thread::hardware_concurrency()), kMostThreads);
    const size_t parts = byBatch.empty() ? 1 : llvm::divideCeil(cores, byBatch.size());
    std::vector<std::pair<int64_t, Wanted>> jobs;
    for (const auto &[batch, wanted] : byBatch) {
      size_t i = 0, inPart = llvm::divideCeil(wanted.size(), parts);
      for (const auto &plan : wanted) {
        if (i++ % inPart == 0) {
          jobs.push_back({batch, {}});
        }
        jobs.back().second.insert(plan);
      }
    }
    std::atomic<size_t> next{0};
    auto work = [&] {
      for (size_t i = next++; i < jobs.size(); i = next++) {
        std::vector<PlanRow> rows;
        BatchPlanner planner(request, batches, jobs[i].first);
        LogicalResult planned = planner.plan(jobs[i].second, rows);
        std::lock_guard<std::mutex> lock(mutex);
        if (failed(planned)) {
          faults[jobs[i].first] = planner.fault;
          continue;
        }
        notices = planner.notices;
        for (PlanRow &row : rows) {
          plans[row.key] = std::move(row);
        }
      }
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < std::min(cores, jobs.size()); ++i) {
      others.emplace_back(work);
    }
    work();
    for (std::thread &thread : others) {
      thread.join();
    }
  }

  PlanRow rowOf(const PlanKey &key) const {
    if (auto known = plans.find(key); known != plans.end()) {
      PlanRow row = known->second;
      row.secondsPerSample = secondsPerSample(row);
      return row;
    }
    // The two plans that it lies between, or the two nearest.
    std::vector<const PlanRow *> same;
    for (const auto &[other, row] : plans) {
      if (other.zero == key.zero && other.recompute == key.recompute) {
        same.push_back(&row);
      }
    }
    size_t above = 1;
    while (above + 1 < same.size() && same[above]->key.microBatch < key.microBatch) {
      ++above;
    }
    const PlanRow &a = *same[above - 1], &b = *same[above];
    PlanRow row{key,
                interpolate(a.bytes, a.key.microBatch, b.bytes, b.key.microBatch, key.microBatch),
                false};
    row.secondsPerSample = secondsPerSample(row);
    return row;
  }

  /// Powers of two, up to the first that fits with no setting.
  std::vector<int64_t> listedBatches() const {
    if (!batches.isFree()) {
      return {batches.given()};
    }
    if (!request.microBatches.empty()) {
      std::set<int64_t> sorted(request.microBatches.begin(), request.microBatches.end());
      llvm::for_each(faults, [&](const auto &fault) { sorted.erase(fault.first); });
      return {sorted.begin(), sorted.end()};
    }
    std::vector<int64_t> listed;
    for (int64_t batch = 1; batch <= kMostBatches && !faults.count(batch); batch *= 2) {
      listed.push_back(batch);
      bool fits = false;
      for (int64_t zero : request.stages) {
        for (const std::string &recompute : request.recompute) {
          int64_t peak = rowOf({zero, recompute, batch}).bytes.peak;
          fits |= static_cast<double>(peak) < (1 + kNear) * static_cast<double>(request.memory);
        }
      }
      if (!fits) {
        break;
      }
    }
    return listed;
  }

  /// Time of a step on one rank over its samples, at nominal rates: FLOPs and bytes one after the
  /// other, collectives under them. It tells rows of one table apart and predicts nothing.
  double secondsPerSample(const PlanRow &row) const {
    const CompileOptions &options = request.import.options;
    const bool isGpu = options.target == "cuda", isHalf = options.precision != "fp32";
    const double flops = isGpu ? (isHalf ? 500e12 : 50e12) : 100e9;
    const double moved = isGpu ? 2.5e12 : 10e9, sent = isGpu ? 150e9 : 1e9;
    double compute = static_cast<double>(row.bytes.flops) / flops +
                     static_cast<double>(row.bytes.bytesMoved) / moved;
    double wire = static_cast<double>(row.bytes.traffic) / sent;
    int64_t samples = row.key.microBatch * std::max<int64_t>(1, options.accumulate);
    return std::max(compute, wire) / static_cast<double>(samples);
  }

  PlanTable makeTable(const std::vector<int64_t> &listed) const {
    PlanTable table;
    for (int64_t zero : request.stages) {
      for (int64_t batch : listed) {
        for (const std::string &recompute : request.recompute) {
          table.rows.push_back(rowOf({zero, recompute, batch}));
        }
      }
    }
    double best = 0;
    for (const PlanRow &row : table.rows) {
      if (row.bytes.peak <= request.memory && (best == 0 || row.secondsPerSample < best)) {
        best = row.secondsPerSample;
      }
    }
    // Of what is as fast within a twentieth: the least traffic, then the least memory.
    for (auto [i, row] : llvm::enumerate(table.rows)) {
      if (row.bytes.peak > request.memory || row.secondsPerSample > 1.05 * best) {
        continue;
      }
      auto rank = [](const PlanRow &row) { return std::pair(row.bytes.traffic, row.bytes.peak); };
      if (table.chosen < 0 || rank(row) < rank(table.rows[table.chosen])) {
        table.chosen = static_cast<int64_t>(i);
      }
    }
    return table;
  }

  const PlanRequest &request;
  const MicroBatches &batches;
  llvm::function_ref<void(const PlanFault &)> report;
  std::mutex mutex;
  std::map<int64_t, PlanFault> faults; // batches that the model does not compile for
  std::map<PlanKey, PlanRow> plans;
  std::set<int64_t> anchors; // batches of which every combination is planned
  std::set<int64_t> trusted; // whose estimates were right
  std::vector<std::string> notices;
};

} // namespace

FailureOr<PlanTable> dsc::sweepPlans(const PlanRequest &request, const MicroBatches &batches,
                                     llvm::function_ref<void(const PlanFault &)> report) {
  return Sweep(request, batches, report).run();
}
