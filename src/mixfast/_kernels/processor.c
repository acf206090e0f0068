#include "processor.h"

#include "family.h"

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

/* Levels of the x86-64 psABI, https://gitlab.com/x86-psABIs/x86-64-ABI, table 3.1; places of the bits as in Intel's
   Software Developer's Manual, volume 2, CPUID. */
#define BIT(n) (1u << (n))
enum {
    V2_1C = BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23), /* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
    V2_81C = BIT(0),                                                 /* LAHF-SAHF */
    V3_1C = BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29),         /* FMA, MOVBE, OSXSAVE, AVX, F16C */
    V3_7B = BIT(3) | BIT(5) | BIT(8),                                /* BMI1, AVX2, BMI2 */
    V3_81C = BIT(5),                                                 /* LZCNT */
    V3_SAVED = 0x06,                                                 /* SSE and AVX registers */
    V4_SAVED = 0xe6                                                  /* and masks, and those of AVX-512 */
};
#define V4_7B (BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31))      /* AVX512 F, DQ, CD, BW, VL */

/* Registers that the operating system keeps when it switches threads; OSXSAVE says that it may be asked. */
static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

int mixfast_processor_has(int isa) {
    unsigned a, b, c1 = 0, d, b7 = 0, c7, c81 = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) b7 = 0;
    if (!__get_cpuid(0x80000001u, &a, &b, &c81, &d)) c81 = 0;
    int v2 = has(c1, V2_1C) && has(c81, V2_81C);
    int v3 = v2 && has(c1, V3_1C) && has(b7, V3_7B) && has(c81, V3_81C) && has(saved_registers(), V3_SAVED);
    int v4 = v3 && has(b7, V4_7B) && has(saved_registers(), V4_SAVED);
    switch (isa) {
        case MIXFAST_ISA_V2: return v2;
        case MIXFAST_ISA_V3: return v3;
        case MIXFAST_ISA_V4: return v4;
        default: return 0;
    }
}

#else

int mixfast_processor_has(int isa) {
    (void) isa;
    return 0;
}

#endif
