// Lists and patterns of names, gathered from files of PyTorch's exporters. A name is evidence, not
// proof: ParameterRule.cpp says what it weighs against.

#include "frontend/ParameterNames.h"

#include "llvm/ADT/StringSet.h"

using namespace llvm;

bool dsc::isBufferName(StringRef name) {
  for (StringRef ending : {"running_mean", "running_var", "inv_freq", "position_ids",
                           "relative_position_index", "num_batches_tracked"}) {
    if (name == ending || name.ends_with(("." + ending).str()) ||
        name.ends_with(("_" + ending).str())) {
      return true;
    }
  }
  return false;
}

/// "add" of "add_12"; the name itself where it has no number.
static StringRef withoutNumber(StringRef name) {
  StringRef stem = name.rtrim("0123456789");
  return stem.size() == name.size() ? name : stem.rtrim('_');
}

/// Names that PyTorch's exporter gives to intermediate values: "val_12", or the ATen operator's,
/// numbered.
static bool isIntermediateName(StringRef name) {
  static const StringSet<> operators = {
      // clang-format off
      "abs", "add", "addmm", "alias", "all", "any", "arange", "as_strided", "batch_norm",
      "bitwise_and", "bitwise_not", "bitwise_or", "bmm", "cat", "ceil", "chunk", "clamp", "clone",
      "concat", "contiguous", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
      "convert_element_type", "convert_element_type_default", "convolution", "copy", "cos",
      "cumsum", "detach", "diff", "div", "dropout", "embedding", "empty", "eq", "exp", "expand",
      "eye", "fill", "flatten", "flip", "floor", "floor_divide", "full", "full_like", "gather",
      "ge", "gelu", "getitem", "group_norm", "gt", "hardswish", "index", "index_select",
      "layer_norm", "le", "leaky_relu", "lift_fresh", "lift_fresh_copy", "linear", "linspace",
      "log", "log_softmax", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
      "masked_fill", "matmul", "max", "mean", "min", "mm", "movedim", "mul", "ne", "neg",
      "new_empty", "new_full", "new_ones", "new_zeros", "ones", "ones_like", "permute", "pow",
      "rand", "randn", "reciprocal", "relu", "remainder", "repeat", "repeat_interleave", "reshape",
      "roll", "round", "rsqrt", "rsub", "scalar_tensor", "scalar_tensor_default",
      "scaled_dot_product_attention", "select", "sigmoid", "silu", "sin", "slice", "softmax",
      "split", "sqrt", "squeeze", "stack", "std", "sub", "sum", "t", "tanh", "tile", "tmp", "to",
      "_to_copy", "transpose", "tril", "triu", "unbind", "unflatten", "unfold", "unsqueeze", "val",
      "var", "view", "where", "zeros", "zeros_like"
      // clang-format on
  };
  return operators.contains(name) || operators.contains(withoutNumber(name));
}

bool dsc::looksLikeParameter(StringRef name) {
  return (name.contains('.') || !isIntermediateName(name)) && !isBufferName(name) &&
         !name.contains('/');
}

bool dsc::isArithmeticName(StringRef name) {
  static const StringSet<> operators = {"_weight_norm_interface",
                                        "div",
                                        "exp",
                                        "mean",
                                        "linalg_vector_norm",
                                        "norm",
                                        "pow",
                                        "rsqrt",
                                        "sigmoid",
                                        "softmax",
                                        "sqrt",
                                        "std",
                                        "tanh",
                                        "var"};
  return operators.contains(withoutNumber(name));
}

bool dsc::isFunctionName(StringRef name) {
  // Entries and their sources; functions of libm, for f32 with an f behind; what lowering calls.
  static const StringSet<> names = {"forward", "inference",    "micro",  "last",  "eval", "gather",
                                    "kernels", "wide_kernels", "acos",   "acosh", "asin", "asinh",
                                    "atan",    "atanh",        "cos",    "cosh",  "erf",  "exp",
                                    "expm1",   "log",          "log1p",  "pow",   "sin",  "sinh",
                                    "sqrt",    "tan",          "tanh",   "free",  "main", "malloc",
                                    "memcpy",  "memset",       "memmove"};
  StringRef single = name.ends_with("f") ? name.drop_back() : name;
  bool isKernel = name.starts_with("kernel_") && withoutNumber(name) == "kernel";
  return names.contains(name) || names.contains(single) || isKernel || name.starts_with("dsc_");
}

SmallVector<std::string> dsc::pythonStrings(StringRef text) {
  SmallVector<std::string> entries;
  while (true) {
    size_t open = text.find_first_of("'\"");
    if (open == StringRef::npos) {
      return entries;
    }
    char quote = text[open];
    size_t close = text.find(quote, open + 1);
    if (close == StringRef::npos) {
      return entries;
    }
    entries.push_back(text.slice(open + 1, close).str());
    text = text.drop_front(close + 1);
  }
}
