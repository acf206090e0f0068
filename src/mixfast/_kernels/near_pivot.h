/* Where moments of columns can be taken about the pivot and moved to the means. */
#ifndef MIXFAST_NEAR_PIVOT_H
#define MIXFAST_NEAR_PIVOT_H

#include "real.h"

/* Moments of columns are taken about the pivot, by matrix products, where the square of the mean's distance from it, in
 * standard deviations, is below this in each column: that loses as many times the rounding. 20,000 x 12, 8 components whose
 * means are D from the pivot, largest error of a variance that is 1: D = 0, 1, 4, 10, 30, 100 in float64 4e-16, 5e-16,
 * 1e-15, 1e-14, 1e-13, 2e-12; D = 0, 1, 2, 4, 10 in float32 4e-8, 3e-7, 4e-7, 1e-6, 9e-6. A component that is narrower
 * than its last variance says is measured about its mean in the next pass. */
#if REAL_IS_DOUBLE
#define NEAR_PIVOT 1e3
#else
#define NEAR_PIVOT 4
#endif
/* Components whose products are made before they are moved to the means. */
#define NEAR_COMPONENTS 8

/* Whether sums of resp x and of resp x^2 about the pivot keep the digits of those about the mean: `shift` is that of the
 * mean in standard deviations. */
ALWAYS_INLINE int is_near_pivot(ptrdiff_t n_features, const real *shift) {
    int is_far = 0;
    for (ptrdiff_t j = 0; j < n_features; j++) is_far |= !(shift[j] * shift[j] < (real)NEAR_PIVOT);
    return !is_far;
}

#endif
