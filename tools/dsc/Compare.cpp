// `dsc compare`: the first tensor in which two safetensors files differ.

#include "runtime/Safetensors.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/Flags.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <cstring>

using namespace dsc;

namespace {
/// Where and by how much two tensors of one type and shape differ.
struct Difference {
  int64_t index = 0; // element of the largest difference
  double first = 0, second = 0, largest = 0, relative = 0;
};
} // namespace

/// Equal within |a - b| <= absolute + relative * |b|; NaN equals NaN.
static std::optional<Difference> findDifference(const TensorView &a, const TensorView &b,
                                                double absolute, double relative) {
  if (a.bytes == b.bytes && std::memcmp(a.data, b.data, a.bytes) == 0) {
    return std::nullopt;
  }
  std::optional<Difference> worst;
  for (int64_t i = 0; i < a.elements(); ++i) {
    double x = loadAsDouble(a.dtype, a.data, i), y = loadAsDouble(b.dtype, b.data, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) {
      continue;
    }
    double distance = std::isnan(x) || std::isnan(y) ? INFINITY : std::fabs(x - y);
    if (distance > absolute + relative * std::fabs(y) && (!worst || distance > worst->largest)) {
      worst = Difference{i, x, y, distance, y != 0 ? distance / std::fabs(y) : INFINITY};
    }
  }
  return worst;
}

/// Compares in the order of the first file; prints the first difference and how many tensors
/// differ.
static int compareFiles(const Safetensors &a, const Safetensors &b, double absolute,
                        double relative) {
  int64_t differing = 0;
  auto report = [&](const std::string &name, const std::string &what) {
    if (differing++ == 0) {
      llvm::outs() << "first difference: " << name << ": " << what << "\n";
    }
  };
  for (const TensorView &tensor : a.tensors()) {
    const TensorView *other = b.find(tensor.name);
    if (!other) {
      report(tensor.name, "missing in " + b.path());
    } else if (tensor.dtype != other->dtype || tensor.shape != other->shape) {
      report(tensor.name, std::string(dtypeName(tensor.dtype)) + " " + shapeText(tensor.shape) +
                              " and " + dtypeName(other->dtype) + " " + shapeText(other->shape));
    } else if (auto difference = findDifference(tensor, *other, absolute, relative)) {
      report(tensor.name,
             llvm::formatv(
                 "largest distance {0:e3} ({1:e3} relative) at element {2}: {3:e6} and {4:e6}",
                 difference->largest, difference->relative, difference->index, difference->first,
                 difference->second));
    }
  }
  for (const TensorView &tensor : b.tensors()) {
    if (!a.find(tensor.name)) {
      report(tensor.name, "missing in " + a.path());
    }
  }
  if (differing == 0) {
    llvm::outs() << llvm::formatv("{0} tensors are equal\n", a.tensors().size());
    return kDone;
  }
  llvm::outs() << llvm::formatv("{0} of {1} tensors differ\n", differing, a.tensors().size());
  return kDifference;
}

int dsc::compareCommand(llvm::ArrayRef<const char *> arguments) {
  double absolute = 0, relative = 0;
  bool help = false;
  FlagTable table;
  table.section("Tolerance: |a - b| <= atol + rtol * |b|");
  table.real("atol", "X", absolute, "absolute tolerance (default: 0, bit for bit)");
  table.real("rtol", "X", relative, "relative tolerance (default: 0)");
  table.boolean("help", help, "this help");
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc compare A.safetensors B.safetensors [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && operands.size() != 2) {
    wrong = "expected two files, got " + std::to_string(operands.size());
  }
  if (!wrong.empty()) {
    reportFault("dsc compare", wrong);
    return kUserError;
  }
  Result<Safetensors> a = Safetensors::open(operands[0]), b = Safetensors::open(operands[1]);
  for (const Result<Safetensors> *file : {&a, &b}) {
    if (file->failed()) {
      llvm::errs() << "dsc compare: " << file->status().message() << "\n";
      return static_cast<int>(file->status().exitCode());
    }
  }
  return compareFiles(*a, *b, absolute, relative);
}
