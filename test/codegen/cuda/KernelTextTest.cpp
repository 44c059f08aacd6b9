// What CUDA kernels look like, class by class, without a GPU: accesses of 16 bytes in the PTX, and
// no stack, no spills, bounded registers in the assembler's report.

#include "test/codegen/KernelRecorder.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"
#include "gtest/gtest.h"

using namespace dsc::test;

namespace {

/// What the assembler says of one function.
struct Resources {
  int registers = -1, stack = -1, spillStores = -1, spillLoads = -1;
};

Resources resourcesOf(const std::string &log, const std::string &function) {
  // "Compiling entry function 'kernel_0' ..", then the properties, then the registers.
  size_t at = log.find("'" + function + "'");
  Resources resources;
  if (at == std::string::npos) {
    return resources;
  }
  auto number = [&](const char *after) {
    size_t end = log.find(after, at), begin = end;
    while (begin > at && std::isdigit(static_cast<unsigned char>(log[begin - 1]))) {
      --begin;
    }
    return end == std::string::npos ? -1 : std::atoi(log.substr(begin, end - begin).c_str());
  };
  resources.stack = number(" bytes stack frame");
  resources.spillStores = number(" bytes spill stores");
  resources.spillLoads = number(" bytes spill loads");
  resources.registers = number(" registers");
  return resources;
}

/// Compiles one kernel and holds it to the rules of all classes.
DeviceKernelCase compile(const std::string &source, int launches, int registers, int spills = 0) {
  std::vector<DeviceKernelCase> kernels = compileForDevice(source);
  if (kernels.size() != 1) {
    ADD_FAILURE() << kernels.size() << " kernels";
    return {};
  }
  DeviceKernelCase kernel = kernels[0];
  EXPECT_EQ(kernel.launches.size(), static_cast<size_t>(launches));
  EXPECT_EQ(kernel.ptx.find(".local"), std::string::npos) << kernel.ptx;
  if (!kernel.log.empty()) {
    for (const dsc::KernelLaunch &launch : kernel.launches) {
      Resources resources = resourcesOf(kernel.log, launch.symbol);
      EXPECT_LE(resources.stack, spills) << launch.symbol << "\n" << kernel.log;
      EXPECT_LE(resources.spillStores, spills) << launch.symbol;
      EXPECT_LE(resources.spillLoads, spills) << launch.symbol;
      EXPECT_LE(resources.registers, registers) << launch.symbol;
    }
  }
  if (isRecording()) {
    recordTiming(kernel);
  }
  return kernel;
}

int count(const std::string &text, const std::string &pattern) {
  llvm::Regex regex(pattern);
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(text).split(lines, '\n');
  return llvm::count_if(lines, [&](llvm::StringRef line) { return regex.match(line); });
}

const char *const kWideLoad = "ld\\.global(\\.nc)?\\.v4\\.", *const kWideStore =
                                                                 "st\\.global\\.v4\\.";
const char *const kNarrow = "(ld|st)\\.global(\\.nc)?\\.(u8|u16|b8|b16|f32|b32|u32)";

std::string tensor(const std::string &type) { return "tensor<" + type + ">"; }

std::string unary(const std::string &op, const std::string &type, const char *attributes = "") {
  return "%y = dsc." + op + " %a0" + attributes + " : (" + tensor(type) + ") -> " + tensor(type);
}

std::string attributes(const char *kind, const std::string &domain, int rowRank) {
  return std::string("kind = #dsc.kernel_kind<") + kind + ">, domain = array<i64: " + domain +
         ">, row_rank = " + std::to_string(rowRank) + " : i64";
}

// A GELU of halves: one access of 16 bytes in and out, conversions two at a time, one exponential
// and one reciprocal an element, and room for all threads that a multiprocessor holds.
TEST(KernelText, GeluOfHalves) {
  std::string type = "8192x3072xbf16";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("elementwise", "8192, 3072", 2), {type},
                           unary("gelu", type, " {kind = #dsc.gelu_kind<tanh>}"), "%y", {type}),
              1, 32);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
  EXPECT_EQ(count(kernel.ptx, kNarrow), 0);
  EXPECT_EQ(count(kernel.ptx, "cvt\\.rn\\.bf16x2\\.f32"), 4);
  EXPECT_EQ(count(kernel.ptx, "ex2\\.approx"), 8);
  EXPECT_EQ(count(kernel.ptx, "rcp\\.approx"), 8);
}

TEST(KernelText, AddWithBroadcast) {
  std::string full = "4096x768xf32", row = "1x768xf32";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("elementwise", "4096, 768", 2), {full, row},
                           "%y = dsc.add %a0, %a1 : (" + tensor(full) + ", " + tensor(row) +
                               ") -> " + tensor(full),
                           "%y", {full}),
              1, 32);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 2) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
}

/// Layer norm's forward as fusion leaves it: mean, variance, normalized row.
std::string layerNorm(const std::string &rows, const std::string &columns,
                      const std::string &half) {
  std::string h = "tensor<" + rows + "x" + columns + "x" + half + ">";
  std::string f = "tensor<" + rows + "x" + columns + "xf32>", n = "tensor<" + rows + "x1xf32>";
  std::string sum = " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f + ") -> " + n;
  std::string scalar = "tensor<f32>";
  std::string ff = " : (" + f + ", " + f + ") -> " + f, fn = " : (" + f + ", " + n + ") -> " + f;
  return "%x = dsc.cast %a0 : (" + h + ") -> " + f +
         "\n%c = dsc.constant dense<1.3e-3> : " + scalar +
         "\n%eps = dsc.constant dense<1.0e-5> : " + scalar + "\n%s = dsc.reduce %x" + sum +
         "\n%m = dsc.mul %s, %c : (" + n + ", " + scalar + ") -> " + n + "\n%d = dsc.sub %x, %m" +
         fn + "\n%q = dsc.mul %d, %d" + ff + "\n%v = dsc.reduce %q" + sum +
         "\n%w = dsc.mul %v, %c : (" + n + ", " + scalar + ") -> " + n +
         "\n%e = dsc.add %w, %eps : (" + n + ", " + scalar + ") -> " + n +
         "\n%r = dsc.rsqrt %e : (" + n + ") -> " + n + "\n%z = dsc.mul %d, %r" + fn +
         "\n%y = dsc.cast %z : (" + f + ") -> " + h;
}

/// Compiles that norm over rows as a kernel that takes at most `registers`.
DeviceKernelCase compileLayerNorm(const std::string &rows, const std::string &columns,
                                  const std::string &half, int registers) {
  std::string type = rows + "x" + columns + "x" + half, stat = rows + "x1xf32";
  return compile(kernelModule(attributes("row", rows + ", " + columns, 1), {type},
                              layerNorm(rows, columns, half), "%y, %m, %r", {type, stat, stat}),
                 1, registers);
}

// A row of 512 halves is a warp's: two accesses a thread, no shared memory, no barrier.
TEST(KernelText, LayerNormOfShortRows) {
  DeviceKernelCase kernel = compileLayerNorm("32768", "512", "bf16", 64);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 2) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 2);
  EXPECT_EQ(count(kernel.ptx, "shfl\\.sync"), 10);
  EXPECT_EQ(count(kernel.ptx, "bar\\.sync"), 0);
}

// A row of 768 halves is three warps', an access a thread; each sum is one of warps and then of
// their sums.
TEST(KernelText, LayerNormOfRows) {
  DeviceKernelCase kernel = compileLayerNorm("32768", "768", "bf16", 40);
  EXPECT_EQ(kernel.launches[0].grain, 96);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
  EXPECT_EQ(count(kernel.ptx, "shfl\\.sync"), 16);
  EXPECT_EQ(count(kernel.ptx, "bar\\.sync"), 2);
}

// A row of 4096 is a block's, each thread's part stays in registers: one access in and out.
TEST(KernelText, LayerNormOfLongRows) {
  DeviceKernelCase kernel = compileLayerNorm("8192", "4096", "f16", 64);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
  EXPECT_EQ(count(kernel.ptx, "bar\\.sync"), 2);
  EXPECT_EQ(count(kernel.ptx, "prefetch"), 0);
}

// A vocabulary's row in halves is read once and kept in shared memory as it is stored, where the
// two passes behind the first find it; registers leave room for a second row on the multiprocessor.
TEST(KernelText, SoftmaxOfVeryLongRows) {
  std::string half = "8192x50304xbf16", full = "8192x50304xf32", stat = "8192x1xf32";
  std::string f = tensor(full), n = tensor(stat);
  std::string body =
      "%x = dsc.cast %a0 : (" + tensor(half) + ") -> " + f +
      "\n%m = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (" + f +
      ") -> " + n + "\n%d = dsc.sub %x, %m : (" + f + ", " + n + ") -> " + f +
      "\n%e = dsc.exp %d : (" + f + ") -> " + f +
      "\n%s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f +
      ") -> " + n + "\n%p = dsc.div %e, %s : (" + f + ", " + n + ") -> " + f +
      "\n%y = dsc.cast %p : (" + f + ") -> " + tensor(half);
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("row", "8192, 50304", 1), {half}, body, "%y", {half}), 1, 64);
  EXPECT_EQ(kernel.launches[0].shared, 2 * 50304);
  EXPECT_EQ(kernel.launches[0].grain, 512);
  // Four vectors a turn of the loop and the one behind it.
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 5) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, "st\\.shared\\.v4"), 5);
  EXPECT_EQ(count(kernel.ptx, "ld\\.shared\\.v4"), 10);
  EXPECT_EQ(count(kernel.ptx, kWideStore), 5);
  EXPECT_EQ(count(kernel.ptx, kNarrow), 0);
}

// Loss and gradient over a padded vocabulary in one pass over memory: the label's logit is loaded
// by itself, columns are compared with the label in the gradient's pass only, and with the number
// of classes only in the vectors behind the loops, which padding can reach.
TEST(KernelText, CrossEntropyOfAPaddedVocabulary) {
  DeviceKernelCase kernel = compile(crossEntropyModule(8192, 50304, 50257, true), 1, 64);
  constexpr int kVectors = 5, kLanes = 8; // four in a turn of the loop and one behind it
  EXPECT_EQ(kernel.launches[0].shared, 2 * 50304);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), kVectors) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), kVectors);
  // The label, its logit, the loss.
  EXPECT_EQ(count(kernel.ptx, kNarrow), 3);
  EXPECT_EQ(count(kernel.ptx, "ex2\\.approx"), 2 * kVectors * kLanes);
  int comparisons = count(kernel.ptx, "setp\\."), selections = count(kernel.ptx, "selp\\.");
  EXPECT_LE(comparisons, (kVectors + 3) * kLanes + 20);
  EXPECT_LE(selections, (kVectors + 5) * kLanes + 20);
}

// Sums over rows: two launches, loads of 16 bytes.
TEST(KernelText, BiasGradient) {
  std::string half = "32768x3072xbf16", full = "32768x3072xf32", row = "1x3072xf32";
  DeviceKernelCase kernel = compile(
      kernelModule(
          attributes("column", "32768, 3072", 1) + ", scratch = 64 : i64", {half},
          "%x = dsc.cast %a0 : (" + tensor(half) + ") -> " + tensor(full) +
              "\n%y = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (" +
              tensor(full) + ") -> " + tensor(row),
          "%y", {row}),
      2, 128);
  EXPECT_GE(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
}

// AdamW over f32: 16 bytes of each tensor at a time; the powers of betas once a thread that goes on
// to further vectors.
TEST(KernelText, AdamW) {
  std::string f = "tensor<38597376xf32>", s = "tensor<f32>", full = "38597376xf32";
  std::string body = "%p, %m, %v = dsc.adam %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9, "
                     "%a10, %a11 {decoupled = true} : (" +
                     f + ", " + f + ", " + f + ", " + f + ", " + s + ", " + s + ", " + s + ", " +
                     s + ", " + s + ", " + s + ", " + s + ", tensor<i1>) -> (" + f + ", " + f +
                     ", " + f + ")";
  DeviceKernelCase kernel = compile(
      kernelModule(attributes("elementwise", "38597376", 1),
                   {full, full, full, full, "f32", "f32", "f32", "f32", "f32", "f32", "f32", "i1"},
                   body, "%p, %m, %v", {full, full, full}),
      1, 80);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 4) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 3);
}

// The same over a bucket with a learning rate and a decay a chunk: as wide, and two small loads
// more.
TEST(KernelText, AdamWOfABucket) {
  const std::string full = "37693x1024xf32", one = "37693x1xf32";
  std::string f = tensor(full), n = tensor(one), s = "tensor<f32>";
  std::string body = "%p, %m, %v = dsc.adam %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9, "
                     "%a10, %a11 {decoupled = true} : (" +
                     f + ", " + f + ", " + f + ", " + f + ", " + s + ", " + n + ", " + s + ", " +
                     s + ", " + s + ", " + n + ", " + s + ", tensor<i1>) -> (" + f + ", " + f +
                     ", " + f + ")";
  DeviceKernelCase kernel = compile(
      kernelModule(attributes("elementwise", "37693, 1024", 2),
                   {full, full, full, full, "f32", one, "f32", "f32", "f32", one, "f32", "i1"},
                   body, "%p, %m, %v", {full, full, full}),
      1, 80);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 4) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 3);
}

// Layer norm's backward, the sum with the residual's gradient, and three sums over rows in one
// pass: the next row is under way while one is computed, the sums are in registers until the end,
// and one barrier a row stands between the warps' sums and their use. Registers leave room for as
// many blocks as the multiprocessor gets.
TEST(KernelText, LayerNormBackward) {
  std::string half = "32768x768xbf16", full = "32768x768xf32", narrow = "32768x1xf32";
  std::string flat = "1x768xf32";
  std::string h = tensor(half), f = tensor(full), n = tensor(narrow), w = tensor(flat);
  auto binary = [&](const char *result, const char *op, const char *a, const std::string &aType,
                    const char *b, const std::string &bType) {
    return std::string("\n") + result + " = dsc." + op + " " + a + ", " + b + " : (" + aType +
           ", " + bType + ") -> " + aType;
  };
  auto sum = [&](const char *result, const char *x, int axis, const std::string &to) {
    return std::string("\n") + result + " = dsc.reduce " + x +
           " {kind = #dsc.reduce_kind<sum>, axes = array<i64: " + std::to_string(axis) + ">} : (" +
           f + ") -> " + to;
  };
  // a0 x, a1 mean, a2 rstd, a3 gamma, a4 dy, a5 the residual's gradient
  std::string body = "%k = dsc.constant dense<768.0> : tensor<f32>";
  body +=
      "\n%x = dsc.cast %a0 : (" + h + ") -> " + f + "\n%dy = dsc.cast %a4 : (" + h + ") -> " + f;
  body += binary("%d", "sub", "%x", f, "%a1", n) + binary("%h", "mul", "%d", f, "%a2", n);
  body += binary("%g", "mul", "%dy", f, "%a3", w) + binary("%p", "mul", "%g", f, "%h", f);
  body += sum("%sg", "%g", 1, n) + sum("%sp", "%p", 1, n);
  body += binary("%mg", "div", "%sg", n, "%k", "tensor<f32>");
  body += binary("%mp", "div", "%sp", n, "%k", "tensor<f32>");
  body += binary("%u", "sub", "%g", f, "%mg", n) + binary("%q", "mul", "%h", f, "%mp", n);
  body += binary("%v", "sub", "%u", f, "%q", f) + binary("%e", "mul", "%v", f, "%a2", n);
  body += binary("%z", "mul", "%dy", f, "%h", f) + "\n%dx = dsc.cast %e : (" + f + ") -> " + h;
  body += binary("%r", "add", "%a5", h, "%dx", h) + "\n%rf = dsc.cast %r : (" + h + ") -> " + f;
  body += sum("%dg", "%z", 0, w) + sum("%db", "%dy", 0, w) + sum("%dr", "%rf", 0, w);
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("row_column", "32768, 768", 1) + ", scratch = 64 : i64",
                           {half, narrow, narrow, flat, half, half}, body, "%r, %dg, %db, %dr",
                           {half, flat, flat, flat}),
              2, 128);
  constexpr int kSums = 3, kOperands = 3;
  EXPECT_EQ(count(kernel.ptx, "ld\\.global(\\.nc)?\\.v4\\.(b32|u32)"), 2 * kOperands) << kernel.ptx;
  // Of f32 two accesses a vector.
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1 + 2 * kSums);
  size_t begin = kernel.ptx.find(".entry " + kernel.launches[0].symbol);
  size_t end = kernel.ptx.find(".entry ", begin + 1);
  EXPECT_EQ(count(kernel.ptx.substr(begin, end - begin), "bar\\.sync"), 1);
}

TEST(KernelText, TransposeThroughSharedMemory) {
  std::string from = "4096x3072xf32", to = "3072x4096xf32";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("loops", "3072, 4096", 0), {from},
                           "%y = dsc.transpose %a0 {permutation = array<i64: 1, 0>} : (" +
                               tensor(from) + ") -> " + tensor(to),
                           "%y", {to}),
              1, 40);
  EXPECT_EQ(count(kernel.ptx, "st\\.shared"), 4) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, "bar\\.sync"), 1);
}

// Heads move as runs: 16 bytes at a time, no shared memory.
TEST(KernelText, TransposeOfHeads) {
  std::string from = "8x1024x12x64xbf16", to = "8x12x1024x64xbf16";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("loops", "8, 12, 1024, 64", 0), {from},
                           "%y = dsc.transpose %a0 {permutation = array<i64: 0, 2, 1, 3>} : (" +
                               tensor(from) + ") -> " + tensor(to),
                           "%y", {to}),
              1, 32);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
}

TEST(KernelText, Embedding) {
  std::string table = "50304x768xbf16", indices = "32768xi64", rows = "32768x768xbf16";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("loops", "32768, 768", 0), {table, indices},
                           "%y = dsc.gather %a0, %a1 {axis = 0 : i64} : (" + tensor(table) + ", " +
                               tensor(indices) + ") -> " + tensor(rows),
                           "%y", {rows}),
              1, 32);
  EXPECT_EQ(count(kernel.ptx, kWideLoad), 1) << kernel.ptx;
  EXPECT_EQ(count(kernel.ptx, kWideStore), 1);
}

// The embedding's gradient sorts positions and adds them in order: no atomics.
TEST(KernelText, EmbeddingGradient) {
  std::string table = "50304x768xbf16", indices = "32768xi64", rows = "32768x768xbf16";
  DeviceKernelCase kernel =
      compile(kernelModule(attributes("loops", "50304, 768", 0), {rows, indices},
                           "%y = dsc.gather_grad %a0, %a1 {axis = 0 : i64} : (" + tensor(rows) +
                               ", " + tensor(indices) + ") -> " + tensor(table),
                           "%y", {table}),
              2, 160);
  EXPECT_EQ(count(kernel.ptx, "atom\\.|[^a-z]red\\."), 0) << kernel.ptx;
  EXPECT_GE(count(kernel.ptx, kWideLoad), 4);
}

} // namespace
