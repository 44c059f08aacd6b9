// When a run saves, what it keeps, and which evaluation was the best.

#include "runtime/checkpoint/RunCheckpoints.h"

#include "runtime/FileWriter.h"
#include "runtime/Startup.h"
#include "runtime/checkpoint/CheckpointFolder.h"
#include "runtime/checkpoint/WriteCheckpoint.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace dsc;

RunCheckpoints::~RunCheckpoints() {
  if (lock >= 0) {
    close(lock);
  }
}

Status RunCheckpoints::readFlags(const Manifest &program, const CommandLine &line) {
  directory = line.text("--save");
  while (directory.size() > 1 && directory.back() == '/') {
    directory.pop_back();
  }
  if (line.has("--save") && directory.empty()) {
    return Status::user("--save: the folder's name is empty");
  }
  for (const char *flag : {"--save-every", "--keep", "--best"}) {
    if (line.has(flag) && !saves()) {
      return Status::user(std::string(flag) + ": needs --save DIR");
    }
  }
  for (const char *flag : {"--best", "--patience"}) {
    if (line.has(flag) && !line.has("--eval-data")) {
      return Status::user(std::string(flag) + ": needs evaluations: --eval-data PATH, and "
                                              "--eval-every N|epoch");
    }
  }
  everyEpoch = line.text("--save-every") == "epoch";
  if (!everyEpoch) {
    Result<int64_t> every = line.integer("--save-every", 0, 1);
    if (every.failed()) {
      return Status::user("--save-every " + line.text("--save-every") +
                          ": is neither a positive number of steps nor \"epoch\"");
    }
    everySteps = *every;
  }
  Result<int64_t> count = line.integer("--keep", 0, 1);
  DSC_RETURN_IF_FAILED(count.status());
  keep = *count;
  count = line.integer("--patience", 0, 1);
  DSC_RETURN_IF_FAILED(count.status());
  patience = *count;
  hasBest = line.has("--best");
  metric = line.text("--best", "loss");
  if (metric != "loss" && metric != "accuracy") {
    return Status::user("--best " + metric + ": is neither loss nor accuracy");
  }
  if (line.has("--eval-data") && metric == "accuracy" && !program.result("eval", "correct")) {
    return Status::user("--best accuracy: this program's evaluation has none; it comes with "
                        "--loss=cross-entropy, and --best loss with every loss");
  }
  return {};
}

std::string RunCheckpoints::pathOf(int64_t step) const {
  return directory + "/" + checkpointName(step);
}

// ---- The folder

/// Whether a folder has entries, without those that a dead process of ours left.
static bool isEmpty(const std::string &path) {
  DIR *entries = opendir(path.c_str());
  bool empty = true;
  while (dirent *entry = entries ? readdir(entries) : nullptr) {
    empty &= std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0;
  }
  if (entries) {
    closedir(entries);
  }
  return empty;
}

static bool isSamePlace(const std::string &a, const std::string &b) {
  struct stat first, second;
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// Two runs must not save to one folder. A process that was just killed may still be ending.
static Status lockFolder(const std::string &path, int &lock) {
  constexpr int tries = 20;
  lock = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK) {
      return {}; // a file system without locks
    }
    if (i == tries) {
      return Status::user("--save " + path +
                          ": another run that is under way saves there; end it "
                          "first, or name another folder");
    }
    usleep(100000);
  }
  return {};
}

void RunCheckpoints::continueFrom(const std::string &resumed, const RunState &run) {
  lastSaved = saves() && isSamePlace(resumed, pathOf(run.step)) ? run.step : -1;
}

Status RunCheckpoints::prepareFolder(const std::string &resumed, const RunState &run,
                                     bool mayHoldFiles) {
  const std::string flag = "--save " + directory;
  if (!makeFolder(directory)) {
    return Status::user(format("%s: %s", flag.c_str(), std::strerror(errno)));
  }
  struct stat info;
  if (stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return Status::user(flag + ": is not a folder");
  }
  if (access(directory.c_str(), W_OK) != 0) {
    return Status::user(flag + ": cannot be written");
  }
  DSC_RETURN_IF_FAILED(lockFolder(directory, lock));
  removeLeftovers(directory);
  const std::vector<int64_t> steps = checkpointsIn(directory);
  if (steps.empty()) {
    return mayHoldFiles || isEmpty(directory)
               ? Status()
               : Status::user(flag + ": is not an empty folder; name another one");
  }
  if (resumed.empty()) {
    return Status::user(flag + ": holds the checkpoints of another run, the last one of step " +
                        std::to_string(steps.back()) +
                        "; continue it with --resume auto, or name another folder");
  }
  if (!isSamePlace(resumed, pathOf(run.step))) {
    return Status::user(flag + ": holds the checkpoints of another run than " + resumed +
                        "; name another folder");
  }
  if (steps.back() > run.step) {
    return Status::user(format(
        "%s: holds %s, which is behind the step %lld that the run resumes from; continue "
        "from it (--resume auto), name another folder, or remove it",
        flag.c_str(), checkpointName(steps.back()).c_str(), static_cast<long long>(run.step)));
  }
  // A process that died behind its checkpoint may not have come to the links.
  if (linkedStep(directory, "latest") != run.step) {
    DSC_RETURN_IF_FAILED(linkCheckpoint(directory, "latest", run.step));
  }
  if (hasBest && run.best && run.bestStep != linkedStep(directory, "best") &&
      std::binary_search(steps.begin(), steps.end(), run.bestStep)) {
    return linkCheckpoint(directory, "best", run.bestStep);
  }
  return {};
}

Status RunCheckpoints::checkSpace(const Manifest &program, const RunState &run, int64_t steps,
                                  int64_t stepsPerEpoch) const {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) {
    return {};
  }
  const int64_t cadence = everyEpoch ? std::max<int64_t>(stepsPerEpoch, 1) : everySteps;
  // The last one is written in any case; one more is there while another takes its place.
  int64_t count = cadence ? std::max<int64_t>(steps - run.step, 0) / cadence + 1 : 1;
  const auto present = static_cast<int64_t>(checkpointsIn(directory).size());
  if (keep > 0) {
    count = std::max<int64_t>(std::min(count, keep + 1 - present), 1);
  }
  count += hasBest ? 1 : 0;
  const int64_t each = checkpointBytes(program);
  const auto free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(each) * static_cast<double>(count) <= free) {
    return {};
  }
  return Status::machine(
      format("--save %s: has %s free, and %lld checkpoints of %s each will be written there%s",
             directory.c_str(), bytesText(static_cast<int64_t>(free)).c_str(),
             static_cast<long long>(count), bytesText(each).c_str(),
             keep == 1 ? "; free some, or name another folder"
                       : "; keep fewer with --keep=N, free some, or name another folder"));
}

Status RunCheckpoints::checkSeen(Ranks &ranks) const {
  if (!saves() || ranks.count() == 1) {
    return {};
  }
  // A name that no other machine can have by chance.
  const std::string own =
      format("%s/%s%d-%lld", directory.c_str(), seenPrefix, static_cast<int>(getpid()),
             static_cast<long long>(std::chrono::system_clock::now().time_since_epoch().count()));
  Status status;
  if (ranks.isFirst()) {
    const int made = open(own.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    status = made < 0 ? Status::user(format("--save %s: cannot be written: %s", directory.c_str(),
                                            std::strerror(errno)))
                      : Status();
    close(made);
  }
  Result<std::vector<std::string>> all = ranks.exchange(ranks.isFirst() ? own : "");
  DSC_RETURN_IF_FAILED(all.status());
  const std::string name = all->front().substr(all->front().rfind('/') + 1);
  if (!ranks.isFirst() && access((directory + "/" + name).c_str(), W_OK) != 0) {
    status = Status::user("--save " + directory +
                          ": is not the folder that rank 0 writes to; all "
                          "ranks need one that they share");
  }
  Status agreed = ranks.agree(status, {});
  if (ranks.isFirst()) {
    unlink(own.c_str());
  }
  return agreed;
}

// ---- While the run goes on

bool RunCheckpoints::consider(const Evaluation &evaluation, RunState &run) const {
  const std::optional<double> value = metric == "loss" ? evaluation.loss : evaluation.accuracy;
  if (run.metric != metric) {
    run.metric = metric;
    run.best.reset();
    run.evaluationsSinceBest = 0;
  }
  const bool better = value && std::isfinite(*value) &&
                      (!run.best || (metric == "loss" ? *value < *run.best : *value > *run.best));
  if (better) {
    run.best = value;
    run.bestStep = run.step;
  }
  run.evaluationsSinceBest = better ? 0 : run.evaluationsSinceBest + 1;
  return better;
}

void RunCheckpoints::retire(int64_t newest, int64_t formerBest) const {
  const int64_t best = linkedStep(directory, "best");
  std::set<int64_t> kept = {best};
  std::vector<int64_t> retired = retiredSteps(checkpointsIn(directory), keep, kept);
  // What was kept as the best alone goes with its title.
  if (formerBest >= 0 && formerBest != best && formerBest != newest) {
    Result<CheckpointManifest> manifest = openCheckpoint(pathOf(formerBest));
    if (manifest.ok() && manifest->reason == "best" &&
        std::find(retired.begin(), retired.end(), formerBest) == retired.end()) {
      retired.push_back(formerBest);
    }
  }
  for (int64_t step : retired) {
    if (Status removed = removeCheckpoint(directory, step); removed.failed()) {
      printNote(removed.message());
    }
  }
}

Result<bool> RunCheckpoints::save(Session &session, Ranks &ranks,
                                  const CheckpointManifest &manifest, bool isBest) {
  const int64_t step = manifest.run.step;
  const bool writes = lastSaved != step;
  if (writes) {
    DSC_RETURN_IF_FAILED(writeCheckpoint(session, ranks, directory, manifest));
    lastSaved = step;
  }
  Status status;
  if (ranks.isFirst() && (writes || isBest)) {
    const int64_t formerBest = linkedStep(directory, "best");
    status = isBest ? linkCheckpoint(directory, "best", step) : Status();
    retire(step, formerBest);
  }
  if (writes || isBest) {
    DSC_RETURN_IF_FAILED(ranks.agree(status, {}));
  }
  return writes;
}
