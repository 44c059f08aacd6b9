// nvJitLink is loaded when it is needed, so that dsc runs where it is not.

#include "codegen/cuda/LinkCubin.h"

#include "codegen/cuda/CudaToolkit.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <dlfcn.h>

using namespace llvm;
using dsc::cuda::Cubin;

static constexpr StringRef kLinkers[] = {
    "lib64/libnvJitLink.so.13",
    "lib/libnvJitLink.so.13",
    "lib64/libnvJitLink.so.12",
    "lib/libnvJitLink.so.12",
};

namespace {
/// The functions of nvJitLink.h that are used; 0 is success.
struct JitLink {
  using Handle = void *;
  int (*create)(Handle *, uint32_t, const char **) = nullptr;
  int (*destroy)(Handle *) = nullptr;
  int (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubinSize)(Handle, size_t *) = nullptr;
  int (*cubin)(Handle, void *) = nullptr;
  int (*errorSize)(Handle, size_t *) = nullptr;
  int (*error)(Handle, char *) = nullptr;
  int (*infoSize)(Handle, size_t *) = nullptr;
  int (*info)(Handle, char *) = nullptr;
  static constexpr int kPtx = 2;

  /// False where the library is not found.
  bool load() {
    std::string path = dsc::cuda::findToolkitFile(kLinkers);
    void *library = nullptr;
    for (const char *name : {path.c_str(), "libnvJitLink.so.13", "libnvJitLink.so.12"}) {
      library = library || !*name ? library : dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library) {
      return false;
    }
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    return find(create, "nvJitLinkCreate") && find(destroy, "nvJitLinkDestroy") &&
           find(addData, "nvJitLinkAddData") && find(complete, "nvJitLinkComplete") &&
           find(cubinSize, "nvJitLinkGetLinkedCubinSize") &&
           find(cubin, "nvJitLinkGetLinkedCubin") && find(errorSize, "nvJitLinkGetErrorLogSize") &&
           find(error, "nvJitLinkGetErrorLog") && find(infoSize, "nvJitLinkGetInfoLogSize") &&
           find(info, "nvJitLinkGetInfoLog");
  }
};
} // namespace

static Expected<Cubin> linkInProcess(const JitLink &link, StringRef ptx, StringRef arch) {
  std::string architecture = "-arch=" + arch.str();
  const char *options[] = {architecture.c_str(), "-O3", "-verbose"};
  JitLink::Handle handle = nullptr;
  if (link.create(&handle, std::size(options), options) != 0) {
    return createStringError("nvJitLink does not take %s", architecture.c_str());
  }
  auto destroy = make_scope_exit([&] { link.destroy(&handle); });
  // The size counts the text's closing 0.
  std::string text = ptx.str();
  bool ok = link.addData(handle, JitLink::kPtx, text.c_str(), text.size() + 1, "kernels") == 0 &&
            link.complete(handle) == 0;
  auto read = [&](auto size, auto log) {
    size_t bytes = 0;
    std::string result;
    if (size(handle, &bytes) == 0 && bytes > 1) {
      result.resize(bytes);
      log(handle, result.data());
      result.resize(strnlen(result.data(), bytes));
    }
    return result;
  };
  if (!ok) {
    return createStringError("nvJitLink refuses the kernels: " + read(link.errorSize, link.error));
  }
  Cubin result;
  size_t bytes = 0;
  link.cubinSize(handle, &bytes);
  result.bytes.resize(bytes);
  link.cubin(handle, result.bytes.data());
  result.log = read(link.infoSize, link.info);
  return result;
}

static Expected<Cubin> runAssembler(StringRef program, StringRef ptx, StringRef arch) {
  SmallString<128> source, object, log;
  if (sys::fs::createTemporaryFile("dsc-kernels", "ptx", source) ||
      sys::fs::createTemporaryFile("dsc-kernels", "cubin", object) ||
      sys::fs::createTemporaryFile("dsc-kernels", "log", log)) {
    return createStringError("cannot create temporary files");
  }
  auto remove = make_scope_exit([&] {
    for (StringRef path : {source.str(), object.str(), log.str()}) {
      sys::fs::remove(path);
    }
  });
  std::error_code error;
  raw_fd_ostream(source, error) << ptx;
  std::string architecture = "-arch=" + arch.str();
  StringRef arguments[] = {program, architecture, "-O3", "-v", "-o", object, source};
  std::optional<StringRef> streams[] = {std::nullopt, log.str(), log.str()};
  int status = sys::ExecuteAndWait(program, arguments, std::nullopt, streams);
  auto text = MemoryBuffer::getFile(log);
  Cubin result;
  result.log = text ? (*text)->getBuffer().str() : "";
  auto bytes = MemoryBuffer::getFile(object, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (status != 0 || !bytes) {
    return createStringError(program.str() + " refuses the kernels: " + result.log);
  }
  result.bytes = (*bytes)->getBuffer().str();
  return result;
}

Expected<Cubin> dsc::cuda::linkCubin(StringRef ptx, StringRef arch) {
  if (JitLink link; link.load()) {
    return linkInProcess(link, ptx, arch);
  }
  std::string program = findToolkitFile({"bin/ptxas"});
  if (program.empty()) {
    ErrorOr<std::string> found = sys::findProgramByName("ptxas");
    program = found ? *found : "";
  }
  return program.empty() ? Cubin() : runAssembler(program, ptx, arch);
}
