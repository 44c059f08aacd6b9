// SHA-256.
// FIPS 180-4. Ties an executable to its weights file and its payload; uses the processor's SHA
// instructions where it has them, since weights are large and a start should be short.

#ifndef DSC_RUNTIME_SHA256_H
#define DSC_RUNTIME_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dsc {

class Sha256 {
public:
  void update(const void *data, size_t bytes);
  std::array<uint8_t, 32> finish();

  /// The hash of one buffer, in lower-case hexadecimal.
  static std::string hex(const void *data, size_t bytes);

private:
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t pending[64];
  size_t pendingBytes = 0;
  uint64_t total = 0;
};

} // namespace dsc

#endif // DSC_RUNTIME_SHA256_H
