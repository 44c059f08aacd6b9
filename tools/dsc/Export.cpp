// `dsc export`: trained weights into the user's own model, or into safetensors by PyTorch's names.

#include "frontend/ModelExport.h"
#include "ir/Recompute.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/ExportSafetensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dsc;

namespace {
struct ExportRequest {
  ExportOptions model;
  SafetensorsExport tensors;
  std::string diagnostics = "text";
  bool force = false, help = false;
};
} // namespace

static void addExportFlags(FlagTable &table, ExportRequest &request) {
  table.section("Into the model");
  table.text("model", "MODEL.onnx", request.model.model, "the file that was compiled");
  table.text("o", "TRAINED.onnx", request.model.output,
             "that file with the trained weights, in inference form");
  table.boolean("keep-training", request.model.keepTraining,
                "leave Dropout live and batch norms in training form");
  table.boolean("external-data", request.model.externalData,
                "put tensors into TRAINED.onnx.data; done anyway where MODEL.onnx has such a file, "
                "and over 2 GB");
  table.boolean("allow-symlinks", request.model.allowSymlinks,
                "follow links to external data inside the model's folder");
  table.section("Into safetensors");
  table.text("safetensors", "DIR", request.tensors.folder,
             "PyTorch's names and orientation, as from_pretrained reads it");
  table.choice("dtype", {"fp32", "fp16", "bf16"}, request.tensors.dtype,
               "type of the floats (default: as they were trained, fp32)");
  table.text("strip-prefix", "PREFIX", request.tensors.stripPrefix,
             "leave this out at the beginning of names, e.g. model.");
  table.add(
      {"shard-size", "SIZE", "largest file, e.g. 500MB (default: 5GB)", [&](llvm::StringRef given) {
         std::optional<int64_t> bytes = parseBytes(given);
         request.tensors.shardBytes = bytes.value_or(0);
         return bytes ? std::string() : "is '" + given.str() + "', expected a size such as 500MB";
       }});
  table.section("Output");
  table.boolean("force", request.force, "overwrite files that dsc did not write");
  table.choice("diagnostics", {"text", "json"}, request.diagnostics, "how errors are printed");
  table.boolean("help", request.help, "this help");
}

static Fault checkRequest(const ExportRequest &request, const FlagTable &table,
                          const std::vector<std::string> &operands) {
  auto isGiven = [&](llvm::StringRef flag) { return llvm::is_contained(table.given(), flag); };
  const bool toModel = !request.model.output.empty(), toFolder = !request.tensors.folder.empty();
  if (operands.size() != 1) {
    return "expected one checkpoint or weights file, got " + std::to_string(operands.size()) +
           " operands";
  }
  if (!toModel && !toFolder) {
    return {"nothing to write: give --model MODEL.onnx -o TRAINED.onnx, or --safetensors DIR"};
  }
  if (toModel && request.model.model.empty()) {
    return {"flag '-o' needs '--model MODEL.onnx', the file whose graph the weights go into"};
  }
  for (llvm::StringRef flag : {"keep-training", "external-data"}) {
    if (isGiven(flag) && !toModel) {
      return "flag '--" + flag.str() + "' is about '-o TRAINED.onnx', which is not given";
    }
  }
  for (llvm::StringRef flag : {"dtype", "strip-prefix", "shard-size"}) {
    if (isGiven(flag) && !toFolder) {
      return "flag '--" + flag.str() + "' is about '--safetensors DIR', which is not given";
    }
  }
  return {};
}

/// The model, and what would lie beside it, may be overwritten only where both are ours.
static Fault checkOverwrite(const ExportOptions &options, bool force) {
  const std::string &path = options.output;
  if (llvm::sys::fs::is_directory(path)) {
    return {path + " is a folder; give a file with -o", ErrorId::FileExists};
  }
  bool isOurs = isExportedModel(path);
  if (!force && llvm::sys::fs::exists(path) && !isOurs) {
    return {path + " exists and was not written by dsc export; give another -o, or --force to "
                   "overwrite it",
            ErrorId::FileExists};
  }
  std::string data = externalDataPath(path);
  if (!force && llvm::sys::fs::exists(data) && !isOurs) {
    return {data + " exists and belongs to no model that dsc export wrote; give another -o, or "
                   "--force to overwrite it",
            ErrorId::FileExists};
  }
  return {};
}

static int runExport(const ExportRequest &request, const std::string &source) {
  auto fail = [&](const Fault &fault, int code = kUserError) {
    reportFault("dsc export", fault, request.diagnostics == "json");
    return code;
  };
  const bool toModel = !request.model.output.empty();
  if (Fault fault = toModel ? checkOverwrite(request.model, request.force) : Fault();
      !fault.empty()) {
    return fail(fault);
  }
  Result<TrainedWeights> weights = TrainedWeights::open(source);
  if (weights.failed()) {
    return fail({weights.status().message(), ErrorId::FileUnreadable},
                static_cast<int>(weights.status().exitCode()));
  }
  ExportOptions options = request.model;
  options.weights = weights->source();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  DiagnosticPrinter printer(context, request.diagnostics == "json");
  printer.setStage(ErrorId::ModelWeights);
  if (toModel) {
    mlir::FailureOr<ExportedModel> exported = exportModel(context, options, weights->tensors());
    if (failed(exported)) {
      return kUserError;
    }
    for (const std::string &notice : exported->notices) {
      printer.notice(notice);
    }
    llvm::outs() << exported->parameters << " trained parameters of " << options.weights << "\n"
                 << "wrote " << options.output
                 << (exported->dataFile.empty() ? "" : " and " + exported->dataFile) << ", "
                 << exported->bytes << " bytes"
                 << (options.keepTraining ? "" : ", in inference form") << "\n";
  } else if (!options.model.empty() && failed(checkTrained(context, options, weights->tensors()))) {
    return kUserError;
  }
  if (request.tensors.folder.empty()) {
    return kDone;
  }
  SafetensorsExport folder = request.tensors;
  folder.force = request.force;
  Result<WrittenShards> written = exportSafetensors(*weights, folder);
  if (written.failed()) {
    return fail({written.status().message(), ErrorId::ModelWeights},
                static_cast<int>(written.status().exitCode()));
  }
  llvm::outs() << "wrote " << weights->views().size() << " tensors, " << written->bytes
               << " bytes: " << folder.folder << "/" << written->files.front();
  if (written->files.size() > 1) {
    llvm::outs() << " to " << folder.folder << "/" << written->files[written->files.size() - 2]
                 << " and " << folder.folder << "/" << written->files.back();
  }
  llvm::outs() << "\n";
  return kDone;
}

int dsc::exportCommand(llvm::ArrayRef<const char *> arguments) {
  ExportRequest request;
  FlagTable table;
  addExportFlags(table, request);
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (request.help) {
    llvm::outs() << "usage: dsc export CHECKPOINT|WEIGHTS --model MODEL.onnx -o TRAINED.onnx\n"
                    "       dsc export CHECKPOINT|WEIGHTS --safetensors DIR [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty()) {
    wrong = checkRequest(request, table, operands);
  }
  if (!wrong.empty()) {
    reportFault("dsc export", wrong, wantsJsonDiagnostics(arguments));
    return kUserError;
  }
  return runExport(request, operands.front());
}
