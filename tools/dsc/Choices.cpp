// The lines that `dsc compile` prints first: loss, optimizer, precision, configuration,
// recomputation.

#include "tools/dsc/Choices.h"

#include "ir/Options.h"
#include "passes/precision/Casts.h"
#include "tools/dsc/ConfigFlags.h"
#include "tools/dsc/Report.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace dsc;

/// A number as a person would write it.
static std::string shortest(double value) {
  char text[32];
  snprintf(text, sizeof text, "%g", value);
  return text;
}

/// "bf16; 412 casts inserted, 31 left", and what the target does with it.
static std::string describePrecision(ModuleOp module, const CompileOptions &options) {
  std::string text = options.precision;
  if (auto casts = module->getAttrOfType<DictionaryAttr>(kCastsAttr)) {
    text += "; " + std::to_string(cast<IntegerAttr>(casts.get("inserted")).getInt()) +
            " casts inserted, " + std::to_string(cast<IntegerAttr>(casts.get("left")).getInt()) +
            " left";
  }
  if (options.precision == "tf32" && options.target == "cpu") {
    text += "; the CPU has no TF32 and computes in fp32";
  }
  if (options.precision == "fp16" && options.lossScale > 0) {
    text += "; loss scale " + shortest(options.lossScale);
  } else if (options.precision == "fp16") {
    text += "; dynamic loss scale from 2^" + std::to_string(options.initialScalePower);
  }
  return text;
}

std::string dsc::describeRecomputation(ModuleOp module) {
  auto last = module.lookupSymbol<func::FuncOp>("last");
  auto report = last ? last->getAttrOfType<DictionaryAttr>("dsc.recompute") : nullptr;
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (!report || failed(options)) {
    return "";
  }
  auto number = [&](StringRef key) {
    auto value = dyn_cast_if_present<IntegerAttr>(report.get(key));
    return value ? value.getInt() : 0;
  };
  auto blocks = dyn_cast_if_present<ArrayAttr>(report.get("blocks"));
  int64_t saved = number("saved_bytes"), freed = number("freed_bytes");
  double flops = number("added_flops"), step = number("step_flops");
  return llvm::formatv("{0}, {1} of {2} kept for backward ({3:f0}% less), {4:f3} GFLOP computed "
                       "again (+{5:f1}%), {6} {7}",
                       StringRef(options->recompute).split(':').first, bytesInWords(saved),
                       bytesInWords(saved + freed),
                       saved + freed > 0 ? 100.0 * freed / (saved + freed) : 0, flops * 1e-9,
                       step > 0 ? 100 * flops / step : 0, blocks ? blocks.size() : 0,
                       blocks && blocks.size() == 1 ? "block" : "blocks");
}

std::vector<std::pair<std::string, std::string>> dsc::choicesOf(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return {};
  }
  std::string loss = options->loss + " of '" + options->output + "'";
  if (options->loss != "mean" && options->loss != "sum" &&
      !StringRef(options->loss).starts_with("output:")) {
    loss += " against '" + options->labels + "'";
  }
  std::string optimizer = options->optimizer + ", lr " + shortest(options->lr) + ", weight decay " +
                          shortest(options->weightDecay);
  optimizer += options->clip > 0 ? ", clip " + shortest(options->clip) : ", no clipping";
  for (const std::string &group : options->groups) {
    optimizer += ", group " + group;
  }
  optimizer += options->noDecay.empty() ? "" : ", no decay of " + options->noDecay;
  if (options->accumulate != 1) {
    optimizer += ", accumulation of ";
    optimizer +=
        options->accumulate == 0 ? "any number of" : "up to " + std::to_string(options->accumulate);
    optimizer += " micro-batches";
  }
  std::vector<std::pair<std::string, std::string>> choices = {{"loss", loss},
                                                              {"optimizer", optimizer}};
  if (options->precision != "fp32") {
    choices.emplace_back("precision", describePrecision(module, *options));
  }
  llvm::append_range(choices, configChoices(module));
  return choices;
}
