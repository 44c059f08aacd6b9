// The payload behind the runner.

#include "runtime/Executable.h"

#include "runtime/GeneratedCode.h"
#include "runtime/Sha256.h"
#include "runtime/StartTimes.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace dsc;

static constexpr int64_t trailerBytes = 64;
static constexpr int64_t sectionAlignment = 4096;

Result<PayloadLayout> dsc::readPayload(const MappedFile &file) {
  const std::string &path = file.path();
  if (file.size() < trailerBytes ||
      std::memcmp(file.data() + file.size() - trailerBytes, "DSCEXE01", 8) != 0) {
    return Status::user(path + ": holds no compiled program: this is the bare runner, or the file "
                               "was cut or stripped; compile the model again");
  }
  const std::byte *trailer = file.data() + file.size() - trailerBytes;
  const int64_t end = file.size() - trailerBytes;
  PayloadLayout layout;
  struct Section {
    const char *name;
    int64_t *offset, *bytes;
  } sections[] = {{"program", &layout.programOffset, &layout.programBytes},
                  {"constants", &layout.constantsOffset, &layout.constantsBytes},
                  {"manifest", &layout.manifestOffset, &layout.manifestBytes}};
  int64_t reached = 0;
  for (size_t i = 0; i < 3; ++i) {
    uint64_t offset = loadLittle64(trailer + 8 + 16 * i),
             bytes = loadLittle64(trailer + 16 + 16 * i);
    auto limit = static_cast<uint64_t>(end);
    if (offset > limit || bytes > limit - offset || offset % sectionAlignment != 0 ||
        static_cast<int64_t>(offset) < reached) {
      return Status::user(
          format("%s: the trailer says that the %s has %llu bytes at %llu, which "
                 "does not fit the file's %lld bytes: the file is damaged",
                 path.c_str(), sections[i].name, static_cast<unsigned long long>(bytes),
                 static_cast<unsigned long long>(offset), static_cast<long long>(file.size())));
    }
    *sections[i].offset = static_cast<int64_t>(offset);
    *sections[i].bytes = static_cast<int64_t>(bytes);
    reached = static_cast<int64_t>(offset + bytes);
  }
  Sha256 hash;
  hash.update(file.data() + layout.programOffset, static_cast<size_t>(end - layout.programOffset));
  if (std::memcmp(hash.finish().data(), trailer + 56, 8) != 0) {
    return Status::user(path + ": the compiled program's hash differs from the one in the trailer: "
                               "the file is damaged; compile the model again");
  }
  return layout;
}

Result<std::unique_ptr<Executable>> Executable::open(const std::string &path) {
  StartPhase phase("executable");
  char resolved[PATH_MAX];
  if (!realpath(path.c_str(), resolved)) {
    return Status::machine(format("%s: cannot resolve: %s", path.c_str(), std::strerror(errno)));
  }
  std::unique_ptr<Executable> executable(new Executable);
  executable->realPath = resolved;
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path, resolved);
  if (file.failed()) {
    return file.status();
  }
  executable->file = *file;
  Result<PayloadLayout> layout = readPayload(**file);
  if (layout.failed()) {
    return layout.status();
  }
  executable->layout = *layout;
  Result<Manifest> manifest =
      readManifest({reinterpret_cast<const char *>((*file)->data()) + layout->manifestOffset,
                    static_cast<size_t>(layout->manifestBytes)});
  if (manifest.failed()) {
    return manifest.status();
  }
  executable->description = std::move(*manifest);
  if (executable->description.spaceBytes[DSC_SPACE_CONSTANTS] > layout->constantsBytes) {
    return Status::user("manifest.spaces.constants: is larger than the stored constants");
  }
  return executable;
}

Executable::~Executable() {
  if (program) {
    dlclose(program);
  }
}

std::string Executable::folder() const {
  size_t slash = realPath.rfind('/');
  return slash == std::string::npos ? "." : realPath.substr(0, slash ? slash : 1);
}

std::string Executable::name() const { return realPath.substr(realPath.rfind('/') + 1); }

std::string Executable::hash() const {
  std::string text;
  for (int64_t i = 0; i < 8; ++i) {
    text += format("%02x", static_cast<unsigned>(file->data()[file->size() - 8 + i]));
  }
  return text;
}

DSC_CALLS_GENERATED_CODE Status Executable::load() {
  StartPhase phase("executable");
  int fd = memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    return Status::machine(format("cannot create a memory file: %s", std::strerror(errno)));
  }
  const std::byte *begin = file->data() + layout.programOffset;
  for (int64_t done = 0; done < layout.programBytes;) {
    ssize_t count = write(fd, begin + done, static_cast<size_t>(layout.programBytes - done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      int error = errno;
      close(fd);
      return Status::machine(format("cannot copy the program: %s", std::strerror(error)));
    }
    done += count;
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  program = dlopen(format("/proc/self/fd/%d", fd).c_str(), RTLD_NOW | RTLD_LOCAL);
  close(fd);
  if (!program) {
    return Status::internal(format("cannot load the compiled program: %s", dlerror()));
  }
  auto *version = reinterpret_cast<int32_t (*)()>(symbol("dsc_program_abi_version"));
  if (!version || version() != DSC_ABI_VERSION) {
    return Status::user(
        format("the compiled program has ABI %d and this runner has %d: compile the "
               "model again with the dsc of the runner",
               version ? static_cast<int>(version()) : 0, DSC_ABI_VERSION));
  }
  return {};
}

void *Executable::symbol(const std::string &name) const {
  return program ? dlsym(program, name.c_str()) : nullptr;
}
