/* IEEE binary16 to binary32 and back without hardware help. */
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

/* The nearest half, of two equally near the even one; infinity from 65520 on. */
static inline uint16_t float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits >= 0x7f800000u) /* infinity or NaN */
        return sign | (bits > 0x7f800000u ? 0x7e00u : 0x7c00u);
    if (bits < 0x38800000u) { /* zero or subnormal: a float from 0.5 on is a multiple of 2^-24, as these halves are */
        float shifted;
        memcpy(&shifted, &bits, sizeof shifted);
        shifted += 0.5F;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    if (bits >= 0x47800000u)
        return sign | 0x7c00u;
    return (uint16_t)(sign | (bits - 0x38000000u) >> 13);
}

#endif
