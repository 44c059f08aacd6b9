// What the compiler writes and the runtime checks have one hash.

#include "ir/ContentHash.h"
#include "runtime/Sha256.h"

#include <gtest/gtest.h>

#include <string>

using namespace dsc;

namespace {

TEST(ContentHash, IsFips180) {
  ContentHash hash;
  hash.update("a");
  hash.update("bc");
  EXPECT_EQ(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ContentHash().hex(8), "e3b0c44298fc1c14");
}

// The length that ends a hash is one of bits: 512 MiB are the first that do not fit 32 of them.
TEST(ContentHash, OfLargeFilesIsWhatTheRuntimeComputes) {
  std::string piece(size_t(16) << 20, 'w');
  ContentHash ours;
  Sha256 theirs;
  for (int i = 0; i < 33; ++i) {
    ours.update(piece);
    theirs.update(piece.data(), piece.size());
  }
  EXPECT_EQ(ours.digest(), theirs.finish());
}

} // namespace
