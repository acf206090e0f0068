#include "select.h"

int mixfast_isa_is_available(int isa) {
    switch (isa) {
        case MIXFAST_ISA_BASE: return 1;
#ifdef MIXFAST_HAVE_V2
        case MIXFAST_ISA_V2: __builtin_cpu_init(); return __builtin_cpu_supports("x86-64-v2") != 0;
#endif
#ifdef MIXFAST_HAVE_V3
        case MIXFAST_ISA_V3: __builtin_cpu_init(); return __builtin_cpu_supports("x86-64-v3") != 0;
#endif
#ifdef MIXFAST_HAVE_V4
        case MIXFAST_ISA_V4: __builtin_cpu_init(); return __builtin_cpu_supports("x86-64-v4") != 0;
#endif
        default: return 0;
    }
}

#define DECLARE(room, isa)                                      \
    extern const mixfast_##room##_kernels mixfast_##room##_##isa##_float; \
    extern const mixfast_##room##_kernels mixfast_##room##_##isa##_double;
#define CHOOSE(room, isa, ISA) \
    case MIXFAST_ISA_##ISA: return real_bytes == 8 ? &mixfast_##room##_##isa##_double : &mixfast_##room##_##isa##_float;

#ifdef MIXFAST_HAVE_V2
#define WITH_V2(statement) statement
#else
#define WITH_V2(statement)
#endif
#ifdef MIXFAST_HAVE_V3
#define WITH_V3(statement) statement
#else
#define WITH_V3(statement)
#endif
#ifdef MIXFAST_HAVE_V4
#define WITH_V4(statement) statement
#else
#define WITH_V4(statement)
#endif

#define SELECT(room)                                                                        \
    DECLARE(room, base)                                                                     \
    WITH_V2(DECLARE(room, v2))                                                              \
    WITH_V3(DECLARE(room, v3))                                                              \
    WITH_V4(DECLARE(room, v4))                                                              \
    const mixfast_##room##_kernels *mixfast_select_##room(int isa, int real_bytes) {        \
        switch (isa) {                                                                      \
            CHOOSE(room, base, BASE)                                                        \
            WITH_V2(CHOOSE(room, v2, V2))                                                   \
            WITH_V3(CHOOSE(room, v3, V3))                                                   \
            WITH_V4(CHOOSE(room, v4, V4))                                                   \
            default: return NULL;                                                           \
        }                                                                                   \
    }

/* One line per kernel file. */
SELECT(rows)
SELECT(gaussian)
SELECT(linear)
SELECT(sparse_linear)
SELECT(categorical)
SELECT(centres)
SELECT(sparse_centres)
SELECT(student_t)

/* In double precision only. */
#define DECLARE_GIBBS(isa) extern const mixfast_gibbs_kernels mixfast_gibbs_##isa##_double;
DECLARE_GIBBS(base)
WITH_V2(DECLARE_GIBBS(v2))
WITH_V3(DECLARE_GIBBS(v3))
WITH_V4(DECLARE_GIBBS(v4))
const mixfast_gibbs_kernels *mixfast_select_gibbs(int isa) {
    switch (isa) {
        case MIXFAST_ISA_BASE: return &mixfast_gibbs_base_double;
        WITH_V2(case MIXFAST_ISA_V2: return &mixfast_gibbs_v2_double;)
        WITH_V3(case MIXFAST_ISA_V3: return &mixfast_gibbs_v3_double;)
        WITH_V4(case MIXFAST_ISA_V4: return &mixfast_gibbs_v4_double;)
        default: return NULL;
    }
}
