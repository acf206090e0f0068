#include "ward.h"

#include "real.h"

static ptrdiff_t nearest_group(ptrdiff_t n_groups, ptrdiff_t n_features, ptrdiff_t stride, const double *means,
                               double *sizes, ptrdiff_t which, double *added) {
    const vec infinite = splat(INFINITY);
    vec smallest = infinite;
    double size = sizes[which];
    sizes[which] = INFINITY; /* so that the group adds no number to itself, as what only fills the last vector */
    for (ptrdiff_t g = 0; g < n_groups; g += WIDTH) {
        vec square = splat(0), other = load(sizes + g);
        for (ptrdiff_t j = 0; j < n_features; j++) {
            vec apart = load(means + j * stride + g) - splat(means[j * stride + which]);
            square += apart * apart;
        }
        square *= size * other / (size + other);
        square = if_smaller(square, infinite, square, infinite);
        store(added + g, square);
        smallest = minimum(square, smallest);
    }
    sizes[which] = size;
    double least = least_element(smallest);
    ptrdiff_t found = which == 0 && n_groups > 1;
    if (least < INFINITY)
        for (found = 0; !(added[found] <= least);) found++;
    return found;
}

const mixfast_ward_kernels MIXFAST_TABLE(ward) = {nearest_group};
