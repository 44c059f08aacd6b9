// Asks NVIDIA's driver, loaded for the question: dsc itself runs without one.

#include "tools/dsc/MachineGpu.h"

#include "tools/dsc/ArenaLimit.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/DynamicLibrary.h"

using namespace dsc;

// Attributes of a device, by cuda.h.
static constexpr int kMajor = 75, kMinor = 76;

std::optional<MachineGpu> MachineGpu::find() {
  std::string why;
  llvm::sys::DynamicLibrary driver = llvm::sys::DynamicLibrary::getLibrary("libcuda.so.1", &why);
  if (!driver.isValid()) {
    return std::nullopt;
  }
  // Each returns 0 where it succeeds.
  auto init = reinterpret_cast<int (*)(unsigned)>(driver.getAddressOfSymbol("cuInit"));
  auto count = reinterpret_cast<int (*)(int *)>(driver.getAddressOfSymbol("cuDeviceGetCount"));
  auto get = reinterpret_cast<int (*)(int *, int)>(driver.getAddressOfSymbol("cuDeviceGet"));
  auto nameOf =
      reinterpret_cast<int (*)(char *, int, int)>(driver.getAddressOfSymbol("cuDeviceGetName"));
  auto attribute =
      reinterpret_cast<int (*)(int *, int, int)>(driver.getAddressOfSymbol("cuDeviceGetAttribute"));
  auto memoryOf =
      reinterpret_cast<int (*)(size_t *, int)>(driver.getAddressOfSymbol("cuDeviceTotalMem_v2"));
  int device = 0, devices = 0;
  if (!init || !count || !get || !nameOf || !attribute || !memoryOf || init(0) != 0 ||
      count(&devices) != 0 || devices == 0 || get(&device, 0) != 0) {
    return std::nullopt;
  }
  MachineGpu gpu;
  char name[256] = "";
  size_t bytes = 0;
  if (nameOf(name, sizeof(name) - 1, device) != 0 || attribute(&gpu.major, kMajor, device) != 0 ||
      attribute(&gpu.minor, kMinor, device) != 0 || memoryOf(&bytes, device) != 0) {
    return std::nullopt;
  }
  gpu.name = name;
  gpu.bytes = static_cast<int64_t>(bytes);
  return gpu;
}

std::optional<std::string> MachineGpu::arch() const {
  std::optional<std::string> best;
  for (llvm::StringRef each : cudaArchitectures()) { // sm_80, ..
    int number = 0;
    each.drop_front(3).getAsInteger(10, number);
    if (number <= 10 * major + minor) {
      best = each.str();
    }
  }
  return best;
}

llvm::ArrayRef<llvm::StringRef> dsc::cudaArchitectures() {
  static constexpr llvm::StringRef table[] = {"sm_80", "sm_86", "sm_89", "sm_90"};
  return table;
}

std::string dsc::settleTarget(CompileOptions &options, llvm::ArrayRef<std::string> given) {
  if (llvm::is_contained(given, "target") && options.target != "auto") {
    return {};
  }
  options.target = "cpu";
  std::optional<MachineGpu> gpu = MachineGpu::find();
  if (!gpu) {
    return {};
  }
  std::optional<std::string> arch = gpu->arch();
  if (!arch) {
    return "this machine's " + gpu->name + " is older than " + cudaArchitectures().front().str() +
           ": compiled for the CPU";
  }
  options.target = "cuda";
  if (!llvm::is_contained(given, "arch")) {
    options.arch = *arch;
  }
  return "compiled for this machine's GPU, " + gpu->name + " (" + options.arch +
         "); --target=cpu compiles for the CPU";
}

int64_t dsc::memoryOfTarget(llvm::StringRef target) {
  if (target != "cuda") {
    return machineMemory();
  }
  std::optional<MachineGpu> gpu = MachineGpu::find();
  return gpu ? gpu->bytes / 10 * 9 : 0;
}
