// What happens before the first step of a training run.

#include "runtime/Training.h"

#include "runtime/ComputeCopies.h"
#include "runtime/StartTimes.h"
#include "runtime/Startup.h"
#include "runtime/Trace.h"
#include "runtime/Weights.h"
#include "runtime/checkpoint/CheckpointFolder.h"
#include "runtime/checkpoint/Crc32c.h"
#include "runtime/checkpoint/LoadCheckpoint.h"
#include "runtime/checkpoint/WriteCheckpoint.h"

#include <algorithm>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace dsc;

static long long wide(int64_t value) { return value; }

/// Finds the checkpoint that --resume means, and takes its flags and its place in the run.
Status Training::findResumed() {
  if (!line.has("--resume")) {
    return line.has("--allow-change") ? Status::user("--allow-change: needs --resume PATH|auto")
                                      : Status();
  }
  if (line.has("--weights")) {
    return Status::user("--weights: a run that resumes goes on with the checkpoint's weights; give "
                        "one of --weights and --resume");
  }
  std::string path = line.text("--resume");
  if (path == "auto") {
    path = checkpoints.folder();
    if (!checkpoints.saves()) {
      return Status::user("--resume auto: continues from --save DIR, which is not given");
    }
    if (!holdsCheckpoint(path)) {
      return {}; // the first run of a job that may be started again
    }
  }
  Result<std::string> found = findCheckpoint(path);
  DSC_RETURN_IF_FAILED(found.status());
  Result<CheckpointManifest> manifest = openCheckpoint(*found);
  DSC_RETURN_IF_FAILED(manifest.status());
  resumedPath = *found;
  resumed = std::move(*manifest);
  state = resumed.run;
  checkpoints.continueFrom(resumedPath, state);
  line = withFlagsOf(resumed, executable.manifest(), line);
  return {};
}

/// Says of the checkpoint what ranks compare, so that all continue the same.
static std::string identityOf(const std::string &path, const CheckpointManifest &manifest) {
  if (path.empty()) {
    return "none";
  }
  const std::string text = manifest.text();
  return format("step %lld, checksum %08x", wide(manifest.run.step),
                crc32c(text.data(), static_cast<int64_t>(text.size())));
}

Status Training::prepareWeightsPath() {
  if (checkpoints.saves()) {
    const bool mayHoldFiles = line.has("--resume") || line.has("--force");
    return checkpoints.prepareFolder(resumedPath, state, mayHoldFiles);
  }
  if (access(executable.folder().c_str(), W_OK) != 0) {
    return Status::user(executable.folder() + ": the trained weights would go here and it cannot "
                                              "be written; name another folder with --save DIR");
  }
  return line.has("--force") ? Status() : checkOverwritesOwnSafetensors(weightsPath);
}

Status Training::checkFreeSpace() const {
  if (checkpoints.saves()) {
    const int64_t stepsPerEpoch = data->samples() / std::max<int64_t>(samplesPerStep, 1);
    return checkpoints.checkSpace(executable.manifest(), state, steps, stepsPerEpoch);
  }
  const int64_t needed = weightsBytes(executable.manifest());
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
  if (steps == 0) {
    steps = state.step; // writes what was loaded
  } else if (steps > 0 && steps < state.step) {
    return Status::user(format("--steps %lld: %s is of step %lld already; --steps counts from the "
                               "run's beginning",
                               wide(steps), resumedPath.c_str(), wide(state.step)));
  }
  if (steps < 0) {
    int64_t total;
    if (__builtin_mul_overflow(*epochs, data->samples(), &total) || total > INT64_MAX / 2) {
      return Status::user("--epochs " + line.text("--epochs") + ": is too large");
    }
    // Rounded up: every sample is seen that many times, and some of the next epoch may be.
    const int64_t left = std::max<int64_t>(total - state.samples, 0);
    steps = state.step + (left + samplesPerStep - 1) / samplesPerStep;
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

Status Training::prepareData(Facts &facts) {
  const Manifest &manifest = executable.manifest();
  Result<std::unique_ptr<Dataset>> opened = openData(manifest, line, line.text("--data"));
  DSC_RETURN_IF_FAILED(opened.status());
  data = std::move(*opened);
  Result<std::string> print = fingerprint(*data, manifest);
  DSC_RETURN_IF_FAILED(print.status());
  dataFingerprint = *print;
  facts.emplace_back("the data", dataFingerprint);
  if (!line.has("--eval-data")) {
    return {};
  }
  opened = openData(manifest, line, line.text("--eval-data"));
  DSC_RETURN_IF_FAILED(opened.status());
  evalData = std::move(*opened);
  print = fingerprint(*evalData, manifest);
  DSC_RETURN_IF_FAILED(print.status());
  facts.emplace_back("the evaluation data", *print);
  return manifest.hasEntry("eval")
             ? Status()
             : Status::user("--eval-data: this program was compiled without evaluation");
}

Status Training::makeSession() {
  Result<std::unique_ptr<Session>> made =
      dsc::makeSession(executable, line, ranks, resumed.choices);
  DSC_RETURN_IF_FAILED(made.status());
  session = std::move(*made);
  if (resumedPath.empty()) {
    return loadStart(*session, line);
  }
  const int threads = session->startThreads();
  DSC_RETURN_IF_FAILED(verifyCheckpoint(resumedPath, resumed, threads));
  return loadCheckpoint(*session, resumedPath, resumed, changes.partialState);
}

Status Training::fillSession() {
  DSC_RETURN_IF_FAILED(fillComputeCopies(*session));
  return values.apply(*session, steps);
}

Status Training::prepare(Facts &facts) {
  const Manifest &manifest = executable.manifest();
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  DSC_RETURN_IF_FAILED(checkpoints.readFlags(manifest, line));
  Result<std::set<std::string>> allowed = allowedChanges(line);
  DSC_RETURN_IF_FAILED(allowed.status());
  DSC_RETURN_IF_FAILED(findResumed());
  facts = programFacts(executable, line);
  facts.emplace_back("the checkpoint to continue", identityOf(resumedPath, resumed));
  Result<RunTimeValues> parsed = RunTimeValues::parse(manifest, line);
  DSC_RETURN_IF_FAILED(parsed.status());
  values = std::move(*parsed);
  samplesPerStep = manifest.microBatch * values.accumulate() * ranks.count();
  DSC_RETURN_IF_FAILED(checkTrainBatch());
  Result<int64_t> every = line.integer("--log-every", 10, 1);
  DSC_RETURN_IF_FAILED(every.status());
  DSC_RETURN_IF_FAILED(prepareData(facts));
  DSC_RETURN_IF_FAILED(prepareLength());
  if (!resumedPath.empty()) {
    const Continuation run{manifest, runFlags(manifest, values, line), dataFingerprint,
                           samplesPerStep, ranks.count()};
    Result<ResumeChanges> checked = checkResume(resumedPath, resumed, run, *allowed);
    DSC_RETURN_IF_FAILED(checked.status());
    changes = std::move(*checked);
  }
  // All ranks write into it.
  weightsPath = executable.folder() + "/" + executable.name() + ".trained.safetensors";
  if (ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(prepareWeightsPath());
    if (line.has("--profile") && !line.has("--force")) {
      DSC_RETURN_IF_FAILED(checkOverwritesOwnTrace(line.text("--profile")));
    }
    DSC_RETURN_IF_FAILED(checkFreeSpace());
  }
  sampler = std::make_unique<Sampler>(data->samples(), static_cast<uint64_t>(values.seed()),
                                      !line.has("--no-shuffle"));
  progress = std::make_unique<Progress>(steps, *every, manifest.tokensPerSample > 0,
                                        /*silent=*/!ranks.isFirst());
  if (line.has("--log") && ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(log.open(line.text("--log")));
  }
  return line.has("--tensorboard") && ranks.isFirst() ? events.open(line.text("--tensorboard"))
                                                      : Status();
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
              facts = OrderedJson::object(), seconds = OrderedJson::object();
  for (const auto &[name, value] : values.values()) {
    runTime[name] = value;
  }
  for (const auto &[name, value] : manifest.options) {
    options[name] = value;
  }
  for (const auto &[name, value] : session->device().facts()) {
    facts[name] = value;
  }
  for (const StartTime &time : startTimes()) {
    seconds[time.phase] = time.seconds;
  }
  Status logged = log.event("start", {{"model", manifest.name},
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
                                      {"start_seconds", seconds},
                                      {"micro_batch", manifest.microBatch},
                                      {"data", line.text("--data")},
                                      {"data_samples", data->samples()},
                                      {"steps", steps},
                                      {"weights", line.text("--weights", manifest.weightsFile)},
                                      {"weights_sha256", manifest.weightsHash}});
  if (logged.failed() || resumedPath.empty()) {
    return logged;
  }
  progress->line(format("continues %s behind step %lld, sample %lld of epoch %lld",
                        printable(resumedPath).c_str(), wide(state.step),
                        wide(state.samples % data->samples()),
                        wide(sampler->epoch(state.samples) + 1)));
  for (const std::string &note : changes.notes) {
    printNote(note);
  }
  return log.event("resume", {{"step", state.step},
                              {"path", resumedPath},
                              {"epoch", sampler->epoch(state.samples) + 1},
                              {"samples", state.samples},
                              {"changed", changes.notes}});
}
