// Link in-process with lld, then one sequential write.

#include "codegen/ExecutableWriter.h"

#include "ir/ContentHash.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace dsc;

/// Sections of the file start on pages, so that they can be mapped.
static constexpr uint64_t kPage = 4096;

/// Links objects into a shared object that imports the runtime's functions from the runner.
static FailureOr<std::unique_ptr<llvm::MemoryBuffer>> linkProgram(const ExecutableParts &parts) {
  ModuleOp module = parts.module;
  Location loc = module.getLoc();
  llvm::SmallString<128> folder;
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory("dsc-link", folder)) {
    return emitError(loc) << "cannot create a temporary folder: " << error.message();
  }
  auto cleanUp = llvm::make_scope_exit([&] { llvm::sys::fs::remove_directories(folder); });
  std::vector<std::string> paths;
  for (auto [i, object] : llvm::enumerate(parts.objects)) {
    paths.push_back((folder + "/" + std::to_string(i) + ".o").str());
    std::error_code error;
    llvm::raw_fd_ostream file(paths.back(), error);
    if (!error) {
      file.write(object.data(), object.size());
      file.close();
      error = file.error();
    }
    if (error) {
      return emitError(loc) << "cannot write " << paths.back() << ": " << error.message();
    }
  }
  std::string output = (folder + "/program.so").str();
  std::vector<const char *> arguments{
      "ld.lld",        "-shared", "--threads=1", "-Bsymbolic", "--build-id=none",
      "--gc-sections", "-z",      "noexecstack", "-o",         output.c_str()};
  for (const std::string &path : paths) {
    arguments.push_back(path.c_str());
  }
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0) {
    return emitError(loc) << "linking the program failed: " << messages;
  }
  auto buffer =
      llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false,
                                  /*IsVolatile=*/true);
  if (!buffer) {
    return emitError(loc) << "cannot read " << output << ": " << buffer.getError().message();
  }
  return std::move(*buffer);
}

namespace {
/// Appends sections to a file and hashes what follows the runner.
class SectionWriter {
public:
  explicit SectionWriter(llvm::raw_fd_ostream &file) : file(file) {}

  void pad() {
    std::string zeros(llvm::alignTo(position, kPage) - position, '\0');
    write(zeros);
  }
  void write(StringRef bytes) {
    file << bytes;
    position += bytes.size();
    if (hashing) {
      hash.update(bytes);
    }
  }
  void startHash() { hashing = true; }
  uint64_t at() const { return position; }
  std::array<uint8_t, 32> digest() { return hash.digest(); }

private:
  llvm::raw_fd_ostream &file;
  dsc::ContentHash hash;
  uint64_t position = 0;
  bool hashing = false;
};
} // namespace

/// The constants at their planned offsets.
static FailureOr<std::string> constantsOf(ModuleOp module) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  auto size = memory ? dyn_cast_if_present<IntegerAttr>(memory.get("constants")) : nullptr;
  if (!size) {
    return module.emitError("module has no memory plan");
  }
  std::string bytes(size.getInt(), '\0');
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() != GlobalRole::constant) {
      continue;
    }
    auto value = dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr());
    if (!value) {
      return global.emitError("constant has no value");
    }
    char *at = bytes.data() + global.getSlot()->getOffset();
    int64_t element = elementBytes(value.getElementType());
    if (value.getElementType().isInteger(1)) { // packed in bits in the IR, a byte each in memory
      for (bool bit : value.getValues<bool>()) {
        *at++ = bit;
      }
    } else if (value.isSplat()) {
      for (int64_t i = 0; i < value.getNumElements(); ++i, at += element) {
        std::memcpy(at, value.getRawData().data(), element);
      }
    } else {
      llvm::copy(value.getRawData(), at); // may be none at all
    }
  }
  return bytes;
}

LogicalResult dsc::writeExecutable(const ExecutableParts &parts, StringRef path) {
  ModuleOp module = parts.module;
  Location loc = module.getLoc();
  auto runner =
      llvm::MemoryBuffer::getFile(parts.runner, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!runner) {
    return emitError(loc) << "cannot read the runner " << parts.runner << ": "
                          << runner.getError().message()
                          << "; it is built and installed beside dsc";
  }
  FailureOr<std::unique_ptr<llvm::MemoryBuffer>> program = linkProgram(parts);
  FailureOr<std::string> constants = constantsOf(module);
  auto manifest = module->getAttrOfType<StringAttr>("dsc.manifest");
  if (failed(program) || failed(constants) || !manifest) {
    return failure();
  }

  auto temporary = llvm::sys::fs::TempFile::create(
      path + ".tmp-%%%%%%",
      llvm::sys::fs::all_read | llvm::sys::fs::all_exe | llvm::sys::fs::owner_write);
  if (!temporary) {
    return emitError(loc) << "cannot create a file beside " << path << ": "
                          << llvm::toString(temporary.takeError());
  }
  uint64_t sections[3][2];
  {
    llvm::raw_fd_ostream file(temporary->FD, /*shouldClose=*/false);
    SectionWriter writer(file);
    writer.write((*runner)->getBuffer());
    writer.pad();
    writer.startHash();
    StringRef contents[3] = {(*program)->getBuffer(), *constants, manifest.getValue()};
    for (int i = 0; i < 3; ++i) {
      sections[i][0] = writer.at();
      sections[i][1] = contents[i].size();
      writer.write(contents[i]);
      writer.pad();
    }
    std::array<uint8_t, 32> digest = writer.digest();
    char trailer[64];
    std::memcpy(trailer, "DSCEXE01", 8);
    for (int i = 0; i < 6; ++i) {
      llvm::support::endian::write64le(trailer + 8 + 8 * i, sections[i / 2][i % 2]);
    }
    std::memcpy(trailer + 56, digest.data(), 8);
    file.write(trailer, sizeof trailer);
    file.flush();
    if (file.has_error()) {
      std::string message = file.error().message();
      file.clear_error();
      llvm::consumeError(temporary->discard());
      return emitError(loc) << "cannot write " << path << ": " << message;
    }
  }
  if (llvm::Error error = temporary->keep(path)) {
    return emitError(loc) << "cannot rename to " << path << ": "
                          << llvm::toString(std::move(error));
  }
  return success();
}
