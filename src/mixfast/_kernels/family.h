/* The contract between a family of components and the pass over the rows.
 *
 * A family is an algebra of additive sufficient statistics:
 *
 *     pass(X, params) -> stats        stats + stats -> stats        maximise(stats) -> params
 *
 * It is a table of function pointers, called once per chunk of rows, never per row and never per number. The pass knows
 * nothing of what a component is; the family knows nothing of threads, lanes, weights of rows or convergence.
 *
 * `real` below is float or double, as `real_bytes` says. Parameters and statistics are flat arrays of double whatever
 * the rows are. Every pointer except `context` is owned by the caller; the verbs only fill what they are given.
 *
 * Each verb says what it is given and what it fills: IN is read, OUT is filled whatever it held, INOUT is changed or added
 * to. K is n_components, d n_features, A the number of selected components; `work` and `own_work` are room, [n_work] and
 * [n_own_work], whose contents last where it is said.
 *
 * `log_weights` are the logarithms of how likely each component is before a row is seen, and no more than that: they need
 * not be those of a distribution. Their exponentials may sum to less than 1, or to more, and a component that no row can
 * be of has -infinity; all of them may have it.
 *
 * The struct travels to Python in a capsule named MIXFAST_FAMILY_CAPSULE. It begins with its size: members are only ever
 * added at its end, and those that a family was built without are zero, which is the default. The number in the name
 * goes up when a member or a verb changes its meaning; capsules of another number are refused. v8: verbs are
 * given logarithms of the weights.
 */
#ifndef MIXFAST_FAMILY_H
#define MIXFAST_FAMILY_H

#include <stddef.h>
#include <stdint.h>

#define MIXFAST_FAMILY_CAPSULE "mixfast.family_v8"

/* What `maximise` says of the parameters that it wrote: a sum of these, or MIXFAST_FAILED. */
enum {
    MIXFAST_OK = 0,
    MIXFAST_REPAIRED_COVARIANCE = 1, /* a covariance was not positive definite; its diagonal was raised */
    MIXFAST_EMPTIED_COMPONENT = 2,   /* a component holds no rows, counts[k] == 0; its parameters are still finite */
    MIXFAST_NOT_FINITE = 4,          /* the statistics overflowed; the parameters are of no use. The pass adds it itself
                                        where a parameter is not finite after the M-step */
    MIXFAST_CAPPED_PARAMETER = 1024, /* a parameter that would be infinite, or nearly, is the largest that is allowed */
    MIXFAST_LOST_DIGITS = 1 << 20,   /* only from a `quick` family: the new parameters are of no use, and the pass is
                                        made again without it */
    MIXFAST_SPURIOUS_COMPONENT = 4096, /* a component is what was added to its estimate, or a cap, more than its rows:
                                          the others are gathered from all M-steps, this is of the last one */
    MIXFAST_FAILED = -1              /* a family in Python raised; `owner` keeps the exception */
};

/* What `isa` says of the kernels that the pass itself takes. */
enum {
    MIXFAST_ISA_CHOSEN, /* the best of the build and the machine, or what the environment variable MIXFAST_ISA says */
    MIXFAST_ISA_BASE,
    MIXFAST_ISA_V2, /* x86-64-v2, and so on; not on every machine */
    MIXFAST_ISA_V3,
    MIXFAST_ISA_V4,
    MIXFAST_ISA_END
};

/* Some rows. Dense ones are packed: value (row r, feature j) is ((real *)columns)[j * stride + r].
 * `stride` is a multiple of the vector strip, `columns` is aligned to 64 bytes, and the rows from n_rows to stride are
 * filled with zeros: kernels may compute on them, because their responsibilities are always zero.
 *
 * Sparse ones stay where they are: row r has the values t from begin[r] to end[r], value t is of feature index[t], and
 * lies at values + t * value_stride. Rows from n_rows to stride have none. A family that does not `takes_sparse_rows` sees
 * them packed as dense ones. */
typedef struct {
    const void *columns;
    ptrdiff_t n_rows;
    ptrdiff_t stride;
    const int64_t *begin, *end;
    const int32_t *index;
    const char *values;
    ptrdiff_t value_stride; /* bytes; 0 where all are the same */
    int value_bytes;        /* 4: floats, 8: doubles */
} mixfast_chunk;

/* The components that a verb is asked about: component[a] for a < n, each at most once. Everything that is laid out by
 * component and chunk, log densities and responsibilities, is laid out by `a`. */
typedef struct {
    ptrdiff_t n;
    const ptrdiff_t *component;
} mixfast_selection;

typedef struct mixfast_family mixfast_family;

/* What a pass adds up, for all rows. */
typedef struct {
    const double *counts; /* [K], the sums of the responsibilities */
    const double *pivot;  /* [d], as `prepare` gave it: what `stats` are centred about can be read here */
    const double *stats;  /* [n_stats] */
    const double *origin; /* [d], of `common` */
    const double *common; /* [n_common] of a shared term, and for its verbs alone */
    double least_weight;  /* of a row, of those above zero: beside large ones it may be lost in sums */
} mixfast_totals;

/* ---- what every family has ----------------------------------------------------------------------------------------- */

/* Once per pass: params -> tables, and the point that is taken off every row before it is packed. Log densities must
 * include the log weight, so it belongs in the tables. Sparse rows have no pivot.
 * IN log_weights[K], params[n_params]; INOUT work, with what `prepare_component` left; OUT pivot[d], all zero on entry,
 * tables[n_tables] of real. */
typedef void (*mixfast_prepare)(const mixfast_family *, const double *log_weights, const double *params, double *work,
                                double *pivot, void *tables);

/* Once per chunk: out[a * stride + r] = log weight + log density of row r under component[a].
 * IN tables, the chunk, the selection; scratch is room, [n_scratch_columns][stride] of real; OUT out[A][stride] of real.
 * Returns 0, or MIXFAST_FAILED. */
typedef int (*mixfast_log_density)(const mixfast_family *, const void *tables, const mixfast_chunk *,
                                   const mixfast_selection *, void *scratch, void *out);

/* Once per chunk: add the chunk's statistics of the selected components; resp[a * stride + r] is already multiplied by
 * the row's weight.
 * IN tables, the chunk, the selection, resp[A][stride] of real; scratch as above; INOUT stats[n_stats].
 * Returns 0, or MIXFAST_FAILED. */
typedef int (*mixfast_accumulate)(const mixfast_family *, const void *tables, const mixfast_chunk *,
                                  const mixfast_selection *, const void *resp, void *scratch, double *stats);

/* Once per pass: new parameters, which are finite even where counts[k] is 0: a component that lost its rows has no
 * statistics, and what weight its proportions say.
 * IN totals; OUT work, for `maximise_component`; INOUT params[n_params], on entry those that the statistics were gathered
 * at. Returns a status. */
typedef int (*mixfast_maximise)(const mixfast_family *, const mixfast_totals *, double *work, double *params);

/* ---- optional verbs: NULL, or there ---------------------------------------------------------------------------------- */

/* Once per pass and component, before `prepare`: whatever takes long and concerns one component alone, left in `work`.
 * Runs in several threads, each with `own_work`.
 * IN log_weights[K], params[n_params]; OUT the part of work that is component k's. */
typedef void (*mixfast_prepare_component)(const mixfast_family *, ptrdiff_t k, const double *log_weights,
                                          const double *params, double *own_work, double *work);

/* Once per pass and component, after `maximise` and with what it left in `work`: whatever takes long and concerns one
 * component alone. Runs in several threads, each with `own_work`.
 * IN totals, work; INOUT what of params[n_params] is component k's. Returns a status. */
typedef int (*mixfast_maximise_component)(const mixfast_family *, ptrdiff_t k, const mixfast_totals *,
                                          const double *work, double *own_work, double *params);

/* Log density of the prior at params, up to a constant; without it the prior is flat. IN params[n_params]. */
typedef double (*mixfast_log_prior)(const mixfast_family *, const double *params);

/* Statistics that were gathered at some parameters, as the same responsibilities and weights of rows would have given them
 * at others: sums about other points, so that `maximise` finds from them there what it would have found here. Only where
 * that is exact, or where `maximise` makes one step of Newton's method: then those of the quadratic that the step is the
 * maximum of. Without it statistics stay where they were gathered.
 * IN counts[K], last_pivot[d], last_params[n_params], pivot[d], params[n_params]; INOUT stats[n_stats]. */
typedef void (*mixfast_recentre)(const mixfast_family *, const double *counts, const double *last_pivot,
                                 const double *last_params, const double *pivot, const double *params, double *stats);

/* Back from a step that was too long: parameters half way between it and the last ones. Without it each number is the mean
 * of the two, which is wrong where a family keeps a point among its parameters that others are about.
 * IN last_params[n_params]; INOUT params[n_params]. */
typedef void (*mixfast_go_half_way)(const mixfast_family *, const double *last_params, double *params);

/* ---- groups of optional verbs: NULL, or complete. A group never grows; there will be others -------------------------- */

/* Bounds: what no row of a chunk is above, so that components far from it need not be asked. */

/* As log_density, for components that are likely to be out of reach: where a row's log density is certain to be below
 * floor[a], -inf may stand for it. ceiling[a] receives what no row's log density is above, floor or not.
 * IN tables, the chunk, the selection, floor[A]; scratch as there; OUT out[A][stride] of real, ceiling[A]. */
typedef void (*mixfast_bounded_log_density)(const mixfast_family *, const void *tables, const mixfast_chunk *,
                                            const mixfast_selection *, const double *floor, void *scratch, void *out,
                                            float *ceiling);

/* Once per pass and component: what `carry` needs to know of the way from the last pass's parameters to this one's. Runs
 * in several threads, each with `own_work`.
 * IN last_log_weights[K], last_params[n_params], log_weights[K], params[n_params]; OUT what of carry[n_carry] is
 * component k's. */
typedef void (*mixfast_prepare_carry)(const mixfast_family *, ptrdiff_t k, const double *last_log_weights,
                                      const double *last_params, const double *log_weights, const double *params,
                                      double *own_work, double *carry);

/* Once per chunk: ceiling[k], what no log density of the chunk's rows under component k was above at the last pass's
 * parameters, becomes the same at this one's. Infinite ones stay as they are.
 * IN carry[n_carry]; INOUT ceiling[K]. */
typedef void (*mixfast_carry)(const mixfast_family *, const double *carry, float *ceiling);

typedef struct {
    ptrdiff_t n_carry; /* doubles */
    mixfast_bounded_log_density bounded_log_density;
    mixfast_prepare_carry prepare_carry;
    mixfast_carry carry;
} mixfast_bounds;

/* Free numbers: any of which make parameters, so that the course of EM can be extrapolated in a straight line. A number is
 * infinite where a parameter is at the edge of its domain for good (a probability of 0): it is given back as it was. A
 * finite number never makes a parameter of the edge. Both verbs return 0; nonzero where the parameters would not be finite,
 * or MIXFAST_FAILED. */

/* IN params[n_params]; OUT numbers[n_free]. */
typedef int (*mixfast_unconstrain)(const mixfast_family *, const double *params, double *numbers);

/* IN numbers[n_free]; work is room; OUT params[n_params]. */
typedef int (*mixfast_constrain)(const mixfast_family *, const double *numbers, double *work, double *params);

typedef struct {
    ptrdiff_t n_free; /* doubles */
    mixfast_unconstrain unconstrain;
    mixfast_constrain constrain;
} mixfast_free_numbers;

/* A shared term: what all components have in common need not be computed for each, nor in every pass, as long as that
 * loses no digits. So a family may have a `quick` one: of the same parameters and sizes, with verbs of its own, of which
 * `log_density` leaves out a term of the row. It makes those iterations of EM for which `loses_digits` is 0; the family
 * itself makes all others, and starts and predictions. This group is that of a quick family, and of no other. */

/* Once for a set of rows: add the sums that no parameter enters, over rows about an origin that stays the same.
 * IN the chunk, weight[stride] of real, the rows'; scratch as that of log_density; INOUT common[n_common]. */
typedef void (*mixfast_accumulate_common)(const mixfast_family *, const mixfast_chunk *, const void *weight,
                                          void *scratch, double *common);

/* Once per pass: the total over all rows of weight times the term that `log_density` leaves out.
 * IN totals, of which only pivot, origin and common are set, params[n_params]; work is room. */
typedef double (*mixfast_common_evidence)(const mixfast_family *, const mixfast_totals *, const double *params,
                                          double *work);

/* Before a pass: nonzero where sums or log densities at these parameters would lose too many digits.
 * IN log_weights[K], params[n_params]; work is room. */
typedef int (*mixfast_loses_digits)(const mixfast_family *, const double *log_weights, const double *params,
                                    double *work);

typedef struct {
    ptrdiff_t n_common; /* doubles */
    mixfast_accumulate_common accumulate_common;
    mixfast_common_evidence common_evidence;
    mixfast_loses_digits loses_digits;
} mixfast_shared_term;

/* Once per chunk, of a quick family with bounds: the term that `log_density` leaves out, of each row. Returns where it is
 * in scratch, [stride] of real. Floors and ceilings have the term, the `out` of bounded_log_density has not; that is
 * called next, after log_density, and finds scratch as this left it.
 * IN tables, the chunk; OUT scratch. */
typedef const void *(*mixfast_row_term)(const mixfast_family *, const void *tables, const mixfast_chunk *,
                                        void *scratch);

/* A record: statistics in a layout that follows from the sizes alone, whatever the instruction set and the precision, so
 * that they can be added to those of another machine. Without the group statistics are a record as they are. */

/* IN stats[n_stats]; OUT record[n_record]. */
typedef void (*mixfast_collect)(const mixfast_family *, const double *stats, double *record);

/* The inverse. IN record[n_record]; OUT stats[n_stats], all zero on entry. */
typedef void (*mixfast_restore)(const mixfast_family *, const double *record, double *stats);

typedef struct {
    ptrdiff_t n_record; /* doubles */
    mixfast_collect collect;
    mixfast_restore restore;
} mixfast_record;

/* Posteriors: parameters that are those of the components' posterior under a conjugate prior, of which `prepare` makes
 * expected log densities. `maximise` then is the update of variational Bayes, and EM increases the evidence lower bound. */

/* The log marginal likelihood of the rows that gave a component its statistics, f(rows) = integral of the likelihood
 * under the prior, but for terms of rows alone. What `maximise` added to the statistics (`reg_covar`) is taken into
 * account. Adds each component's to own[K], and returns what all components have in common.
 * IN counts[K], params[n_params]; INOUT own[K]. */
typedef double (*mixfast_log_evidence)(const mixfast_family *, const double *counts, const double *params, double *own);

/* A stream of random numbers, each of which moves it on: what comes depends on nothing but where the stream began. The
 * functions are there; what else is in it is theirs. */
typedef struct mixfast_stream mixfast_stream;
struct mixfast_stream {
    double (*normal)(mixfast_stream *);                  /* mean 0, variance 1 */
    double (*log_gamma)(mixfast_stream *, double shape); /* the logarithm of a Gamma(shape, rate 1) variate: of small
                                                            shapes these are below what a double holds */
    uint64_t seed;
    uint32_t counter[4];
    double spare; /* another normal variate, where has_spare */
    int has_spare;
    double (*uniform)(mixfast_stream *); /* in [0, 1) */
};

/* Parameters of component k, drawn from its posterior. IN params[n_params]; INOUT stream; OUT what of
 * drawn[plain->n_params] is component k's. Runs in several threads, each with `own_work`. */
typedef void (*mixfast_draw)(const mixfast_family *, ptrdiff_t k, const double *params, mixfast_stream *stream,
                             double *own_work, double *drawn);

/* A row drawn from component k. It need not be rounded to the rows' precision, and may overflow.
 * IN params[n_params]; INOUT stream; OUT row[d]. */
typedef void (*mixfast_draw_row)(const mixfast_family *, ptrdiff_t k, const double *params, mixfast_stream *stream,
                                 double *row);

typedef struct {
    mixfast_log_evidence log_evidence;
    ptrdiff_t n_common; /* doubles; 0 where the prior does not depend on the rows */
    mixfast_accumulate_common accumulate_common; /* then: as that of a shared term. `maximise` finds the sums in
                                                    `common` */
    const mixfast_family *plain; /* the family of given parameters, of the same rows and components */
    mixfast_draw draw;           /* parameters of that; both are NULL where components are not independent given their
                                    rows: such a posterior is for variational Bayes alone */
} mixfast_posterior;

struct mixfast_family {
    size_t struct_size;               /* sizeof(mixfast_family) where the family was built */
    ptrdiff_t n_components, n_features;
    ptrdiff_t n_params, n_stats;      /* doubles */
    ptrdiff_t n_tables;               /* reals */
    ptrdiff_t n_scratch_columns;      /* scratch for one thread: so many columns of a chunk's stride, aligned as they are */
    ptrdiff_t n_work;                 /* doubles of work space for verbs that are asked about all components */
    ptrdiff_t n_own_work;             /* doubles of work space for verbs that are asked about one component */
    ptrdiff_t flops_per_component;    /* rough, of these verbs */
    ptrdiff_t flops_per_row;          /* rough, of all components: for the choice of threads, of signal checks and of what
                                         pays. 0: estimated, see BoundFamily in _capsule.pyx */
    ptrdiff_t flops_per_value;        /* the same for each value of a sparse row */
    int real_bytes;                   /* 4: rows are computed in float, 8: in double */
    int isa;                          /* which compiled kernels the pass itself takes; 0: the engine chooses */
    int gathers_rows;                 /* statistics cost so much that a component's rows are better gathered first */
    int takes_sparse_rows;            /* chunks are sparse */
    int needs_gil;                    /* a family in Python: the pass then runs on one thread */
    int starts_inside;                /* rows of one component alone may put parameters to the edge of their domain (a
                                         probability of 0), which EM does not leave: starts share rows among components */
    const void *context;              /* the family's own constants: read-only while a pass runs */
    void *owner;                      /* a Python object, or NULL; its `error` is raised after MIXFAST_FAILED */
    mixfast_prepare prepare;
    mixfast_log_density log_density;
    mixfast_accumulate accumulate;
    mixfast_maximise maximise;
    /* optional from here on */
    mixfast_prepare_component prepare_component;
    mixfast_maximise_component maximise_component;
    mixfast_log_prior log_prior;
    const mixfast_bounds *bounds;
    const mixfast_free_numbers *free_numbers;
    const mixfast_family *quick;
    const mixfast_shared_term *shared_term; /* of a quick family */
    const mixfast_record *record;
    mixfast_recentre recentre;
    int further_start_passes;         /* M-steps of a start after the one that measures about the means */
    const mixfast_posterior *posterior;
    int may_overshoot;                /* 1: the M-step may lower the objective, as a step of Newton's method does that is
                                         too long: it is then halved. -1: the M-step does not maximise the objective */
    mixfast_go_half_way go_half_way;
    mixfast_row_term row_term;        /* of a quick family that has bounds */
    mixfast_draw_row draw_row;
};

/* What a struct holds at least: all that is not optional. */
#define MIXFAST_FAMILY_LEAST_SIZE offsetof(mixfast_family, prepare_component)

#endif
