// --config at `dsc compile`.

#include "tools/dsc/ConfigFlags.h"

#include "tools/dsc/DsConfig.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace dsc;

void dsc::addConfigFlags(FlagTable &table, ConfigFlags &flags, StringRef ranksHelp) {
  table.section("DeepSpeed's configuration (docs/config.md)");
  table.text("config", "ds_config.json", flags.file,
             "take optimizer, schedule, batch, precision and ZeRO stage from this file; flags win "
             "over it");
  table.integer("ranks", "N", flags.ranks, ranksHelp);
  table.add({"config-ignore", "KEY", "let a key pass that is refused; may be given again",
             [&](StringRef given) {
               flags.ignored.push_back(given.str());
               return std::string();
             }});
  table.choice("ds-compat", {"0.19", "0.16"}, flags.compat,
               "whose defaults absent keys have (default: 0.19)");
}

Fault dsc::applyConfig(const FlagTable &table, const ConfigFlags &flags, int64_t accumulate,
                       AppliedConfig &applied) {
  if (flags.file.empty()) {
    for (StringRef flag : {"ranks", "config-ignore", "ds-compat"}) {
      if (llvm::is_contained(table.given(), flag)) {
        return "flag '--" + flag.str() + "' says how --config is read, and that is not given" +
               (flag == "ranks" ? "; an executable runs on any number of ranks: give --ranks to it"
                                : "");
      }
    }
    return {};
  }
  if (flags.ranks < 0 || flags.ranks > 65536 ||
      (flags.ranks == 0 && llvm::is_contained(table.given(), "ranks"))) {
    return "flag '--ranks' is " + std::to_string(flags.ranks) + ", expected 1 to 65536";
  }
  auto buffer = llvm::MemoryBuffer::getFile(flags.file);
  if (!buffer) {
    return {flags.file + ": cannot be opened: " + buffer.getError().message(),
            ErrorId::FileUnreadable};
  }
  ConfigContext context;
  context.compat = flags.compat;
  context.ranks = std::max<int64_t>(1, flags.ranks);
  context.ignored = flags.ignored;
  context.given = table.given();
  context.accumulate = accumulate;
  Result<DsConfig> config = readDsConfig((*buffer)->getBuffer().str(), context);
  if (config.failed()) {
    return {flags.file + ": " + config.status().message(), ErrorId::FlagValue};
  }
  for (const ConfigFlag &flag : config->flags) {
    std::string argument = "--" + flag.name + (flag.value.empty() ? "" : "=" + flag.value);
    const char *arguments[] = {argument.c_str()};
    std::vector<std::string> operands;
    if (Fault wrong = table.parse(arguments, operands); !wrong.empty()) {
      return {flags.file + ": " + flag.key + ": " + wrong.text, wrong.id};
    }
  }
  applied.microBatch = config->microBatch;
  applied.trainBatch = config->trainBatch;
  applied.text = config->text();
  for (const std::string &note : config->notes) {
    applied.notices.push_back(flags.file + ": " + note);
  }
  return {};
}

LogicalResult dsc::bindMicroBatch(MLIRContext &context, int64_t microBatch,
                                  ImportOptions &options) {
  ImportOptions plain = options;
  plain.noTie = plain.namesOnly = true; // weights are not looked at
  FailureOr<ModelInfo> info = inspectModel(context, plain);
  if (failed(info)) {
    return failure();
  }
  for (const ValueDeclaration &input : info->inputs) {
    if (options.bind.contains(input.name)) {
      continue;
    }
    int64_t size = 0;
    auto shape = options.inputs.find(input.name);
    if (shape != options.inputs.end()) {
      size = shape->second.empty() ? 0 : shape->second.front();
    } else if (input.dims.empty() || input.dims.front() == "?") {
      continue; // a scalar; or the importer says which flag to add
    } else if (StringRef(input.dims.front()).getAsInteger(10, size)) {
      size = options.dims.try_emplace(input.dims.front(), microBatch).first->second;
    }
    if (size != microBatch) {
      return dsc::emitError(UnknownLoc::get(&context), ErrorId::ImportDims)
             << "input \"" << input.name << "\" has " << size
             << " samples in a micro-batch, and train_micro_batch_size_per_gpu of --config is "
             << microBatch << ": make them agree, with --input " << input.name << "=" << microBatch
             << "x.. where the graph takes any size, in the file, or by exporting the model with a "
                "symbolic batch dimension";
    }
  }
  return success();
}

void dsc::attachConfig(ModuleOp module, const AppliedConfig &applied) {
  Builder b(module.getContext());
  if (!applied.text.empty()) {
    module->setAttr("dsc.config", b.getStringAttr(applied.text));
  }
  if (applied.trainBatch) {
    module->setAttr("dsc.train_batch_size", b.getI64IntegerAttr(applied.trainBatch));
  }
}

std::vector<std::pair<std::string, std::string>> dsc::configChoices(ModuleOp module) {
  std::vector<std::pair<std::string, std::string>> choices;
  if (auto config = module->getAttrOfType<StringAttr>("dsc.config")) {
    for (const auto &[key, value] : configSettings(config.getValue().str())) {
      choices.emplace_back("config " + key, value);
    }
  }
  return choices;
}
