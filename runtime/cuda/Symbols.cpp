// NVIDIA's libraries, loaded at start.

#include "runtime/cuda/Symbols.h"

#include "runtime/cuda/Nccl.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <glob.h>
#include <iterator>
#include <map>
#include <mutex>

using namespace dsc;

namespace {
/// What to open, and what to tell a user who does not have it.
struct LibraryRequest {
  const char *title;              ///< "cuBLASLt"
  std::vector<std::string> names; ///< tried in this order, in each folder
  const char *install;            ///< what to do where there is none
};

struct Opened {
  void *handle;
  std::string file;
};
} // namespace

static std::mutex openedMutex;
static std::map<std::string, Opened> openedLibraries;

static void addMatches(std::vector<std::string> &folders, const std::string &pattern) {
  glob_t found = {};
  if (glob(pattern.c_str(), GLOB_ONLYDIR, nullptr, &found) == 0) {
    folders.insert(folders.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
}

static std::vector<std::string> split(const char *list) {
  std::vector<std::string> parts;
  std::string text = list ? list : "";
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find(':', begin), text.size());
    if (end > begin) {
      parts.push_back(text.substr(begin, end - begin));
    }
  }
  return parts;
}

/// Folders of libraries below what the user named.
static std::vector<std::string> namedFolders() {
  std::vector<std::string> folders;
  for (const std::string &root : split(std::getenv("DSC_CUDA_PATH"))) {
    for (const char *below : {"", "/lib64", "/lib", "/targets/x86_64-linux/lib", "/nvidia/*/lib"}) {
      addMatches(folders, root + below);
    }
  }
  return folders;
}

/// Those of the nvidia packages of Python, environments first.
static std::vector<std::string> pythonFolders() {
  std::vector<std::string> prefixes, folders;
  for (const char *variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const char *value = std::getenv(variable); value && *value) {
      prefixes.push_back(value);
    }
  }
  for (const std::string &bin : split(std::getenv("PATH"))) {
    char *resolved = realpath((bin + "/python3").c_str(), nullptr);
    if (!resolved) {
      continue;
    }
    // An environment's python3 is a link; its packages stand beside the link.
    prefixes.push_back(bin.substr(0, bin.rfind('/')));
    std::string target = resolved;
    std::free(resolved);
    target.resize(target.rfind('/'));
    prefixes.push_back(target.substr(0, target.rfind('/')));
  }
  if (const char *home = std::getenv("HOME")) {
    prefixes.push_back(std::string(home) + "/.local");
  }
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr"});
  for (const std::string &prefix : prefixes) {
    for (const char *packages : {"/lib/python3*/site-packages", "/lib/python3*/dist-packages",
                                 "/lib64/python3*/site-packages"}) {
      addMatches(folders, prefix + packages + "/nvidia/*/lib");
    }
  }
  return folders;
}

std::vector<std::string> dsc::cudaLibraryFolders() {
  std::vector<std::string> folders = namedFolders();
  const std::vector<std::string> path = split(std::getenv("LD_LIBRARY_PATH"));
  folders.insert(folders.end(), path.begin(), path.end());
  const std::vector<std::string> python = pythonFolders();
  folders.insert(folders.end(), python.begin(), python.end());
  folders.emplace_back(); // the loader's own path
  for (const char *pattern :
       {"/usr/local/cuda/lib64", "/usr/local/cuda-*/lib64", "/usr/local/nvidia/lib64",
        "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib",
        "/opt/cuda/lib64", "/run/opengl-driver/lib"}) {
    addMatches(folders, pattern);
  }
  std::vector<std::string> unique;
  std::copy_if(folders.begin(), folders.end(), std::back_inserter(unique),
               [&](const std::string &folder) {
                 return std::find(unique.begin(), unique.end(), folder) == unique.end();
               });
  return unique;
}

/// Opens a library with its symbols global where others find it by name.
static Result<void *> open(const LibraryRequest &request) {
  std::lock_guard<std::mutex> lock(openedMutex);
  if (auto found = openedLibraries.find(request.title); found != openedLibraries.end()) {
    return found->second.handle;
  }
  std::string answer;
  auto attempt = [&](const std::string &path) -> void * {
    // Local, so that nothing binds to the runner's symbols; kept, since their threads live in them.
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle) {
      openedLibraries[request.title] = {handle, path};
      return handle;
    }
    const char *error = dlerror();
    std::string text = error ? error : "";
    // "No such file" says nothing; what a file that is there lacks does.
    if (text.find("No such file") == std::string::npos || text.compare(0, path.size(), path) != 0) {
      answer = text;
    }
    return nullptr;
  };
  const std::vector<std::string> folders = cudaLibraryFolders();
  for (const std::string &name : request.names) {
    for (const std::string &folder : folders) {
      if (void *handle = attempt(folder.empty() ? name : folder + "/" + name)) {
        return handle;
      }
    }
  }
  std::string names, where;
  for (const std::string &name : request.names) {
    names += (names.empty() ? "" : ", ") + name;
  }
  for (const std::string &folder : folders) {
    where += (where.empty() ? "" : ", ") + (folder.empty() ? "the loader's folders" : folder);
  }
  if (!answer.empty()) {
    answer = "; the loader says: " + answer;
  }
  return Status::machine(format("%s cannot be loaded: looked for %s in %s%s. %s; if it is "
                                "elsewhere, name its folder in DSC_CUDA_PATH",
                                request.title, names.c_str(), where.c_str(), answer.c_str(),
                                request.install));
}

std::string dsc::loadedLibrary(const char *title) {
  std::lock_guard<std::mutex> lock(openedMutex);
  auto found = openedLibraries.find(title);
  return found == openedLibraries.end() ? "" : found->second.file;
}

/// Fills one field, or says that this version lacks it.
template <typename F>
static Status load(const char *title, void *handle, const char *symbol, F &field,
                   const char *wayOut) {
  field = reinterpret_cast<F>(dlsym(handle, symbol));
  return field ? Status()
               : Status::machine(format("%s (%s) has no function '%s': it is too old; %s", title,
                                        loadedLibrary(title).c_str(), symbol, wayOut));
}

// Expanded once more, so that the macros of cuda.h apply.
#define DSC_TEXT(name) #name
#define DSC_NAME(name) DSC_TEXT(name)

static const char driverInstall[] = "Install NVIDIA's driver, 525 or newer (nvidia.com/drivers), "
                                    "or run this on a machine with an NVIDIA GPU; to train on the "
                                    "CPU, compile with --target=cpu";

Result<const DriverTable *> dsc::loadDriver() {
  static DriverTable table;
  Result<void *> handle = open({"NVIDIA's driver", {"libcuda.so.1", "libcuda.so"}, driverInstall});
  if (handle.failed()) {
    return handle.status();
  }
#define DSC_LOAD(name)                                                                             \
  DSC_RETURN_IF_FAILED(                                                                            \
      load("NVIDIA's driver", *handle, DSC_NAME(name), table.name, "install 525 or newer"));
  DSC_DRIVER_FUNCTIONS(DSC_LOAD)
  DSC_LOAD(cuEventElapsedTime)
#undef DSC_LOAD
  return &table;
}

/// "name.so.13" before "name.so.12" where the driver runs CUDA 13.
static std::vector<std::string> versions(const std::string &name, int driverVersion) {
  std::vector<std::string> names;
  if (driverVersion >= 13000) {
    names.push_back(name + ".so.13");
  }
  names.push_back(name + ".so.12");
  return names;
}

Result<const CublasLtTable *> dsc::loadCublasLt(int driverVersion) {
  static CublasLtTable table;
  Result<void *> handle =
      open({"cuBLASLt", versions("libcublasLt", driverVersion),
            driverVersion >= 13000 ? "Install it with 'pip install nvidia-cublas' or a CUDA toolkit"
                                   : "Install it with 'pip install nvidia-cublas-cu12' or a CUDA "
                                     "toolkit"});
  if (handle.failed()) {
    return handle.status();
  }
#define DSC_LOAD(name)                                                                             \
  DSC_RETURN_IF_FAILED(load("cuBLASLt", *handle, DSC_NAME(name), table.name,                       \
                            "install the one of CUDA 12 or newer"));
  DSC_CUBLASLT_FUNCTIONS(DSC_LOAD)
#undef DSC_LOAD
  return &table;
}

Result<const NcclTable *> dsc::loadNccl(int driverVersion) {
  static NcclTable table;
  Result<void *> handle =
      open({"NCCL",
            {"libnccl.so.2"},
            driverVersion >= 13000 ? "Install it with 'pip install nvidia-nccl-cu13'"
                                   : "Install it with 'pip install nvidia-nccl-cu12'"});
  if (handle.failed()) {
    return handle.status();
  }
#define DSC_LOAD(name, ...)                                                                        \
  DSC_RETURN_IF_FAILED(load("NCCL", *handle, DSC_NAME(name), table.name, "install 2.10 or newer"));
  DSC_NCCL_FUNCTIONS(DSC_LOAD)
  DSC_LOAD(ncclGetErrorString)
#undef DSC_LOAD
  return &table;
}

std::string dsc::loadCudart(int driverVersion) {
  (void)open({"libcudart", versions("libcudart", driverVersion), ""});
  return loadedLibrary("libcudart");
}

Result<void *> dsc::loadCudnn(int driverVersion) {
  // cuDNN opens these by name; once they are loaded from wherever they are, it finds them. Where
  // one is missing, cuDNN says so if it needs it.
  for (const char *name : {"libcudart", "libnvrtc", "libcublasLt", "libcublas"}) {
    const char *title = std::string(name) == "libcublasLt" ? "cuBLASLt" : name;
    (void)open({title, versions(name, driverVersion), ""});
  }
  return open({"cuDNN",
               {"libcudnn.so.9"},
               driverVersion >= 13000 ? "Install it with 'pip install nvidia-cudnn-cu13'"
                                      : "Install it with 'pip install nvidia-cudnn-cu12'"});
}
