// SHA-256 of what the compiler writes.
// Ties an executable to its weights file and dumps to their constants; the runtime computes the
// same with code of its own, since it links little. LLVM's SHA256 counts bits in 32 bits, so that
// its digest of 512 MiB and more is none.

#ifndef DSC_IR_CONTENTHASH_H
#define DSC_IR_CONTENTHASH_H

#include "llvm/ADT/StringRef.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace dsc {

class ContentHash {
public:
  ContentHash();

  void update(llvm::StringRef bytes);

  /// Ends the hash: of all bytes given so far.
  std::array<uint8_t, 32> digest();
  /// The digest's first `bytes` in lower-case hexadecimal.
  std::string hex(size_t bytes = 32);

private:
  struct Free {
    void operator()(evp_md_ctx_st *context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context;
};

} // namespace dsc

#endif // DSC_IR_CONTENTHASH_H
