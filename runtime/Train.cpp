// The training loop.

#include "runtime/Train.h"

#include "runtime/Batch.h"
#include "runtime/Evaluate.h"
#include "runtime/EventFile.h"
#include "runtime/Log.h"
#include "runtime/Progress.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Signals.h"
#include "runtime/Startup.h"
#include "runtime/Trace.h"
#include "runtime/Weights.h"

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace dsc;

static long long wide(int64_t value) { return value; }

/// Steps that may be under way while their results are awaited.
static constexpr int stepsBehind = 2;
/// Steps skipped one after the other that end a run: no batch gives a finite gradient any more.
static constexpr int64_t mostSkipped = 100;
/// What --profile shows: the first steps load kernels and touch memory for the first time.
static constexpr int64_t firstProfiled = 3, lastProfiled = 5;

namespace {
class Training {
public:
  Training(Executable &executable, const CommandLine &line, Ranks &ranks)
      : executable(executable), line(line), ranks(ranks) {}

  /// Everything that can go wrong before the first step; `facts` is what ranks must agree in.
  Status prepare(Facts &facts);
  Status run();

private:
  Status prepareLength();
  Status checkTrainBatch() const;
  Status prepareWeightsPath();
  Status checkFreeSpace() const;
  Status logStart();
  /// A step that runs or ran, and is not reported yet.
  struct Submitted {
    int64_t number = 0, epoch = 0, samples = 0;
  };
  Status readApplied();
  Status step(int64_t number);
  Status runMicroBatches(int64_t begin, bool withUpdate);
  Status profile(int64_t number);
  Status reportSteps(int open);
  Status report(const Submitted &step, const ScalarResults &results);
  Result<std::string> findNotFinite(const Submitted &step);
  Status reportSkipped(const Submitted &step, const ScalarResults &results);
  Status evaluateNow(int64_t number);
  Status save(int64_t number, bool final);

  Executable &executable;
  const CommandLine &line;
  Ranks &ranks;
  RunTimeValues values;
  std::unique_ptr<Session> session;
  std::unique_ptr<Dataset> data, evalData;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<Progress> progress;
  RunLog log;
  EventFile events; ///< of --tensorboard
  std::string weightsPath;
  int64_t steps = 0, samplesPerStep = 0, consumed = 0;
  int64_t evalSteps = 0; ///< 0 with evalEpochs false: at the end only
  bool evalEpochs = false;
  int64_t evaluatedAt = -1;
  int64_t skippedInRow = 0;
  int64_t applied = 0; ///< updates so far, of steps that are reported: the schedule's time
  std::deque<Submitted> submitted;
};
} // namespace

/// Whether `path` is a folder without entries.
static bool isEmptyFolder(const std::string &path) {
  DIR *directory = opendir(path.c_str());
  if (!directory) {
    return false;
  }
  bool empty = true;
  while (dirent *entry = readdir(directory)) {
    empty &= std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0;
  }
  closedir(directory);
  return empty;
}

Status Training::prepareWeightsPath() {
  if (!line.has("--save")) {
    weightsPath = executable.folder() + "/" + executable.name() + ".trained.safetensors";
    if (access(executable.folder().c_str(), W_OK) != 0) {
      return Status::user(executable.folder() + ": the trained weights would go here and it cannot "
                                                "be written; name another folder with --save DIR");
    }
    return line.has("--force") ? Status() : checkOverwritesOwnSafetensors(weightsPath);
  }
  std::string folder = line.text("--save");
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return Status::user(format("--save %s: %s", folder.c_str(), std::strerror(errno)));
  }
  if (!line.has("--force") && !isEmptyFolder(folder)) {
    return Status::user("--save " + folder + ": is not an empty folder; name another one");
  }
  if (access(folder.c_str(), W_OK) != 0) {
    return Status::user("--save " + folder + ": cannot be written");
  }
  weightsPath = folder + "/weights.safetensors";
  return {};
}

Status Training::checkFreeSpace() const {
  int64_t needed = 0;
  for (const GlobalSpec &global : executable.manifest().globals) {
    if (global.role == GlobalRole::Trained || global.role == GlobalRole::Buffer) {
      needed += global.bytes;
    }
  }
  std::string folder = weightsPath.substr(0, weightsPath.rfind('/'));
  struct statvfs info;
  if (statvfs(folder.c_str(), &info) != 0) {
    return {};
  }
  auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  if (needed > free) {
    return Status::machine(format("%s: has %s free and the trained weights need %s", folder.c_str(),
                                  bytesText(free).c_str(), bytesText(needed).c_str()));
  }
  return {};
}

Status Training::prepareLength() {
  Result<int64_t> stepCount = line.integer("--steps", -1, 0);
  if (stepCount.failed()) {
    return stepCount.status();
  }
  Result<int64_t> epochs = line.integer("--epochs", -1, 0);
  if (epochs.failed()) {
    return epochs.status();
  }
  if ((*stepCount < 0) == (*epochs < 0)) {
    return Status::user("train needs either --steps N or --epochs N");
  }
  steps = *stepCount;
  if (steps < 0) {
    int64_t total;
    if (__builtin_mul_overflow(*epochs, data->samples(), &total) || total > INT64_MAX / 2) {
      return Status::user("--epochs " + line.text("--epochs") + ": is too large");
    }
    // Rounded up: every sample is seen that many times, and some of the next epoch may be.
    steps = (total + samplesPerStep - 1) / samplesPerStep;
  }
  if (line.has("--eval-every") && !evalData) {
    return Status::user("--eval-every: needs --eval-data PATH");
  }
  evalEpochs = line.text("--eval-every") == "epoch";
  if (!evalEpochs) {
    Result<int64_t> every = line.integer("--eval-every", 0, 1);
    if (every.failed()) {
      return Status::user("--eval-every " + line.text("--eval-every") +
                          ": is neither a positive number of steps nor \"epoch\"");
    }
    evalSteps = *every;
  }
  return {};
}

/// A step has the samples that ds_config.json says, on whatever ranks there are.
Status Training::checkTrainBatch() const {
  const Manifest &manifest = executable.manifest();
  int64_t wanted = 0;
  for (const auto &[name, value] : manifest.options) {
    wanted = name == "train_batch_size" ? parseInteger(value).value_or(0) : wanted;
  }
  if (wanted == 0 || samplesPerStep == wanted) {
    return {};
  }
  const int64_t most = manifest.hasEntry("micro") ? manifest.accumulate : 1;
  std::string fits;
  for (int64_t count = 1; count <= 1024 && count * manifest.microBatch <= wanted; ++count) {
    const int64_t micros = wanted / manifest.microBatch / count;
    if (micros * manifest.microBatch * count == wanted && (most == 0 || micros <= most)) {
      fits += format("%s--ranks %lld --accumulate=%lld", fits.empty() ? "" : ", ", wide(count),
                     wide(micros));
    }
  }
  return Status::user(
      format("a step has %lld samples (micro-batches of %lld x --accumulate=%lld x "
             "%lld ranks), and train_batch_size of the configuration is %lld; ",
             wide(samplesPerStep), wide(manifest.microBatch), wide(values.accumulate()),
             wide(ranks.count()), wide(wanted)) +
      (fits.empty() ? "compile again with dsc compile --config --ranks"
                    : "what fits: " + fits + "; for another micro-batch compile with --ranks N"));
}

Status Training::prepare(Facts &facts) {
  const Manifest &manifest = executable.manifest();
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  facts = programFacts(executable, line);
  Result<RunTimeValues> parsed = RunTimeValues::parse(manifest, line);
  if (parsed.failed()) {
    return parsed.status();
  }
  values = std::move(*parsed);
  samplesPerStep = manifest.microBatch * values.accumulate() * ranks.count();
  DSC_RETURN_IF_FAILED(checkTrainBatch());
  Result<int64_t> every = line.integer("--log-every", 10, 1);
  if (every.failed()) {
    return every.status();
  }
  Result<std::unique_ptr<Dataset>> opened = openData(manifest, line, line.text("--data"));
  if (opened.failed()) {
    return opened.status();
  }
  data = std::move(*opened);
  Result<std::string> print = fingerprint(*data, manifest);
  DSC_RETURN_IF_FAILED(print.status());
  facts.emplace_back("the data", *print);
  if (line.has("--eval-data")) {
    opened = openData(manifest, line, line.text("--eval-data"));
    if (opened.failed()) {
      return opened.status();
    }
    evalData = std::move(*opened);
    print = fingerprint(*evalData, manifest);
    DSC_RETURN_IF_FAILED(print.status());
    facts.emplace_back("the evaluation data", *print);
    if (!manifest.hasEntry("eval")) {
      return Status::user("--eval-data: this program was compiled without evaluation");
    }
  }
  DSC_RETURN_IF_FAILED(prepareLength());
  if (ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(prepareWeightsPath());
    if (line.has("--profile") && !line.has("--force")) {
      DSC_RETURN_IF_FAILED(checkOverwritesOwnTrace(line.text("--profile")));
    }
    DSC_RETURN_IF_FAILED(checkFreeSpace());
  }
  Result<std::unique_ptr<Session>> made = openSession(executable, line, ranks);
  if (made.failed()) {
    return made.status();
  }
  session = std::move(*made);
  DSC_RETURN_IF_FAILED(values.apply(*session, steps));
  sampler = std::make_unique<Sampler>(data->samples(), static_cast<uint64_t>(values.seed()),
                                      !line.has("--no-shuffle"));
  progress = std::make_unique<Progress>(steps, *every, manifest.tokensPerSample > 0,
                                        /*silent=*/!ranks.isFirst());
  if (line.has("--log") && ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(log.open(line.text("--log")));
  }
  if (line.has("--tensorboard") && ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(events.open(line.text("--tensorboard")));
  }
  return {};
}

Status Training::logStart() {
  const Manifest &manifest = session->manifest();
  const std::string device = session->device().summary() + (ranks.count() > 1 ? " each" : "");
  progress->line(format("%s, %s; %lld samples, %lld a step, %lld steps; %s planned",
                        ranks.summary().c_str(), device.c_str(), wide(data->samples()),
                        wide(samplesPerStep), wide(steps),
                        bytesText(manifest.plannedBytes(ranks.count())).c_str()));
  if (!values.groups().empty()) {
    progress->line(values.groupsSummary());
  }
  if (data->samples() < samplesPerStep) {
    printNote(format("%s: has fewer samples than a step takes, so a step sees some of them twice",
                     line.text("--data").c_str()));
  }
  OrderedJson runTime = OrderedJson::object(), options = OrderedJson::object(),
              facts = OrderedJson::object();
  for (const auto &[name, value] : values.values()) {
    runTime[name] = value;
  }
  for (const auto &[name, value] : manifest.options) {
    options[name] = value;
  }
  for (const auto &[name, value] : session->device().facts()) {
    facts[name] = value;
  }
  return log.event("start", {{"model", manifest.name},
                             {"version", manifest.version},
                             {"compile_command", manifest.compileCommand},
                             {"options", options},
                             {"run_time_values", runTime},
                             {"schedule", values.schedule()},
                             {"groups", values.groups().text()},
                             {"accumulate", values.accumulate()},
                             {"seed", values.seed()},
                             {"shuffle", !line.has("--no-shuffle")},
                             {"ranks", ranks.count()},
                             {"threads", session->device().threads()},
                             {"device", facts},
                             {"micro_batch", manifest.microBatch},
                             {"data", line.text("--data")},
                             {"data_samples", data->samples()},
                             {"steps", steps},
                             {"weights", line.text("--weights", manifest.weightsFile)},
                             {"weights_sha256", manifest.weightsHash}});
}

/// The micro-batches of the step that begins at stream position `begin`.
Status Training::runMicroBatches(int64_t begin, bool withUpdate) {
  const int64_t count = values.accumulate(), microBatch = session->manifest().microBatch;
  for (int64_t micro = 0; micro < count; ++micro) {
    DSC_RETURN_IF_FAILED(
        loadStreamBatch(*session, *data, *sampler,
                        microBatchPosition(begin, micro, ranks.count(), ranks.rank(), microBatch)));
    DSC_RETURN_IF_FAILED(session->setRunTime("rt.micro_index", static_cast<double>(micro)));
    DSC_RETURN_IF_FAILED(micro + 1 < count ? session->run("micro")
                         : withUpdate      ? session->runWithUpdate("last")
                                           : session->run("last"));
  }
  return {};
}

/// Runs the step again, op by op and without its update, and names the op whose value was the first
/// not to be finite. The weights are what they were: the update was skipped.
Result<std::string> Training::findNotFinite(const Submitted &step) {
  DSC_RETURN_IF_FAILED(session->setRunTime("rt.step", static_cast<double>(step.number - 1)));
  FiniteCheck check(session->manifest(),
                    [&](const PlannedTensor &tensor) { return session->bytes(tensor); });
  session->context().check = &check;
  Status status = runMicroBatches(step.samples - samplesPerStep, /*withUpdate=*/false);
  if (status.ok()) {
    status = check.finish();
  }
  session->context().check = nullptr;
  if (status.failed()) {
    return status;
  }
  Result<std::vector<std::string>> all = ranks.exchange(check.first() ? check.describe() : "");
  DSC_RETURN_IF_FAILED(all.status());
  // Ranks have different data: the first that found something knows.
  for (size_t rank = 0; rank < all->size(); ++rank) {
    if (!(*all)[rank].empty()) {
      return (rank ? format("on rank %zu ", rank) : "") + (*all)[rank];
    }
  }
  return check.describe();
}

/// What is said, and when the run ends, because of a step whose update was skipped. A dynamic loss
/// scale overflows now and then by design; everything else is worth a look at once.
Status Training::reportSkipped(const Submitted &step, const ScalarResults &results) {
  std::optional<double> scale = results.find("loss_scale");
  bool exhausted = results.find("loss_scale_exhausted").value_or(0) != 0;
  bool isLast = exhausted || skippedInRow == mostSkipped;
  if (!isLast && (scale || skippedInRow != 1)) {
    return {};
  }
  Result<std::string> origin = findNotFinite(step);
  if (origin.failed()) {
    return origin.status();
  }
  std::string what = format("step %lld: the loss or the gradient is not finite; the update was "
                            "skipped",
                            wide(step.number));
  if (exhausted) {
    what = format("step %lld: the gradient overflows at the smallest loss scale, %g",
                  wide(step.number), *scale);
  } else if (isLast) {
    what = format("step %lld: the loss or the gradient is not finite for the %lldth time in a row",
                  wide(step.number), wide(mostSkipped));
  }
  what += "; " + *origin;
  if (isLast) {
    ranks.failTogether();
    return Status::user(what +
                        ". The weights are those of the last good step; go on from them with "
                        "a lower --lr, with --clip" +
                        (scale ? ", or compile with --bf16" : ", or look at the data"));
  }
  progress->line("warning: " + what);
  return log.event("warning", {{"step", step.number}, {"message", what}});
}

/// The updates before the first step of this run.
Status Training::readApplied() {
  const GlobalSpec *count = session->manifest().global("state.step");
  if (!count) {
    return {};
  }
  Result<std::vector<std::byte>> bytes = session->bytes(*count);
  DSC_RETURN_IF_FAILED(bytes.status());
  applied = static_cast<int64_t>(loadAsDouble(count->dtype, bytes->data(), 0));
  return {};
}

Status Training::step(int64_t number) {
  Submitted step;
  step.number = number;
  ranks.state().step = number;
  DSC_RETURN_IF_FAILED(profile(number));
  DSC_RETURN_IF_FAILED(session->markBegin());
  DSC_RETURN_IF_FAILED(session->setRunTime("rt.step", static_cast<double>(number - 1)));
  DSC_RETURN_IF_FAILED(runMicroBatches(consumed, /*withUpdate=*/true));
  step.epoch = sampler->epoch(consumed) + 1;
  consumed += samplesPerStep;
  step.samples = consumed;
  DSC_RETURN_IF_FAILED(session->beginReading("last"));
  submitted.push_back(step);
  return reportSteps(stepsBehind);
}

/// Starts the trace of --profile before its first step, and writes it before the one behind its
/// last.
Status Training::profile(int64_t number) {
  if (!line.has("--profile")) {
    return {};
  }
  if (number == firstProfiled) {
    DSC_RETURN_IF_FAILED(reportSteps(0));
    if (Communicator *communicator = session->context().communicator) {
      communicator->startTimes();
    }
    return session->device().startTimes(&session->context());
  }
  if (!session->context().timesOps || number <= lastProfiled) {
    return {};
  }
  OpTimes times;
  times.ops.resize(session->manifest().ops.size());
  DSC_RETURN_IF_FAILED(reportSteps(0));
  DSC_RETURN_IF_FAILED(session->device().stopTimes(&session->context(), times));
  std::vector<CollectiveTime> collectives;
  if (Communicator *communicator = session->context().communicator) {
    collectives = communicator->stopTimes();
  }
  if (!ranks.isFirst()) {
    return {};
  }
  const std::string path = line.text("--profile");
  progress->line("a trace of steps 3 to 5 is in " + printable(path));
  return writeTrace(path, session->manifest(), times, collectives, session->device().summary());
}

/// Reports the steps whose results are there; waits for them until at most `open` are not reported.
Status Training::reportSteps(int open) {
  while (!submitted.empty()) {
    if (session->openReadings() <= open) {
      Result<bool> done = session->isReadingDone();
      if (done.failed() || !*done) {
        return done.status();
      }
    }
    Result<ScalarResults> results = session->finishReading();
    if (results.failed()) {
      return results.status();
    }
    Submitted step = submitted.front();
    submitted.pop_front();
    DSC_RETURN_IF_FAILED(report(step, *results));
  }
  return {};
}

/// The numbers of a log's event that are worth a curve, under TensorBoard's tags.
static std::vector<std::pair<std::string, double>> scalarsOf(const char *group,
                                                             const OrderedJson &event) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto &[name, value] : event.items()) {
    const bool isPlace = name == "step" || name == "samples" || name == "peak_bytes";
    if (!isPlace && (value.is_number() || value.is_boolean())) {
      const double number = value.is_boolean() ? value.get<bool>() : value.get<double>();
      scalars.emplace_back(group + name, number);
    }
  }
  return scalars;
}

Status Training::report(const Submitted &step, const ScalarResults &results) {
  const Manifest &manifest = session->manifest();
  StepReport report;
  report.step = step.number;
  report.loss = results.find("loss").value_or(NAN);
  report.gradNorm = results.find("grad_norm");
  report.lossScale = results.find("loss_scale");
  report.skipped = results.find("skipped").value_or(0) != 0;
  report.learningRate = values.learningRate(applied + 1, steps);
  applied += report.skipped ? 0 : 1;
  auto perStep = static_cast<double>(samplesPerStep);
  bool tokens = manifest.tokensPerSample > 0;
  if (tokens) {
    perStep *= static_cast<double>(manifest.tokensPerSample);
  }
  report.work = perStep;
  report.seconds = results.seconds;
  progress->step(report);

  OrderedJson event = {{"step", step.number},
                       {"epoch", step.epoch},
                       {"samples", step.samples},
                       {"loss", report.loss},
                       {"lr", report.learningRate}};
  if (report.gradNorm) {
    event["grad_norm"] = *report.gradNorm;
  }
  if (report.lossScale) {
    event["loss_scale"] = *report.lossScale;
  }
  event["skipped"] = report.skipped;
  event[tokens ? "tokens_per_s" : "samples_per_s"] = perStep / std::fmax(results.seconds, 1e-9);
  event["ms"] = results.seconds * 1e3;
  event["peak_bytes"] = manifest.plannedBytes(ranks.count());
  DSC_RETURN_IF_FAILED(log.event("step", event));
  DSC_RETURN_IF_FAILED(events.scalars(step.number, scalarsOf("train/", event)));

  skippedInRow = report.skipped ? skippedInRow + 1 : 0;
  return report.skipped ? reportSkipped(step, results) : Status();
}

Status Training::evaluateNow(int64_t number) {
  Result<Evaluation> evaluation = evaluate(*session, *evalData, "", ranks);
  if (evaluation.failed()) {
    return evaluation.status();
  }
  if (evaluation->stopped) {
    return {};
  }
  evaluatedAt = number;
  progress->line(format("eval at step %lld: %s", wide(number), evaluation->text().c_str()));
  OrderedJson event = {{"step", number}};
  event.update(evaluation->json());
  DSC_RETURN_IF_FAILED(events.scalars(number, scalarsOf("eval/", event)));
  return log.event("eval", event);
}

Status Training::save(int64_t number, bool final) {
  ActivityScope saving(ranks.state(), Activity::Saving);
  DSC_RETURN_IF_FAILED(saveWeights(*session, weightsPath, number));
  progress->line((final ? "weights are in " : "saved ") + printable(weightsPath));
  return log.event("save", {{"step", number}, {"path", weightsPath}});
}

Status Training::run() {
  DSC_RETURN_IF_FAILED(logStart());
  DSC_RETURN_IF_FAILED(readApplied());
  installTrainingSignals();
  ranks.state().activity = Activity::Computing;
  auto begin = std::chrono::steady_clock::now();
  Status failure;
  int64_t done = 0;
  while (done < steps && failure.ok() && ranks.beginRound()) {
    if (ranks.takeSaveRequest()) {
      failure = reportSteps(0);
      failure = failure.ok() ? save(done, false) : failure;
      if (failure.failed()) {
        break;
      }
    }
    const int64_t epochBefore = sampler->epoch(consumed);
    failure = step(done + 1);
    if (failure.failed()) {
      break;
    }
    ++done;
    bool epochEnded = sampler->epoch(consumed) != epochBefore;
    bool due = evalEpochs ? epochEnded : evalSteps && done % evalSteps == 0;
    if (due) {
      failure = reportSteps(0);
      failure = failure.ok() ? evaluateNow(done) : failure;
    }
  }
  if (Status reported = reportSteps(0); failure.ok()) {
    failure = reported;
  }
  if (failure.ok()) {
    failure = profile(std::max(done, lastProfiled) + 1);
    if (line.has("--profile") && done < firstProfiled) {
      progress->line("no trace: the run ended before step 3");
    }
  }
  progress->finish();
  if (failure.ok() && evalData && evaluatedAt != done && !ranks.stopSignal()) {
    failure = evaluateNow(done);
  }
  // Whatever ended the loop, what was learnt so far is kept; the first failure is the one told. But
  // saving takes all ranks: none can once one is lost or has an error of its own.
  const bool lostRank = failure.exitCode() == ExitCode::Rank;
  const bool canSave = failure.ok() || ranks.count() == 1 || ranks.failsTogether();
  Status saved = canSave ? save(done, true) : Status();
  failure = failure.failed() ? failure : saved;
  int signal = ranks.stopSignal();
  const char *reason = lostRank ? "rank" : failure.failed() ? "error" : signal ? "signal" : "done";
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  OrderedJson end = {{"reason", reason}, {"step", done}, {"seconds", seconds}};
  if (failure.failed()) {
    end["message"] = failure.message();
  }
  Status logged = log.event("end", end);
  if (failure.failed()) {
    return failure;
  }
  DSC_RETURN_IF_FAILED(logged);
  if (signal && done < steps) {
    return {ExitCode::Stopped,
            format("stopped by %s after step %lld of %lld", signal == SIGINT ? "SIGINT" : "SIGTERM",
                   wide(done), wide(steps))};
  }
  return {};
}

Status dsc::runTrain(Executable &executable, const CommandLine &line, Ranks &ranks) {
  Training training(executable, line, ranks);
  Facts facts;
  Status prepared = training.prepare(facts);
  DSC_RETURN_IF_FAILED(ranks.agree(prepared, facts));
  return training.run();
}
