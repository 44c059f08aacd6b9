// Gradients and kept values of one step.

#include "runtime/Gradients.h"

#include "runtime/Batch.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Safetensors.h"
#include "runtime/Startup.h"

#include <cmath>
#include <cstdio>

using namespace dsc;

/// A dense tensor of the session, to be written.
static TensorToWrite denseTensor(const Session &session, const PlannedTensor &tensor) {
  TensorToWrite out;
  out.name = tensor.name;
  out.dtype = tensor.dtype;
  out.shape = tensor.shape;
  out.fill = [&session, &tensor](FileWriter &writer) {
    return session.read(tensor, [&](const std::byte *data, int64_t, int64_t bytes) {
      return writer.write(data, bytes);
    });
  };
  return out;
}

/// Opens everything, runs the step, and writes `tensors`.
static Status runOneStep(Executable &executable, const CommandLine &line,
                         const std::vector<PlannedTensor> &tensors) {
  const Manifest &manifest = executable.manifest();
  std::string path = line.text("-o");
  if (path.empty()) {
    return Status::user(line.command() + " needs -o FILE.safetensors");
  }
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  for (const PlannedTensor &tensor : tensors) {
    if (!tensor.strides.empty()) {
      return Status::internal("\"" + tensor.name + "\" is not dense in the manifest");
    }
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
  Result<std::unique_ptr<Session>> opened = openSession(executable, line);
  if (opened.failed()) {
    return opened.status();
  }
  Session &session = **opened;
  DSC_RETURN_IF_FAILED(values->apply(session));
  Sampler order((*data)->samples(), 0, false);
  for (int64_t micro = 0; micro < count; ++micro) {
    DSC_RETURN_IF_FAILED(loadStreamBatch(session, **data, order, micro * manifest.microBatch));
    DSC_RETURN_IF_FAILED(session.setRunTime("rt.micro_index", static_cast<double>(micro)));
    DSC_RETURN_IF_FAILED(session.run(micro + 1 < count ? "micro" : "last"));
  }
  std::vector<TensorToWrite> out;
  for (const PlannedTensor &tensor : tensors) {
    out.push_back(denseTensor(session, tensor));
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
  return runOneStep(executable, line, executable.manifest().gradients);
}

Status dsc::runValues(Executable &executable, const CommandLine &line) {
  if (executable.manifest().values.empty()) {
    return Status::user("this program keeps no values; compile again with --keep-values REGEX");
  }
  return runOneStep(executable, line, executable.manifest().values);
}
