// Loss and metrics over every sample.

#include "runtime/Evaluate.h"

#include "runtime/Batch.h"
#include "runtime/Buffers.h"
#include "runtime/Npz.h"
#include "runtime/Startup.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>

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
/// The graph's outputs of each batch, streamed into one .npz by rank 0.
class OutputFile {
public:
  explicit OutputFile(Ranks &ranks) : ranks(ranks) {}

  Status open(Session &session, int64_t samples, const std::string &path) {
    const Manifest &manifest = session.manifest();
    if (ranks.isFirst()) {
      DSC_RETURN_IF_FAILED(writer.open(path));
    }
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
        if (ranks.isFirst()) {
          Result<size_t> number = writer.add(result.name, output.dtype, shape);
          if (number.failed()) {
            return number.status().in(path);
          }
          output.number = *number;
        }
        outputs.push_back(output);
      }
    }
    if (outputs.empty()) {
      return Status::user("--outputs: the program's entry eval returns no graph outputs");
    }
    return {};
  }

  /// The outputs of the batch that ran last, of which `real` samples count; all ranks' in order.
  Status append(Session &session, int64_t real) {
    for (const Output &output : outputs) {
      if (ranks.count() == 1) {
        DSC_RETURN_IF_FAILED(read(session, output, real, [&](const std::byte *data, int64_t bytes) {
          return writer.append(output.number, data, bytes);
        }));
        continue;
      }
      std::string own;
      DSC_RETURN_IF_FAILED(read(session, output, real, [&](const std::byte *data, int64_t bytes) {
        own.append(reinterpret_cast<const char *>(data), static_cast<size_t>(bytes));
        return Status();
      }));
      Result<std::vector<std::string>> all = ranks.gather(own);
      DSC_RETURN_IF_FAILED(all.status());
      for (const std::string &theirs : *all) {
        DSC_RETURN_IF_FAILED(
            writer.append(output.number, theirs.data(), static_cast<int64_t>(theirs.size())));
      }
    }
    return {};
  }

  Status commit() { return ranks.isFirst() ? writer.commit() : Status(); }

private:
  struct Output {
    const PlannedTensor *tensor = nullptr;
    size_t number = 0;
    int64_t rowsPerSample = 0;
    Dtype dtype = DSC_F32;
  };

  /// Hands the rows of the first `real` samples to `take`, in pieces, as they are written.
  template <typename Take>
  static Status read(Session &session, const Output &output, int64_t real, Take take) {
    const PlannedTensor &tensor = *output.tensor;
    int64_t elements = real > 0 ? elementCount(tensor.shape).value_or(0) : 0;
    if (output.rowsPerSample) {
      elements = elements / session.manifest().microBatch * real;
    }
    const int64_t size = dtypeSize(tensor.dtype);
    std::vector<std::byte> widened;
    return session.read(
        tensor, [&](const std::byte *data, int64_t offset, int64_t bytes) -> Status {
          // Padding samples stand at the end.
          const int64_t count = std::min(bytes / size, elements - offset / size);
          if (count <= 0) {
            return {};
          }
          if (output.dtype != tensor.dtype) {
            widened.resize(static_cast<size_t>(count * dtypeSize(output.dtype)));
            for (int64_t i = 0; i < count; ++i) {
              storeFromDouble(output.dtype, widened.data(), i, loadAsDouble(tensor.dtype, data, i));
            }
            data = widened.data();
          }
          return take(data, count * dtypeSize(output.dtype));
        });
  }

  Ranks &ranks;
  NpzWriter writer;
  std::vector<Output> outputs;
};
} // namespace

namespace {
/// What one batch adds.
struct BatchSums {
  double lossSum = 0, lossWeight = 0, correct = 0, counted = 0;

  void add(const BatchSums &other) {
    lossSum += other.lossSum;
    lossWeight += other.lossWeight;
    correct += other.correct;
    counted += other.counted;
  }
};
} // namespace

/// The sums of all batches: batch b is the (b / ranks)-th one of rank b % ranks.
static Result<BatchSums> addOverRanks(const std::vector<BatchSums> &own, Ranks &ranks) {
  const std::string bytes(reinterpret_cast<const char *>(own.data()),
                          own.size() * sizeof(BatchSums));
  Result<std::vector<std::string>> all = ranks.exchange(bytes);
  DSC_RETURN_IF_FAILED(all.status());
  BatchSums sums;
  for (size_t round = 0; round < own.size(); ++round) {
    for (const std::string &theirs : *all) {
      BatchSums batch;
      std::memcpy(&batch, theirs.data() + round * sizeof batch, sizeof batch);
      sums.add(batch);
    }
  }
  return sums;
}

Result<Evaluation> dsc::evaluate(Session &session, const Dataset &data, const std::string &outputs,
                                 Ranks &ranks) {
  const Manifest &manifest = session.manifest();
  if (!manifest.hasEntry("eval")) {
    return Status::user("this program was compiled without evaluation");
  }
  OutputFile file(ranks);
  if (!outputs.empty()) {
    DSC_RETURN_IF_FAILED(file.open(session, data.samples(), outputs));
  }
  Result<RankBuffers> buffers = RankBuffers::read(session, ranks);
  DSC_RETURN_IF_FAILED(buffers.status());
  DSC_RETURN_IF_FAILED(buffers->putMeans(session));
  Evaluation evaluation;
  std::vector<BatchSums> batches;
  std::deque<int64_t> open; // real samples of batches whose sums are not read yet
  // Sums are read behind, so that a device is never waited for between batches.
  auto finish = [&](size_t most) -> Status {
    while (open.size() > most) {
      Result<ScalarResults> results = session.finishReading();
      DSC_RETURN_IF_FAILED(results.status());
      auto sum = [&](const char *name) { return results->find(name).value_or(0); };
      // Ranks without data of their own run along for the sake of the others.
      batches.push_back(open.front() > 0 ? BatchSums{sum("loss_sum"), sum("loss_weight"),
                                                     sum("correct"), sum("counted")}
                                         : BatchSums());
      open.pop_front();
    }
    return {};
  };
  const int64_t round = manifest.microBatch * ranks.count();
  for (int64_t begin = 0; begin < data.samples(); begin += round) {
    if (!ranks.beginRound()) {
      DSC_RETURN_IF_FAILED(finish(0));
      evaluation.stopped = true;
      DSC_RETURN_IF_FAILED(buffers->putOwn(session));
      return evaluation;
    }
    Result<int64_t> real =
        loadRangeBatch(session, data, begin + ranks.rank() * manifest.microBatch);
    DSC_RETURN_IF_FAILED(real.status());
    DSC_RETURN_IF_FAILED(session.run("eval"));
    DSC_RETURN_IF_FAILED(session.beginReading("eval"));
    open.push_back(*real);
    DSC_RETURN_IF_FAILED(finish(Device::readSlots - 1));
    if (!outputs.empty()) {
      DSC_RETURN_IF_FAILED(file.append(session, *real));
    }
  }
  DSC_RETURN_IF_FAILED(finish(0));
  DSC_RETURN_IF_FAILED(buffers->putOwn(session));
  if (!outputs.empty()) {
    DSC_RETURN_IF_FAILED(file.commit());
  }
  Result<BatchSums> sums = addOverRanks(batches, ranks);
  DSC_RETURN_IF_FAILED(sums.status());
  evaluation.samples = data.samples();
  evaluation.counted = sums->counted;
  if (manifest.result("eval", "loss_sum")) {
    evaluation.loss = sums->lossSum / sums->lossWeight;
    if (manifest.lossKind == "cross-entropy" || manifest.lossKind == "nll") {
      evaluation.perplexity = std::exp(*evaluation.loss);
    }
    if (manifest.lossKind == "mse") {
      evaluation.rmse = std::sqrt(*evaluation.loss);
    }
  }
  if (manifest.result("eval", "correct")) {
    evaluation.accuracy = sums->correct / evaluation.counted;
  }
  return evaluation;
}

namespace {
struct Prepared {
  std::unique_ptr<Dataset> data;
  std::unique_ptr<Session> session;
};
} // namespace

static Status prepare(Executable &executable, const CommandLine &line, Ranks &ranks,
                      Prepared &prepared, Facts &facts) {
  const std::string outputs = line.text("--outputs");
  if (!outputs.empty() && !line.has("--force") && ranks.isFirst()) {
    DSC_RETURN_IF_FAILED(checkOverwritesOwnNpz(outputs));
  }
  Result<std::unique_ptr<Dataset>> data =
      openData(executable.manifest(), line, line.text("--data"));
  DSC_RETURN_IF_FAILED(data.status());
  prepared.data = std::move(*data);
  Result<std::string> print = fingerprint(*prepared.data, executable.manifest());
  DSC_RETURN_IF_FAILED(print.status());
  facts = programFacts(executable, line);
  facts.emplace_back("the data", *print);
  Result<std::unique_ptr<Session>> session = openSession(executable, line, ranks);
  DSC_RETURN_IF_FAILED(session.status());
  prepared.session = std::move(*session);
  return {};
}

Status dsc::runEvaluate(Executable &executable, const CommandLine &line, Ranks &ranks) {
  Prepared prepared;
  Facts facts;
  Status status = prepare(executable, line, ranks, prepared, facts);
  DSC_RETURN_IF_FAILED(ranks.agree(status, facts));
  ActivityScope evaluating(ranks.state(), Activity::Computing);
  const std::string outputs = line.text("--outputs");
  Result<Evaluation> evaluation = evaluate(*prepared.session, *prepared.data, outputs, ranks);
  DSC_RETURN_IF_FAILED(evaluation.status());
  if (!ranks.isFirst()) {
    return {};
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
