// Checksums that ranks compute of parts and join.
// CRC-32C (Castagnoli, RFC 3720; what iSCSI, ext4 and `crc32c` packages compute) is linear over
// GF(2): the checksum of a tensor is the XOR of its parts' remainders, each moved over the bytes
// behind it. So every rank looks at what it writes only, at several GB/s with SSE 4.2. It finds
// damage; it is no proof against forgery.

#ifndef DSC_RUNTIME_CHECKPOINT_CRC32C_H
#define DSC_RUNTIME_CHECKPOINT_CRC32C_H

#include <cstdint>

namespace dsc {

/// The checksum of `bytes` bytes, as others compute it.
uint32_t crc32c(const void *data, int64_t bytes);

/// The remainder of a part, without the start value and inversion of the whole: 0 for no bytes.
/// `before` is that of the bytes right in front of it.
uint32_t crc32cRemainder(const void *data, int64_t bytes, uint32_t before = 0);
/// The remainder of a part that `bytes` zeros follow: remainder * x^(8 bytes) mod the polynomial.
uint32_t crc32cShifted(uint32_t remainder, int64_t bytes);
/// The checksum of `bytes` bytes from the XOR of the shifted remainders of its parts.
uint32_t crc32cOfParts(uint32_t remainders, int64_t bytes);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_CRC32C_H
