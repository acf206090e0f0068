#include "missing.h"

#include "real.h"

/* Columns that are imputed at a time: so many sums, the value that they share and a slope fit 16 registers. */
#define MOST_AT_ONCE 6

/* Whether rows first to last - 1 have an element of the vector that begins at row r: 1, and 0 of all other rows. */
ALWAYS_INLINE vec within(ptrdiff_t r, ptrdiff_t first, ptrdiff_t last) {
    static const double places[] = {0, 1, 2, 3, 4, 5, 6, 7};
    vec place;
    memcpy(&place, places, sizeof place);
    place += splat((double)r);
    vec before_last = if_smaller(place, splat((double)last), splat(1), splat(0));
    return if_smaller(place, splat((double)first), splat(0), before_last);
}

/* The first n missing columns, a constant at every call, of the rows of a vector. */
ALWAYS_INLINE void impute_some(int n, ptrdiff_t n_there, const ptrdiff_t *there, const ptrdiff_t *missing,
                               const double *slopes, const double *mean, ptrdiff_t stride, vec own, const double *x,
                               double *out) {
    vec imputed[MOST_AT_ONCE];
    UNROLL(6)
    for (int a = 0; a < n; a++) imputed[a] = splat(mean[missing[a]]);
    for (ptrdiff_t i = 0; i < n_there; i++) {
        vec deviation = load(x + there[i] * stride) - splat(mean[there[i]]);
        UNROLL(6)
        for (int a = 0; a < n; a++) imputed[a] += splat(slopes[a * n_there + i]) * deviation;
    }
    UNROLL(6)
    for (int a = 0; a < n; a++) {
        double *place = out + missing[a] * stride;
        store(place, if_smaller(splat(0.5), own, imputed[a], load(place)));
    }
}

static void impute(ptrdiff_t n_there, const ptrdiff_t *there, ptrdiff_t n_missing, const ptrdiff_t *missing,
                   const double *slopes, const double *mean, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                   const double *x, double *out) {
    for (ptrdiff_t r = first / WIDTH * WIDTH; r < last; r += WIDTH) {
        vec own = within(r, first, last);
        for (ptrdiff_t a = 0, n; a < n_missing; a += n) {
            n = n_missing - a < MOST_AT_ONCE ? n_missing - a : MOST_AT_ONCE;
#define SOME(n)                                                                                                       \
    case n:                                                                                                           \
        impute_some(n, n_there, there, missing + a, slopes + a * n_there, mean, stride, own, x + r, out + r);         \
        break;
            switch (n) {
                SOME(1)
                SOME(2)
                SOME(3)
                SOME(4)
                SOME(5)
                SOME(6)
            }
        }
    }
}

const mixfast_missing_kernels MIXFAST_TABLE(missing) = {impute};
