/* Loops of the C interface, timed in C: benchmarks/capi.py compiles them and says what they take. */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <mixfast.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of the processor, of n_problems fits of n_rows x d rows, one after the other in memory; -1 where one fails. */
double time_fits(const mixfast_api *api, const mixfast_plan *plan, const double *X, int64_t n_problems, int64_t n_rows,
                 int64_t d, void *room, size_t bytes, double *weights, double *params) {
    const double start = now();
    for (int64_t i = 0; i < n_problems; i++) {
        const mixfast_view view = {X + i * n_rows * d, n_rows, d * (int64_t)sizeof(double), sizeof(double), NULL};
        weights[0] = NAN;
        if (api->fit(plan, &view, (uint64_t)i, 1, room, bytes, weights, params, NULL) != MIXFAST_DONE)
            return -1;
    }
    return now() - start;
}

/* Seconds of the processor, of n evaluations of one row, labels and log densities; with tables, or by parameters where these are NULL. */
double time_rows(const mixfast_api *api, const mixfast_plan *plan, const double *X, int64_t n, int64_t d, void *room,
                 size_t bytes, const double *weights, const double *params, const void *tables) {
    const double start = now();
    for (int64_t i = 0; i < n; i++) {
        const mixfast_view view = {X + i * d, 1, d * (int64_t)sizeof(double), sizeof(double), NULL};
        int64_t label;
        double log_density;
        if (api->evaluate(plan, weights, params, tables, &view, 1, room, bytes, &label, &log_density, NULL) != MIXFAST_DONE)
            return -1;
    }
    return now() - start;
}
