// Files of token numbers.
// A .bin file of u16 or u32 tokens: with llm.c's 1024-byte header, whose count must match the file,
// or without any, when the user says how wide a token is.

#ifndef DSC_RUNTIME_TOKENFILE_H
#define DSC_RUNTIME_TOKENFILE_H

#include "runtime/MappedFile.h"
#include "runtime/Tensor.h"

#include <memory>
#include <optional>
#include <string>

namespace dsc {

struct TokenFile {
  std::shared_ptr<MappedFile> file;
  /// All tokens: u16 or u32, rank 1.
  TensorView tokens;

  /// `width` is the user's --tokens, for files without a header.
  static Result<TokenFile> open(const std::string &path, std::optional<Dtype> width);
};

} // namespace dsc

#endif // DSC_RUNTIME_TOKENFILE_H
