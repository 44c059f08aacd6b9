// From a command line to a session with weights and data.

#include "runtime/Startup.h"

#include "runtime/RunTimeValues.h"
#include "runtime/Weights.h"

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

void dsc::printNote(const std::string &text) {
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

Status dsc::checkOneRank(const CommandLine &line) {
  Result<int64_t> ranks = line.integer("--ranks", 1, 1);
  if (ranks.failed()) {
    return ranks.status();
  }
  std::string asked = *ranks > 1 ? "--ranks " + line.text("--ranks") : "";
  const char *world = std::getenv("WORLD_SIZE");
  if (asked.empty() && world && parseInteger(world).value_or(1) > 1) {
    asked = std::string("WORLD_SIZE=") + world;
  }
  if (!asked.empty()) {
    return Status::user(asked + ": several ranks come with a later version of dsc; this one trains "
                                "with one");
  }
  return {};
}

Result<std::unique_ptr<Session>> dsc::openSession(Executable &executable, const CommandLine &line) {
  DSC_RETURN_IF_FAILED(checkOneRank(line));
  Result<int64_t> threads = line.integer("--threads", 0, 1);
  if (threads.failed()) {
    return threads.status();
  }
  if (*threads > 4096) {
    return Status::user("--threads " + line.text("--threads") + ": is more than 4096");
  }
  if (line.has("--partial") && !line.has("--weights")) {
    return Status::user("--partial: needs --weights FILE|DIR");
  }
  Result<std::unique_ptr<Session>> session =
      Session::create(executable, static_cast<int>(*threads));
  if (session.failed()) {
    return session.status();
  }
  Result<RunTimeValues> values = RunTimeValues::parse(executable.manifest(), line);
  if (values.failed()) {
    return values.status();
  }
  if (!line.has("--weights")) {
    DSC_RETURN_IF_FAILED(loadInitialWeights(**session, values->seed()));
    DSC_RETURN_IF_FAILED(fillComputeCopies(**session));
    return session;
  }
  std::vector<std::string> notes;
  DSC_RETURN_IF_FAILED(
      loadWeights(**session, line.text("--weights"), line.has("--partial"), values->seed(), notes));
  DSC_RETURN_IF_FAILED(fillComputeCopies(**session));
  for (const std::string &note : notes) {
    printNote(note);
  }
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
