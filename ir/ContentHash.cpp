// SHA-256 of what the compiler writes.

#include "ir/ContentHash.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"

#include <openssl/evp.h>

using namespace dsc;

/// OpenSSL's calls fail only where memory is out.
static void check(int done) {
  if (!done) {
    llvm::report_bad_alloc_error("SHA-256");
  }
}

ContentHash::ContentHash() : context(EVP_MD_CTX_new()) {
  check(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
}

void ContentHash::Free::operator()(evp_md_ctx_st *context) const { EVP_MD_CTX_free(context); }

void ContentHash::update(llvm::StringRef bytes) {
  check(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()));
}

std::array<uint8_t, 32> ContentHash::digest() {
  std::array<uint8_t, 32> digest;
  check(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr));
  return digest;
}

std::string ContentHash::hex(size_t bytes) {
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest()).take_front(bytes), /*LowerCase=*/true);
}
