// From a session to files.

#include "runtime/checkpoint/WriteCheckpoint.h"

#include "runtime/FileWriter.h"
#include "runtime/checkpoint/CheckpointFolder.h"
#include "runtime/checkpoint/SharedTensorFile.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

using namespace dsc;

std::string dsc::savedName(const Manifest &manifest, const GlobalSpec &spec) {
  const GlobalSpec *of = manifest.global(spec.of);
  return spec.isWeight() ? spec.weightsName()
         : of            ? of->weightsName() + "." + spec.kind
                         : spec.name;
}

static int64_t bytesOf(const GlobalSpec &spec) {
  return byteCount(spec.dtype, spec.shape).value_or(0);
}

int64_t dsc::weightsBytes(const Manifest &manifest) {
  int64_t bytes = 0;
  for (const GlobalSpec &spec : manifest.globals) {
    bytes += spec.isWeight() ? bytesOf(spec) : 0;
  }
  return bytes;
}

int64_t dsc::checkpointBytes(const Manifest &manifest) {
  int64_t bytes = weightsBytes(manifest);
  for (const GlobalSpec &spec : manifest.globals) {
    bytes += spec.isOptimizerState() ? bytesOf(spec) : 0;
  }
  return bytes;
}

/// In the order of names: programs list their globals in other orders.
static std::vector<SavedTensor> byName(std::vector<SavedTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const SavedTensor &a, const SavedTensor &b) { return a.name < b.name; });
  return tensors;
}

static std::vector<SavedTensor> weightsOf(const Manifest &manifest, const RankBuffers &buffers) {
  std::vector<SavedTensor> tensors;
  for (const GlobalSpec &spec : manifest.globals) {
    if (spec.isWeight()) {
      const RankBuffers::Values *values = buffers.find(spec);
      tensors.push_back({savedName(manifest, spec), &spec, values ? &values->mean : nullptr});
    }
  }
  return byName(std::move(tensors));
}

/// Nothing that depends on the program: files of one state are equal.
static std::map<std::string, std::string> metadataOf(int64_t step) {
  return {{"step", std::to_string(step)}};
}

Status dsc::saveWeights(Session &session, Ranks &ranks, const std::string &path, int64_t step) {
  DSC_RETURN_IF_FAILED(session.wait());
  Result<RankBuffers> buffers = RankBuffers::read(session, ranks);
  DSC_RETURN_IF_FAILED(buffers.status());
  const std::string aside = path + ".partial";
  const Manifest &manifest = session.manifest();
  Result<SharedTensorFile> planned =
      SharedTensorFile::plan(aside, weightsOf(manifest, *buffers), metadataOf(step), ranks.count());
  DSC_RETURN_IF_FAILED(planned.status());
  std::vector<SharedTensorFile> files;
  files.push_back(std::move(*planned));
  Status status = writeTogether(session, ranks, files).status();
  if (ranks.isFirst()) {
    if (status.ok() && rename(aside.c_str(), path.c_str()) != 0) {
      status = writeError(path);
    }
    if (status.failed()) {
      unlink(aside.c_str());
      return status;
    }
    const size_t slash = path.rfind('/');
    return syncFolder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  }
  return status;
}

namespace {
/// The files of a checkpoint, and the values that they are written from.
struct Files {
  RankBuffers buffers;
  std::vector<SharedTensorFile> files;

  Status plan(const Manifest &program, const std::string &folder, int64_t step, int ranks) {
    std::vector<SavedTensor> state, byRank;
    for (const GlobalSpec &spec : program.globals) {
      if (spec.isOptimizerState()) {
        state.push_back({savedName(program, spec), &spec});
      }
    }
    for (const RankBuffers::Values &values : buffers.values()) {
      byRank.push_back({savedName(program, *values.spec), values.spec, &values.own, true});
    }
    const auto metadata = metadataOf(step);
    auto add = [&](const char *name, std::vector<SavedTensor> tensors) -> Status {
      Result<SharedTensorFile> file =
          SharedTensorFile::plan(folder + "/" + name, std::move(tensors), metadata, ranks);
      DSC_RETURN_IF_FAILED(file.status());
      files.push_back(std::move(*file));
      return {};
    };
    DSC_RETURN_IF_FAILED(add(weightsFile, weightsOf(program, buffers)));
    DSC_RETURN_IF_FAILED(add(optimizerFile, byName(std::move(state))));
    return byRank.empty() ? Status() : add(rankBuffersFile, byName(std::move(byRank)));
  }
};
} // namespace

static std::vector<CheckpointTensor> describe(const Manifest &program,
                                              const std::vector<SharedTensorFile> &files,
                                              const std::vector<std::vector<uint32_t>> &checksums,
                                              int ranks) {
  std::vector<CheckpointTensor> tensors;
  for (size_t f = 0; f < files.size(); ++f) {
    const std::string &path = files[f].path();
    for (size_t i = 0; i < files[f].tensors().size(); ++i) {
      const SavedTensor &saved = files[f].tensors()[i];
      const GlobalSpec &spec = *saved.spec;
      CheckpointTensor tensor;
      tensor.name = saved.name;
      tensor.file = path.substr(path.rfind('/') + 1);
      tensor.role = spec.role == GlobalRole::Trained  ? "trained"
                    : spec.role == GlobalRole::Buffer ? "buffer"
                                                      : "state";
      if (const GlobalSpec *of = program.global(spec.of); of && !spec.isWeight()) {
        tensor.of = of->weightsName();
        tensor.kind = spec.kind;
      }
      tensor.dtype = spec.dtype;
      tensor.shape = spec.shape;
      if (saved.byRank) {
        tensor.shape.insert(tensor.shape.begin(), ranks);
      }
      tensor.checksum = checksums[f][i];
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

static Status writeWhole(const std::string &path, const std::string &text) {
  FileWriter writer;
  DSC_RETURN_IF_FAILED(writer.open(path));
  DSC_RETURN_IF_FAILED(writer.write(text));
  return writer.commit();
}

Status dsc::writeCheckpoint(Session &session, Ranks &ranks, const std::string &folder,
                            CheckpointManifest manifest) {
  const Manifest &program = session.manifest();
  const int64_t step = manifest.run.step;
  DSC_RETURN_IF_FAILED(session.wait());
  Files written;
  Result<RankBuffers> buffers = RankBuffers::read(session, ranks);
  DSC_RETURN_IF_FAILED(buffers.status());
  written.buffers = std::move(*buffers);
  const std::string aside = asidePath(folder, step);
  DSC_RETURN_IF_FAILED(written.plan(program, aside, step, ranks.count()));
  DSC_RETURN_IF_FAILED(ranks.agree(ranks.isFirst() ? makeAside(folder, step) : Status(), {}));
  Result<std::vector<std::vector<uint32_t>>> checksums =
      writeTogether(session, ranks, written.files);
  Status status = checksums.status();
  if (ranks.isFirst()) {
    if (status.ok()) {
      manifest.tensors = describe(program, written.files, *checksums, ranks.count());
      status = writeWhole(aside + "/" + manifestFile, manifest.text());
    }
    status = status.ok() ? publishCheckpoint(folder, step) : status;
    if (status.failed()) {
      // Room for others; the last checkpoint is where it was.
      removeLeftovers(folder);
    }
  }
  return checksums.failed() ? status : ranks.agree(status, {});
}
