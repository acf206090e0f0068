#include "select.h"

#include "processor.h"

int mixfast_isa_is_available(int isa) {
    switch (isa) {
        case MIXFAST_ISA_BASE: return 1;
#ifdef MIXFAST_HAVE_V2
        case MIXFAST_ISA_V2: return mixfast_processor_has(isa);
#endif
#ifdef MIXFAST_HAVE_V3
        case MIXFAST_ISA_V3: return mixfast_processor_has(isa);
#endif
#ifdef MIXFAST_HAVE_V4
        case MIXFAST_ISA_V4: return mixfast_processor_has(isa);
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
SELECT(factors)

/* In double precision only. */
#define CHOOSE_DOUBLE(room, isa, ISA) \
    case MIXFAST_ISA_##ISA: return &mixfast_##room##_##isa##_double;
#define DECLARE_DOUBLE(room, isa) extern const mixfast_##room##_kernels mixfast_##room##_##isa##_double;
#define SELECT_DOUBLE(room)                                                      \
    DECLARE_DOUBLE(room, base)                                                   \
    WITH_V2(DECLARE_DOUBLE(room, v2))                                            \
    WITH_V3(DECLARE_DOUBLE(room, v3))                                            \
    WITH_V4(DECLARE_DOUBLE(room, v4))                                            \
    const mixfast_##room##_kernels *mixfast_select_##room(int isa) {             \
        switch (isa) {                                                           \
            CHOOSE_DOUBLE(room, base, BASE)                                      \
            WITH_V2(CHOOSE_DOUBLE(room, v2, V2))                                 \
            WITH_V3(CHOOSE_DOUBLE(room, v3, V3))                                 \
            WITH_V4(CHOOSE_DOUBLE(room, v4, V4))                                 \
            default: return NULL;                                                \
        }                                                                        \
    }

SELECT_DOUBLE(experts)
SELECT_DOUBLE(gaps)
SELECT_DOUBLE(gate)
SELECT_DOUBLE(gibbs)
SELECT_DOUBLE(missing)
SELECT_DOUBLE(ward)
