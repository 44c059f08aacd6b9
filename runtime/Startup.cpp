// From a command line to a session with weights and data.

#include "runtime/Startup.h"

#include "runtime/ComputeCopies.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Sha256.h"
#include "runtime/StartTimes.h"
#include "runtime/Weights.h"
#include "runtime/cpu/ThreadTeam.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace dsc;

/// Data of at most this size is checked whole before the first step.
static constexpr int64_t wholeCheckBytes = int64_t(64) << 20;

std::string dsc::printable(const std::string &text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    out += byte >= 32 && byte != 127 ? std::string(1, c)
           : c == '\n'               ? "\n"
                                     : format("\\x%02x", byte);
  }
  return out;
}

static bool notesAreSilent = false;

void dsc::silenceNotes() { notesAreSilent = true; }

void dsc::printNote(const std::string &text) {
  if (notesAreSilent) {
    return;
  }
  std::fprintf(stderr, "note: %s\n", printable(text).c_str());
}

void dsc::printError(const std::string &text) {
  std::fprintf(stderr, "error: %s\n", printable(text).c_str());
}

std::string dsc::bytesText(int64_t bytes) {
  auto value = static_cast<double>(bytes);
  for (const char *unit : {"bytes", "KiB", "MiB", "GiB"}) {
    if (value < 1024 || unit == std::string("GiB")) {
      return format("%.*f %s", unit == std::string("bytes") ? 0 : 1, value, unit);
    }
    value /= 1024;
  }
  return {};
}

Result<std::unique_ptr<Session>> dsc::makeSession(Executable &executable, const CommandLine &line,
                                                  Ranks &ranks, const AlgorithmChoices &choices) {
  Result<int64_t> threads = line.integer("--threads", 0, 1);
  if (threads.failed()) {
    return threads.status();
  }
  if (*threads > 4096) {
    return Status::user("--threads " + line.text("--threads") + ": is more than 4096");
  }
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  const Manifest &manifest = executable.manifest();
  const int64_t planned = manifest.plannedBytes(ranks.count());
  if (ranks.onThisMachine() > 1 && manifest.targetKind == "cpu" && memory > 0 &&
      planned > memory / ranks.onThisMachine()) {
    return Status::machine(
        format("the plan needs %s for each of %d ranks, and this machine has %s; "
               "start fewer ranks on it, or compile with a smaller micro-batch",
               bytesText(planned).c_str(), ranks.onThisMachine(), bytesText(memory).c_str()));
  }
  // Ranks that share processors share them evenly.
  int team = static_cast<int>(*threads);
  if (!team && ranks.sharingProcessors() > 1) {
    team = std::max(coresOfProcess() / ranks.sharingProcessors(), 1);
  }
  Result<std::unique_ptr<Session>> session =
      Session::create(executable, team, ranks.count() > 1 ? &ranks : nullptr, choices);
  if (session.ok() && ranks.count() > 1) {
    (*session)->context().progress = &ranks.state().progress;
  }
  return session;
}

Status dsc::loadStart(Session &session, const CommandLine &line) {
  StartPhase phase("weights");
  if (line.has("--partial") && !line.has("--weights")) {
    return Status::user("--partial: needs --weights FILE|DIR");
  }
  Result<RunTimeValues> values = RunTimeValues::parse(session.manifest(), line);
  DSC_RETURN_IF_FAILED(values.status());
  if (!line.has("--weights")) {
    return loadInitialWeights(session, values->seed());
  }
  std::vector<std::string> notes;
  DSC_RETURN_IF_FAILED(
      loadWeights(session, line.text("--weights"), line.has("--partial"), values->seed(), notes));
  for (const std::string &note : notes) {
    printNote(note);
  }
  return {};
}

Result<std::unique_ptr<Session>> dsc::openSession(Executable &executable, const CommandLine &line,
                                                  Ranks &ranks) {
  Result<std::unique_ptr<Session>> session = makeSession(executable, line, ranks);
  DSC_RETURN_IF_FAILED(session.status());
  DSC_RETURN_IF_FAILED(loadStart(**session, line));
  DSC_RETURN_IF_FAILED(fillComputeCopies(**session));
  return session;
}

Result<std::unique_ptr<Dataset>> dsc::openData(const Manifest &manifest, const CommandLine &line,
                                               const std::string &path) {
  if (path.empty()) {
    return Status::user(line.command() + " needs --data PATH");
  }
  if (manifest.microBatch == 0) {
    return Status::user("this program's inputs do not share a first dimension of samples, so it "
                        "takes no data; it was compiled with --loss=none for `dsc check`");
  }
  DataOptions options;
  options.path = path;
  options.tokensTo = line.text("--tokens-to");
  if (line.has("--tokens")) {
    std::string width = line.text("--tokens");
    if (width != "u16" && width != "u32") {
      return Status::user("--tokens " + width + ": is neither u16 nor u32");
    }
    options.tokenWidth = width == "u16" ? DSC_U16 : DSC_U32;
  }
  Result<std::unique_ptr<Dataset>> data = Dataset::open(manifest, options);
  if (data.failed()) {
    return data.status();
  }
  // Larger data is checked batch by batch as it is read; `data PATH` checks it whole.
  if ((*data)->bytes() <= wholeCheckBytes) {
    DSC_RETURN_IF_FAILED((*data)->checkValues());
  }
  for (const std::string &note : (*data)->notes()) {
    printNote(path + ": " + note);
  }
  return data;
}

/// What the program exchanges, in the order of ids, as a hash.
static std::string orderOfCollectives(const Manifest &manifest) {
  std::string text;
  for (const CollectiveSpec &spec : manifest.collectives) {
    text += format("%s %s %s %d %lld %lld\n", spec.entry.c_str(), spec.kind.c_str(),
                   spec.name.c_str(), static_cast<int>(spec.dtype),
                   static_cast<long long>(spec.chunks), static_cast<long long>(spec.chunkElements));
  }
  return Sha256::hex(text.data(), text.size()).substr(0, 16);
}

Facts dsc::programFacts(const Executable &executable, const CommandLine &line) {
  const Manifest &manifest = executable.manifest();
  Facts facts = {{"the version of dsc", manifest.version},
                 {"the executable's hash", executable.hash()},
                 {"the order of collectives", orderOfCollectives(manifest)},
                 {"the hash of the weights file", manifest.weightsHash}};
  Result<RunTimeValues> values = RunTimeValues::parse(manifest, line);
  if (values.ok()) {
    for (size_t i = 0; i < values->values().size(); ++i) {
      const auto &[name, value] = values->values()[i];
      const std::string &flag = manifest.runTimeValues[i].flag;
      facts.emplace_back(flag.empty() ? name : flag, format("%.17g", value));
    }
    facts.emplace_back("--seed", std::to_string(values->seed()));
    facts.emplace_back("--accumulate", std::to_string(values->accumulate()));
    facts.emplace_back("--schedule", values->schedule());
    facts.emplace_back("--group and --no-decay", values->groups().text());
  }
  facts.emplace_back("the command", line.command());
  for (const char *flag : {"--no-shuffle", "--partial", "--eval-every", "--steps", "--epochs",
                           "--outputs", "--profile", "--kernels", "--save", "--save-every",
                           "--keep", "--resume", "--best", "--patience"}) {
    const std::string text = line.text(flag);
    facts.emplace_back(flag, !line.has(flag) ? "nothing" : text.empty() ? "it" : text);
  }
  return facts;
}

Result<std::string> dsc::fingerprint(const Dataset &data, const Manifest &manifest) {
  // A file of another run differs everywhere; reading all of it would take too long.
  constexpr int64_t looks = 16;
  Sha256 hash;
  for (int64_t look = 0; look < std::min(looks, data.samples()); ++look) {
    const int64_t sample = look * (data.samples() - 1) / std::max<int64_t>(looks - 1, 1);
    for (size_t i = 0; i < manifest.inputs.size(); ++i) {
      const InputSpec &input = manifest.inputs[i];
      if (input.role == InputRole::SampleWeight) {
        continue;
      }
      std::vector<std::byte> bytes(static_cast<size_t>(input.bytes / manifest.microBatch));
      DSC_RETURN_IF_FAILED(data.copy(i, sample, bytes.data(), 0));
      hash.update(bytes.data(), bytes.size());
    }
  }
  std::string digest;
  const auto bytes = hash.finish();
  for (size_t i = 0; i < 6; ++i) {
    digest += format("%02x", static_cast<unsigned>(bytes[i]));
  }
  return format("%lld samples, hash ", static_cast<long long>(data.samples())) + digest;
}
