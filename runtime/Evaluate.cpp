// Loss and metrics over every sample.

#include "runtime/Evaluate.h"

#include "runtime/Batch.h"
#include "runtime/Npz.h"
#include "runtime/Signals.h"
#include "runtime/Startup.h"

#include <cmath>
#include <cstdio>

using namespace dsc;

OrderedJson Evaluation::json() const {
  OrderedJson object = {{"samples", samples}};
  auto put = [&](const char *name, const std::optional<double> &value) {
    if (value) {
      object[name] = *value;
    }
  };
  put("loss", loss);
  put("perplexity", perplexity);
  put("accuracy", accuracy);
  put("rmse", rmse);
  return object;
}

std::string Evaluation::text() const {
  std::string text;
  auto put = [&](const char *name, const std::optional<double> &value) {
    if (value) {
      text += format("%s%s %.6g", text.empty() ? "" : "  ", name, *value);
    }
  };
  put("loss", loss);
  put("perplexity", perplexity);
  put("accuracy", accuracy);
  put("rmse", rmse);
  return text +
         format("%s(%lld samples)", text.empty() ? "" : "  ", static_cast<long long>(samples));
}

namespace {
/// The graph's outputs of each batch, streamed into one .npz.
class OutputFile {
public:
  Status open(Session &session, int64_t samples, const std::string &path) {
    const Manifest &manifest = session.manifest();
    DSC_RETURN_IF_FAILED(writer.open(path));
    const int64_t batches = (samples + manifest.microBatch - 1) / manifest.microBatch;
    for (const auto &[entry, results] : manifest.results) {
      if (entry != "eval") {
        continue;
      }
      for (const PlannedTensor &result : results) {
        if (result.name == "loss_sum" || result.name == "loss_weight" || result.name == "correct" ||
            result.name == "counted") {
          continue;
        }
        Output output;
        output.tensor = &result;
        Shape shape = result.shape;
        if (!shape.empty() && shape[0] > 0 && shape[0] % manifest.microBatch == 0) {
          output.rowsPerSample = shape[0] / manifest.microBatch;
          shape[0] = output.rowsPerSample * samples;
        } else {
          // Not one row a sample: one value a batch, on a new first axis.
          shape.insert(shape.begin(), batches);
          printNote("output \"" + result.name + "\" has no axis of samples: its first axis in " +
                    path + " counts batches");
        }
        // NumPy has no bfloat16.
        output.dtype = result.dtype == DSC_BF16 ? DSC_F32 : result.dtype;
        Result<size_t> number = writer.add(result.name, output.dtype, shape);
        if (number.failed()) {
          return number.status().in(path);
        }
        output.number = *number;
        outputs.push_back(output);
      }
    }
    if (outputs.empty()) {
      return Status::user("--outputs: the program's entry eval returns no graph outputs");
    }
    return {};
  }

  Status append(Session &session, int64_t real) {
    for (const Output &output : outputs) {
      const PlannedTensor &tensor = *output.tensor;
      int64_t elements = elementCount(tensor.shape).value_or(0);
      if (output.rowsPerSample) {
        elements = elements / session.manifest().microBatch * real;
      }
      const int64_t size = dtypeSize(tensor.dtype);
      std::vector<std::byte> widened;
      DSC_RETURN_IF_FAILED(
          session.read(tensor, [&](const std::byte *data, int64_t offset, int64_t bytes) -> Status {
            // Padding samples stand at the end.
            const int64_t count = std::min(bytes / size, elements - offset / size);
            if (count <= 0) {
              return {};
            }
            if (output.dtype != tensor.dtype) {
              widened.resize(static_cast<size_t>(count * dtypeSize(output.dtype)));
              for (int64_t i = 0; i < count; ++i) {
                storeFromDouble(output.dtype, widened.data(), i,
                                loadAsDouble(tensor.dtype, data, i));
              }
              data = widened.data();
            }
            return writer.append(output.number, data, count * dtypeSize(output.dtype));
          }));
    }
    return {};
  }

  Status commit() { return writer.commit(); }

private:
  struct Output {
    const PlannedTensor *tensor = nullptr;
    size_t number = 0;
    int64_t rowsPerSample = 0;
    Dtype dtype = DSC_F32;
  };
  NpzWriter writer;
  std::vector<Output> outputs;
};
} // namespace

Result<Evaluation> dsc::evaluate(Session &session, const Dataset &data,
                                 const std::string &outputs) {
  const Manifest &manifest = session.manifest();
  if (!manifest.hasEntry("eval")) {
    return Status::user("this program was compiled without evaluation");
  }
  OutputFile file;
  if (!outputs.empty()) {
    DSC_RETURN_IF_FAILED(file.open(session, data.samples(), outputs));
  }
  Evaluation evaluation;
  double lossSum = 0, lossWeight = 0, correct = 0;
  // Sums are read behind, so that a device is never waited for between batches.
  auto add = [&](int open) -> Status {
    while (session.openReadings() > open) {
      Result<ScalarResults> results = session.finishReading();
      if (results.failed()) {
        return results.status();
      }
      lossSum += results->find("loss_sum").value_or(0);
      lossWeight += results->find("loss_weight").value_or(0);
      correct += results->find("correct").value_or(0);
      evaluation.counted += results->find("counted").value_or(0);
    }
    return {};
  };
  for (int64_t begin = 0; begin < data.samples(); begin += manifest.microBatch) {
    if (stopSignal()) {
      DSC_RETURN_IF_FAILED(add(0));
      evaluation.stopped = true;
      return evaluation;
    }
    Result<int64_t> real = loadRangeBatch(session, data, begin);
    if (real.failed()) {
      return real.status();
    }
    DSC_RETURN_IF_FAILED(session.run("eval"));
    evaluation.samples += *real;
    DSC_RETURN_IF_FAILED(session.beginReading("eval"));
    DSC_RETURN_IF_FAILED(add(Device::readSlots - 1));
    if (!outputs.empty()) {
      DSC_RETURN_IF_FAILED(file.append(session, *real));
    }
  }
  DSC_RETURN_IF_FAILED(add(0));
  if (!outputs.empty()) {
    DSC_RETURN_IF_FAILED(file.commit());
  }
  if (manifest.result("eval", "loss_sum")) {
    evaluation.loss = lossSum / lossWeight;
    if (manifest.lossKind == "cross-entropy" || manifest.lossKind == "nll") {
      evaluation.perplexity = std::exp(*evaluation.loss);
    }
    if (manifest.lossKind == "mse") {
      evaluation.rmse = std::sqrt(*evaluation.loss);
    }
  }
  if (manifest.result("eval", "correct")) {
    evaluation.accuracy = correct / evaluation.counted;
  }
  return evaluation;
}

Status dsc::runEvaluate(Executable &executable, const CommandLine &line) {
  const std::string outputs = line.text("--outputs");
  if (!outputs.empty() && !line.has("--force")) {
    DSC_RETURN_IF_FAILED(checkOverwritesOwnNpz(outputs));
  }
  Result<std::unique_ptr<Dataset>> data =
      openData(executable.manifest(), line, line.text("--data"));
  if (data.failed()) {
    return data.status();
  }
  Result<std::unique_ptr<Session>> session = openSession(executable, line);
  if (session.failed()) {
    return session.status();
  }
  Result<Evaluation> evaluation = evaluate(**session, **data, outputs);
  if (evaluation.failed()) {
    return evaluation.status();
  }
  if (line.has("--json")) {
    std::printf("%s\n", jsonText(evaluation->json(), 2).c_str());
  } else {
    std::printf("%s\n", evaluation->text().c_str());
  }
  if (!outputs.empty()) {
    printNote("outputs are in " + outputs);
  }
  return {};
}
