"""Verbs for a family that is written in plain Python: each takes the GIL and calls the family's method on arrays.

So there is one pass and one loop for all families; a Python one is slower, runs on one thread, and is otherwise the
same. An exception is kept in `Verbs.error`, the verb reports failure, and the pass raises it.
"""

from cpython.ref cimport Py_INCREF

from mixfast.engine._capsule cimport capsule_of, give_free_numbers, new_struct
from mixfast.engine._family cimport (
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_FAILED,
    MIXFAST_OK,
    chunk_t,
    family_t,
    selection_t,
    totals_t,
)

import numpy as np

from mixfast.in_messages import in_short
from mixfast.status import Status

# The tables that `prepare` makes: a pointer to the parameters of the pass.
ctypedef struct tables_t:
    const double *log_weights
    const double *params


cdef object _array(const double *values, Py_ssize_t n):
    """An array with a copy of the values: a family may keep it after the memory of the pass is freed."""
    return np.array(<double[:n]> <double *> values) if n else np.empty(0)


cdef class Verbs:
    """Owner of a `family_t`: the Python family, bound to a number of components and features."""

    cdef object family, params_layout, stats_layout
    cdef object free_shape  # shape of the array that `unconstrain` returns; None before its first call
    cdef public object error

    def __init__(self, family, n_components, n_features):
        self.family = family
        self.params_layout = family.params_layout(n_components, n_features)
        self.stats_layout = family.stats_layout(n_components, n_features)

    cdef object _rows(self, const chunk_t *chunk, const family_t *f):
        return _array(<const double *> chunk.columns, f.n_features * chunk.stride).reshape(
            f.n_features, chunk.stride)[:, :chunk.n_rows].T

    cdef object _packed(self, layout, verb, record):
        """The numbers of a record that a method returned. Raises TypeError where it is no record."""
        if not isinstance(record, (tuple, list)) or len(record) != len(layout.record._fields):
            raise TypeError(f"{type(self.family).__name__}.{verb} should return {layout.record.__name__}("
                            f"{', '.join(layout.record._fields)}), got {in_short(record)}")
        return layout.pack(record)

    cdef object _params(self, const family_t *f, const double *params):
        return self.params_layout.view(_array(params, f.n_params))

    cdef int log_density(self, const family_t *f, const tables_t *tables, const chunk_t *chunk, double *out) except -1:
        cdef Py_ssize_t k, n_rows = chunk.n_rows
        values = np.asarray(self.family.log_density(self._rows(chunk, f), self._params(f, tables.params)), dtype=float)
        if values.shape != (n_rows, f.n_components):
            raise ValueError(f"{type(self.family).__name__}.log_density returned shape {values.shape}, expected "
                             f"{(n_rows, f.n_components)}: one column for each component")
        params = _array(tables.params, f.n_params)
        if np.isnan(values).any() and np.isfinite(params).all():  # of parameters that are not finite the fit says so
            row, k = np.argwhere(np.isnan(values))[0]
            raise ValueError(f"{type(self.family).__name__}.log_density returned NaN for the row "
                             f"{in_short(self._rows(chunk, f)[row].tolist())} and component {k}, whose parameters are "
                             "finite: return -inf where a row is impossible, and look at very large numbers")
        target = np.asarray(<double[:f.n_components, :chunk.stride]> out)
        target[:, :n_rows] = values.T
        target[:, n_rows:] = 0
        for k in range(f.n_components):
            target[k, :n_rows] += tables.log_weights[k]
        return 0

    cdef int accumulate(self, const family_t *f, const tables_t *tables, const chunk_t *chunk, const double *resp,
                        double *stats) except -1:
        shares = _array(resp, f.n_components * chunk.stride).reshape(f.n_components, chunk.stride)
        record = self.family.accumulate(self._rows(chunk, f), shares[:, :chunk.n_rows].T,
                                        self._params(f, tables.params))
        total = np.asarray(<double[:f.n_stats]> stats)
        total += self._packed(self.stats_layout, "accumulate", record)
        return 0

    cdef int maximise(self, const family_t *f, const double *counts, const double *stats, double *params) except -1:
        cdef Py_ssize_t k
        record = self.family.maximise(_array(counts, f.n_components), self.stats_layout.view(_array(stats, f.n_stats)),
                                      self._params(f, params))
        status = MIXFAST_OK
        if isinstance(record, tuple) and len(record) == 2 and isinstance(record[1], Status):
            record, status = record
        packed = self._packed(self.params_layout, "maximise", record)
        for k in range(f.n_components):
            if counts[k] == 0:
                status |= MIXFAST_EMPTIED_COMPONENT
        # where a component has no rows, or sums overflowed, the fit says so
        if (not status & MIXFAST_EMPTIED_COMPONENT and np.isnan(packed).any()
                and np.isfinite(_array(stats, f.n_stats)).all()):
            name = next(name for name, own in zip(self.params_layout.record._fields, record) if np.isnan(own).any())
            raise ValueError(f"{type(self.family).__name__}.maximise returned NaN in {name}, of finite statistics of "
                             "components that all have rows")
        np.asarray(<double[:f.n_params]> params)[:] = packed
        return status

    cdef int unconstrain(self, const family_t *f, const double *params, double *free) except -1:
        values = np.asarray(self.family.unconstrain(self._params(f, params)), dtype=float)
        if values.size != f.free_numbers.n_free:
            raise ValueError(f"{type(self.family).__name__}.unconstrain returned {values.size} numbers, of shape "
                             f"{values.shape}, expected {f.free_numbers.n_free}: as many as n_parameters says")
        np.asarray(<double[:f.free_numbers.n_free]> free)[:] = values.ravel()
        if self.free_shape is None:  # at the first pass: else what does not fit shows when EM is extrapolated
            self._packed(self.params_layout, "constrain", self.family.constrain(values.copy()))
        self.free_shape = values.shape
        return 0

    cdef int constrain(self, const family_t *f, const double *free, double *params) except -1:
        values = _array(free, f.free_numbers.n_free)
        if self.free_shape is not None:
            values = values.reshape(self.free_shape)
        packed = self._packed(self.params_layout, "constrain", self.family.constrain(values))
        if not np.all(np.isfinite(packed)):
            return 1
        np.asarray(<double[:f.n_params]> params)[:] = packed
        return 0

    cdef int recentre(self, const family_t *f, const double *counts, const double *last_params, const double *params,
                      double *stats) except -1:
        record = self.family.recentre(_array(counts, f.n_components), self.stats_layout.view(_array(stats, f.n_stats)),
                                      self._params(f, last_params), self._params(f, params))
        np.asarray(<double[:f.n_stats]> stats)[:] = self._packed(self.stats_layout, "recentre", record)
        return 0


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    (<tables_t *> tables).log_weights = log_weights
    (<tables_t *> tables).params = params


cdef int log_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *everything,
                     void *scratch, void *out) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.log_density(f, <const tables_t *> tables, chunk, <double *> out)
        except BaseException as error:
            verbs.error = error
            return MIXFAST_FAILED


cdef int accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *everything,
                    const void *resp, void *scratch, double *stats) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.accumulate(f, <const tables_t *> tables, chunk, <const double *> resp, stats)
        except BaseException as error:
            verbs.error = error
            return MIXFAST_FAILED


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.maximise(f, totals.counts, totals.stats, params)
        except BaseException as error:
            verbs.error = error
            return MIXFAST_FAILED


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.family.log_prior(verbs._params(f, params))
        except BaseException as error:
            verbs.error = error
            return float("nan")


cdef int unconstrain(const family_t *f, const double *params, double *free) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.unconstrain(f, params, free)
        except BaseException as error:
            verbs.error = error
            return MIXFAST_FAILED


cdef int constrain(const family_t *f, const double *free, double *work, double *params) noexcept nogil:
    with gil:
        verbs = <Verbs> f.owner
        try:
            return verbs.constrain(f, free, params)
        except BaseException as error:
            verbs.error = error
            return MIXFAST_FAILED


cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    """Python families have no pivot. An exception is kept in `error`, where `EM.recentre` looks for it."""
    with gil:
        verbs = <Verbs> f.owner
        try:
            verbs.recentre(f, counts, last_params, params, stats)
        except BaseException as error:
            verbs.error = error


def bind_python(family, Py_ssize_t n_components, Py_ssize_t n_features):
    """A capsule for a `PythonFamily`; rows are float64 whatever the user's are."""
    verbs = Verbs(family, n_components, n_features)
    if (family.unconstrain is None) != (family.constrain is None):
        raise TypeError(f"{type(family).__name__} has one of unconstrain and constrain, and needs both or neither")
    cdef family_t *f = new_struct(0)
    f.n_components, f.n_features, f.real_bytes, f.needs_gil = n_components, n_features, 8, 1
    f.starts_inside = family.starts_inside
    f.n_params, f.n_stats = verbs.params_layout.size, verbs.stats_layout.size
    f.n_tables = sizeof(tables_t) // sizeof(double)
    f.flops_per_row = 100_000  # rather more signal checks than fewer: Python is slow, and no thread hangs on it
    f.prepare, f.log_density, f.accumulate, f.maximise = prepare, log_density, accumulate, maximise
    f.log_prior = log_prior
    if family.unconstrain is not None:
        give_free_numbers(f, family.n_parameters(n_components, n_features), unconstrain, constrain)
    if family.recentre is not None:
        f.recentre = recentre
    Py_INCREF(verbs)
    f.owner = <void *> verbs
    return capsule_of(f)
