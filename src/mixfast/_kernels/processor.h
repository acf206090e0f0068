/* What the processor and the operating system can run, asked of the processor itself: the builtin functions for it need
   a part of the compiler's runtime that clang-cl does not link. */
#ifndef MIXFAST_PROCESSOR_H
#define MIXFAST_PROCESSOR_H

/* 1 where code for this instruction set, MIXFAST_ISA_V2 to MIXFAST_ISA_V4 of family.h, runs. */
int mixfast_processor_has(int isa);

#endif
