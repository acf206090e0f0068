"""Draws of partitions of the rows from their posterior, for any family whose parameters can be drawn.

The prior is of Gibbs type: a partition into K clusters of sizes n_k has the probability V(n, K) prod_k Gamma(n_k + c)
(Gnedin & Pitman, "Exchangeable Gibbs partitions and Stirling triangles", Journal of Mathematical Sciences 138, 2006).
With f_k the log evidence of the rows of cluster k the posterior is proportional to that times prod_k exp(f_k).

A sweep has four kinds of moves, each of which leaves the posterior as it is:

*Labels.* Given weights w_k ~ Gamma(n_k + c) and parameters from the posterior of each cluster, every row draws its
label among the clusters that are there, in one pass of the plain family. Rows are independent but for one thing: no
cluster may lose its last row, or K would change without what belongs to that. So labels take effect in the order of the
rows, and a row that is the last of its cluster stays.

*Split and merge* (Jain & Neal, "Splitting and merging components of a nonconjugate Dirichlet process mixture model",
Bayesian Analysis 2 (2007), with all rows of the last scan at once). Half of the proposals would split a cluster, the
others would merge an ordered pair. Both begin with a launch that knows the rows of the cluster or the pair and not how
they are divided now: random halves, some scans of parameters and labels in two clusters, then parameters once more,
under which row i has the label z with probability r_i(z). A split draws labels by r, a merge asks r for the present
ones:

    log H = log V(n, K + 1) - log V(n, K) + sum over both halves of [lgamma(n + c) + f] - [lgamma(n + c) + f] of the
            whole - sum_i log r_i(z_i) - log(K + 1)

for a split of K clusters; minus that of K - 1 for a merge.

*Single rows* (Neal, "Markov chain sampling methods for Dirichlet process mixture models", Journal of Computational and
Graphical Statistics 9 (2000), algorithm 2). Given parameters of the clusters, some rows, one after the other, leave
their cluster and go to one of the others with a probability proportional to (n_k + c) f(x | parameters), or begin one
of their own, proportional to V(n, K + 1) / V(n, K) Gamma(1 + c) f_x, f_x the evidence of that row alone. So small
clusters come and go: 1,000 sweeps of 82 galaxies (`galaxies-dp-fixed-alpha` of the golden posteriors) are worth 84
independent draws of K and take 37 ms; without these moves 5, and 19 ms.

*Concentration* of a Dirichlet process, where it has a Gamma prior (Escobar & West, "Bayesian density estimation and
inference using mixtures", Journal of the American Statistical Association 90 (1995), section 6).

A row of weight w, an integer, is w equal rows that move together: the posterior is that of w copies, given that copies
share a cluster. All of it is functions without the GIL over a chain_t, in memory that is used again.
"""

from libc.math cimport INFINITY, exp, fabs, lgamma, log, log1p
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from mixfast._em cimport em_t, gather_common_of_prior, start_from_order
from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._drawing cimport (
    draw_log_weights,
    draw_parameters,
    labelling_by,
    labelling_t,
    logarithms,
    source_t,
    tabulating_by,
    tabulation_t,
)
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, family_t, stream_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    LANE_COUNTS,
    LANE_EVIDENCE,
    STOPPED,
    arena_t,
    measure_arena,
    open_arena,
    pass_t,
    place_pass,
    raise_error_of,
    run_pass,
    shape_pass,
    strategy_t,
    take,
    visit_only,
)
from mixfast.engine._random cimport (
    CONCENTRATIONS,
    DRAWN_LABELS,
    DRAWN_PARAMETERS,
    DRAWN_WEIGHTS,
    PROPOSALS,
    SCANNED_LABELS,
    SCANNED_PARAMETERS,
    SCANNED_WEIGHTS,
    SINGLE_PARAMETERS,
    SINGLE_ROWS,
    next_uniform,
    open_stream,
    uniform,
)
from mixfast.engine._rows cimport Rows, value_of, weighed_t
from mixfast.engine._special cimport lgamma_rise
from mixfast.engine._starts cimport sort_by_label
from mixfast.proportions._free cimport free_proportions

import numpy as np

cdef enum:
    NOT_FINITE = -4            # return code, beside those of passes: parameters of a posterior are not finite
    MOST_SCANS = 32            # scans in a launch, at most
    MOST_PROPOSALS = 64        # splits and merges in a sweep, at most
    MOST_SINGLES = 1000        # rows that a sweep moves one by one, at most
    SPREAD_OF = 200            # rows from which the spread of each column is estimated
    SINGLES_AT_ONCE = 32       # clusters of one row whose evidence one pass computes


cdef int raise_what_stopped(const family_t *f, int code) except -1:
    if code == STOPPED:
        return -1  # Python has the exception already
    if code == NOT_FINITE:
        raise FloatingPointError("parameters of a posterior are not finite: rows are too large, or so is a prior")
    return 0 if code == 0 else raise_error_of(f)


# ---- the state -----------------------------------------------------------------------------------------------------

# The prior of partitions: log V(n, K) + sum of lgamma(n_k + c).
cdef struct process_t:
    double c
    double *log_v                  # log V(n, K) for K = 0 .. room + n_singles + 1
    double concentration
    double shape, rate             # of the Gamma prior of the concentration; 0 if the concentration is fixed

# Counts of proposals of one kind.
cdef struct tally_t:
    Py_ssize_t n_proposed, n_accepted

cdef struct chain_t:
    process_t process
    uint64_t seed
    uint32_t sweep
    int n_threads
    int n_scans
    int n_proposals                # in a sweep
    Py_ssize_t n_rows
    const double *weight           # of the rows; NULL: 1 each
    double total                   # sum of the weights
    clusters_t *all                # all clusters, with room for new ones
    clusters_t *pair               # the two clusters of a proposal
    Py_ssize_t n_clusters
    int64_t *labels                # [n_rows]
    int64_t *drawn                 # [n_rows], labels that were drawn but are not in effect yet
    uint32_t *order                # [n_rows], workspace to sort rows
    uint32_t *members              # [n_rows], rows of a proposal
    double *direction              # [n_features], difference of two members, for a first division
    Py_ssize_t *n_members          # [room + n_singles], number of rows of each cluster
    double *sizes                  # [room + n_singles], total weight of each cluster
    double *log_evidence           # [room + n_singles], of each cluster; valid if has_evidence
    double *pair_evidence          # [2]
    clusters_t *singles            # SINGLES_AT_ONCE clusters of one row
    Py_ssize_t n_singles           # rows that a sweep moves one by one; each sweep takes the next block of rows
    bint moves_singles             # whether it does
    double *single_evidence        # [n_rows], log evidence of each row in a cluster of its own; NaN: not computed yet
    double *some_evidence          # [SINGLES_AT_ONCE], workspace
    double *table                  # [room + n_singles][n_singles], log densities of the block under each cluster
    Py_ssize_t *columns            # [room + n_singles], where each cluster's densities are in the table
    double *log_terms              # [room + n_singles], workspace of a draw
    bint has_evidence
    bint has_parameters            # parameters of `all` belong to the present labels
    bint is_near                   # or to labels from which the present ones differ in few rows
    tally_t splits, merges


# ---- clusters: a posterior and its plain family, bound to so many components, and their passes ----------------------

cdef struct clusters_t:
    em_t em                        # of the posterior
    pass_t posterior
    pass_t plain                   # of given parameters
    Py_ssize_t room                # number of components; those beyond the number of clusters are empty
    Py_ssize_t *places             # [room + 2], workspace to sort rows by label
    bint has_drawn                 # whether parameters of all components were drawn at least once


cdef void place_clusters(clusters_t *clusters, const family_t *f, const rows_t *rows, weighed_t weighed, int n_threads,
                         arena_t *arena) noexcept nogil:
    shape_pass(&clusters.posterior, f, free_proportions(), rows, weighed, n_threads, 0)
    place_pass(&clusters.posterior, arena)
    shape_pass(&clusters.plain, f.posterior.plain, logarithms(), rows, weighed, n_threads, 0)
    clusters.plain.moves_together = rows.weight != NULL
    place_pass(&clusters.plain, arena)
    clusters.room = f.n_components
    clusters.places = <Py_ssize_t *> take(arena, (f.n_components + 2) * sizeof(Py_ssize_t))
    clusters.em.p = &clusters.posterior


cdef int find_parameters(chain_t *c, clusters_t *clusters, const int64_t *labels, const uint32_t *rows,
                         Py_ssize_t n_rows, Py_ssize_t n_clusters, int n_passes) noexcept nogil:
    """Posterior parameters of clusters from labels. IN rows [n_rows]: a subset of the rows; NULL: all. Moments are
    taken about the previous means; if these are far off, a second pass follows."""
    cdef int code
    sort_by_label(rows, n_rows, labels, n_clusters, c.order, clusters.places)
    visit_only(&clusters.posterior, c.order, n_rows, c.n_threads)
    clusters.em.status = 0
    code = start_from_order(&clusters.em, labels, n_passes)
    return NOT_FINITE if code == 0 and clusters.em.status & MIXFAST_NOT_FINITE else code


cdef inline const double *sizes_of(const clusters_t *clusters) noexcept nogil:
    """Total row weight of each cluster [room], as counted by the pass that made the parameters."""
    return clusters.posterior.lanes + LANE_COUNTS


cdef void find_evidence(clusters_t *clusters, double *log_evidence) noexcept nogil:
    """OUT log_evidence[room]: log marginal likelihood of each cluster's rows."""
    cdef const family_t *f = clusters.posterior.family
    memset(log_evidence, 0, clusters.room * sizeof(double))
    f.posterior.log_evidence(f, sizes_of(clusters), clusters.posterior.params, log_evidence)


cdef void draw_clusters(clusters_t *clusters, Py_ssize_t n_clusters, double more, source_t parameters,
                        source_t weights) noexcept nogil:
    """Draw parameters of the first n_clusters clusters from their posteriors, and weights ~ Gamma(size + more)."""
    # parameters of empty components are drawn once, so that they are finite
    draw_parameters(&clusters.posterior, n_clusters if clusters.has_drawn else clusters.room, &parameters,
                    clusters.plain.params)
    clusters.has_drawn = True
    draw_log_weights(n_clusters, sizes_of(clusters), more, &weights, clusters.plain.mixing)
    cdef Py_ssize_t k
    for k in range(n_clusters, clusters.room):
        clusters.plain.mixing[k] = -INFINITY


cdef int label(chain_t *c, clusters_t *clusters, const labelling_t *labelling, const uint32_t *rows, Py_ssize_t n_rows,
               double *log_probability) noexcept nogil:
    """Draw labels given the drawn parameters and weights. IN rows [n_rows]: a subset of the rows; NULL: all. The sum of
    the log probabilities of the labels is the evidence of the pass."""
    cdef strategy_t strategy = labelling_by(labelling)
    cdef int code
    visit_only(&clusters.plain, rows, n_rows, c.n_threads)
    code = run_pass(&clusters.plain, &strategy)
    log_probability[0] = clusters.plain.lanes[LANE_EVIDENCE]
    return code


cdef class Clusters:
    """A posterior and its plain family, bound to a number of components, with a pass of each over the rows."""

    cdef clusters_t c
    cdef BoundFamily bound
    cdef Rows rows
    cdef void *memory

    def __cinit__(self, capsule, Rows rows not None, int n_threads, const double[::1] blank not None):
        cdef arena_t arena
        cdef Py_ssize_t i
        cdef int code
        self.bound, self.rows = BoundFamily(capsule), rows
        if self.bound.c.posterior == NULL or self.bound.c.posterior.draw == NULL:
            raise ValueError("the family is no posterior whose parameters can be drawn: components must be independent "
                             "given their rows, which those of one tied covariance are not")
        measure_arena(&arena)
        place_clusters(&self.c, &self.bound.c, &rows.c, rows.weighed, n_threads, &arena)
        self.memory = calloc(arena.used, 1)
        if self.memory == NULL:
            raise MemoryError(f"passes over {rows.c.n_rows} rows need {arena.used} bytes of work space")
        open_arena(&arena, self.memory)
        place_clusters(&self.c, &self.bound.c, &rows.c, rows.weighed, n_threads, &arena)
        for i in range(self.bound.c.n_params):
            self.c.posterior.params[i] = blank[i]
        with nogil:
            code = gather_common_of_prior(&self.c.posterior)
        raise_what_stopped(&self.bound.c, code)

    def __dealloc__(self):
        free(self.memory)


# ---- labels ---------------------------------------------------------------------------------------------------------

cdef inline double weight_of(const chain_t *c, Py_ssize_t row) noexcept nogil:
    return 1 if c.weight == NULL else c.weight[row]


cdef void count_members(chain_t *c) noexcept nogil:
    cdef Py_ssize_t row, k
    memset(c.n_members, 0, (c.all.room + c.n_singles) * sizeof(Py_ssize_t))
    memset(c.sizes, 0, (c.all.room + c.n_singles) * sizeof(double))
    for row in range(c.n_rows):
        k = c.labels[row]
        c.n_members[k] += 1
        c.sizes[k] += weight_of(c, row)


cdef int ensure_parameters(chain_t *c) noexcept nogil:
    """Compute parameters and log evidence for the present labels unless they are up to date."""
    cdef int code
    if c.has_parameters:
        return 0
    code = find_parameters(c, c.all, c.labels, NULL, c.n_rows, c.n_clusters, 1 if c.is_near else 2)
    c.is_near = code == 0  # after Ctrl-C parameters belong to a part of the rows
    if code == 0:
        find_evidence(c.all, c.log_evidence)
        c.has_parameters = c.has_evidence = True
    return code


cdef inline source_t source_of(const chain_t *c, uint32_t purpose, uint32_t index) noexcept nogil:
    cdef source_t source
    source.seed, source.sweep, source.purpose, source.index = c.seed, c.sweep, purpose, index
    return source


cdef int move_labels(chain_t *c) noexcept nogil:
    """The move of all labels: each row draws one, and keeps its old one if it is the last row of its cluster."""
    cdef labelling_t labelling
    cdef Py_ssize_t row, old, new
    cdef double log_probability
    cdef int code = ensure_parameters(c)
    if code != 0 or c.n_clusters == 1:
        return code
    draw_clusters(c.all, c.n_clusters, c.process.c, source_of(c, DRAWN_PARAMETERS, 0), source_of(c, DRAWN_WEIGHTS, 0))
    labelling.source = source_of(c, DRAWN_LABELS, 0)
    labelling.n_components, labelling.labels, labelling.are_given = c.n_clusters, c.drawn, False
    code = label(c, c.all, &labelling, NULL, c.n_rows, &log_probability)
    if code != 0:
        return code
    c.has_parameters = c.has_evidence = False
    for row in range(c.n_rows):
        old, new = c.labels[row], c.drawn[row]
        if old != new and c.n_members[old] > 1:
            c.labels[row] = new
            c.n_members[old] -= 1
            c.n_members[new] += 1
            c.sizes[old] -= weight_of(c, row)
            c.sizes[new] += weight_of(c, row)
    return ensure_parameters(c)


# ---- split and merge ------------------------------------------------------------------------------------------------

cdef Py_ssize_t find_members(chain_t *c, Py_ssize_t first, Py_ssize_t second) noexcept nogil:
    """OUT members: numbers of the rows of two clusters, ascending. Returns how many there are."""
    cdef Py_ssize_t row, n = 0
    for row in range(c.n_rows):
        if c.labels[row] == first or c.labels[row] == second:
            c.members[n] = <uint32_t> row
            n += 1
    return n


cdef void divide(chain_t *c, Py_ssize_t n, uint32_t number) noexcept nogil:
    """First labels (0 or 1) of a launch's n members. Proposals alternate between a coin for each member and the nearer
    of two members drawn at random, in columns scaled by their spread. Neither depends on the present labels. With coins
    alone both halves begin at one mean, which a few scans do not leave if there are many columns."""
    cdef const rows_t *rows = &c.all.plain.rows
    cdef uint64_t index = <uint64_t> (number * MOST_SCANS + MOST_SCANS - 1) << 32
    cdef Py_ssize_t step = (n + SPREAD_OF - 1) // SPREAD_OF, n_seen = (n + step - 1) // step, first, second, i, j
    cdef double middle = 0, mean, square, value, along
    for i in range(n):
        c.drawn[c.members[i]] = uniform(c.seed, c.sweep, SCANNED_LABELS, index + <uint64_t> c.members[i]) < 0.5
    if number % 2 == 1 or rows.indptr != NULL:
        return
    # no row has these indices
    first = c.members[<Py_ssize_t> (n * uniform(c.seed, c.sweep, SCANNED_LABELS, index + <uint64_t> c.n_rows))]
    second = c.members[<Py_ssize_t> (n * uniform(c.seed, c.sweep, SCANNED_LABELS, index + <uint64_t> c.n_rows + 1))]
    if first == second:
        return
    for j in range(rows.n_features):
        mean = square = 0
        for i in range(n_seen):
            mean += value_of(rows, c.members[i * step], j) / <double> n_seen
        for i in range(n_seen):
            value = value_of(rows, c.members[i * step], j) - mean
            square += value * value
        c.direction[j] = (value_of(rows, second, j) - value_of(rows, first, j)) / square if square > 0 else 0
        middle += 0.5 * c.direction[j] * (value_of(rows, second, j) + value_of(rows, first, j))
    for i in range(n):
        along = -middle
        for j in range(rows.n_features):
            along += c.direction[j] * value_of(rows, c.members[i], j)
        if along != 0:
            c.drawn[c.members[i]] = along > 0


cdef int launch(chain_t *c, Py_ssize_t n, uint32_t number) noexcept nogil:
    """Find two clusters among the n members without looking at their present labels. OUT c.pair: drawn parameters and
    weights, by which the labels of a split are drawn."""
    cdef uint32_t first_index = number * MOST_SCANS
    cdef labelling_t labelling
    cdef double log_probability
    cdef int scan, code
    labelling.n_components, labelling.labels, labelling.are_given = 2, c.drawn, False
    divide(c, n, number)
    for scan in range(c.n_scans):
        # rounding may spoil a launch, but not what follows from it: it is the same for both directions
        code = find_parameters(c, c.pair, c.drawn, c.members, n, 2, 2 if scan == 0 else 1)
        if code != 0:
            return code
        draw_clusters(c.pair, 2, 1, source_of(c, SCANNED_PARAMETERS, first_index + scan),
                      source_of(c, SCANNED_WEIGHTS, first_index + scan))
        if scan < c.n_scans - 1:
            labelling.source = source_of(c, SCANNED_LABELS, first_index + scan)
            code = label(c, c.pair, &labelling, c.members, n, &log_probability)
            if code != 0:
                return code
    return 0


cdef inline double log_mass(const chain_t *c, double size, double log_evidence) noexcept nogil:
    """Contribution of a cluster to the log posterior: lgamma(size + c) + log evidence."""
    return lgamma(size + c.process.c) + log_evidence


cdef int evaluate_pair(chain_t *c, Py_ssize_t n) noexcept nogil:
    """OUT c.pair_evidence [2]: log evidence of the two clusters of the drawn labels of n members."""
    cdef int code = find_parameters(c, c.pair, c.drawn, c.members, n, 2, 2)
    if code == 0:
        find_evidence(c.pair, c.pair_evidence)
    return code


cdef int try_split(chain_t *c, Py_ssize_t k, uint32_t number, stream_t *stream) noexcept nogil:
    cdef Py_ssize_t n_clusters = c.n_clusters, n, i, n_new = 0
    cdef const double *log_v = c.process.log_v
    cdef labelling_t labelling
    cdef double log_probability, log_ratio, size = 0
    cdef int code
    c.splits.n_proposed += 1
    if c.n_members[k] < 2:
        return 0
    n = find_members(c, k, k)
    code = launch(c, n, number)
    if code != 0:
        return code
    labelling.source = source_of(c, SCANNED_LABELS, number * MOST_SCANS + c.n_scans - 1)
    labelling.n_components, labelling.labels, labelling.are_given = 2, c.drawn, False
    code = label(c, c.pair, &labelling, c.members, n, &log_probability)
    if code != 0:
        return code
    for i in range(n):
        if c.drawn[c.members[i]] == 1:
            n_new += 1
            size += weight_of(c, c.members[i])
    if n_new == 0 or n_new == n:
        return 0
    code = evaluate_pair(c, n)
    if code != 0:
        return code
    log_ratio = (log_v[n_clusters + 1] - log_v[n_clusters] + log_mass(c, c.sizes[k] - size, c.pair_evidence[0])
                 + log_mass(c, size, c.pair_evidence[1]) - log_mass(c, c.sizes[k], c.log_evidence[k])
                 - log_probability - log(n_clusters + 1.0))
    if not log(1 - next_uniform(stream)) < log_ratio:
        return 0
    c.splits.n_accepted += 1
    for i in range(n):
        if c.drawn[c.members[i]] == 1:
            c.labels[c.members[i]] = n_clusters
    c.n_members[n_clusters], c.sizes[n_clusters], c.log_evidence[n_clusters] = n_new, size, c.pair_evidence[1]
    c.n_members[k] -= n_new
    c.sizes[k] -= size
    c.log_evidence[k] = c.pair_evidence[0]
    c.n_clusters += 1
    c.has_parameters = c.is_near = False
    return 0


cdef int try_merge(chain_t *c, Py_ssize_t first, Py_ssize_t second, uint32_t number, stream_t *stream) noexcept nogil:
    cdef Py_ssize_t n_clusters = c.n_clusters, n, i
    cdef const double *log_v = c.process.log_v
    cdef labelling_t labelling
    cdef double log_probability, log_ratio
    cdef int code
    n = find_members(c, first, second)
    code = launch(c, n, number)
    if code != 0:
        return code
    for i in range(n):
        c.drawn[c.members[i]] = c.labels[c.members[i]] == second
    labelling.source = source_of(c, SCANNED_LABELS, number * MOST_SCANS + c.n_scans - 1)
    labelling.n_components, labelling.labels, labelling.are_given = 2, c.drawn, True
    code = label(c, c.pair, &labelling, c.members, n, &log_probability)
    if code != 0:
        return code
    for i in range(n):
        c.drawn[c.members[i]] = 0
    code = evaluate_pair(c, n)
    if code != 0:
        return code
    log_ratio = (log_v[n_clusters - 1] - log_v[n_clusters]
                 + log_mass(c, c.sizes[first] + c.sizes[second], c.pair_evidence[0])
                 - log_mass(c, c.sizes[first], c.log_evidence[first])
                 - log_mass(c, c.sizes[second], c.log_evidence[second]) + log_probability + log(<double> n_clusters))
    if not log(1 - next_uniform(stream)) < log_ratio:
        return 0
    c.merges.n_accepted += 1
    for i in range(n):
        c.labels[c.members[i]] = first
    c.n_members[first] += c.n_members[second]
    c.sizes[first] += c.sizes[second]
    c.log_evidence[first] = c.pair_evidence[0]
    leave_no_gap(c, second)
    c.has_parameters = c.is_near = False
    return 0


cdef void leave_no_gap(chain_t *c, Py_ssize_t k) noexcept nogil:
    """Renumber after cluster k has lost all rows: the last cluster becomes k."""
    cdef Py_ssize_t last = c.n_clusters - 1, row
    c.n_clusters = last
    if k == last:
        return
    for row in range(c.n_rows):
        if c.labels[row] == last:
            c.labels[row] = k
    c.n_members[k], c.sizes[k], c.log_evidence[k] = c.n_members[last], c.sizes[last], c.log_evidence[last]


cdef inline Py_ssize_t draw_below(stream_t *stream, Py_ssize_t n) noexcept nogil:
    return min(<Py_ssize_t> (next_uniform(stream) * <double> n), n - 1)


cdef int propose(chain_t *c, uint32_t number) noexcept nogil:
    cdef stream_t stream = open_stream(c.seed, c.sweep, PROPOSALS, number)
    cdef Py_ssize_t first, second
    if next_uniform(&stream) < 0.5:
        return try_split(c, draw_below(&stream, c.n_clusters), number, &stream)
    c.merges.n_proposed += 1
    if c.n_clusters == 1:
        return 0
    first, second = draw_below(&stream, c.n_clusters), draw_below(&stream, c.n_clusters - 1)
    return try_merge(c, first, second + (second >= first), number, &stream)


# ---- single rows ----------------------------------------------------------------------------------------------------

cdef int find_single_evidence(chain_t *c, const uint32_t *rows, Py_ssize_t n) noexcept nogil:
    """OUT c.single_evidence of these n rows, where it was not computed yet."""
    cdef Py_ssize_t i = 0, n_wanted, k
    cdef uint32_t[SINGLES_AT_ONCE] wanted
    cdef int code
    while i < n:
        n_wanted = 0
        while i < n and n_wanted < SINGLES_AT_ONCE:
            if c.single_evidence[rows[i]] != c.single_evidence[rows[i]]:
                c.drawn[rows[i]] = n_wanted
                wanted[n_wanted] = rows[i]
                n_wanted += 1
            i += 1
        if n_wanted > 0:
            code = find_parameters(c, c.singles, c.drawn, wanted, n_wanted, n_wanted, 2)
            if code != 0:
                return code
            find_evidence(c.singles, c.some_evidence)
            for k in range(n_wanted):
                c.single_evidence[wanted[k]] = c.some_evidence[k]
    return 0


cdef int tabulate(chain_t *c, clusters_t *clusters, Py_ssize_t n_clusters, const uint32_t *rows, Py_ssize_t n,
                  double *table) noexcept nogil:
    """OUT c.table: log densities of n rows under the drawn parameters of n_clusters clusters."""
    cdef tabulation_t tabulation
    cdef strategy_t strategy = tabulating_by(&tabulation)
    cdef Py_ssize_t k
    if n == 0:
        return 0
    for k in range(n_clusters):
        clusters.plain.mixing[k] = 0
    tabulation.n_components, tabulation.size, tabulation.table = n_clusters, c.n_singles, table
    visit_only(&clusters.plain, rows, n, c.n_threads)
    return run_pass(&clusters.plain, &strategy)


cdef Py_ssize_t draw_term(Py_ssize_t n, double *log_terms, double u) noexcept nogil:
    """Draw an index with probability proportional to exp(log_terms[i]), by the uniform variate u. Overwrites
    log_terms [n]."""
    cdef double top = -INFINITY, total = 0
    cdef Py_ssize_t k, last = n - 1
    for k in range(n):
        top = max(top, log_terms[k])
    for k in range(n):
        log_terms[k] = exp(log_terms[k] - top)
        total += log_terms[k]
    total *= u
    for k in range(n):
        if log_terms[k] > 0:
            total -= log_terms[k]
            if total < 0:
                return k
            last = k
    return last  # rounding


cdef int move_single(chain_t *c, Py_ssize_t place, Py_ssize_t *n_columns) noexcept nogil:
    """Move one row: the one at position `place` of the block. IN and OUT n_columns: columns of the table in use."""
    cdef Py_ssize_t row = c.members[place], old = c.labels[row], k, new
    cdef double weight = weight_of(c, row), own = c.process.c
    cdef bint was_alone = c.n_members[old] == 1
    cdef Py_ssize_t n_others = c.n_clusters - was_alone
    cdef double *terms = c.log_terms
    cdef int code = 0
    c.n_members[old] -= 1
    c.sizes[old] -= weight
    for k in range(c.n_clusters):
        if c.n_members[k] == 0:
            terms[k] = -INFINITY
        else:
            terms[k] = c.table[c.columns[k] * c.n_singles + place] + (
                log(c.sizes[k] + own) if weight == 1 else lgamma(c.sizes[k] + weight + own) - lgamma(c.sizes[k] + own))
    # a row that is alone in its cluster may stay there, with the cluster's parameters
    new = old if was_alone else c.n_clusters
    terms[new] = (c.process.log_v[n_others + 1] - c.process.log_v[n_others] + lgamma(weight + own)
                  + c.single_evidence[row])
    k = draw_term(n_others + 1, terms, uniform(c.seed, c.sweep, SINGLE_ROWS, <uint64_t> row))
    if k == c.n_clusters:
        c.n_members[k] = 0
        c.sizes[k] = 0
        c.columns[k] = n_columns[0]
        n_columns[0] += 1
        c.n_clusters += 1
        c.is_near = False
        c.drawn[row] = 0
        code = find_parameters(c, c.pair, c.drawn, &c.members[place], 1, 1, 2)
        if code == 0:
            # only parameters are used; the table is without weights, so those drawn here are ignored
            draw_clusters(c.pair, 1, 1, source_of(c, SINGLE_PARAMETERS, place), source_of(c, SINGLE_PARAMETERS, place))
            code = tabulate(c, c.pair, 1, c.members + place + 1, c.n_singles - place - 1,
                            c.table + c.columns[k] * c.n_singles + place + 1)
    # also after an interrupt: labels have to stay those of a partition
    c.labels[row] = k
    c.n_members[k] += 1
    c.sizes[k] += weight
    if was_alone and k != old:
        c.columns[old] = c.columns[c.n_clusters - 1]
        leave_no_gap(c, old)
        c.is_near = False
    return code


cdef int move_singles(chain_t *c) noexcept nogil:
    """Move the rows of the next block one after the other."""
    cdef Py_ssize_t n = c.n_singles, first = (<Py_ssize_t> c.sweep * n) % c.n_rows, i, n_columns = c.n_clusters
    cdef int code
    if n == 0:
        return 0
    code = ensure_parameters(c)
    if code != 0:
        return code
    for i in range(n):
        c.members[i] = <uint32_t> ((first + i) % c.n_rows)
    for i in range(c.n_clusters):
        c.columns[i] = i
    code = find_single_evidence(c, c.members, n)
    if code != 0:
        return code
    draw_clusters(c.all, c.n_clusters, c.process.c, source_of(c, DRAWN_PARAMETERS, 1), source_of(c, DRAWN_WEIGHTS, 1))
    code = tabulate(c, c.all, c.n_clusters, c.members, n, c.table)
    if code != 0:
        return code
    c.has_parameters = c.has_evidence = False
    for i in range(n):
        code = move_single(c, i, &n_columns)
        if code != 0:
            return code
    return 0


# ---- the concentration ----------------------------------------------------------------------------------------------

cdef void find_log_v(process_t *process, double total, Py_ssize_t n) noexcept nogil:
    """log_v[0 .. n] of a Dirichlet process: alpha^K Gamma(alpha) / Gamma(alpha + total)"""
    cdef double constant = -lgamma_rise(process.concentration, total), step = log(process.concentration)
    cdef Py_ssize_t k
    for k in range(n + 1):
        process.log_v[k] = constant + <double> k * step


cdef void draw_concentration(chain_t *c) noexcept nogil:
    """Given eta ~ Beta(alpha + 1, n) the next alpha is Gamma(shape + K, rate - log eta) with the odds (shape + K - 1) /
    (n (rate - log eta)), else Gamma(shape + K - 1, rate - log eta)."""
    cdef process_t *process = &c.process
    cdef stream_t stream = open_stream(c.seed, c.sweep, CONCENTRATIONS, 0)
    cdef double shape = process.shape + <double> c.n_clusters, rate, own, other, odds
    own = stream.log_gamma(&stream, process.concentration + 1)
    other = stream.log_gamma(&stream, c.total)
    # log of Beta(a, b) = Gamma(a) / (Gamma(a) + Gamma(b)), which is near 0 where n is small beside alpha
    rate = process.rate + max(other - own, 0) + log1p(exp(-fabs(other - own)))
    odds = (shape - 1) / (c.total * rate)
    if not next_uniform(&stream) * (1 + odds) < odds:
        shape -= 1
    # at least what a double can hold the logarithm of
    process.concentration = max(exp(stream.log_gamma(&stream, shape)) / rate, 1e-300)
    find_log_v(process, c.total, c.all.room + c.n_singles + 1)


cdef int sweep(chain_t *c) noexcept nogil:
    """All moves once. Needs room for one new cluster for each proposal; clusters that single rows begin come last, and
    `make_room` follows before the next sweep."""
    cdef uint32_t number
    cdef int code
    c.sweep += 1
    if c.process.shape > 0:
        draw_concentration(c)
    code = move_labels(c)
    for number in range(<uint32_t> c.n_proposals):
        if code == 0:
            code = propose(c, number)
    return move_singles(c) if code == 0 and c.moves_singles else code


# ---- for Python -----------------------------------------------------------------------------------------------------

cdef class Chain:
    """A partition of the rows that moves from draw to draw.

    Parameters
    ----------
    bind : function of n_components
        Returns a capsule of the posterior, and the parameters of the prior, float64 (n_params,).
    rows : Rows
        Weights are positive integers.
    c : float
        Of the Gibbs-type prior: Gamma(n_k + c).
    log_v : function or None
        Takes an array of K and returns log V(n, K); None is a Dirichlet process.
    concentration : float, > 0
    shape, rate : float
        Of the Gamma prior of a Dirichlet process's concentration; 0 keeps the concentration fixed.
    labels : int64 (n_rows,), each number from 0 to the largest at least once
    seed : int
    n_threads, n_scans, n_proposals : int
    moves_singles : bool
        Whether rows are moved one by one too.
    evidence_of_singles : function or None
        Returns the log evidence of each row in a cluster of its own, float64 (n_rows,). None computes it from a
        posterior for each row; rows with weights need that.
    """

    cdef chain_t c
    cdef object bind, log_v, evidence_of_singles
    cdef Rows rows
    cdef Clusters all, pair, singles
    cdef int64_t[::1] own_labels, drawn
    cdef uint32_t[::1] order, members
    cdef Py_ssize_t[::1] n_members
    cdef double[::1] direction
    cdef double[::1] sizes, log_evidence, pair_evidence, own_log_v, single_evidence, some_evidence, table, log_terms
    cdef Py_ssize_t[::1] columns

    def __cinit__(self, bind, Rows rows not None, double c, log_v, double concentration, double shape, double rate,
                  labels, uint64_t seed, int n_threads, int n_scans, int n_proposals, bint moves_singles,
                  evidence_of_singles):
        if not 1 <= n_scans < MOST_SCANS:
            raise ValueError(f"n_scans={n_scans} should be from 1 to {MOST_SCANS - 1}")
        self.n_proposals = n_proposals
        cdef Py_ssize_t n_rows = rows.c.n_rows
        if n_rows > <Py_ssize_t> 0xFFFFFFFF:
            raise ValueError(f"{n_rows} rows are more than the sampler can number")
        self.bind, self.rows, self.log_v = bind, rows, log_v
        self.evidence_of_singles = evidence_of_singles
        self.c.process.c, self.c.process.concentration = c, concentration
        self.c.process.shape, self.c.process.rate = shape, rate
        self.c.seed, self.c.n_threads, self.c.n_scans = seed, n_threads, n_scans
        self.c.n_rows, self.c.weight, self.c.total = n_rows, rows.c.weight, rows.total_weight
        self.own_labels, self.drawn = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
        self.order, self.members = np.zeros(n_rows, dtype=np.uint32), np.zeros(n_rows, dtype=np.uint32)
        self.c.labels, self.c.drawn = &self.own_labels[0], &self.drawn[0]
        self.c.order, self.c.members = &self.order[0], &self.members[0]
        self.direction = np.zeros(rows.c.n_features)
        self.c.direction = &self.direction[0]
        self.pair = self.clusters_of(2)
        self.c.pair = &self.pair.c
        self.pair_evidence = np.zeros(2)
        self.c.pair_evidence = &self.pair_evidence[0]
        self.c.moves_singles = moves_singles
        self.c.n_singles = min(n_rows, MOST_SINGLES) if moves_singles else 0
        if moves_singles:
            self.singles = self.clusters_of(SINGLES_AT_ONCE)
            self.c.singles = &self.singles.c
        self.single_evidence, self.some_evidence = np.empty(n_rows), np.zeros(SINGLES_AT_ONCE)
        self.c.single_evidence, self.c.some_evidence = &self.single_evidence[0], &self.some_evidence[0]
        self.labels = labels

    cdef Clusters clusters_of(self, Py_ssize_t n_components):
        capsule, blank = self.bind(n_components)
        return Clusters(capsule, self.rows, self.c.n_threads, blank)

    cdef int make_room(self) except -1:
        """Bind families to more components, so that each proposal of the next sweep may add a cluster."""
        cdef Py_ssize_t wanted = self.c.n_clusters + self.c.n_proposals, room
        if self.c.all != NULL and wanted <= self.c.all.room <= 4 * wanted + 32:
            return 0
        room = max(8, wanted + wanted // 4)
        self.all = self.clusters_of(room)
        self.c.all = &self.all.c
        n_places = room + self.c.n_singles
        evidence = np.zeros(n_places)
        if self.c.has_evidence:
            evidence[:self.c.n_clusters] = self.log_evidence[:self.c.n_clusters]
        self.n_members, self.columns = np.zeros(n_places, dtype=np.intp), np.zeros(n_places, dtype=np.intp)
        self.sizes, self.log_evidence, self.log_terms = np.zeros(n_places), evidence, np.zeros(n_places)
        self.own_log_v = np.zeros(n_places + 2)
        self.table = np.empty(max(1, n_places * self.c.n_singles))
        self.c.n_members, self.c.columns = &self.n_members[0], &self.columns[0]
        self.c.sizes, self.c.log_evidence, self.c.log_terms = &self.sizes[0], &self.log_evidence[0], &self.log_terms[0]
        self.c.process.log_v, self.c.table = &self.own_log_v[0], &self.table[0]
        count_members(&self.c)
        self.c.has_parameters = self.c.is_near = False
        if self.log_v is None:
            find_log_v(&self.c.process, self.c.total, n_places + 1)
        else:
            np.asarray(self.own_log_v)[1:] = self.log_v(np.arange(1, n_places + 2))
        return 0

    def sweep(self, Py_ssize_t n_sweeps=1):
        """Make n_sweeps sweeps. Ctrl-C ends the present sweep early; the partition is then a valid state of the
        chain."""
        cdef int code
        cdef Py_ssize_t _sweep
        for _sweep in range(n_sweeps):
            self.make_room()
            with nogil:
                code = sweep(&self.c)
            raise_what_stopped(&self.all.bound.c, code)

    @property
    def n_proposals(self):
        """How many splits and merges a sweep proposes. Settable."""
        return self.c.n_proposals

    @n_proposals.setter
    def n_proposals(self, int n_proposals):
        if not 0 <= n_proposals <= MOST_PROPOSALS:
            raise ValueError(f"n_proposals={n_proposals} should be from 0 to {MOST_PROPOSALS}")
        self.c.n_proposals = n_proposals

    @property
    def moves_singles(self):
        """Whether rows are moved one by one too. Settable if the chain was made with True."""
        return bool(self.c.moves_singles)

    @moves_singles.setter
    def moves_singles(self, bint moves_singles):
        if moves_singles and self.singles is None:
            raise ValueError("a chain that was made without moves of single rows has no room for them")
        self.c.moves_singles = moves_singles

    @property
    def labels(self):
        """A copy of the labels of the rows, int64 (n_rows,), counted from 0. Settable."""
        return np.array(self.own_labels)

    @labels.setter
    def labels(self, const int64_t[::1] labels not None):
        if labels.shape[0] != self.c.n_rows:
            raise ValueError(f"{labels.shape[0]} labels for {self.c.n_rows} rows")
        if not np.array_equal(np.unique(labels), np.arange(np.max(labels) + 1)):
            raise ValueError("labels should be the numbers from 0 to the largest of them, each of some row")
        self.own_labels[:] = labels
        if self.singles is None or self.evidence_of_singles is None:
            self.single_evidence[:] = np.nan
        else:
            np.asarray(self.single_evidence)[:] = self.evidence_of_singles()
        self.c.n_clusters = np.max(labels) + 1
        self.c.has_parameters = self.c.has_evidence = self.c.is_near = False
        if self.c.all != NULL and self.c.n_clusters <= self.c.all.room:
            count_members(&self.c)

    @property
    def n_clusters(self):
        return self.c.n_clusters

    @property
    def sizes(self):
        """Total weight of each cluster's rows, (n_clusters,)."""
        self.make_room()
        return np.array(self.sizes[:self.c.n_clusters])

    @property
    def concentration(self):
        return self.c.process.concentration

    @property
    def log_joint(self):
        """log p(partition, rows) at the present concentration."""
        cdef double total
        cdef Py_ssize_t k
        cdef int code
        self.make_room()
        if not self.c.has_evidence:
            with nogil:
                code = ensure_parameters(&self.c)
            raise_what_stopped(&self.all.bound.c, code)
        total = self.c.process.log_v[self.c.n_clusters] + self.c.all.posterior.total_base
        for k in range(self.c.n_clusters):
            total += log_mass(&self.c, self.c.sizes[k], self.c.log_evidence[k])
        return total

    @property
    def splits(self):
        """(proposed, accepted) counts of splits."""
        return self.c.splits.n_proposed, self.c.splits.n_accepted

    @property
    def merges(self):
        """(proposed, accepted) counts of merges."""
        return self.c.merges.n_proposed, self.c.merges.n_accepted
