// The flag rows of contract section 1.

#include "tools/dsc/ModelFlags.h"

#include "ir/Recompute.h"
#include "runtime/ParameterGroups.h"
#include "runtime/Schedule.h"
#include "tools/dsc/MachineGpu.h"

using namespace dsc;
using llvm::StringRef;

/// Parses "8x1024" or "8,1024".
static bool parseShape(StringRef text, llvm::SmallVectorImpl<int64_t> &shape) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, text.contains('x') ? 'x' : ',');
  for (StringRef part : parts) {
    int64_t size;
    if (part.getAsInteger(10, size) || size < 0) {
      return false;
    }
    shape.push_back(size);
  }
  return true;
}

void dsc::addImportFlags(FlagTable &table, ImportOptions &options) {
  table.section("Shapes and inputs");
  table.add(
      {"dim", "NAME=SIZE", "binds a symbolic dimension, e.g. --dim batch=8", [&](StringRef given) {
         auto [name, size] = given.split('=');
         int64_t value;
         if (name.empty() || size.getAsInteger(10, value) || value < 1) {
           return "is '" + given.str() + "', expected NAME=SIZE";
         }
         options.dims[name] = value;
         return std::string();
       }});
  table.add({"input", "NAME=8x1024", "gives an input's whole shape", [&](StringRef given) {
               auto [name, shape] = given.split('=');
               llvm::SmallVector<int64_t> sizes;
               if (name.empty() || !parseShape(shape, sizes)) {
                 return "is '" + given.str() + "', expected NAME=8x1024";
               }
               options.inputs[name] = sizes;
               return std::string();
             }});
  table.add({"bind", "NAME=VALUE", "makes a graph input a constant", [&](StringRef given) {
               auto [name, value] = given.split('=');
               if (name.empty() || value.empty()) {
                 return "is '" + given.str() + "', expected NAME=VALUE";
               }
               options.bind[name] = value.str();
               return std::string();
             }});
  table.section("What trains");
  table.text("train", "REGEX", options.trainRegex, "train the parameters whose names match");
  table.text("freeze", "REGEX", options.freezeRegex,
             "do not train the parameters whose names match");
  table.boolean("no-tie", options.noTie,
                "keep bit-equal weights apart instead of tying them again");
  table.boolean("allow-symlinks", options.allowSymlinks,
                "follow links to external data inside the model's folder");
}

void dsc::addTrainingFlags(FlagTable &table, CompileOptions &options) {
  options.recompute = "cheap";
  table.section("Loss");
  table.add(
      {"loss", "NAME",
       "cross-entropy, nll, mse, l1, bce-with-logits, mean, sum or output:NAME; none: forward "
       "only; default: by the outputs",
       [&](StringRef given) {
         static const StringRef names[] = {"cross-entropy",   "nll",  "mse", "l1",
                                           "bce-with-logits", "mean", "sum", "none"};
         if (!llvm::is_contained(names, given) && !given.starts_with("output:")) {
           return "is '" + given.str() + "', expected " + llvm::join(llvm::ArrayRef(names), ", ") +
                  " or output:NAME";
         }
         options.loss = given.str();
         return std::string();
       }});
  table.text("output", "NAME", options.output,
             "the output that feeds the loss (default: the first)");
  table.text("labels", "NAME", options.labels, "the target's name in the data (default: labels)");
  table.boolean("shift-labels", options.shiftLabels,
                "labels are the inputs: position t predicts token t + 1");
  table.integer("ignore-index", "N", options.ignoreIndex,
                "label of positions that do not count (default: -100)");
  table.real("label-smoothing", "X", options.labelSmoothing,
             "label smoothing of cross-entropy (default: 0)");
  table.choice("loss-mean", {"micro-batch", "global"}, options.lossMean,
               "mean of each micro-batch's mean, or over all positions");
  table.choice("batch-norm", {"train", "frozen"}, options.batchNorm,
               "batch statistics, or the file's running ones");
  table.onOff("dropout", options.dropout,
              "whether Dropout nodes are live in training (default: on)");
  table.section("Precision");
  auto precision = [&](const char *name, const char *help) {
    table.add({name, "", help, [&options, name](StringRef) {
                 bool other = options.precision != "fp32" && options.precision != name;
                 std::string chosen = std::exchange(options.precision, name);
                 return other ? "contradicts '--" + chosen + "'; choose one precision"
                              : std::string();
               }});
  };
  precision("fp32", "single precision (the default)");
  precision("tf32", "fp32, with matrix products in TF32 where the target has it (the CPU has not)");
  precision("bf16", "mixed precision in bfloat16: fp32 weights and updates, half compute");
  precision("fp16", "mixed precision in float16, with loss scaling");
  table.section("Optimizer and step");
  table.choice("optimizer", {"adamw", "adam", "sgd", "lion", "adagrad", "lamb"}, options.optimizer,
               "default: adamw");
  table.add({"accumulate", "N|any", "largest number of micro-batches a step (default: 1)",
             [&](StringRef given) {
               if (given == "any") {
                 options.accumulate = 0;
                 return std::string();
               }
               return given.getAsInteger(10, options.accumulate) || options.accumulate < 1
                          ? "is '" + given.str() + "', expected a positive number or any"
                          : std::string();
             }});
  table.boolean("nesterov", options.nesterov, "SGD: Nesterov momentum");
  table.real("initial-accumulator", "X", options.initialAccumulator,
             "Adagrad: where the sums of squares start (default: 0)");
  table.onOff(
      "deterministic", options.deterministic,
      "the same bits in every run (default: on); off lets CUDA's libraries add in any order");
  table.section("Defaults of run-time values (the executable takes the same flags)");
  table.real("lr", "X", options.lr, "learning rate (default: 0.001)");
  table.real("weight-decay", "X", options.weightDecay, "weight decay (default: 0.01 for adamw)");
  table.real("beta1", "X", options.beta1,
             "decay of the first moment, of Lion's direction (default: 0.9)");
  table.real("beta2", "X", options.beta2,
             "decay of the second moment (default: 0.999), of Lion's momentum (0.99)");
  table.real("eps", "X", options.epsilon,
             "added to the root of the second moment (default: 1e-8, adagrad: 1e-10)");
  table.real("lr-decay", "X", options.lrDecay,
             "Adagrad: step t goes by lr / (1 + (t - 1) X) (default: 0)");
  table.real("min-coeff", "X", options.minCoeff, "LAMB: least trust ratio (default: 0.01)");
  table.real("max-coeff", "X", options.maxCoeff, "LAMB: largest trust ratio (default: 10)");
  table.real("momentum", "X", options.momentum, "SGD: momentum");
  table.real("dampening", "X", options.dampening, "SGD: dampening");
  table.real("clip", "X", options.clip, "clip gradients to this global L2 norm (default: off)");
  table.real("loss-scale", "X", options.lossScale,
             "fp16: factor of the loss before backward; 0: dynamic (default)");
  table.integer("initial-scale-power", "N", options.initialScalePower,
                "fp16: the dynamic scale starts at 2^N (default: 16)");
  table.integer("loss-scale-window", "N", options.lossScaleWindow,
                "fp16: steps without overflow until it doubles (default: 1000)");
  table.integer("hysteresis", "N", options.hysteresis,
                "fp16: overflows until it is halved (default: 2)");
  table.real("min-loss-scale", "X", options.minLossScale,
             "fp16: overflow at this scale ends the run (default: 1)");
  table.boolean("consecutive-hysteresis", options.consecutiveHysteresis,
                "fp16: a step without overflow restores the hysteresis");
  table.integer("seed", "N", options.seed, "seed of shuffling and Dropout");
  table.add({"schedule", "NAME,key=value,..", Schedule::help(), [&](StringRef given) {
               options.schedule = given.str();
               return Schedule::parse(options.schedule).status().message();
             }});
  table.add({"group", "REGEX:lr=..,weight-decay=..",
             "learning rate and weight decay of the parameters whose names match; may be given "
             "several times, the first that matches counts",
             [&](StringRef given) {
               options.groups.push_back(given.str());
               return ParameterGroups::checkGroup(given.str());
             }});
  table.add({"no-decay", "REGEX|norm,bias",
             "no weight decay for the parameters whose names match, or that belong to "
             "normalizations or are biases",
             [&](StringRef given) {
               options.noDecay = given.str();
               return ParameterGroups::checkNoDecay(given.str());
             }});
  table.section("Target");
  table.choice("target", {"auto", "cpu", "cuda"}, options.target,
               "what the executable runs on (default: auto, this machine's GPU, or the CPU where "
               "there is none)");
  table.choice(
      "arch", cudaArchitectures(), options.arch,
      "GPU architecture of the CUDA target (default: sm_90, or with --target=auto the GPU's)");
  table.choice("cpu", {"native", "x86-64-v3", "x86-64-v4"}, options.cpu,
               "instruction set of the CPU target");
  table.integer("max-ranks", "N", options.maxRanks,
                "largest number of ranks to plan for (default: 64)");
  table.integer(
      "bucket-bytes", "N", options.bucketBytes,
      "bytes of gradients that are reduced and updated as one (default: 32 MiB, at most an "
      "eighth of all)");
  table.add({"zero", "0|1|2|3",
             "what ranks divide among them: nothing, optimizer state (1), gradients too (2), "
             "weights too (3)",
             [&](StringRef given) {
               if (given.size() != 1 || given[0] < '0' || given[0] > '3') {
                 return "is '" + given.str() + "', expected 0, 1, 2 or 3";
               }
               options.zero = given[0] - '0';
               return std::string();
             }});
  table.section("Memory");
  table.add({"recompute", "none|cheap|full|BYTES|auto",
             "what backward computes again instead of keeping it: nothing; what costs next to "
             "nothing (cheap, the default); all but block boundaries (full); as little as keeps "
             "the arena within BYTES, e.g. 800MiB, or all memory within --memory (auto)",
             [&](StringRef given) {
               options.recompute = given.str();
               return parseRecompute(given) && !given.contains(':')
                          ? std::string()
                          : "is '" + given.str() +
                                "', expected none, cheap, full, auto or bytes such as 800MiB";
             }});
}

std::string dsc::checkOptions(const CompileOptions &options) {
  if (options.labelSmoothing < 0 || options.labelSmoothing > 1) {
    return "flag '--label-smoothing' is outside [0, 1]";
  }
  if (options.maxRanks < 1 || options.maxRanks > 65536) {
    return "flag '--max-ranks' is " + std::to_string(options.maxRanks) + ", expected 1 to 65536";
  }
  if (options.bucketBytes < 0) {
    return "flag '--bucket-bytes' is " + std::to_string(options.bucketBytes) +
           ", expected 1 or more";
  }
  if (options.seed < 0) {
    return "flag '--seed' is " + std::to_string(options.seed) + ", expected 0 or more";
  }
  // The step divides by the number of micro-batches in f32.
  if (options.accumulate > int64_t(1) << 24) {
    return "flag '--accumulate' is " + std::to_string(options.accumulate) +
           ", expected at most 2^24, or any";
  }
  if (options.lr < 0 || options.weightDecay < 0 || options.epsilon < 0 || options.clip < 0) {
    return "flags '--lr', '--weight-decay', '--eps' and '--clip' must not be negative";
  }
  if (options.beta1 < 0 || options.beta1 >= 1 || options.beta2 < 0 || options.beta2 >= 1) {
    return "flags '--beta1' and '--beta2' must lie in [0, 1)";
  }
  if (options.lrDecay < 0 || options.initialAccumulator < 0 || options.minCoeff < 0 ||
      options.maxCoeff < options.minCoeff) {
    return "flags '--lr-decay' and '--initial-accumulator' must not be negative, nor "
           "'--min-coeff', "
           "and '--max-coeff' is at least that";
  }
  if (options.lossScale < 0 || options.lossScaleWindow < 1 || options.hysteresis < 1 ||
      options.minLossScale <= 0 || options.initialScalePower < 0 ||
      options.initialScalePower > 62) {
    return "flag '--loss-scale' must not be negative, '--loss-scale-window' and '--hysteresis' are "
           "at least 1, '--min-loss-scale' is above 0, '--initial-scale-power' from 0 to 62";
  }
  const CompileOptions plain;
  bool isScaled =
      options.lossScale != plain.lossScale || options.lossScaleWindow != plain.lossScaleWindow ||
      options.hysteresis != plain.hysteresis || options.minLossScale != plain.minLossScale ||
      options.initialScalePower != plain.initialScalePower || options.consecutiveHysteresis;
  if (isScaled && options.precision != "fp16") {
    return "flags of the loss scale need --fp16: gradients of --" + options.precision +
           " are not scaled";
  }
  const std::string &kind = options.optimizer;
  if ((options.initialAccumulator != plain.initialAccumulator ||
       options.lrDecay != plain.lrDecay) &&
      kind != "adagrad") {
    return "flags '--initial-accumulator' and '--lr-decay' are those of --optimizer=adagrad, not "
           "of " +
           kind;
  }
  if ((options.minCoeff != plain.minCoeff || options.maxCoeff != plain.maxCoeff) &&
      kind != "lamb") {
    return "flags '--min-coeff' and '--max-coeff' are those of --optimizer=lamb, not of " + kind;
  }
  if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
    return "flag '--nesterov' needs --momentum above 0 and no dampening, as torch.optim.SGD does";
  }
  return "";
}

void dsc::settleOptimizerDefaults(CompileOptions &options, llvm::ArrayRef<std::string> given) {
  if (!llvm::is_contained(given, "weight-decay")) {
    options.weightDecay = options.optimizer == "adamw" ? 0.01 : 0;
  }
  // The optimizers' own defaults: Chen et al. 2023, torch.optim.Adagrad.
  if (options.optimizer == "lion" && !llvm::is_contained(given, "beta2")) {
    options.beta2 = 0.99;
  }
  if (options.optimizer == "adagrad" && !llvm::is_contained(given, "eps")) {
    options.epsilon = 1e-10;
  }
}
