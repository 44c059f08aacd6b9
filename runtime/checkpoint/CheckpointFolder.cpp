// The folder of a run's checkpoints.

#include "runtime/checkpoint/CheckpointFolder.h"

#include "runtime/CommandLine.h"
#include "runtime/FileWriter.h"
#include "runtime/MappedFile.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dsc;

static constexpr char stepPrefix[] = "step-";
static constexpr char asideSuffix[] = ".partial", removedSuffix[] = ".removed";

static bool startsWith(const std::string &text, const std::string &prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

static bool endsWith(const std::string &text, const std::string &end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string dsc::checkpointName(int64_t step) {
  return format("%s%08lld", stepPrefix, static_cast<long long>(step));
}

/// The step of a checkpoint's name; -1 for other names.
static int64_t stepOf(const std::string &name) {
  if (!startsWith(name, stepPrefix)) {
    return -1;
  }
  const int64_t step = parseInteger(name.substr(std::strlen(stepPrefix))).value_or(-1);
  return step >= 0 && checkpointName(step) == name ? step : -1;
}

static bool isFolder(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

static std::vector<std::string> entriesOf(const std::string &folder) {
  std::vector<std::string> names;
  if (DIR *directory = opendir(folder.c_str())) {
    while (dirent *entry = readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") {
        names.push_back(name);
      }
    }
    closedir(directory);
  }
  return names;
}

std::vector<int64_t> dsc::checkpointsIn(const std::string &folder) {
  std::vector<int64_t> steps;
  for (const std::string &name : entriesOf(folder)) {
    if (const int64_t step = stepOf(name); step >= 0 && isFolder(folder + "/" + name)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

int64_t dsc::linkedStep(const std::string &folder, const char *link) {
  char target[PATH_MAX];
  const ssize_t length = readlink((folder + "/" + link).c_str(), target, sizeof target);
  const int64_t step =
      length > 0 ? stepOf(std::string(target, static_cast<size_t>(length))) : int64_t(-1);
  return step >= 0 && isFolder(folder + "/" + checkpointName(step)) ? step : -1;
}

static bool isCheckpoint(const std::string &path) {
  return access((path + "/" + manifestFile).c_str(), F_OK) == 0;
}

bool dsc::holdsCheckpoint(const std::string &path) {
  return isCheckpoint(path) || !checkpointsIn(path).empty();
}

Result<std::string> dsc::findCheckpoint(const std::string &path) {
  if (!isFolder(path)) {
    return Status::user(
        path + (access(path.c_str(), F_OK) == 0
                    ? ": is a file and no checkpoint, which is a folder; weights alone are taken "
                      "by --weights"
                    : format(": %s", std::strerror(errno))));
  }
  if (isCheckpoint(path)) {
    return path;
  }
  const std::vector<int64_t> steps = checkpointsIn(path);
  if (steps.empty()) {
    return Status::user(path + ": is no checkpoint and holds none: there is neither " +
                        manifestFile + " nor a folder step-NNNNNNNN");
  }
  return path + "/" + checkpointName(steps.back());
}

/// The bytes of the tensors that the manifest lists for a file.
static std::map<std::string, int64_t> fileBytes(const CheckpointManifest &manifest) {
  std::map<std::string, int64_t> bytes;
  for (const CheckpointTensor &tensor : manifest.tensors) {
    bytes[tensor.file] += byteCount(tensor.dtype, tensor.shape).value_or(0);
  }
  return bytes;
}

Result<CheckpointManifest> dsc::openCheckpoint(const std::string &path) {
  const std::string name = path + "/" + manifestFile;
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(name);
  DSC_RETURN_IF_FAILED(file.status());
  Result<CheckpointManifest> manifest =
      readCheckpointManifest(name, {reinterpret_cast<const char *>((*file)->data()),
                                    static_cast<size_t>((*file)->size())});
  DSC_RETURN_IF_FAILED(manifest.status());
  for (const auto &[part, bytes] : fileBytes(*manifest)) {
    struct stat info;
    if (stat((path + "/" + part).c_str(), &info) != 0) {
      return Status::user(format("%s/%s: %s: the checkpoint is not complete", path.c_str(),
                                 part.c_str(), std::strerror(errno)));
    }
    if (info.st_size < bytes) {
      return Status::user(format("%s/%s: has %lld bytes and its tensors alone %lld: the file was "
                                 "cut",
                                 path.c_str(), part.c_str(), static_cast<long long>(info.st_size),
                                 static_cast<long long>(bytes)));
    }
  }
  return manifest;
}

// ---- Changes

/// Removes a folder of plain files.
static Status removeFolder(const std::string &path) {
  for (const std::string &name : entriesOf(path)) {
    if (unlink((path + "/" + name).c_str()) != 0) {
      return Status::user(
          format("%s/%s: cannot remove: %s", path.c_str(), name.c_str(), std::strerror(errno)));
    }
  }
  if (rmdir(path.c_str()) != 0 && errno != ENOENT) {
    return Status::user(format("%s: cannot remove: %s", path.c_str(), std::strerror(errno)));
  }
  return {};
}

std::string dsc::asidePath(const std::string &folder, int64_t step) {
  return folder + "/." + checkpointName(step) + asideSuffix;
}

Status dsc::makeAside(const std::string &folder, int64_t step) {
  const std::string path = asidePath(folder, step);
  DSC_RETURN_IF_FAILED(removeFolder(path));
  return mkdir(path.c_str(), 0777) == 0 ? Status() : writeError(path);
}

Status dsc::linkCheckpoint(const std::string &folder, const char *link, int64_t step) {
  const std::string aside = folder + "/." + link + asideSuffix, path = folder + "/" + link;
  unlink(aside.c_str());
  if (symlink(checkpointName(step).c_str(), aside.c_str()) != 0 ||
      rename(aside.c_str(), path.c_str()) != 0) {
    return writeError(path);
  }
  return syncFolder(folder);
}

Status dsc::publishCheckpoint(const std::string &folder, int64_t step) {
  const std::string aside = asidePath(folder, step), path = folder + "/" + checkpointName(step);
  DSC_RETURN_IF_FAILED(syncFolder(aside));
  if (rename(aside.c_str(), path.c_str()) != 0) {
    return writeError(path);
  }
  DSC_RETURN_IF_FAILED(syncFolder(folder));
  return linkCheckpoint(folder, "latest", step);
}

Status dsc::removeCheckpoint(const std::string &folder, int64_t step) {
  const std::string path = folder + "/" + checkpointName(step);
  const std::string removed = folder + "/." + checkpointName(step) + removedSuffix;
  DSC_RETURN_IF_FAILED(removeFolder(removed));
  if (rename(path.c_str(), removed.c_str()) != 0) {
    return Status::user(format("%s: cannot remove: %s", path.c_str(), std::strerror(errno)));
  }
  return removeFolder(removed);
}

void dsc::removeLeftovers(const std::string &folder) {
  for (const std::string &name : entriesOf(folder)) {
    const std::string path = folder + "/" + name;
    if (startsWith(name, seenPrefix) || name == std::string(".latest") + asideSuffix ||
        name == std::string(".best") + asideSuffix) {
      unlink(path.c_str());
    } else if (startsWith(name, std::string(".") + stepPrefix) &&
               (endsWith(name, asideSuffix) || endsWith(name, removedSuffix))) {
      // What cannot be removed is in nobody's way.
      (void)removeFolder(path).ok();
    }
  }
}

std::vector<int64_t> dsc::retiredSteps(const std::vector<int64_t> &steps, int64_t keep,
                                       const std::set<int64_t> &kept) {
  std::vector<int64_t> retired;
  if (keep == 0) {
    return retired;
  }
  int64_t left = keep;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (kept.count(*step)) {
      continue;
    }
    if (left > 0) {
      --left;
    } else {
      retired.push_back(*step);
    }
  }
  std::reverse(retired.begin(), retired.end());
  return retired;
}
