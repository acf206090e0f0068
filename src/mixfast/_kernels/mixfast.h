/* The C interface of mixfast: fits and evaluations of mixtures from compiled code.
 *
 * A plan is made once, in Python, from an estimator: `mixfast.capi.plan`. The functions are in a table, which
 * PyCapsule_Import(MIXFAST_API, 0) finds, or the integer `mixfast.capi.address`. None of them needs the GIL, allocates,
 * raises, prints or keeps anything: any number of threads may use one plan, each with its own room.
 *
 * The caller owns all memory. K, d: numbers of components and columns. `weights` are [K], `params` [n_params] doubles, whose
 * arrays `plan.layout` names. Reals are floats or doubles, as the plan's dtype says. Room need not be aligned or zero, and
 * nothing in it lasts. With n_threads = 1 no OpenMP team is started, which is safe after fork and in the threads of others;
 * results have the same bits for any number of threads.
 *
 * All return MIXFAST_DONE or what was wrong. What they were to fill is then of no use, unless said otherwise. */
#ifndef MIXFAST_H
#define MIXFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIXFAST_API_VERSION 1
#define MIXFAST_API "mixfast.capi.api_v1"   /* the capsule of the table */
#define MIXFAST_PLAN "mixfast.capi.plan_v1" /* the name of `plan.capsule` */

enum {
    MIXFAST_DONE = 0,
    MIXFAST_BAD_ARGUMENT = -1, /* NULL, too few rows, a negative weight, what is outside the family's domain */
    MIXFAST_NO_ROOM = -2,      /* room or tables are too small; nothing was touched */
    MIXFAST_NO_NUMBERS = -3    /* rows, weights or parameters are not finite, or a fit ended without any: see its status */
};

typedef struct mixfast_plan mixfast_plan; /* opaque, and never written to */

/* Rows, wherever they lie: a value is at data + row * row_stride + column * column_stride, strides are bytes of any sign. */
typedef struct {
    const void *data;
    int64_t n_rows, row_stride, column_stride;
    const double *weight; /* [n_rows], 0 for a row that does not count; NULL: all are 1 */
} mixfast_view;

typedef struct {
    double lower_bound; /* the log-likelihood per unit of weight, with priors, before the last M-step */
    int32_t n_iter;
    int32_t status; /* bits of mixfast.Status */
} mixfast_report;

/* Members are only ever added at the end. */
typedef struct {
    uint32_t version, bytes; /* MIXFAST_API_VERSION and the size of this struct, of the mixfast that is installed */

    /* table_bytes is that of `prepare`. Each may be NULL. */
    int (*sizes)(const mixfast_plan *, int64_t *n_components, int64_t *n_features, int64_t *n_params, int64_t *n_sums,
                 size_t *table_bytes);

    /* Bytes of room for `fit`, which does for everything else with as many rows and threads. */
    int (*room)(const mixfast_plan *, int64_t n_rows, int n_threads, size_t *bytes);

    /* Bytes of room for everything but `fit`. n_rows is 0 where a function takes no rows. */
    int (*pass_room)(const mixfast_plan *, int64_t n_rows, int n_threads, size_t *bytes);

    /* As `fit` of the estimator with random_state=seed. weights[0] is NaN on entry: starts are found as the estimator says;
     * else EM starts from weights and params. The report, which may be NULL, is filled whatever comes of the fit. */
    int (*fit)(const mixfast_plan *, const mixfast_view *, uint64_t seed, int n_threads, void *room, size_t bytes,
               double *weights, double *params, mixfast_report *);

    /* labels [n_rows] of the most likely components, log_density [n_rows] and resp [n_rows][K] of reals; any may be NULL.
     * `tables` are what `prepare` made, and then weights and params are not looked at; or NULL. */
    int (*evaluate)(const mixfast_plan *, const double *weights, const double *params, const void *tables,
                    const mixfast_view *, int n_threads, void *room, size_t bytes, int64_t *labels, void *log_density,
                    void *resp);

    /* The E-step: adds sums over the rows, [n_sums], to those of other rows at the same weights and params; begin with
     * zeros. sums[0] is the log-likelihood, [1] the weight, [2] the number of impossible rows, [3] the least weight above
     * zero (kept, not added), then [K] counts and what `plan.sums_layout` names. */
    int (*gather)(const mixfast_plan *, const double *weights, const double *params, const mixfast_view *, int n_threads,
                  void *room, size_t bytes, double *sums);

    /* The M-step. weights and params are those that the sums were gathered at, and become the next ones; they stay as they
     * are where anything is wrong. status, bits of mixfast.Status, may be NULL. */
    int (*maximise)(const mixfast_plan *, const double *sums, void *room, size_t bytes, double *weights, double *params,
                    int32_t *status);

    /* Static text. */
    const char *(*message)(int code);

    /* Tables for `evaluate`, of table_bytes, which it only reads. They must not be moved. */
    int (*prepare)(const mixfast_plan *, const double *weights, const double *params, void *room, size_t bytes,
                   void *tables, size_t table_bytes);

    /* Sums that were gathered at weights and params, as the same responsibilities would have given them at others, so that
     * they can be added to new ones. */
    int (*recentre)(const mixfast_plan *, const double *weights, const double *params, const double *to_weights,
                    const double *to_params, void *room, size_t bytes, double *sums);

    /* Draws the rows number first, first + 1, ... of a sequence without end that the seed makes: each is a function of seed
     * and number alone, so parts may be drawn anywhere, in any order. rows [n_rows][d] of reals, and the component of each,
     * labels [n_rows], which may be NULL. As much room as a pass of no rows wants. */
    int (*sample)(const mixfast_plan *, const double *weights, const double *params, uint64_t seed, int64_t first,
                  int64_t n_rows, void *room, size_t bytes, int64_t *labels, void *rows);

    /* Stepwise EM of many models of one plan, each of which sees one row: model i has weights [n_rows][K], params
     * [n_rows][n_params], sums [n_rows][n_sums], and sees row i. As `gather`, sums + rate * (row's - sums), `maximise` and
     * `recentre`. labels [n_rows] and log_density [n_rows], of the rows before the step, may be NULL. A model whose row has
     * a log density below `least`, or whose step fails, stays as it is; what failed last is returned. One row's room. */
    int (*follow)(const mixfast_plan *, const mixfast_view *, double rate, double least, void *room, size_t bytes,
                  double *weights, double *params, double *sums, int64_t *labels, double *log_density);
} mixfast_api;

#ifdef __cplusplus
}
#endif

#endif
