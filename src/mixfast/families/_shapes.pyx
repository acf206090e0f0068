"""The fourteen shapes of covariances (Celeux & Govaert, Pattern Recognition 28 (1995),
doi:10.1016/0031-3203(94)00125-6; Browne & McNicholas, Advances in Data Analysis and Classification 8 (2014),
doi:10.1007/s11634-013-0139-1).

A covariance is volume * axes diag(variances) axes', the variances having product 1. The three letters of a name say
what components have in common of the three: E is equal, V varies, and I says that variances are equal, or that the axes
are the columns. Each shape is a row of SHAPES: what it does to variances on axes, and what these axes are.
"""

import numpy as np

from libc.math cimport exp, fabs, isfinite, log
from libc.string cimport memcpy, memset

from mixfast.engine._linalg cimport log_diagonal, precision_factor, precision_of_factor
from mixfast.engine._axes cimport diagonalise, make_most_diagonal, sort_axes, turn

cdef enum:
    MOST_ROUNDS = 100      # rounds of an alternating M-step, at most; in EM a few suffice, from the last covariances
cdef double SETTLED = 1e-13  # converged when covariances change by a smaller share


# ---- variances[K][d] on given axes ----------------------------------------------------------------------------------

# volumes[K] are those of the last covariances; work holds d doubles
ctypedef int (*spread_fn)(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
                          double *work) noexcept nogil


cdef double geometric_mean(Py_ssize_t d, const double *numbers) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0
    for j in range(d):
        total += log(numbers[j])
    return exp(total / <double> d)


cdef int _one_each(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
                   double *work) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef double total
    for k in range(n):
        total = 0
        for j in range(d):
            total += variances[k * d + j]
        for j in range(d):
            variances[k * d + j] = total / <double> d
    return 0


cdef int _same(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
               double *work) noexcept nogil:
    cdef Py_ssize_t k, j
    memset(work, 0, d * sizeof(double))
    for k in range(n):
        for j in range(d):
            work[j] += shares[k] * variances[k * d + j]
    for k in range(n):
        memcpy(variances + k * d, work, d * sizeof(double))
    return 0


cdef int _one_for_all(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
                      double *work) noexcept nogil:
    _same(n, d, shares, volumes, variances, work)
    return _one_each(n, d, shares, volumes, variances, work)


cdef int _own(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
              double *work) noexcept nogil:
    return 0


cdef int _same_volume(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
                      double *work) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef double volume = 0
    for k in range(n):
        volumes[k] = geometric_mean(d, variances + k * d)
        if not 0 < volumes[k]:
            return 1
        volume += shares[k] * volumes[k]
    for k in range(n):
        for j in range(d):
            variances[k * d + j] *= volume / volumes[k]
    return 0


cdef int _same_proportions(Py_ssize_t n, Py_ssize_t d, const double *shares, double *volumes, double *variances,
                           double *work) noexcept nogil:
    """Variances that are proportional to each other: alternates between the common proportions and each component's
    volume. IN and OUT volumes[K], variances[K][d]."""
    cdef Py_ssize_t k, j
    cdef double mean, volume, moved
    cdef int _round
    for _round in range(MOST_ROUNDS):
        memset(work, 0, d * sizeof(double))
        for k in range(n):
            for j in range(d):
                work[j] += shares[k] / volumes[k] * variances[k * d + j]
        mean = geometric_mean(d, work)
        if not 0 < mean or not isfinite(mean):
            return 1
        for j in range(d):
            work[j] /= mean
        moved = 0
        for k in range(n):
            volume = 0
            for j in range(d):
                volume += variances[k * d + j] / work[j]
            volume /= <double> d
            if not 0 < volume or not isfinite(volume):
                return 1
            moved = max(moved, fabs(volume - volumes[k]) / volume)
            volumes[k] = volume
        if moved < SETTLED:
            break
    for k in range(n):
        for j in range(d):
            variances[k * d + j] = volumes[k] * work[j]
    return 0


# ---- axes -----------------------------------------------------------------------------------------------------------

cdef void last_volumes(const scatters_t *s, double *volumes) noexcept nogil:
    cdef Py_ssize_t d = s.n_features, k, j
    cdef const double *matrix
    for k in range(s.n_components):
        if s.factors != NULL:
            volumes[k] = exp(-2 * log_diagonal(d, s.factors + k * d * d) / <double> d)
        else:
            volumes[k], matrix = 0, s.matrices + k * d * d
            for j in range(d):
                volumes[k] += matrix[j * (d + 1)] / <double> d
        if not 0 < volumes[k] or not isfinite(volumes[k]):
            volumes[k] = 1


cdef int spread_on_columns(const scatters_t *s, spread_fn spread) noexcept nogil:
    cdef Py_ssize_t n = s.n_components, d = s.n_features, k, j
    cdef double *volumes = s.work
    cdef double *variances = volumes + n
    last_volumes(s, volumes)
    for k in range(n):
        for j in range(d):
            variances[k * d + j] = s.matrices[k * d * d + j * (d + 1)]
    if spread(n, d, s.shares, volumes, variances, variances + n * d) != 0:
        return 1
    for k in range(n):
        for j in range(d):
            s.matrices[k * d * d + j * (d + 1)] = variances[k * d + j]
    return 0


cdef void compose(Py_ssize_t d, const double *variances, const double *axes, double *out) noexcept nogil:
    """out = axes diag(variances) axes'"""
    cdef Py_ssize_t i, j, m
    for i in range(d):
        for j in range(i + 1):
            out[i * d + j] = 0
            for m in range(d):
                out[i * d + j] += axes[i * d + m] * variances[m] * axes[j * d + m]
            out[j * d + i] = out[i * d + j]


cdef int spread_on_own_axes(const scatters_t *s, spread_fn spread) noexcept nogil:
    """Fit variances on each component's own axes, sorted: the j-th largest variances of the components correspond."""
    cdef Py_ssize_t n = s.n_components, d = s.n_features, k, j
    cdef double *volumes = s.work
    cdef double *variances = volumes + n
    cdef double *work = variances + n * d
    cdef double *axes = work + d
    cdef double *matrix
    last_volumes(s, volumes)
    for k in range(n):
        matrix = s.matrices + k * d * d
        diagonalise(1, d, matrix, axes + k * d * d)
        sort_axes(d, matrix, axes + k * d * d)
        for j in range(d):
            variances[k * d + j] = max(matrix[j * (d + 1)], 0.0)  # rounding of what is singular
    if spread(n, d, s.shares, volumes, variances, work) != 0:
        return 1
    for k in range(n):
        compose(d, variances + k * d, axes + k * d * d, s.matrices + k * d * d)
    return 0


cdef int spread_on_common_axes(const scatters_t *s, spread_fn spread, bint takes_logarithms) noexcept nogil:
    """Fit variances on axes that all components share; alternates, from the axes of the last covariances on."""
    cdef Py_ssize_t n = s.n_components, d = s.n_features, k, j
    cdef double *volumes = s.work
    cdef double *variances = volumes + n
    cdef double *axes = variances + n * d
    cdef double *square = axes + d * d
    cdef double *turned = square + d * d
    cdef double *work = turned + n * d * d
    if s.factors != NULL:
        for k in range(n):
            precision_of_factor(d, s.factors + k * d * d, turned + k * d * d)
    else:
        memcpy(turned, s.matrices, n * d * d * sizeof(double))
    diagonalise(n, d, turned, axes)
    for k in range(n):
        turn(d, s.matrices + k * d * d, axes, square, turned + k * d * d)
        for j in range(d):
            if not 0 < turned[k * d * d + j * (d + 1)]:
                return 1
    make_most_diagonal(n, d, s.shares, takes_logarithms, says_no_axes(s), turned, axes, work)
    for k in range(n):
        for j in range(d):
            variances[k * d + j] = turned[k * d * d + j * (d + 1)]
    if spread(n, d, s.shares, volumes, variances, square) != 0:
        return 1
    for k in range(n):
        compose(d, variances + k * d, axes, s.matrices + k * d * d)
    return 0


cdef bint says_no_axes(const scatters_t *s) noexcept nogil:
    """Whether the last covariances define no axes: there are none, or they are spherical, as at a start."""
    cdef Py_ssize_t d = s.n_features, k, i, j
    if s.factors == NULL:
        return True
    for k in range(s.n_components):
        for i in range(d):
            for j in range(i, d):
                if s.factors[(k * d + i) * d + j] != (s.factors[k * d * d] if i == j else 0):
                    return False
    return True


# ---- shapes ---------------------------------------------------------------------------------------------------------

cdef int _EII(const scatters_t *s) noexcept nogil:
    return spread_on_columns(s, _one_for_all)


cdef int _VII(const scatters_t *s) noexcept nogil:
    return spread_on_columns(s, _one_each)


cdef int _EEI(const scatters_t *s) noexcept nogil:
    return spread_on_columns(s, _same)


cdef int _VEI(const scatters_t *s) noexcept nogil:
    return spread_on_columns(s, _same_proportions)


cdef int _EVI(const scatters_t *s) noexcept nogil:
    return spread_on_columns(s, _same_volume)


cdef int _VVI(const scatters_t *s) noexcept nogil:
    return 0


cdef int _EEV(const scatters_t *s) noexcept nogil:
    return spread_on_own_axes(s, _same)


cdef int _VEV(const scatters_t *s) noexcept nogil:
    return spread_on_own_axes(s, _same_proportions)


cdef int _EVE(const scatters_t *s) noexcept nogil:
    return spread_on_common_axes(s, _same_volume, False)


cdef int _VVE(const scatters_t *s) noexcept nogil:
    return spread_on_common_axes(s, _own, True)


cdef int _VVV(const scatters_t *s) noexcept nogil:
    return 0


cdef void pool(const scatters_t *s, const double *volumes, double *out) noexcept nogil:
    """OUT out[d][d]: sum over components of share / volume * scatter."""
    cdef Py_ssize_t size = s.n_features * s.n_features, k, i
    cdef double share
    memset(out, 0, size * sizeof(double))
    for k in range(s.n_components):
        share = s.shares[k] if volumes == NULL else s.shares[k] / volumes[k]
        for i in range(size):
            out[i] += share * s.matrices[k * size + i]


cdef int _EEE(const scatters_t *s) noexcept nogil:
    cdef Py_ssize_t size = s.n_features * s.n_features, k
    pool(s, NULL, s.work)
    for k in range(s.n_components):
        memcpy(s.matrices + k * size, s.work, size * sizeof(double))
    return 0


cdef int _VEE(const scatters_t *s) noexcept nogil:
    """VEE: like `_same_proportions`, with matrices that are proportional to each other."""
    cdef Py_ssize_t n = s.n_components, d = s.n_features, size = d * d, k, i
    cdef double *volumes = s.work
    cdef double *common = volumes + n
    cdef double *factor = common + size
    cdef double *precision = factor + size
    cdef double *work = precision + size
    cdef double scale, volume, moved
    cdef int _round
    last_volumes(s, volumes)
    for _round in range(MOST_ROUNDS):
        pool(s, volumes, common)
        if precision_factor(d, common, work, factor) != 0:
            return 1
        scale = exp(-2 * log_diagonal(d, factor) / <double> d)
        if not 0 < scale or not isfinite(scale):
            return 1
        precision_of_factor(d, factor, precision)
        moved = 0
        for k in range(n):
            volume = 0
            for i in range(size):
                volume += precision[i] * s.matrices[k * size + i]
            volume *= scale / <double> d
            if not 0 < volume or not isfinite(volume):
                return 1
            moved = max(moved, fabs(volume - volumes[k]) / volume)
            volumes[k] = volume
        if moved < SETTLED:
            break
    for k in range(n):
        for i in range(size):
            s.matrices[k * size + i] = volumes[k] / scale * common[i]
    return 0


cdef int _EVV(const scatters_t *s) noexcept nogil:
    cdef Py_ssize_t n = s.n_components, d = s.n_features, size = d * d, k, i
    cdef double *volumes = s.work
    cdef double *factor = volumes + n
    cdef double volume = 0
    for k in range(n):
        if precision_factor(d, s.matrices + k * size, factor + size, factor) != 0:
            return 1
        volumes[k] = exp(-2 * log_diagonal(d, factor) / <double> d)
        if not 0 < volumes[k]:
            return 1
        volume += s.shares[k] * volumes[k]
    for k in range(n):
        for i in range(size):
            s.matrices[k * size + i] *= volume / volumes[k]
    return 0


# ---- a limit of the ratio of eigenvalues ----------------------------------------------------------------------------

cdef double lower_limit(Py_ssize_t n, Py_ssize_t d, const double *shares, const double *numbers,
                        double ratio) noexcept nogil:
    """Returns m such that eigenvalues numbers[n][d], clipped to [m, ratio m], have the largest likelihood. m is the
    root of an increasing function: sum of share (m - e) over e < m plus sum of share (m - e / ratio) over e > ratio
    m."""
    cdef double low = numbers[0], high = numbers[0], m, below, weight
    cdef Py_ssize_t k, j
    cdef int _step
    for j in range(n * d):
        low, high = min(low, numbers[j]), max(high, numbers[j])
    m = max(low, high / ratio)
    if high <= ratio * low:
        return low
    for _step in range(200):  # pieces of straight lines: some five steps of Newton's method
        below = weight = 0
        for k in range(n):
            for j in range(d):
                if numbers[k * d + j] < m:
                    below += shares[k] * numbers[k * d + j]
                    weight += shares[k]
                elif numbers[k * d + j] > ratio * m:
                    below += shares[k] * numbers[k * d + j] / ratio
                    weight += shares[k]
        if not weight > 0:
            return m
        if below > weight * m:
            low = max(low, m)
        else:
            high = min(high, m)
        if below / weight == m or not low < high:
            return m
        m = below / weight if low < below / weight < high else 0.5 * (low + high)
    return m


cdef int limit_ratio(const scatters_t *s, double ratio, bint is_diagonal) noexcept nogil:
    """IN and OUT s.matrices: clip eigenvalues so that no two of any components have a ratio above `ratio`, at maximum
    likelihood (Fritz, Garcia-Escudero & Mayo-Iscar, Computational Statistics and Data Analysis 61 (2013),
    doi:10.1016/j.csda.2012.11.018). Nonzero if all eigenvalues are 0."""
    cdef Py_ssize_t n = s.n_components, d = s.n_features, k, j
    cdef double *variances = s.work
    cdef double *axes = variances + n * d
    cdef double least
    cdef double *matrix
    for k in range(n):
        matrix = s.matrices + k * d * d
        if not is_diagonal:
            diagonalise(1, d, matrix, axes + k * d * d)
        for j in range(d):
            variances[k * d + j] = max(matrix[j * (d + 1)], 0.0)
    least = lower_limit(n, d, s.shares, variances, ratio)
    if not 0 < least or not isfinite(least):
        return 1
    for k in range(n):
        matrix = s.matrices + k * d * d
        for j in range(d):
            variances[k * d + j] = min(max(variances[k * d + j], least), ratio * least)
        if is_diagonal:
            for j in range(d):
                matrix[j * (d + 1)] = variances[k * d + j]
        else:
            compose(d, variances + k * d, axes + k * d * d, matrix)
    return 0


cdef Py_ssize_t shape_work(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil:
    return n_components * (6 + n_features + n_features * n_features) + n_features * (4 + 3 * n_features)


cdef class Shape:
    """A shape from Python: a row of SHAPES."""

    cdef shape_t verbs


cdef enum:
    DIAGONAL = 1
    OWN_VOLUMES = 2
    ROUND = 4


cdef Shape shape(shape_fn fit, int flags):
    cdef Shape own = Shape()
    own.verbs.fit = fit
    own.verbs.is_diagonal, own.verbs.has_own_volumes = flags & DIAGONAL, flags & OWN_VOLUMES
    own.verbs.is_round = flags & ROUND
    return own


cdef dict SHAPES = {
    "EII": shape(_EII, DIAGONAL | ROUND),
    "VII": shape(_VII, DIAGONAL | OWN_VOLUMES | ROUND),
    "EEI": shape(_EEI, DIAGONAL),
    "VEI": shape(_VEI, DIAGONAL | OWN_VOLUMES),
    "EVI": shape(_EVI, DIAGONAL),
    "VVI": shape(_VVI, DIAGONAL | OWN_VOLUMES),
    "EEE": shape(_EEE, 0),
    "VEE": shape(_VEE, OWN_VOLUMES),
    "EVE": shape(_EVE, 0),
    "VVE": shape(_VVE, OWN_VOLUMES),
    "EEV": shape(_EEV, 0),
    "VEV": shape(_VEV, OWN_VOLUMES),
    "EVV": shape(_EVV, 0),
    "VVV": shape(_VVV, OWN_VOLUMES),
}


cdef shape_t shape_named(str name) except *:
    cdef Shape own = SHAPES[name]
    return own.verbs


def limited(const double[:, ::1] variances, const double[::1] shares, double ratio):
    """Variances (K, d), clipped so that no two have a ratio above `ratio`; shares (K,) are the components' shares of
    the rows."""
    cdef double least = lower_limit(variances.shape[0], variances.shape[1], &shares[0], &variances[0, 0], ratio)
    return np.clip(variances, least, ratio * least)


def nearest(str name, const double[:, :, ::1] matrices, const double[::1] shares):
    """Maximum-likelihood covariances (K, d, d) of a shape.

    IN matrices (K, d, d): scatters as mean squares; shares (K,): the components' shares of the rows. ValueError if
    there are no such covariances. """
    cdef Py_ssize_t n = matrices.shape[0], d = matrices.shape[1]
    cdef shape_t own = shape_named(name)
    out = np.array(matrices) * np.eye(d) if own.is_diagonal else np.array(matrices)
    if n == 0 or d == 0:
        return out
    cdef double[:, :, ::1] view = out
    cdef double[::1] work = np.empty(shape_work(n, d))
    cdef scatters_t s
    s.n_components, s.n_features, s.shares, s.factors = n, d, &shares[0], NULL
    s.matrices, s.work = &view[0, 0, 0], &work[0]
    if own.fit(&s) != 0:
        raise ValueError("positive-definite")
    return out


def common_axes(const double[:, :, ::1] matrices):
    """Common axes (d, d), in columns, of matrices (n, d, d) that commute."""
    cdef Py_ssize_t n = matrices.shape[0], d = matrices.shape[1]
    turned, axes = np.array(matrices), np.empty((d, d))
    cdef double[:, :, ::1] view = turned
    cdef double[:, ::1] out = axes
    diagonalise(n, d, &view[0, 0, 0], &out[0, 0])
    return axes
