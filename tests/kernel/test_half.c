/* Halves to floats and back: all halves, and around every middle between two that follow each other. */
#include "base/half.h"
#include "check.h"

static void check_nearest(float value, uint32_t expected)
{
    CHECK(float_to_half(value) == expected, "%a: %#x, expected %#x", (double)value, float_to_half(value), expected);
    CHECK(float_to_half(-value) == (expected | 0x8000u), "%a: %#x", (double)-value, float_to_half(-value));
}

int main(void)
{
    for (uint32_t half = 0; half <= 0x7c00; half++) { /* 0 to infinity */
        check_nearest(half_to_float((uint16_t)half), half);
        if (half == 0x7c00)
            break;
        const float low = half_to_float((uint16_t)half);
        const float high = half == 0x7bff ? 65536 : half_to_float((uint16_t)(half + 1)), middle = (low + high) / 2;
        check_nearest(nextafterf(middle, low), half);
        check_nearest(middle, half + (half & 1)); /* the even one */
        check_nearest(nextafterf(middle, high), half + 1);
    }
    for (uint32_t half = 0x7c01; half < 0x8000; half++)
        CHECK(isnan(half_to_float(float_to_half(half_to_float((uint16_t)half)))), "%#x is no NaN", half);
    check_nearest(3e38F, 0x7c00);
    check_nearest(1e-45F, 0);
    return 0;
}
