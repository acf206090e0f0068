/* What the processor and the operating system can run, asked of the processor itself: the builtin functions for it need
   a part of the compiler's runtime that clang-cl does not link. */
#ifndef MIXFAST_PROCESSOR_H
#define MIXFAST_PROCESSOR_H

/* What an x86-64 processor says of itself. */
typedef struct {
    unsigned leaf1_ecx;     /* CPUID 1, ECX */
    unsigned leaf7_ebx;     /* CPUID 7.0, EBX */
    unsigned extended_ecx;  /* CPUID 0x80000001, ECX */
    unsigned saved;         /* XCR0: registers that the operating system keeps when it switches threads; 0 if it does
                               not say */
} mixfast_features;

/* The best of MIXFAST_ISA_BASE to MIXFAST_ISA_V4, of family.h, whose code runs with these. */
int mixfast_level_of(const mixfast_features *);

/* 1 where code for this instruction set, MIXFAST_ISA_V2 to MIXFAST_ISA_V4, runs here. */
int mixfast_processor_has(int isa);

#endif
