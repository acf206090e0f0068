/* The inner loop of Ward's hierarchy. Double precision only: groups are few, and their means are sums. */
#ifndef MIXFAST_WARD_H
#define MIXFAST_WARD_H

#include <stddef.h>

enum {
    /* A cache line of doubles: the largest vector of all instruction sets. */
    MIXFAST_GROUPS = 8
};

typedef struct {
    /* added[g] = what joining group `which` and group g would add to the sum of squares about the means of groups,
     *     size_which size_g / (size_which + size_g) |mean_which - mean_g|^2,
     * for g < n_groups; infinite for the group itself and where that is no number. Means are columns, [n_features][stride];
     * stride is a multiple of MIXFAST_GROUPS, and sizes are infinite from n_groups on. Arrays are aligned to cache lines.
     * Returns the group that adds least, the first of equals; another than `which` where there is one. */
    ptrdiff_t (*nearest_group)(ptrdiff_t n_groups, ptrdiff_t n_features, ptrdiff_t stride, const double *means,
                               double *sizes, ptrdiff_t which, double *added);
} mixfast_ward_kernels;

#endif
