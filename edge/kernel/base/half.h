/* IEEE binary16 to binary32 without hardware help. */
#ifndef PANDA_HALF_H
#define PANDA_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    uint32_t bits;
    float value;
    if (magnitude >= 0x7c00u) { /* infinity or NaN */
        bits = sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13);
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (magnitude < 0x0400u) { /* zero or subnormal: magnitude * 2^-24, exact in float */
        value = (float)magnitude * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | ((magnitude << 13) + 0x38000000u); /* rebias the exponent: 127 - 15 = 112 */
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
