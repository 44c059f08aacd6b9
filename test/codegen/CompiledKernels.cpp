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

std::string crossEntropyModule(int64_t rows, int64_t columns, int64_t classes, bool half) {
  std::string shape = std::to_string(rows) + "x" + std::to_string(columns),
              element = half ? "bf16" : "f32";
  std::string narrow = "tensor<" + std::to_string(rows) + "x1x",
              line = "tensor<1x" + std::to_string(columns) + "x";
  std::string f = "tensor<" + shape + "xf32>", n = narrow + "f32>", o = "tensor<f32>";
  std::string logits = "tensor<" + shape + "x" + element + ">", mask = "tensor<" + shape + "xi1>";
  auto reduce = [&](const char *kind) {
    return std::string(" {kind = #dsc.reduce_kind<") + kind + ">, axes = array<i64: 1>} : (" + f +
           ") -> " + n;
  };
  std::string exp = half ? " {approximate} : (" : " : (",
              rowwise = " : (" + f + ", " + n + ") -> " + f;
  std::string body =
      "%zero = dsc.constant dense<0.0> : " + o + "\n%one = dsc.constant dense<1.0> : " + o +
      "\n%hidden = dsc.constant dense<0xFF800000> : " + o + "\n%count = dsc.constant dense<" +
      std::to_string(classes) + "> : tensor<i32>" + "\n%x = dsc.cast %a0 : (" + logits + ") -> " +
      f + "\n%column = dsc.iota {axis = 1 : i64} : () -> " + line + "i32>" +
      "\n%class = dsc.compare %column, %count {predicate = #dsc.compare_predicate<lt>} : (" + line +
      "i32>, tensor<i32>) -> " + line + "i1>" + "\n%z = dsc.select %class, %x, %hidden : (" + line +
      "i1>, " + f + ", " + o + ") -> " + f + "\n%m = dsc.reduce %z" + reduce("max") +
      "\n%d = dsc.sub %z, %m" + rowwise + "\n%e = dsc.exp %d" + exp + f + ") -> " + f +
      "\n%s = dsc.reduce %e" + reduce("sum") + "\n%l = dsc.log %s : (" + n + ") -> " + n +
      "\n%lse = dsc.add %l, %m : (" + n + ", " + n + ") -> " + n + "\n%label = dsc.cast %a1 : (" +
      narrow + "i64>) -> " + narrow + "i32>" +
      "\n%is = dsc.compare %column, %label {predicate = #dsc.compare_predicate<eq>} : (" + line +
      "i32>, " + narrow + "i32>) -> " + mask + "\n%t = dsc.select %is, %z, %zero : (" + mask +
      ", " + f + ", " + o + ") -> " + f + "\n%own = dsc.reduce %t" + reduce("sum") +
      "\n%loss = dsc.sub %lse, %own : (" + n + ", " + n + ") -> " + n + "\n%u = dsc.sub %z, %lse" +
      rowwise + "\n%p = dsc.exp %u" + exp + f + ") -> " + f +
      "\n%h = dsc.select %is, %one, %zero : (" + mask + ", " + o + ", " + o + ") -> " + f +
      "\n%g = dsc.sub %p, %h : (" + f + ", " + f + ") -> " + f + "\n%y = dsc.cast %g : (" + f +
      ") -> " + logits;
  std::string attributes =
      "kind = #dsc.kernel_kind<row>, domain = array<i64: " + std::to_string(rows) + ", " +
      std::to_string(columns) + ">, row_rank = 1 : i64";
  return kernelModule(attributes, {shape + "x" + element, std::to_string(rows) + "x1xi64"}, body,
                      "%loss, %y", {std::to_string(rows) + "x1xf32", shape + "x" + element});
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
