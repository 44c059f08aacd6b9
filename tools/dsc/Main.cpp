// dsc: compiles exported ONNX graphs into native training programs.

#include "tools/dsc/Commands.h"
#include "tools/dsc/Config.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace dsc;

namespace {
struct Command {
  const char *name;
  const char *usage;
  const char *help;
  int (*run)(llvm::ArrayRef<const char *>); // null: comes in a later version
};
} // namespace

static const Command kCommands[] = {
    {"compile", "MODEL.onnx [-o OUT]", "makes a training executable and its weights file",
     compileCommand},
    {"inspect", "MODEL.onnx|EXECUTABLE [--json]",
     "inputs, outputs, parameters with role and reason, ops", inspectCommand},
    {"check", "MODEL.onnx [--test-data DIR]",
     "forward against stored data, gradients against differences", checkCommand},
    {"compare", "A B", "first difference of two tensor files", compareCommand},
    {"ops", "[--json]", "every ONNX op: forward, gradient, types", opsCommand},
    {"errors", "[--json]", "every id of an error: what it means, and the way out", errorsCommand},
    {"config", "[--markdown]", "every key of ds_config.json: what becomes of it", configCommand},
    {"plan", "MODEL.onnx --ranks N --memory SIZE",
     "memory and traffic by ZeRO stage, micro-batch and recomputation", planCommand},
    {"export", "CHECKPOINT|WEIGHTS --model MODEL.onnx",
     "the model with trained weights, or safetensors", exportCommand},
    {"bisect", "MODEL.onnx --data D", "first phase whose result differs", nullptr},
};

static int printUsage(llvm::raw_ostream &out) {
  out << "usage: dsc COMMAND ...\n\n";
  for (const Command &command : kCommands) {
    std::string usage = std::string(command.name) + " " + command.usage;
    out << "  dsc " << usage << std::string(usage.size() < 36 ? 36 - usage.size() : 1, ' ')
        << command.help << (command.run ? "" : " (not in this version)") << "\n";
  }
  out << "\n`dsc COMMAND --help` lists its flags.\n";
  return kDone;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::StringRef name = argc > 1 ? argv[1] : "";
  if (name == "--version") {
    llvm::outs() << "dsc " DSC_VERSION "\n";
    return kDone;
  }
  if (name.empty() || name == "help" || name == "--help" || name == "-h") {
    return name.empty() ? (printUsage(llvm::errs()), kUserError) : printUsage(llvm::outs());
  }
  llvm::ArrayRef<const char *> arguments(argv + 2, argv + argc);
  const Command *nearest = nullptr;
  unsigned best = 4;
  for (const Command &command : kCommands) {
    if (name == command.name) {
      if (!command.run) {
        llvm::errs() << "dsc: '" << name << "' is not in this version: " << command.help
                     << " comes in a later one\n";
        return kUserError;
      }
      int code = command.run(arguments);
      if (code == kInternal) {
        // A pass that crashed has left what it held, and may have damaged more.
        llvm::outs().flush();
        std::_Exit(code);
      }
      return code;
    }
    if (unsigned distance = name.edit_distance(command.name, true, best); distance < best) {
      best = distance;
      nearest = &command;
    }
  }
  llvm::errs() << "dsc: unknown command '" << name << "'"
               << (nearest ? std::string("; did you mean '") + nearest->name + "'?" : "") << "\n";
  return kUserError;
}
