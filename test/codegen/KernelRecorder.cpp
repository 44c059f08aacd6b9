// Compiling for CUDA without a GPU, and the files of KernelReplay.

#include "test/codegen/KernelRecorder.h"

#include "codegen/KernelSpace.h"
#include "codegen/Pipeline.h"
#include "codegen/cuda/EmitPtx.h"
#include "codegen/cuda/LinkCubin.h"
#include "codegen/cuda/LowerToNvvm.h"
#include "ir/Options.h"
#include "ir/Target.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringMap.h"
#include "gtest/gtest.h"

#include <fstream>

using namespace mlir;

namespace dsc::test {

static std::string typeName(Type element) {
  if (element.isBF16()) {
    return "bf16";
  }
  bool isFloat = isa<FloatType>(element);
  return (isFloat ? "f" : "i") + std::to_string(element.getIntOrFloatBitWidth());
}

/// Tests plan scratch for the CPU; a GPU has more blocks.
static void planScratch(KernelOp kernel, const Target &target) {
  int64_t bytes = 0;
  if (kernel.getKind() == KernelKind::loops) {
    bytes = target.loopsScratchBytes(&kernel.getBody().front().front());
  } else if (kernel.getScratch() > 0) {
    KernelSpace space(kernel);
    bytes = target.columnScratchBytes(space.rows(), space.columns(),
                                      space.columnReductions().size(), 8);
  }
  kernel.setScratch(std::max<int64_t>(bytes, kernel.getScratch()));
}

std::vector<DeviceKernelCase> compileForDevice(const std::string &source) {
  DialectRegistry registry;
  registry.insert<DscDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  // Without the verifier: it would ask the CPU target.
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(source, ParserConfig(&context, /*verifyAfterParse=*/false));
  if (!module) {
    ADD_FAILURE() << "module does not parse:\n" << source;
    return {};
  }
  CompileOptions options;
  options.target = "cuda";
  (*module)->setAttr("dsc.options", options.toAttribute(&context));
  std::unique_ptr<Target> target = makeTarget(options);
  std::vector<KernelOp> kernels;
  module->walk([&](KernelOp kernel) {
    planScratch(kernel, *target);
    kernels.push_back(kernel);
  });
  FailureOr<KernelTable> table = buildKernels(*module);
  if (failed(table)) {
    ADD_FAILURE() << "kernels do not build for CUDA:\n" << source;
    return {};
  }
  std::vector<DeviceKernelCase> cases;
  for (KernelOp kernel : kernels) {
    DeviceKernelCase each;
    each.launches = llvm::SmallVector<KernelLaunch>(table->launches(kernel));
    each.scratch = kernel.getScratch();
    for (Value result : kernel.getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      each.resultTypes.push_back(typeName(type.getElementType()));
      each.resultBytes.push_back(tensorBytes(type));
    }
    for (Value operand : kernel.getInputs()) {
      each.operandBytes.push_back(tensorBytes(cast<RankedTensorType>(operand.getType())));
    }
    cases.push_back(std::move(each));
  }
  if (getenv("DSC_SHOW_KERNELS")) {
    module->dump();
  }
  FailureOr<std::string> ptx = failure();
  if (succeeded(cuda::lowerKernelsToNvvm(*module))) {
    ptx = cuda::emitPtx(*module, options.arch);
  }
  if (failed(ptx)) {
    ADD_FAILURE() << "kernels do not lower to PTX:\n" << source;
    return {};
  }
  if (getenv("DSC_SHOW_PTX")) {
    llvm::errs() << *ptx;
  }
  llvm::Expected<cuda::Cubin> cubin = cuda::linkCubin(*ptx, options.arch);
  if (!cubin) {
    ADD_FAILURE() << llvm::toString(cubin.takeError()) << "\n" << source << *ptx;
    return {};
  }
  for (DeviceKernelCase &each : cases) {
    each.cubin = cubin->bytes;
    each.ptx = *ptx;
    each.log = cubin->log;
  }
  return cases;
}

static std::string folder() {
  const char *path = getenv("DSC_RECORD_KERNELS");
  return path ? path : "";
}

bool isRecording() { return !folder().empty(); }

namespace {
/// The files, open at their ends.
struct Record {
  std::ofstream cases{folder() + "/cases", std::ios::app};
  std::ofstream data{folder() + "/data", std::ios::app | std::ios::binary};

  Record() { data.seekp(0, std::ios::end); }

  std::string append(const char *bytes, size_t size) {
    auto offset = static_cast<size_t>(data.tellp());
    data.write(bytes, size);
    return std::to_string(offset) + " " + std::to_string(size);
  }

  void begin(const DeviceKernelCase &kernel) {
    static llvm::StringMap<std::string> images; // of this process, by content
    const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
    cases << "case " << test->test_suite_name() << "." << test->name() << "\n";
    std::string &image = images[kernel.cubin];
    if (image.empty()) {
      image = append(kernel.cubin.data(), kernel.cubin.size());
    }
    cases << "cubin " << image << "\n";
    if (kernel.scratch > 0) {
      cases << "scratch " << kernel.scratch << "\n";
    }
    for (const KernelLaunch &launch : kernel.launches) {
      cases << "launch " << launch.symbol << " " << launch.units << " " << launch.grain << " "
            << launch.shared << "\n";
    }
  }
};
} // namespace

void recordCase(const DeviceKernelCase &kernel, const std::vector<Buffer> &operands,
                const std::vector<Buffer> &results,
                const std::vector<std::pair<int, int>> &inPlace) {
  Record record;
  record.begin(kernel);
  for (const Buffer &operand : operands) {
    record.cases << "operand " << record.append(operand.data(), operand.size()) << "\n";
  }
  for (size_t i = 0; i < results.size(); ++i) {
    record.cases << "result " << kernel.resultTypes[i] << " " << results[i].size() << " "
                 << record.append(results[i].data(), results[i].size()) << "\n";
  }
  for (auto [result, operand] : inPlace) {
    record.cases << "in-place " << result << " " << operand << "\n";
  }
}

void recordTiming(const DeviceKernelCase &kernel) {
  Record record;
  record.begin(kernel);
  for (size_t bytes : kernel.operandBytes) {
    record.cases << "unset-operand " << bytes << "\n";
  }
  for (size_t i = 0; i < kernel.resultBytes.size(); ++i) {
    record.cases << "result " << kernel.resultTypes[i] << " " << kernel.resultBytes[i] << " 0 0\n";
  }
}

} // namespace dsc::test
