#include "processor.h"

#include "family.h"

/* Levels of the x86-64 psABI, https://gitlab.com/x86-psABIs/x86-64-ABI, table 3.1; places of the bits as in Intel's
   Software Developer's Manual, volume 2, CPUID. */
#define BIT(n) (1u << (n))
enum {
    V2_1C = BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23), /* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
    V2_81C = BIT(0),                                                 /* LAHF-SAHF */
    OSXSAVE = BIT(27),                                               /* XCR0 may be asked */
    V3_1C = BIT(12) | BIT(22) | OSXSAVE | BIT(28) | BIT(29),         /* FMA, MOVBE, AVX, F16C */
    V3_7B = BIT(3) | BIT(5) | BIT(8),                                /* BMI1, AVX2, BMI2 */
    V3_81C = BIT(5),                                                 /* LZCNT */
    V3_SAVED = 0x06,                                                 /* SSE and AVX registers */
    V4_SAVED = 0xe6                                                  /* and masks, and those of AVX-512 */
};
#define V4_7B (BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31))      /* AVX512 F, DQ, CD, BW, VL */

static int has(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

int mixfast_level_of(const mixfast_features *f) {
    if (!(has(f->leaf1_ecx, V2_1C) && has(f->extended_ecx, V2_81C))) return MIXFAST_ISA_BASE;
    if (!(has(f->leaf1_ecx, V3_1C) && has(f->leaf7_ebx, V3_7B) && has(f->extended_ecx, V3_81C) &&
          has(f->saved, V3_SAVED)))
        return MIXFAST_ISA_V2;
    return has(f->leaf7_ebx, V4_7B) && has(f->saved, V4_SAVED) ? MIXFAST_ISA_V4 : MIXFAST_ISA_V3;
}

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

int mixfast_processor_has(int isa) {
    mixfast_features f = {0, 0, 0, 0};
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) f.leaf1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) f.leaf7_ebx = b;
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) f.extended_ecx = c;
    if (has(f.leaf1_ecx, OSXSAVE)) f.saved = saved_registers();
    return isa > MIXFAST_ISA_BASE && isa <= mixfast_level_of(&f);
}

#else

int mixfast_processor_has(int isa) {
    (void) isa;
    return 0;
}

#endif
