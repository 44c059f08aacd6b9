// Commands and flags of the executable.

#include "runtime/CommandLine.h"

#include "runtime/Names.h"
#include "runtime/Schedule.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

using namespace dsc;

#define DSC_RUNS "train eval gradients values"
/// Commands that several ranks can run together.
#define DSC_RANKED "train eval bench"

const std::vector<CommandSpec> dsc::commandTable = {
    {"train", "--data PATH --steps N|--epochs N", "train, and write the weights at the end"},
    {"eval", "--data PATH", "loss and metrics over every sample of the data"},
    {"gradients", "--data PATH -o FILE.safetensors", "gradients of one step, without an update"},
    {"values", "--data PATH -o FILE.safetensors", "values that were kept by --keep-values"},
    {"data", "PATH", "check the data and show the first sample"},
    {"info", "", "what was compiled, and how"},
    {"bench", "", "time training steps on made-up data"},
    {"lr", "--steps N [-o FILE.svg]", "the learning rate of each step of such a run"},
    {"export", "-o FILE.safetensors",
     "write the weights that it starts from, or those of --weights"},
};

const std::vector<FlagSpec> dsc::flagTable = {
    {"--data", "PATH", DSC_RUNS,
     "samples: .npz, .safetensors, .bin tokens, a folder of NAME.npy, or a folder of such files"},
    {"--tokens", "u16|u32", DSC_RUNS " data", "width of tokens in files without llm.c's header"},
    {"--tokens-to", "NAME", DSC_RUNS " data", "the input that token files feed"},
    {"--steps", "N", "train bench lr", "number of steps"},
    {"--epochs", "N", "train", "number of times that each sample is seen"},
    {"--weights", "FILE|DIR", DSC_RUNS " bench export", "start from these weights"},
    {"--partial", nullptr, DSC_RUNS " bench export", "load what fits of --weights"},
    {"--save", "DIR", "train", "write checkpoints into this folder, one of them at the end"},
    {"--save-every", "N|epoch", "train", "how often to write one"},
    {"--keep", "N", "train", "keep the last N checkpoints; all without it"},
    {"--resume", "PATH|auto", "train",
     "continue from a checkpoint; auto: from the last one of --save DIR, if there is one"},
    {"--allow-change", "NAME,..", "train",
     "continue although these differ: data, seed, order, optimizer, precision, loss, dropout, "
     "batch-norm, trained, state"},
    {"--eval-data", "PATH", "train", "evaluate on this data while training and at its end"},
    {"--eval-every", "N|epoch", "train", "how often to evaluate"},
    {"--best", "loss|accuracy", "train", "keep the checkpoint of the best evaluation, too"},
    {"--patience", "N", "train", "end after N evaluations that are no better than the best"},
    {"--log", "FILE.jsonl", "train", "append one JSON object an event"},
    {"--log-every", "N", "train", "steps between printed lines"},
    {"--tensorboard", "DIR", "train", "write event files for TensorBoard into this folder"},
    {"--profile", "FILE.json", "train",
     "write a trace of steps 3 to 5, for ui.perfetto.dev or chrome://tracing"},
    {"--no-shuffle", nullptr, "train", "take samples in the order of the data"},
    {"--accumulate", "N", "train gradients values bench", "micro-batches a step"},
    {"--schedule", "NAME,key=value,..", "train gradients values bench lr", Schedule::help()},
    {"--group", "REGEX:lr=..,weight-decay=..", "train gradients values bench lr",
     "learning rate and weight decay of the parameters whose names match; may be given several "
     "times, the first that matches counts",
     true},
    {"--no-decay", "REGEX|norm,bias", "train gradients values bench lr",
     "no weight decay for the parameters whose names match, or that belong to normalizations or "
     "are biases"},
    {"--seed", "N", DSC_RUNS " bench export",
     "seed of the order of samples, of dropout and of weights that start at random"},
    {"--ranks", "N", DSC_RANKED,
     "start N processes on this machine; without it, as many as torchrun, mpirun or srun started"},
    {"--timeout", "SECONDS", DSC_RANKED,
     "with several ranks: after a rank dies or hangs, the others end within this time (60)"},
    {"--threads", "N", DSC_RUNS " bench export", "threads; all cores without it"},
    {"--json", nullptr, "eval info bench lr", "print JSON"},
    {"--outputs", "FILE.npz", "eval", "write the graph's outputs for every sample"},
    {"-o", "FILE", "gradients values export lr", "the file to write; lr: its curve as an SVG"},
    {"--kernels", nullptr, "bench", "time of each kernel and library call"},
    {"--force", nullptr, "train eval gradients values export lr",
     "overwrite files that dsc did not write"},
};

namespace {
/// Flags of `dsc compile` that change the program.
struct CompileFlag {
  const char *name;
  bool takesValue;
};
constexpr CompileFlag compileFlags[] = {
    {"--dim", true},           {"--input", true},        {"--loss", true},
    {"--shift-labels", false}, {"--ignore-index", true}, {"--label-smoothing", true},
    {"--loss-mean", true},     {"--output", true},       {"--labels", true},
    {"--optimizer", true},     {"--train", true},        {"--freeze", true},
    {"--no-tie", false},       {"--zero", true},         {"--fp32", false},
    {"--tf32", false},         {"--bf16", false},        {"--fp16", false},
    {"--recompute", true},     {"--memory", true},       {"--max-ranks", true},
    {"--deterministic", true}, {"--batch-norm", true},   {"--dropout", true},
    {"--bind", true},          {"--init", true},         {"--target", true},
    {"--arch", true},          {"--cpu", true},          {"--config", true},
    {"--disable", true},       {"--keep-values", true},  {"--dump-phases", true},
    {"--dump-passes", true},   {"--from", true},         {"--emit", true},
    {"--report", true},        {"--pass-limit", true},   {"--diagnostics", true},
    {"--bucket-bytes", true},
};

bool takes(const char *commands, const std::string &command) {
  std::istringstream words(commands);
  for (std::string word; words >> word;) {
    if (word == command) {
      return true;
    }
  }
  return false;
}

bool takesRunTimeValues(const std::string &command) {
  return takes("train gradients values bench lr", command);
}

/// Splits a shell line into words, quotes kept.
std::vector<std::string> shellWords(const std::string &line) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  for (char c : line) {
    if (!quote && c == ' ') {
      if (!word.empty()) {
        words.push_back(std::exchange(word, ""));
      }
      continue;
    }
    if (c == '\'' || c == '"') {
      quote = quote == c ? 0 : quote ? quote : c;
    }
    word += c;
  }
  if (!word.empty()) {
    words.push_back(word);
  }
  return words;
}
} // namespace

std::string dsc::compileLineWith(const std::string &compileCommand, const std::string &flag,
                                 const std::string &value) {
  // A flag that holds one value replaces itself; flags that name a key are added.
  bool keyed = flag == "--dim" || flag == "--bind" || flag == "--input";
  std::string line;
  std::vector<std::string> words = shellWords(compileCommand);
  for (size_t i = 0; i < words.size(); ++i) {
    bool joined = words[i].compare(0, flag.size() + 1, flag + "=") == 0;
    if (!keyed && (joined || words[i] == flag)) {
      bool hasNext = i + 1 < words.size() && words[i + 1][0] != '-';
      if (!joined && !value.empty() && hasNext) {
        ++i;
      }
      continue;
    }
    line += words[i] + " ";
  }
  if (line.empty()) {
    line = "dsc compile MODEL.onnx ";
  }
  bool plain = value.find_first_of(" '\"$*?|&;<>()") == std::string::npos;
  return line + flag + (value.empty() ? "" : "=" + (plain ? value : "'" + value + "'"));
}

bool CommandLine::takesRanks() const { return takes(DSC_RANKED, name); }

std::optional<int64_t> dsc::parseInteger(const std::string &text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) {
    return std::nullopt;
  }
  errno = 0;
  char *end;
  long long value = std::strtoll(text.c_str(), &end, 10);
  if (errno || *end || end != text.c_str() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> dsc::parseNumber(const std::string &text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) {
    return std::nullopt;
  }
  char *end;
  double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::string CommandLine::text(const std::string &flag, const std::string &absent) const {
  auto found = values.find(flag);
  return found == values.end() ? absent : found->second;
}

std::vector<std::string> CommandLine::list(const std::string &flag) const {
  std::vector<std::string> items;
  std::istringstream lines(text(flag));
  for (std::string item; std::getline(lines, item);) {
    items.push_back(item);
  }
  return items;
}

Result<int64_t> CommandLine::integer(const std::string &flag, int64_t absent,
                                     int64_t minimum) const {
  if (!has(flag)) {
    return absent;
  }
  std::optional<int64_t> value = parseInteger(text(flag));
  if (!value || *value < minimum || *value > (int64_t(1) << 53)) {
    return Status::user(format("%s %s: is not an integer of at least %lld", flag.c_str(),
                               text(flag).c_str(), static_cast<long long>(minimum)));
  }
  return *value;
}

Result<CommandLine> CommandLine::parse(const Manifest &manifest,
                                       const std::vector<std::string> &arguments) {
  CommandLine line;
  size_t at = 0;
  if (arguments.empty()) {
    return Status::user("no command given; --help lists them");
  }
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    line.help = true;
    line.name = arguments.size() > 1 ? arguments[1] : "";
    return line;
  }
  line.name = arguments[at++];
  std::vector<std::string> commands;
  bool known = false;
  for (const CommandSpec &command : commandTable) {
    commands.push_back(command.name);
    known |= line.name == command.name;
    if (line.name == command.name && !command.help) {
      return Status::user("the command \"" + line.name + "\" comes with a later version of dsc");
    }
  }
  if (!known) {
    return Status::user("\"" + line.name + "\" is not a command" +
                        nearestName(line.name, commands) + "; --help lists them");
  }

  for (; at < arguments.size(); ++at) {
    const std::string &word = arguments[at];
    if (word.empty() || word[0] != '-' || word == "-") {
      line.others.push_back(word);
      continue;
    }
    if (word == "--help" || word == "-h") {
      line.help = true;
      continue;
    }
    size_t equals = word.find('=');
    std::string flag = word.substr(0, equals);
    std::optional<std::string> value;
    if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    }
    auto next = [&] {
      if (!value && at + 1 < arguments.size()) {
        value = arguments[++at];
      }
    };

    bool found = false, takesValue = true, repeats = false;
    std::vector<std::string> names;
    for (const FlagSpec &spec : flagTable) {
      if (!takes(spec.commands, line.name)) {
        continue;
      }
      names.push_back(spec.name);
      if (flag == spec.name) {
        found = true;
        takesValue = spec.argument != nullptr;
        repeats = spec.repeats;
      }
    }
    if (takesRunTimeValues(line.name)) {
      for (const RunTimeValue &runTime : manifest.runTimeValues) {
        names.push_back(runTime.flag);
        found |= flag == runTime.flag;
      }
    }
    if (!found) {
      for (const CompileFlag &compile : compileFlags) {
        if (flag == compile.name) {
          if (compile.takesValue) {
            next();
          }
          return Status::user(flag +
                              " is decided when the model is compiled; compile again with\n  " +
                              compileLineWith(manifest.compileCommand, flag, value.value_or("")));
        }
      }
      return Status::user(flag + " is not a flag of " + line.name + nearestName(flag, names));
    }
    if (!takesValue && value) {
      return Status::user(flag + " takes no value");
    }
    if (takesValue) {
      next();
      if (!value) {
        return Status::user(flag + " needs a value");
      }
    }
    auto [known, isNew] = line.values.emplace(flag, value.value_or(""));
    if (!isNew && !repeats) {
      return Status::user(flag + " is given twice");
    }
    known->second = isNew ? known->second : known->second + "\n" + *value;
  }
  size_t most = line.name == "data" ? 1 : 0;
  if (line.others.size() > most) {
    return Status::user("\"" + line.others[most] + "\" is not expected here; " + line.name +
                        " --help says what is");
  }
  return line;
}

std::string dsc::helpText(const Manifest &manifest, const std::string &program,
                          const std::string &command) {
  std::string text;
  bool found = false;
  for (const CommandSpec &spec : commandTable) {
    if (!spec.help || (!command.empty() && command != spec.name)) {
      continue;
    }
    found = true;
    text += format("%s %s %s\n    %s\n", program.c_str(), spec.name, spec.usage, spec.help);
  }
  if (!found) {
    return helpText(manifest, program, "");
  }
  text += "\nflags:\n";
  auto row = [&](const std::string &left, const std::string &right) {
    text += left.size() < 28 ? format("  %-28s%s\n", left.c_str(), right.c_str())
                             : "  " + left + "\n" + std::string(30, ' ') + right + "\n";
  };
  for (const FlagSpec &spec : flagTable) {
    // The program's own row, with its default, stands below.
    bool own = std::any_of(manifest.runTimeValues.begin(), manifest.runTimeValues.end(),
                           [&](const RunTimeValue &value) { return value.flag == spec.name; });
    if (own || (!command.empty() && !takes(spec.commands, command))) {
      continue;
    }
    row(std::string(spec.name) + (spec.argument ? std::string(" ") + spec.argument : ""),
        spec.help + (command.empty() ? " (" + std::string(spec.commands) + ")" : ""));
  }
  if (manifest.runTimeValues.empty() || (!command.empty() && !takesRunTimeValues(command))) {
    return text;
  }
  text += "\nrun-time values, with this program's defaults:\n";
  for (const RunTimeValue &value : manifest.runTimeValues) {
    if (!value.flag.empty()) {
      row(format("%s=%g", value.flag.c_str(), value.defaultValue), value.help);
    }
  }
  return text;
}
