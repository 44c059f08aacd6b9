// The training loop.

#include "runtime/Train.h"

#include "runtime/Batch.h"
#include "runtime/Evaluate.h"
#include "runtime/Signals.h"
#include "runtime/Startup.h"
#include "runtime/Trace.h"
#include "runtime/Training.h"
#include "runtime/checkpoint/WriteCheckpoint.h"

#include <chrono>
#include <cmath>
#include <csignal>

using namespace dsc;

static long long wide(int64_t value) { return value; }

/// Steps that may be under way while their results are awaited.
static constexpr int stepsBehind = 2;
/// Steps skipped one after the other that end a run: no batch gives a finite gradient any more.
static constexpr int64_t mostSkipped = 100;
/// What --profile shows: the first steps load kernels and touch memory for the first time.
static constexpr int64_t firstProfiled = 3, lastProfiled = 5;

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
  bool isLast = exhausted || state.skippedInRow == mostSkipped;
  if (!isLast && (scale || state.skippedInRow != 1)) {
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
  DSC_RETURN_IF_FAILED(runMicroBatches(state.samples, /*withUpdate=*/true));
  step.epoch = sampler->epoch(state.samples) + 1;
  state.samples += samplesPerStep;
  step.samples = state.samples;
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

  state.skippedInRow = report.skipped ? state.skippedInRow + 1 : 0;
  return report.skipped ? reportSkipped(step, results) : Status();
}

// ---- Between steps

bool Training::epochEnded() const {
  return state.samples > 0 &&
         sampler->epoch(state.samples) != sampler->epoch(state.samples - samplesPerStep);
}

bool Training::evaluationIsDue() const {
  const bool due = evalEpochs ? epochEnded() : evalSteps && state.step % evalSteps == 0;
  return evalData && due && state.step > 0 && state.evaluatedAt != state.step;
}

Status Training::evaluateNow() {
  Result<Evaluation> evaluation = evaluate(*session, *evalData, "", ranks);
  if (evaluation.failed()) {
    return evaluation.status();
  }
  if (evaluation->stopped) {
    return {};
  }
  state.evaluatedAt = state.step;
  isBest = checkpoints.consider(*evaluation, state);
  progress->line(format("eval at step %lld: %s", wide(state.step), evaluation->text().c_str()));
  OrderedJson event = {{"step", state.step}};
  event.update(evaluation->json());
  DSC_RETURN_IF_FAILED(events.scalars(state.step, scalarsOf("eval/", event)));
  return log.event("eval", event);
}

CheckpointManifest Training::describe(const char *reason) const {
  const Manifest &program = session->manifest();
  CheckpointManifest manifest;
  manifest.run = state;
  manifest.reason = reason;
  manifest.steps = steps;
  manifest.model = program.name;
  manifest.version = program.version;
  manifest.compileCommand = program.compileCommand;
  manifest.programHash = executable.hash();
  manifest.weightsHash = program.weightsHash;
  manifest.flags = runFlags(program, values, line);
  manifest.options = {program.options.begin(), program.options.end()};
  manifest.dataPath = line.text("--data");
  manifest.dataFingerprint = dataFingerprint;
  manifest.dataSamples = data->samples();
  manifest.samplesPerStep = samplesPerStep;
  manifest.ranks = ranks.count();
  manifest.zero = program.zero;
  manifest.choices = session->device().algorithmChoices();
  return manifest;
}

/// Writes a checkpoint, or without --save the weights.
Status Training::save(const char *reason) {
  ActivityScope saving(ranks.state(), Activity::Saving);
  DSC_RETURN_IF_FAILED(reportSteps(0));
  const auto begin = std::chrono::steady_clock::now();
  std::string path = weightsPath;
  bool wrote = true;
  if (checkpoints.saves()) {
    path = checkpoints.pathOf(state.step);
    Result<bool> saved =
        checkpoints.save(*session, ranks, describe(reason), isBest && checkpoints.keepsBest());
    saveFailed = saved.failed();
    DSC_RETURN_IF_FAILED(saved.status());
    wrote = *saved;
  } else {
    DSC_RETURN_IF_FAILED(saveWeights(*session, ranks, path, state.step));
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!wrote) {
    return {};
  }
  if (state.step < steps) {
    progress->line("saved " + printable(path));
  }
  return log.event("save", {{"step", state.step},
                            {"path", path},
                            {"reason", reason},
                            {"best", isBest && checkpoints.keepsBest()},
                            {"ms", seconds * 1e3}});
}

/// Evaluates and saves behind a step where it is due.
Status Training::passBoundary() {
  isBest = false;
  if (evaluationIsDue()) {
    DSC_RETURN_IF_FAILED(reportSteps(0));
    DSC_RETURN_IF_FAILED(evaluateNow());
  }
  const bool due = checkpoints.isDue(state.step, epochEnded());
  return due ? save("schedule") : isBest && checkpoints.keepsBest() ? save("best") : Status();
}

Status Training::run() {
  DSC_RETURN_IF_FAILED(checkpoints.checkSeen(ranks));
  DSC_RETURN_IF_FAILED(logStart());
  DSC_RETURN_IF_FAILED(readApplied());
  installTrainingSignals();
  ranks.state().activity = Activity::Computing;
  auto begin = std::chrono::steady_clock::now();
  // The run that is continued may have been stopped in the middle of an evaluation.
  const bool evaluatesFirst = !resumedPath.empty() && state.step < steps && evaluationIsDue();
  Status failure = evaluatesFirst ? passBoundary() : Status();
  while (state.step < steps && failure.ok() && !checkpoints.isOver(state) && ranks.beginRound()) {
    if (ranks.takeSaveRequest()) {
      failure = save("request");
      if (failure.failed()) {
        break;
      }
    }
    failure = step(state.step + 1);
    if (failure.failed()) {
      break;
    }
    ++state.step;
    failure = passBoundary();
  }
  if (Status reported = reportSteps(0); failure.ok()) {
    failure = reported;
  }
  if (failure.ok()) {
    failure = profile(std::max(state.step, lastProfiled) + 1);
    if (line.has("--profile") && state.step < firstProfiled) {
      progress->line("no trace: the run ended before step 3");
    }
  }
  progress->finish();
  return finish(failure,
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

/// Evaluates and saves at the end, and says why it is the end.
Status Training::finish(Status failure, double seconds) {
  const int signal = ranks.stopSignal();
  const bool patient = !checkpoints.isOver(state);
  const bool stopped = signal && state.step < steps && patient;
  if (failure.ok() && evalData && state.evaluatedAt != state.step && !signal) {
    failure = evaluateNow();
  }
  // Whatever ended the loop, what was learnt so far is kept; the first failure is the one told. But
  // saving takes all ranks: none can once one is lost or has an error of its own.
  const bool lostRank = failure.exitCode() == ExitCode::Rank;
  const bool canSave = !saveFailed && (failure.ok() || ranks.count() == 1 || ranks.failsTogether());
  Status saved = canSave ? save(stopped ? "signal" : "end") : Status();
  failure = failure.failed() ? failure : saved;
  if (failure.ok()) {
    const bool folder = checkpoints.saves();
    progress->line((folder ? "the checkpoint is " : "weights are in ") +
                   printable(folder ? checkpoints.pathOf(state.step) : weightsPath));
  }
  const char *reason = lostRank           ? "rank"
                       : failure.failed() ? "error"
                       : stopped          ? "signal"
                       : !patient         ? "patience"
                                          : "done";
  OrderedJson end = {{"reason", reason}, {"step", state.step}, {"seconds", seconds}};
  if (!patient) {
    end["message"] = format("%lld evaluations were no better than that of step %lld",
                            wide(state.evaluationsSinceBest), wide(state.bestStep));
    progress->line(end["message"].get<std::string>());
  }
  if (failure.failed()) {
    end["message"] = failure.message();
  }
  Status logged = log.event("end", end);
  if (failure.failed()) {
    return failure;
  }
  DSC_RETURN_IF_FAILED(logged);
  if (stopped) {
    return {ExitCode::Stopped,
            format("stopped by %s after step %lld of %lld%s",
                   signal == SIGINT ? "SIGINT" : "SIGTERM", wide(state.step), wide(steps),
                   checkpoints.saves() ? "; --resume auto continues it" : "")};
  }
  return {};
}

Status dsc::runTrain(Executable &executable, const CommandLine &line, Ranks &ranks) {
  Training training(executable, line, ranks);
  Facts facts;
  const Status prepared = training.prepare(facts);
  DSC_RETURN_IF_FAILED(ranks.agree(prepared, facts));
  DSC_RETURN_IF_FAILED(ranks.agree(training.makeSession(), {}));
  DSC_RETURN_IF_FAILED(ranks.agree(training.fillSession(), {}));
  return training.run();
}
