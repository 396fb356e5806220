/*
 * crc32c: the Castagnoli checksum (RFC 3720 appendix B.4) that the journal's records carry.
 *
 * Chained: crc32c(crc32c(0, a), b) is the checksum of a followed by b. Uses the processor's
 * instruction where it has one. Pure; thread: any.
 */
#ifndef LIB_CRC32C_H
#define LIB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same by table: what other processors use, and what the instruction is tested against. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len);

#endif
