// Compiles kernels and loads them with LLVM's JIT linker; only tests do, executables are linked by
// lld.

#include "test/codegen/CompiledKernels.h"

#include "test/codegen/KernelRecorder.h"

#include "codegen/HostProgram.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/cpu/LowerToLlvm.h"
#include "runtime/GeneratedCode.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "gtest/gtest.h"

#include <chrono>
#include <cmath>

using namespace mlir;

namespace dsc::test {

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

CompiledKernels::CompiledKernels(const std::string &source, const std::string &cpu) {
  DialectRegistry registry;
  registry.insert<DscDialect>();
  registerKernelDialects(registry);
  registerObjectDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
  if (!module) {
    ADD_FAILURE() << "module does not parse:\n" << source;
    return;
  }
  if (isRecording()) {
    device_ = compileForDevice(source);
  }
  double start = now();
  FailureOr<KernelTable> table = buildKernels(*module);
  if (failed(table)) {
    ADD_FAILURE() << "kernels do not build:\n" << source;
    return;
  }
  module->walk([&](KernelOp op) {
    Kernel kernel;
    kernel.launches = llvm::SmallVector<KernelLaunch>(table->launches(op));
    for (Value result : op.getResults()) {
      kernel.resultBytes.push_back(tensorBytes(cast<RankedTensorType>(result.getType())));
    }
    kernel.scratch = op.getScratch();
    kernels_.push_back(std::move(kernel));
  });
  if (getenv("DSC_SHOW_KERNELS")) {
    module->dump();
  }
  double built = now();
  bool ok = succeeded(lowerKernelsToLlvm(*module));
  double lowered = now();
  llvm::Expected<CpuTarget> target = CpuTarget::from(cpu);
  if (!ok || !target) {
    ADD_FAILURE() << (ok ? llvm::toString(target.takeError()) : "kernels do not lower to LLVM");
    return;
  }
  FailureOr<std::vector<std::string>> objects = emitObjects(*module, *target);
  if (failed(objects)) {
    ADD_FAILURE() << "no object files";
    return;
  }
  if (getenv("DSC_SHOW_TIMES")) {
    llvm::errs() << llvm::format("build %.4f lower %.4f objects %.4f\n", built - start,
                                 lowered - built, now() - lowered);
  }
  jit_ = cantFail(llvm::orc::LLJITBuilder().create());
  jit_->getMainJITDylib().addGenerator(
      cantFail(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
          jit_->getDataLayout().getGlobalPrefix())));
  for (const std::string &object : *objects) {
    cantFail(jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)));
  }
}

CompiledKernels::~CompiledKernels() = default;

dsc_kernel_fn CompiledKernels::functionOf(const KernelLaunch &launch) {
  // Kernels are hidden symbols, which an ordinary lookup does not find.
  llvm::orc::JITDylibSearchOrder order{
      {&jit_->getMainJITDylib(), llvm::orc::JITDylibLookupFlags::MatchAllSymbols}};
  auto symbol = cantFail(jit_->getExecutionSession().lookup(
      order, jit_->mangleAndIntern(kernelEntryName(launch.symbol))));
  return symbol.getAddress().toPtr<dsc_kernel_fn>();
}

DSC_CALLS_GENERATED_CODE std::vector<Buffer>
CompiledKernels::run(const std::vector<Buffer> &operands, size_t index, int pieces,
                     std::vector<std::pair<int, int>> inPlace) {
  const Kernel &kernel = kernels_.at(index);
  if (!jit_) {
    return std::vector<Buffer>(kernel.resultBytes.begin(), kernel.resultBytes.end());
  }
  std::vector<Buffer> inputs(operands), results;
  for (size_t bytes : kernel.resultBytes) {
    results.emplace_back(bytes);
  }
  Buffer scratch(kernel.scratch);
  std::vector<void *> arguments;
  for (Buffer &input : inputs) {
    arguments.push_back(input.data());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    void *place = results[i].data();
    for (auto [result, operand] : inPlace) {
      place = result == static_cast<int>(i) ? inputs[operand].data() : place;
    }
    arguments.push_back(place);
  }
  arguments.push_back(scratch.data());
  for (const KernelLaunch &launch : kernel.launches) {
    dsc_kernel_fn function = functionOf(launch);
    for (int piece = pieces - 1; piece >= 0; --piece) { // last piece first: units are independent
      int64_t begin = launch.units * piece / pieces, end = launch.units * (piece + 1) / pieces;
      if (begin < end) {
        function(arguments.data(), begin, end);
      }
    }
  }
  for (auto [result, operand] : inPlace) {
    results[result] = Buffer(inputs[operand]);
  }
  for (const Buffer &buffer : results) {
    EXPECT_TRUE(buffer.guardIntact()) << "a kernel wrote behind a result";
  }
  for (const Buffer &buffer : inputs) {
    EXPECT_TRUE(buffer.guardIntact()) << "a kernel wrote behind an operand";
  }
  EXPECT_TRUE(scratch.guardIntact()) << "a kernel wrote behind its scratch";
  if (index < device_.size() && pieces == 1) {
    recordCase(device_[index], operands, results, inPlace);
  }
  return results;
}

double CompiledKernels::time(const std::vector<Buffer> &operands, int repeats) {
  const Kernel &kernel = kernels_.at(0);
  std::vector<Buffer> inputs(operands), results;
  std::vector<void *> arguments;
  for (size_t bytes : kernel.resultBytes) {
    results.emplace_back(bytes);
  }
  Buffer scratch(kernel.scratch);
  for (Buffer &input : inputs) {
    arguments.push_back(input.data());
  }
  for (Buffer &result : results) {
    arguments.push_back(result.data());
  }
  arguments.push_back(scratch.data());
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    double start = now();
    for (const KernelLaunch &launch : kernel.launches) {
      functionOf(launch)(arguments.data(), 0, launch.units);
    }
    best = std::min(best, now() - start);
  }
  return best;
}

std::string kernelModule(const std::string &attributes, const std::vector<std::string> &operands,
                         const std::string &body, const std::string &yields,
                         const std::vector<std::string> &results) {
  std::string arguments, types, values, names, resultTypes;
  for (size_t i = 0; i < operands.size(); ++i) {
    std::string separator = i ? ", " : "", type = "tensor<" + operands[i] + ">",
                number = std::to_string(i);
    arguments += separator + "%x" + number + ": " + type;
    values += separator + "%x" + number;
    names += separator + "%a" + number + ": " + type;
    types += separator + type;
  }
  for (size_t i = 0; i < results.size(); ++i) {
    resultTypes += (i ? ", tensor<" : "tensor<") + results[i] + ">";
  }
  std::string count = results.size() > 1 ? ":" + std::to_string(results.size()) : "";
  return "func.func @last(" + arguments + ") {\n  %r" + count + " = dsc.kernel (" + values +
         ") attributes {" + attributes + "} {\n  ^bb0(" + names + "):\n" + body +
         "\n    dsc.yield " + yields + " : " + resultTypes + "\n  } : (" + types + ") -> (" +
         resultTypes + ")\n  return\n}\n";
}

std::vector<float> randomFloats(size_t count, float low, float high, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(count);
  for (float &value : values) {
    value = distribution(generator);
  }
  return values;
}

double ulpDistance(float actual, double expected) {
  if (std::isnan(actual) || std::isnan(expected)) {
    return std::isnan(actual) && std::isnan(expected) ? 0 : 1e30;
  }
  float rounded = static_cast<float>(expected);
  if (rounded == actual) {
    return 0;
  }
  if (std::isinf(rounded) || std::isinf(actual)) {
    return 1e30;
  }
  double unit = std::ldexp(1.0, std::max(std::ilogb(rounded == 0 ? 1e-45f : rounded), -126) - 23);
  return std::fabs(actual - expected) / unit;
}

} // namespace dsc::test
