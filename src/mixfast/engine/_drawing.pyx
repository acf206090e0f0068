"""Random draws, from posteriors and given parameters, of what EM would estimate: parameters of components, weights,
labels of rows.

Parameters are drawn by the pass of a posterior family; labels by the pass of its plain family, at given parameters.
Random numbers are counter-based (`_random.pxd`): a draw depends on the seed, the sweep and the index of its component
or row, not on the thread.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport log
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from mixfast.engine._family cimport chunk_t, family_t, stream_t
from mixfast.engine._pass cimport (
    LANE_EVIDENCE,
    assign_fn,
    deliver_nothing,
    densities,
    finish_nothing,
    mend_overflow,
    multiply_by_weights,
    pass_t,
    share_by,
    strategy_t,
    threads_for_components,
    workspace_t,
)
from mixfast.engine._random cimport open_stream, uniform
from mixfast.engine._reals cimport get
from mixfast.proportions._proportions cimport one_for_each, proportions_t

cdef enum:
    # Components that one index of a source may have: streams of the next index begin after them.
    STREAMS_OF_INDEX = 1 << 20


# ---- parameters and weights -----------------------------------------------------------------------------------------

cdef void draw_component(const family_t *f, Py_ssize_t k, const double *params, const source_t *source,
                         double *own_work, double *drawn) noexcept nogil:
    """Draw parameters of component k. IN params: those of the posterior family f; own_work is room. OUT drawn: what is
    component k's of the parameters of f.posterior.plain."""
    cdef stream_t stream = stream_of(source, k)
    f.posterior.draw(f, k, params, &stream, own_work, drawn)


cdef stream_t stream_of(const source_t *source, Py_ssize_t k) noexcept nogil:
    return open_stream(source.seed, source.sweep, source.purpose, source.index * STREAMS_OF_INDEX + <uint32_t> k)


cdef void draw_parameters(const pass_t *p, Py_ssize_t n, const source_t *source, double *drawn) noexcept nogil:
    """Draw parameters of the first n components from their posterior. IN p: a pass of the posterior family. OUT drawn:
    parameters as the plain family lays them out. Uses all threads where the work is long."""
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(n):
            draw_component(p.family, k, p.params, source, p.own_work, drawn)
        return
    for k in prange(n, schedule="dynamic", num_threads=n_threads):
        draw_component(p.family, k, p.params, source, p.own_work + threadid() * p.family.n_own_work, drawn)


cdef void draw_log_weights(Py_ssize_t n, const double *counts, double more, const source_t *source,
                           double *out) noexcept nogil:
    """out[k] = the logarithm of a Gamma(counts[k] + more) variate: all of them, divided by their sum, are Dirichlet."""
    cdef stream_t stream
    cdef Py_ssize_t k
    for k in range(n):
        stream = stream_of(source, k)
        out[k] = stream.log_gamma(&stream, counts[k] + more)


cdef void stay(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
               double *mixing) noexcept nogil:
    """The M-step of `LOGARITHMS` leaves the weights as they are: the sampler draws them."""
    pass


cdef void take(const proportions_t *proportions, Py_ssize_t n, const double *mixing,
               double *log_weights) noexcept nogil:
    memcpy(log_weights, mixing, n * sizeof(double))


cdef proportions_t LOGARITHMS = one_for_each(stay)
LOGARITHMS.log_weights = take


cdef const proportions_t *logarithms() noexcept nogil:
    return &LOGARITHMS


# ---- labels ---------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t draw_label(const workspace_t *space, int real_bytes, Py_ssize_t stride, Py_ssize_t r,
                                  double total, double u) noexcept nogil:
    """The component at which the running sum of row r's probabilities passes u times their total."""
    cdef double left = u * total
    cdef Py_ssize_t a, last = 0
    for a in range(space.selection.n):
        if get(space.resp, real_bytes, a * stride + r) > 0:
            left -= get(space.resp, real_bytes, a * stride + r)
            if left < 0:
                return a
            last = a
    return last  # rounding


cdef int share_and_draw(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                        double *lane) noexcept nogil:
    """Draw a label for each row of the chunk from its responsibilities, by one uniform variate. The sum of the log
    probabilities of these labels takes the place of the evidence; they are rounded as they were for the draw."""
    cdef const labelling_t *labelling = <const labelling_t *> p.strategy.assign_data
    cdef const source_t *source = &labelling.source
    cdef int real_bytes = p.family.real_bytes
    cdef double evidence = lane[LANE_EVIDENCE], total
    cdef Py_ssize_t r, a, row
    space.selection.n = labelling.n_components
    if share_by(p.kernels.softmax, p, start, chunk, space, lane) != 0:
        return 1
    for r in range(chunk.n_rows):
        row = start + r if p.rows.order == NULL else <Py_ssize_t> p.rows.order[start + r]
        total = 0
        for a in range(space.selection.n):
            total += get(space.resp, real_bytes, a * chunk.stride + r)
        if not labelling.are_given:
            labelling.labels[row] = draw_label(
                space, real_bytes, chunk.stride, r, total,
                uniform(source.seed, source.sweep, source.purpose, (<uint64_t> source.index << 32) + <uint64_t> row))
        evidence += log(get(space.resp, real_bytes, labelling.labels[row] * chunk.stride + r) / total)
    lane[LANE_EVIDENCE] = evidence
    return 0


cdef strategy_t only(assign_fn assign, const void *data) noexcept nogil:
    """A strategy that only assigns: it adds nothing up."""
    cdef strategy_t strategy
    strategy.assign, strategy.assign_data = assign, data
    strategy.deliver, strategy.finish, strategy.deliver_data = deliver_nothing, finish_nothing, NULL
    return strategy


cdef strategy_t labelling_by(const labelling_t *labelling) noexcept nogil:
    return only(share_and_draw, labelling)


cdef int tabulate(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """Write log weight + log density of each row to a table_t, times the row's weight where a weight stands for copies
    that share a component (`moves_together`)."""
    cdef const tabulation_t *tabulation = <const tabulation_t *> p.strategy.assign_data
    cdef Py_ssize_t a, r
    space.selection.n = tabulation.n_components
    if densities(p, start, chunk, space) != 0:
        return 1
    mend_overflow(p, chunk, space)
    if p.moves_together:
        multiply_by_weights(p, start, chunk, space)
    for a in range(tabulation.n_components):
        for r in range(chunk.n_rows):
            tabulation.table[a * tabulation.size + start + r] = get(space.resp, p.family.real_bytes,
                                                                    a * chunk.stride + r)
    return 0


cdef strategy_t tabulating_by(const tabulation_t *tabulation) noexcept nogil:
    return only(tabulate, tabulation)
