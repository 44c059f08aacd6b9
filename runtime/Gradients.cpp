// Gradients and kept values of one step.

#include "runtime/Gradients.h"

#include "runtime/Batch.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Safetensors.h"
#include "runtime/Startup.h"
#include "runtime/StridedRuns.h"

#include <cmath>
#include <cstdio>

using namespace dsc;

/// A tensor of the session, to be written: dense in the file, however it is stored.
static TensorToWrite storedTensor(const Session &session, const PlannedTensor &tensor) {
  TensorToWrite out;
  out.name = tensor.name;
  out.dtype = tensor.dtype;
  out.shape = tensor.shape;
  out.fill = [&session, &tensor](FileWriter &writer) {
    if (tensor.strides.empty()) {
      return session.read(tensor, [&](const std::byte *data, int64_t, int64_t bytes) {
        return writer.write(data, bytes);
      });
    }
    Result<std::vector<std::byte>> storage = session.bytes(tensor);
    if (storage.failed()) {
      return storage.status();
    }
    const int64_t size = dtypeSize(tensor.dtype);
    return forEachRun(tensor, [&](int64_t place, int64_t, int64_t count) {
      return writer.write(storage->data() + place * size, count * size);
    });
  };
  return out;
}

/// As storedTensor, times `factor` and in f32 where it lies in a half type: what PyTorch has in
/// .grad, whatever the program scales by and computes in.
static TensorToWrite gradientTensor(const Session &session, const PlannedTensor &tensor,
                                    double factor) {
  TensorToWrite out = storedTensor(session, tensor);
  if (factor == 1 && (tensor.dtype == DSC_F32 || tensor.dtype == DSC_F64)) {
    return out;
  }
  out.dtype = tensor.dtype == DSC_F64 ? DSC_F64 : DSC_F32;
  out.fill = [&session, &tensor, factor, to = out.dtype](FileWriter &writer) -> Status {
    auto writeElements = [&](const std::byte *data, int64_t count) {
      std::vector<std::byte> values(static_cast<size_t>(count * dtypeSize(to)));
      for (int64_t i = 0; i < count; ++i) {
        storeFromDouble(to, values.data(), i, loadAsDouble(tensor.dtype, data, i) * factor);
      }
      return writer.write(values.data(), static_cast<int64_t>(values.size()));
    };
    const int64_t size = dtypeSize(tensor.dtype);
    if (tensor.strides.empty()) {
      return session.read(tensor, [&](const std::byte *data, int64_t, int64_t bytes) {
        return writeElements(data, bytes / size);
      });
    }
    Result<std::vector<std::byte>> storage = session.bytes(tensor);
    if (storage.failed()) {
      return storage.status();
    }
    return forEachRun(tensor, [&](int64_t place, int64_t, int64_t count) {
      return writeElements(storage->data() + place * size, count);
    });
  };
  return out;
}

/// Opens everything, runs the step, and writes `tensors`.
static Status runOneStep(Executable &executable, const CommandLine &line,
                         const std::vector<PlannedTensor> &tensors, bool areGradients) {
  const Manifest &manifest = executable.manifest();
  std::string path = line.text("-o");
  if (path.empty()) {
    return Status::user(line.command() + " needs -o FILE.safetensors");
  }
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  if (!line.has("--force")) {
    DSC_RETURN_IF_FAILED(checkOverwritesOwnSafetensors(path));
  }
  Result<RunTimeValues> values = RunTimeValues::parse(manifest, line);
  if (values.failed()) {
    return values.status();
  }
  Result<std::unique_ptr<Dataset>> data = openData(manifest, line, line.text("--data"));
  if (data.failed()) {
    return data.status();
  }
  const int64_t count = values->accumulate(), samples = count * manifest.microBatch;
  if ((*data)->samples() < samples) {
    return Status::user(
        format("%s: has %lld samples and one step takes %lld (micro-batch %lld x "
               "accumulate %lld)",
               line.text("--data").c_str(), static_cast<long long>((*data)->samples()),
               static_cast<long long>(samples), static_cast<long long>(manifest.microBatch),
               static_cast<long long>(count)));
  }
  Ranks alone;
  Result<std::unique_ptr<Session>> opened = openSession(executable, line, alone);
  if (opened.failed()) {
    return opened.status();
  }
  Session &session = **opened;
  DSC_RETURN_IF_FAILED(values->apply(session, 1));
  Sampler order((*data)->samples(), 0, false);
  for (int64_t micro = 0; micro < count; ++micro) {
    DSC_RETURN_IF_FAILED(loadStreamBatch(session, **data, order, micro * manifest.microBatch));
    DSC_RETURN_IF_FAILED(session.setRunTime("rt.micro_index", static_cast<double>(micro)));
    DSC_RETURN_IF_FAILED(session.run(micro + 1 < count ? "micro" : "last"));
  }
  Result<std::optional<double>> lossScale = session.scalar("last", "loss_scale");
  if (lossScale.failed()) {
    return lossScale.status();
  }
  std::vector<TensorToWrite> out;
  for (const PlannedTensor &tensor : tensors) {
    const std::string ending = ".grad"; // what --keep-values calls gradients
    const size_t size = tensor.name.size();
    bool isGradient =
        areGradients || (size > ending.size() &&
                         tensor.name.compare(size - ending.size(), ending.size(), ending) == 0);
    out.push_back(isGradient ? gradientTensor(session, tensor, 1 / lossScale->value_or(1))
                             : storedTensor(session, tensor));
  }
  DSC_RETURN_IF_FAILED(writeSafetensors(path, out, {{"model", manifest.name}}));
  Result<std::optional<double>> loss = session.scalar("last", "loss");
  if (loss.failed()) {
    return loss.status();
  }
  std::printf("loss %.9g\n%zu tensors are in %s\n", loss->value_or(NAN), out.size(),
              printable(path).c_str());
  return {};
}

Status dsc::runGradients(Executable &executable, const CommandLine &line) {
  if (executable.manifest().gradients.empty()) {
    return Status::user("this program was compiled without parameters that are trained");
  }
  return runOneStep(executable, line, executable.manifest().gradients, true);
}

Status dsc::runValues(Executable &executable, const CommandLine &line) {
  if (executable.manifest().values.empty()) {
    return Status::user("this program keeps no values; compile again with --keep-values REGEX");
  }
  return runOneStep(executable, line, executable.manifest().values, false);
}
