// From a checkpoint to a session.

#include "runtime/checkpoint/LoadCheckpoint.h"

#include "runtime/Weights.h"
#include "runtime/checkpoint/CheckpointFolder.h"
#include "runtime/checkpoint/Crc32c.h"
#include "runtime/checkpoint/WriteCheckpoint.h"

#include <atomic>
#include <set>
#include <thread>

using namespace dsc;

/// Compares the checksums of `tensors` with the manifest's; they are read a tensor at a time.
static Status compareChecksums(const std::string &name, const CheckpointManifest &manifest,
                               const std::string &file, const std::vector<TensorView> &tensors,
                               int threads) {
  std::atomic<size_t> next = 0;
  std::vector<int> damaged(tensors.size(), 0);
  auto check = [&] {
    for (size_t i = next++; i < tensors.size(); i = next++) {
      const CheckpointTensor *listed = manifest.find(file, tensors[i].name);
      damaged[i] = crc32c(tensors[i].data, tensors[i].bytes) != listed->checksum;
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < std::min<int>(threads, static_cast<int>(tensors.size())); ++i) {
    others.emplace_back(check);
  }
  check();
  for (std::thread &other : others) {
    other.join();
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (damaged[i]) {
      return Status::user(name + ": tensor \"" + tensors[i].name +
                          "\" is not the one that was written: its checksum differs from " +
                          manifestFile + "'s; take another checkpoint");
    }
  }
  return {};
}

Status dsc::verifyCheckpoint(const std::string &path, const CheckpointManifest &manifest,
                             int threads, const std::string &only) {
  std::set<std::string> files;
  for (const CheckpointTensor &tensor : manifest.tensors) {
    files.insert(tensor.file);
  }
  for (const std::string &file : files) {
    if (!only.empty() && file != only) {
      continue;
    }
    const std::string name = path + "/" + file;
    Result<Safetensors> opened = Safetensors::open(name);
    DSC_RETURN_IF_FAILED(opened.status());
    size_t expected = 0;
    for (const CheckpointTensor &tensor : manifest.tensors) {
      if (tensor.file != file) {
        continue;
      }
      ++expected;
      const TensorView *view = opened->find(tensor.name);
      if (!view || view->dtype != tensor.dtype || view->shape != tensor.shape) {
        return Status::user(name + ": " + (view ? "has another shape or type of" : "lacks") +
                            " the tensor \"" + tensor.name + "\" that " + manifestFile +
                            " lists: it belongs to another checkpoint or is damaged");
      }
    }
    if (expected != opened->tensors().size()) {
      return Status::user(format("%s: holds %zu tensors and %s lists %zu: it belongs to another "
                                 "checkpoint or is damaged",
                                 name.c_str(), opened->tensors().size(), manifestFile, expected));
    }
    DSC_RETURN_IF_FAILED(
        compareChecksums(name, manifest, file, opened->tensors(), std::max(threads, 1)));
  }
  return {};
}

static Status load(Session &session, const GlobalSpec &spec, const Safetensors &file,
                   const std::string &name) {
  const TensorView *tensor = file.find(name);
  if (!tensor) {
    return Status::user(file.path() + ": lacks \"" + name + "\", which the program has");
  }
  if (tensor->shape != spec.shape || tensor->dtype != spec.dtype) {
    return Status::user(format("%s: \"%s\" is %s %s and the program has %s %s", file.path().c_str(),
                               name.c_str(), dtypeName(tensor->dtype),
                               shapeText(tensor->shape).c_str(), dtypeName(spec.dtype),
                               shapeText(spec.shape).c_str()));
  }
  return storeTensor(session, spec, *tensor);
}

Status dsc::loadCheckpoint(Session &session, const std::string &path,
                           const CheckpointManifest &manifest, bool partial) {
  const Manifest &program = session.manifest();
  Result<Safetensors> weights = Safetensors::open(path + "/" + weightsFile);
  DSC_RETURN_IF_FAILED(weights.status());
  Result<Safetensors> state = Safetensors::open(path + "/" + optimizerFile);
  DSC_RETURN_IF_FAILED(state.status());
  for (const GlobalSpec &spec : program.globals) {
    const std::string name = savedName(program, spec);
    if (spec.isWeight()) {
      DSC_RETURN_IF_FAILED(load(session, spec, *weights, name));
    } else if (spec.isOptimizerState() && (!partial || state->find(name))) {
      DSC_RETURN_IF_FAILED(load(session, spec, *state, name));
    }
  }
  if (manifest.ranks != session.ranks() || session.ranks() == 1) {
    return {};
  }
  for (const CheckpointTensor &listed : manifest.tensors) {
    if (listed.file != rankBuffersFile) {
      continue;
    }
    Result<Safetensors> own = Safetensors::open(path + "/" + rankBuffersFile);
    DSC_RETURN_IF_FAILED(own.status());
    for (const GlobalSpec &spec : program.globals) {
      const TensorView *all = own->find(savedName(program, spec));
      if (!all || spec.role != GlobalRole::Buffer) {
        continue;
      }
      TensorView mine = *all;
      mine.shape.erase(mine.shape.begin());
      mine.bytes = all->bytes / session.ranks();
      mine.data = all->data + mine.bytes * session.rank();
      if (mine.shape != spec.shape || mine.dtype != spec.dtype) {
        return Status::user(own->path() + ": \"" + all->name + "\" is of another shape here");
      }
      DSC_RETURN_IF_FAILED(storeTensor(session, spec, mine));
    }
    break;
  }
  return {};
}
