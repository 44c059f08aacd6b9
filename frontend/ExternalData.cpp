// Opening by openat2 with RESOLVE_BENEATH: the kernel itself refuses "..", absolute paths and
// links, without a gap between check and use. All later reading goes through the one descriptor.

#include "frontend/ExternalData.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace dsc;
using namespace dsc::onnx_model;
using llvm::StringRef;

static int openBeneath(int folder, const char *path, bool allowSymlinks) {
  open_how how;
  std::memset(&how, 0, sizeof(how));
  how.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | (allowSymlinks ? 0 : O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (allowSymlinks ? 0 : RESOLVE_NO_SYMLINKS);
  return static_cast<int>(syscall(SYS_openat2, folder, path, &how, sizeof(how)));
}

ExternalData::~ExternalData() {
  if (folderDescriptor >= 0) {
    close(folderDescriptor);
  }
}

std::string ExternalData::open(const std::string &location, std::shared_ptr<DataFile> &file) {
  auto known = files.find(location);
  if (known != files.end()) {
    file = known->second;
    return "";
  }
  std::string what = "external data file \"";
  for (char c : location) {
    what += (c >= 0x20 && c < 0x7f) ? c : '?';
  }
  what += "\"";
  if (location.empty() || location.size() > 4000 || location[0] == '/' ||
      StringRef(location).contains('\0') || StringRef(location).contains('\\')) {
    return what + " is not a relative path";
  }
  llvm::SmallVector<StringRef> parts;
  StringRef(location).split(parts, '/');
  for (StringRef part : parts) {
    if (part.empty() || part == "." || part == "..") {
      return what +
             " leaves the model's folder, or is not written plainly: its parts must be names";
    }
  }
  if (folderDescriptor < 0) {
    folderDescriptor = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folderDescriptor < 0) {
      return "the model's folder cannot be opened: " + std::string(std::strerror(errno));
    }
  }
  int descriptor = openBeneath(folderDescriptor, location.c_str(), allowSymlinks);
  if (descriptor < 0 && (errno == ELOOP || errno == EXDEV)) {
    return what + " is a link or lies behind one: copy the file into the model's folder (Hugging "
                  "Face caches hold links; "
                  "copy with cp -rL)";
  }
  if (descriptor < 0 && errno == ENOENT && allowMissing) {
    ++missing[location];
    file = nullptr;
    return "";
  }
  if (descriptor < 0) {
    return what + " cannot be opened: " + std::strerror(errno);
  }
  struct stat info;
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    return what + " is not a regular file";
  }
  if (info.st_nlink != 1 && !allowSymlinks) {
    close(descriptor);
    return what + " has other hard links: copy the file";
  }
  file = std::make_shared<DataFile>(location, descriptor, static_cast<uint64_t>(info.st_size));
  files[location] = file;
  return "";
}

std::string ExternalData::locate(const std::vector<std::pair<std::string, std::string>> &entries,
                                 Tensor &tensor) {
  std::optional<std::string> location, offset, length, checksum;
  for (const auto &[key, value] : entries) {
    std::optional<std::string> *slot = key == "location"   ? &location
                                       : key == "offset"   ? &offset
                                       : key == "length"   ? &length
                                       : key == "checksum" ? &checksum
                                                           : nullptr;
    if (!slot) {
      return "external data has an unknown key";
    }
    if (*slot) {
      return "external data has the key '" + key + "' twice";
    }
    *slot = value;
  }
  if (!location) {
    return "external data names no file";
  }
  uint64_t from = 0, bytes = tensor.byteCount(), declared = bytes;
  if (offset && StringRef(*offset).getAsInteger(10, from)) {
    return "external data offset is not a number";
  }
  if (length && StringRef(*length).getAsInteger(10, declared)) {
    return "external data length is not a number";
  }
  if (declared != bytes) {
    return "external data length is " + std::to_string(declared) + ", its dims and type need " +
           std::to_string(bytes);
  }
  std::shared_ptr<DataFile> file;
  std::string fault = open(*location, file);
  if (!fault.empty()) {
    return fault;
  }
  if (!file) {
    tensor.isMissing = true;
    return "";
  }
  if (bytes > file->size || from > file->size - bytes) {
    return "external data ends at byte " + std::to_string(from) + " + " + std::to_string(bytes) +
           ", the file has " + std::to_string(file->size);
  }
  tensor.file = file;
  tensor.offset = from;
  return "";
}
