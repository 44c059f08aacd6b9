// Files of token numbers.

#include "runtime/TokenFile.h"

using namespace dsc;

static constexpr int64_t headerBytes = 1024;
static constexpr uint32_t magicNarrow = 20240520; // llm.c's GPT-2 tokens, u16
static constexpr uint32_t magicWide = 20240801;   // llm.c's Llama 3 tokens, u32

Result<TokenFile> TokenFile::open(const std::string &path, std::optional<Dtype> width) {
  Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(path);
  if (mapped.failed()) {
    return mapped.status();
  }
  TokenFile result;
  result.file = *mapped;
  const MappedFile &file = **mapped;
  if (file.size() == 0) {
    return Status::user(path + ": is empty");
  }
  int64_t begin = 0;
  uint32_t magic = file.size() >= headerBytes ? loadLittle32(file.data()) : 0;
  if (magic == magicNarrow || magic == magicWide) {
    Dtype stored = magic == magicNarrow ? DSC_U16 : DSC_U32;
    uint32_t version = loadLittle32(file.data() + 4), count = loadLittle32(file.data() + 8);
    if (version != (magic == magicNarrow ? 1u : 7u)) {
      return Status::user(
          format("%s: its token header has version %u, which is not known", path.c_str(), version));
    }
    if (width && *width != stored) {
      return Status::user(format("%s: its header says %s tokens and --tokens says %s", path.c_str(),
                                 dtypeName(stored), dtypeName(*width)));
    }
    int64_t there = (file.size() - headerBytes) / dtypeSize(stored);
    if (there != count || (file.size() - headerBytes) % dtypeSize(stored) != 0) {
      return Status::user(
          format("%s: its header says %u tokens and the file holds %lld: truncated or "
                 "damaged",
                 path.c_str(), count, static_cast<long long>(there)));
    }
    width = stored;
    begin = headerBytes;
  } else if (!width) {
    return Status::user(path +
                        ": has no llm.c header; say how wide a token is with --tokens=u16 or "
                        "--tokens=u32");
  }
  int64_t bytes = file.size() - begin;
  if (bytes % dtypeSize(*width) != 0) {
    return Status::user(format("%s: its %lld bytes are not a whole number of %s tokens",
                               path.c_str(), static_cast<long long>(bytes), dtypeName(*width)));
  }
  if (bytes == 0) {
    return Status::user(path + ": holds no tokens");
  }
  result.tokens.name = "tokens";
  result.tokens.dtype = *width;
  result.tokens.shape = {bytes / dtypeSize(*width)};
  result.tokens.data = file.data() + begin;
  result.tokens.bytes = bytes;
  return result;
}
