// Runs recorded kernels on a GPU and compares their results with the CPU target's.
//
//   KernelReplay FOLDER [--smoke]
//
// FOLDER is what the unit tests of code generation write with DSC_RECORD_KERNELS=FOLDER: `cases`,
// one word and its values a line, and `data`, the bytes that its offsets name. The program needs
// the CUDA driver alone (loaded at start), so that it runs where LLVM is not installed. Kernels of
// real sizes are timed instead. --smoke runs the smallest case of each test, and no timed one: for
// tools that make a kernel a thousand times slower. Prints a line a test, and ends with the line
// 'N passed, N failed'.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

//===----------------------------------------------------------------------===//
// The driver
//===----------------------------------------------------------------------===//

using Address = uint64_t;

struct Driver {
  int (*init)(unsigned);
  int (*device)(int *, int);
  int (*retain)(void **, int);
  int (*setCurrent)(void *);
  int (*loadModule)(void **, const void *);
  int (*unloadModule)(void *);
  int (*function)(void **, void *, const char *);
  int (*setAttribute)(void *, int, int);
  int (*allocate)(Address *, size_t);
  int (*release)(Address);
  int (*toDevice)(Address, const void *, size_t);
  int (*toHost)(void *, Address, size_t);
  int (*fill)(Address, unsigned char, size_t);
  int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                void *, void **, void **);
  int (*synchronize)();
  int (*errorName)(int, const char **);

  Driver() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
      std::fprintf(stderr, "KernelReplay: no CUDA driver: %s\n", dlerror());
      std::exit(2);
    }
    auto find = [&](auto &target, const char *name) {
      target = reinterpret_cast<std::decay_t<decltype(target)>>(dlsym(library, name));
      if (!target) {
        std::fprintf(stderr, "KernelReplay: the driver lacks %s\n", name);
        std::exit(2);
      }
    };
    find(init, "cuInit");
    find(device, "cuDeviceGet");
    find(retain, "cuDevicePrimaryCtxRetain");
    find(setCurrent, "cuCtxSetCurrent");
    find(loadModule, "cuModuleLoadData");
    find(unloadModule, "cuModuleUnload");
    find(function, "cuModuleGetFunction");
    find(setAttribute, "cuFuncSetAttribute");
    find(allocate, "cuMemAlloc_v2");
    find(release, "cuMemFree_v2");
    find(toDevice, "cuMemcpyHtoD_v2");
    find(toHost, "cuMemcpyDtoH_v2");
    find(fill, "cuMemsetD8_v2");
    find(launch, "cuLaunchKernel");
    find(synchronize, "cuCtxSynchronize");
    find(errorName, "cuGetErrorName");
    int number = 0;
    void *context = nullptr;
    check(init(0), "cuInit");
    check(device(&number, 0), "cuDeviceGet");
    check(retain(&context, number), "cuDevicePrimaryCtxRetain");
    check(setCurrent(context), "cuCtxSetCurrent");
  }

  void check(int status, const char *what) const {
    if (status != 0) {
      const char *name = "?";
      errorName(status, &name);
      std::fprintf(stderr, "KernelReplay: %s failed: %s\n", what, name);
      std::exit(3);
    }
  }
};

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

struct Bytes {
  size_t offset = 0, size = 0;
};
struct Launch {
  std::string name;
  unsigned blocks, threads, sharedBytes;
};
struct Result {
  std::string type;
  Bytes expected; // without a size of expected bytes, nothing is compared
  size_t size = 0;
};
struct Case {
  std::string name;
  Bytes cubin;
  std::vector<Bytes> operands;
  std::vector<Result> results;
  std::vector<Launch> launches;
  std::map<int, int> inPlace; // result -> operand
  size_t scratch = 0;
  bool isTimed = false; // and not compared; operands hold anything
};

std::vector<Case> readCases(const std::string &path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::string word;
    in >> word;
    if (word == "case") {
      cases.emplace_back();
      in >> cases.back().name;
    } else if (word == "cubin") {
      in >> cases.back().cubin.offset >> cases.back().cubin.size;
    } else if (word == "operand") {
      cases.back().operands.emplace_back();
      in >> cases.back().operands.back().offset >> cases.back().operands.back().size;
    } else if (word == "unset-operand") {
      cases.back().operands.emplace_back();
      in >> cases.back().operands.back().size;
      cases.back().isTimed = true;
    } else if (word == "result") {
      cases.back().results.emplace_back();
      Result &result = cases.back().results.back();
      in >> result.type >> result.size >> result.expected.offset >> result.expected.size;
    } else if (word == "launch") {
      cases.back().launches.emplace_back();
      Launch &launch = cases.back().launches.back();
      in >> launch.name >> launch.blocks >> launch.threads >> launch.sharedBytes;
    } else if (word == "in-place") {
      int result, operand;
      in >> result >> operand;
      cases.back().inPlace[result] = operand;
    } else if (word == "scratch") {
      in >> cases.back().scratch;
    }
  }
  return cases;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

double toDouble(const std::string &type, const char *at) {
  if (type == "f32") {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  if (type == "f64") {
    double value;
    std::memcpy(&value, at, 8);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  if (type == "bf16") {
    uint32_t wide = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  int exponent = bits >> 10 & 31, fraction = bits & 1023; // f16
  double value = exponent == 31  ? (fraction ? NAN : INFINITY)
                 : exponent == 0 ? std::ldexp(fraction, -24)
                                 : std::ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -value : value;
}

/// Largest difference over the bound; over 1 is a failure. The bound is eight units of the type at
/// the largest magnitude of the result, with room for what a reduction and an elementary function
/// add (docs/testing.md).
double compare(const std::string &type, const std::vector<char> &found, const char *expected) {
  bool isFloat = type == "f32" || type == "f64" || type == "f16" || type == "bf16";
  if (!isFloat) {
    return std::memcmp(found.data(), expected, found.size()) == 0 ? 0 : INFINITY;
  }
  size_t width = type == "f64" ? 8 : type == "f32" ? 4 : 2, count = found.size() / width;
  double unit = type == "f64"   ? 0x1p-53
                : type == "f32" ? 0x1p-24
                : type == "f16" ? 0x1p-11
                                : 0x1p-8;
  double scale = 0, worst = 0;
  for (size_t i = 0; i < count; ++i) {
    double value = std::fabs(toDouble(type, expected + i * width));
    scale = std::isfinite(value) ? std::max(scale, value) : scale;
  }
  for (size_t i = 0; i < count; ++i) {
    double a = toDouble(type, found.data() + i * width), b = toDouble(type, expected + i * width);
    if (a == b || (std::isnan(a) && std::isnan(b))) {
      continue;
    }
    double difference = std::fabs(a - b) / (32 * unit * std::max(scale, 1e-30));
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  return worst;
}

class Replay {
public:
  explicit Replay(std::vector<char> data) : data(std::move(data)) {}

  /// Runs a case; returns an empty string or what is wrong.
  std::string run(const Case &each);

private:
  static constexpr size_t kGuard = 256;
  Driver driver;
  std::vector<char> data;
};

std::string Replay::run(const Case &each) {
  void *module = nullptr;
  if (int status = driver.loadModule(&module, data.data() + each.cubin.offset)) {
    return "its machine code does not load (" + std::to_string(status) + ")";
  }
  std::vector<Address> buffers;
  std::vector<size_t> sizes;
  auto allocate = [&](size_t bytes) {
    Address address = 0;
    driver.check(driver.allocate(&address, bytes + kGuard), "cuMemAlloc");
    driver.check(driver.fill(address, 0x5a, bytes + kGuard), "cuMemset");
    buffers.push_back(address);
    sizes.push_back(bytes);
    return address;
  };
  std::vector<Address> arguments;
  for (const Bytes &operand : each.operands) {
    Address address = allocate(operand.size);
    arguments.push_back(address);
    if (!each.isTimed && operand.size) {
      driver.check(driver.toDevice(address, data.data() + operand.offset, operand.size), "copy");
    }
  }
  std::vector<Address> results;
  for (size_t i = 0; i < each.results.size(); ++i) {
    auto place = each.inPlace.find(static_cast<int>(i));
    results.push_back(place == each.inPlace.end() ? allocate(each.results[i].size)
                                                  : arguments[place->second]);
  }
  arguments.insert(arguments.end(), results.begin(), results.end());
  if (each.scratch) {
    arguments.push_back(allocate(each.scratch));
  }
  std::vector<void *> parameters;
  for (Address &argument : arguments) {
    parameters.push_back(&argument);
  }
  std::string wrong;
  auto launchAll = [&] {
    for (const Launch &launch : each.launches) {
      void *function = nullptr;
      if (launch.blocks == 0) {
        continue;
      }
      int status = driver.function(&function, module, launch.name.c_str());
      if (!status && launch.sharedBytes > 48 << 10) {
        constexpr int kMostDynamicShared = 8; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        status =
            driver.setAttribute(function, kMostDynamicShared, static_cast<int>(launch.sharedBytes));
      }
      status = status ? status
                      : driver.launch(function, launch.blocks, 1, 1, launch.threads, 1, 1,
                                      launch.sharedBytes, nullptr, parameters.data(), nullptr);
      if (status) {
        wrong = "launch of " + launch.name + " failed (" + std::to_string(status) + ")";
      }
    }
  };
  launchAll();
  if (int status = driver.synchronize()) {
    std::printf("FAIL %s: the device failed (%d); nothing after it can run\n", each.name.c_str(),
                status);
    std::exit(3);
  }
  double worst = 0;
  for (size_t i = 0; i < each.results.size() && wrong.empty(); ++i) {
    const Result &result = each.results[i];
    if (result.expected.size == 0) {
      continue;
    }
    std::vector<char> found(result.size);
    driver.check(driver.toHost(found.data(), results[i], found.size()), "copy");
    double difference = compare(result.type, found, data.data() + result.expected.offset);
    worst = std::max(worst, difference);
    if (difference > 1) {
      char text[128];
      std::snprintf(text, sizeof text, "result %zu (%s) differs by %.3g times the bound", i,
                    result.type.c_str(), difference);
      wrong = text;
    }
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    unsigned char guard[kGuard];
    driver.check(driver.toHost(guard, buffers[i] + sizes[i], kGuard), "copy");
    if (std::any_of(guard, guard + kGuard, [](unsigned char c) { return c != 0x5a; })) {
      wrong = "buffer " + std::to_string(i) + " was written behind its end";
    }
  }
  if (each.isTimed && wrong.empty()) {
    double best = 1e30, bytes = 0;
    for (size_t i = 0; i < sizes.size() - (each.scratch ? 1 : 0); ++i) {
      bytes += static_cast<double>(sizes[i]);
    }
    for (const auto &[result, operand] : each.inPlace) {
      bytes += static_cast<double>(each.results[result].size);
    }
    for (int i = 0; i < 10; ++i) {
      constexpr int kRepeats = 20;
      auto begin = std::chrono::steady_clock::now();
      for (int k = 0; k < kRepeats; ++k) {
        launchAll();
      }
      driver.synchronize();
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      best = std::min(best, seconds.count() / kRepeats);
    }
    std::printf("TIME %-60s %9.1f us %8.1f GB/s\n", each.name.c_str(), best * 1e6,
                bytes / best / 1e9);
  }
  for (Address buffer : buffers) {
    driver.release(buffer);
  }
  driver.unloadModule(module);
  return wrong;
}

} // namespace

/// The test that recorded a case: what its parameters do not tell apart.
static std::string testOf(const Case &each) {
  return each.name.substr(0, each.name.find('/', each.name.find('.')));
}

static size_t bytesOf(const Case &each) {
  size_t bytes = each.scratch;
  for (const Bytes &operand : each.operands) {
    bytes += operand.size;
  }
  for (const Result &result : each.results) {
    bytes += result.size;
  }
  return bytes;
}

/// The smallest case of each test that compares something.
static std::vector<Case> smallestCases(const std::vector<Case> &cases) {
  std::map<std::string, const Case *> smallest;
  for (const Case &each : cases) {
    const Case *&found = smallest[testOf(each)];
    if (!each.isTimed && (!found || bytesOf(each) < bytesOf(*found))) {
      found = &each;
    }
  }
  std::vector<Case> chosen;
  for (const auto &[test, found] : smallest) {
    if (found) {
      chosen.push_back(*found);
    }
  }
  return chosen;
}

int main(int argc, char **argv) {
  const bool smoke = argc == 3 && std::string(argv[2]) == "--smoke";
  if (argc < 2 || argc > 3 || (argc == 3 && !smoke)) {
    std::fprintf(stderr, "usage: KernelReplay FOLDER [--smoke]\n");
    return 1;
  }
  std::string folder = argv[1];
  std::vector<Case> cases = readCases(folder + "/cases");
  if (cases.empty()) {
    std::fprintf(stderr, "KernelReplay: %s/cases holds no cases; make it with DSC_RECORD_KERNELS\n",
                 folder.c_str());
    return 1;
  }
  if (smoke) {
    cases = smallestCases(cases);
  }
  std::ifstream file(folder + "/data", std::ios::binary);
  Replay replay(std::vector<char>(std::istreambuf_iterator<char>(file), {}));
  struct Count {
    int passed = 0, failed = 0;
  };
  std::map<std::string, Count> tests;
  Count all;
  for (const Case &each : cases) {
    std::string wrong = replay.run(each);
    (wrong.empty() ? all.passed : all.failed)++;
    (wrong.empty() ? tests[testOf(each)].passed : tests[testOf(each)].failed)++;
    if (!wrong.empty()) {
      std::printf("FAIL %s: %s\n", each.name.c_str(), wrong.c_str());
    }
  }
  for (const auto &[test, count] : tests) {
    std::printf("%-50s %d passed, %d failed\n", test.c_str(), count.passed, count.failed);
  }
  std::printf("%d passed, %d failed\n", all.passed, all.failed);
  return all.failed ? 5 : 0;
}
