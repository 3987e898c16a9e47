/* SHA-256 (FIPS 180-4) of bytes that lie in memory, the scalar definition. */
#ifndef PANDA_SHA256_H
#define PANDA_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256(const void *data, size_t length, uint8_t digest[SHA256_BYTES]);

#endif
