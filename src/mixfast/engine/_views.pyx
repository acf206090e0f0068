"""Views of the rows beside k-means': a cluster that one view hides another may show.

Of some rows Ward's groups are found, once with standardised columns and once along those principal axes alone in which
rows are spread more evenly than normal ones, as clusters side by side are. Groups that are not k-means' own are a start
of their own; how EM begins there, and which start goes on, is in `_fit.pyx`. docs/seeding.md has what they bring.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mixfast.engine._axes cimport diagonalise
from mixfast.engine._family cimport chunk_t
from mixfast.engine._kernels cimport mixfast_select_centres, mixfast_select_rows, rows_t
from mixfast.engine._pass cimport arena_t, pass_t, prepare, strategy_t, take, usual, visit, workspace_t
from mixfast.engine._random cimport VIEWED_ROWS, uniform
from mixfast.engine._reals cimport put
from mixfast.engine._rows cimport value_of
from mixfast.engine._seeding cimport adding, move_to_means
from mixfast.engine._ward cimport cut_into, join_all, place_ward

cdef enum:
    LEAST_ROWS = 100           # so many rows are looked at, and so many for each group, if there are
    LEAST_ROWS_EACH = 8
    MOST_ROWS = 500            # ... and at most so many where groups are few, whatever their number so many
    MOST_ROWS_OF_MANY = 2000
    FEWEST_ROWS_EACH = 4       # fewer show nothing of a group
    # Starts are compared on one of so many rows, but on so many at least if there are.
    ROWS_PER_JUDGE = 8
    LEAST_JUDGES = 1000
    # Up to so many columns are turned to principal axes, by d^3 operations some thirty times.
    MOST_COLUMNS = 16

MOST_VIEWS = <int> N_VIEWS

# Rows that are looked at: so many times the square root of rows times groups, that is, a hierarchy takes a share of the
# time of k-means.
cdef double ROWS_OF_ROOT = 1.2
# An axis counts as flat where the fourth moment of its rows is so many standard errors below that of normal ones.
cdef double FLAT = 2
# Two groups are the same where they have more than this share of the rows of either in common; it cannot be so of two
# groups and a third.
cdef double IN_COMMON = 0.5
# Variances below this share of the largest are rounding.
cdef double NEGLIGIBLE = 1e-12


cdef Py_ssize_t n_drawn_of(Py_ssize_t n_rows, Py_ssize_t n_groups) noexcept nogil:
    """How many rows are looked at; 0 where there is nothing to see."""
    cdef Py_ssize_t least = min(max(LEAST_ROWS, LEAST_ROWS_EACH * n_groups), MOST_ROWS_OF_MANY)
    cdef double wanted = ROWS_OF_ROOT * sqrt(<double> n_rows * <double> n_groups)
    cdef Py_ssize_t n = min(max(<Py_ssize_t> min(wanted, <double> MOST_ROWS), least), n_rows)
    return n if n_groups > 1 and n >= FEWEST_ROWS_EACH * n_groups else 0


cdef void place_views(views_t *v, Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_groups, int isa,
                      arena_t *arena) noexcept nogil:
    cdef Py_ssize_t n = n_drawn_of(n_rows, n_groups), n_axes = n_features if n_features <= MOST_COLUMNS else 0, i
    v.n_drawn, v.n_features, v.n_groups, v.n_found = n, n_features, n_groups, 0
    v.n_judges = min(max(LEAST_JUDGES, n_rows // ROWS_PER_JUDGE), n_rows)
    v.judges = <int64_t *> take(arena, v.n_judges * sizeof(int64_t))
    place_ward(&v.ward, n, n_features, isa, arena)
    v.centres = mixfast_select_centres(isa, sizeof(double))
    v.stride = mixfast_select_rows(isa, sizeof(double)).strip
    v.stride *= (n + v.stride - 1) // v.stride
    v.drawn = <int64_t *> take(arena, n * sizeof(int64_t))
    v.weight = <double *> take(arena, n * sizeof(double))
    v.rows = <double *> take(arena, n_features * v.stride * sizeof(double))
    v.mean = <double *> take(arena, n_features * sizeof(double))
    v.unit = <double *> take(arena, n_features * sizeof(double))
    v.covariance = <double *> take(arena, n_axes * n_axes * sizeof(double))
    v.axes = <double *> take(arena, n_axes * n_axes * sizeof(double))
    v.scales = <double *> take(arena, n_axes * sizeof(double))
    v.sizes = <double *> take(arena, n_groups * sizeof(double))
    v.by_kmeans = <int64_t *> take(arena, n * sizeof(int64_t))
    v.shared = <double *> take(arena, n_groups * n_groups * sizeof(double))
    for i in range(N_VIEWS):
        v.found[i].constants = <double *> take(arena, n_groups * (1 + n_features) * sizeof(double))
        v.found[i].forms = v.found[i].constants + n_groups
        v.found[i].means = <double *> take(arena, n_groups * n_features * sizeof(double))
        v.found[i].labels = <int64_t *> take(arena, n * sizeof(int64_t))


# ---- some rows ------------------------------------------------------------------------------------------------------

cdef void draw_by_strata(const rows_t *rows, uint64_t seed, uint32_t which, Py_ssize_t n,
                         int64_t *drawn) noexcept nogil:
    """OUT drawn [n]: a row of each of so many strata of the same weight, which rows in their order make."""
    cdef Py_ssize_t row = 0, i
    cdef double total = 0, passed, target
    for i in range(rows.n_rows if rows.weight != NULL else 0):
        total += rows.weight[i]
    passed = 0 if rows.weight == NULL else rows.weight[0]
    for i in range(n):
        target = (<double> i + uniform(seed, which, VIEWED_ROWS, <uint64_t> i)) / <double> n
        if rows.weight == NULL:
            drawn[i] = min(<Py_ssize_t> (target * <double> rows.n_rows), rows.n_rows - 1)
            continue
        while not passed > target * total and row < rows.n_rows - 1:
            row += 1
            passed += rows.weight[row]
        drawn[i] = row


cdef void draw_judges(views_t *v, const rows_t *rows, uint64_t seed) noexcept nogil:
    """OUT v.judges, where these are not all rows: others than those that are looked at, since groups that are made of a
    row promise it more than they keep to the rest."""
    if v.n_judges < rows.n_rows:
        draw_by_strata(rows, seed, 1, v.n_judges, v.judges)


cdef void draw_rows(views_t *v, const rows_t *rows, uint64_t seed) noexcept nogil:
    """OUT v.drawn, v.weight: all rows with their weights, or n_drawn of them, which count alike."""
    cdef Py_ssize_t i
    if v.n_drawn < rows.n_rows:
        draw_by_strata(rows, seed, 0, v.n_drawn, v.drawn)
        for i in range(v.n_drawn):
            v.weight[i] = 1
        return
    for i in range(v.n_drawn):
        v.drawn[i], v.weight[i] = i, 1 if rows.weight == NULL else rows.weight[i]
    scale_to_largest(v.n_drawn, v.weight)


cdef void scale_to_largest(Py_ssize_t n, double *values) noexcept nogil:
    cdef double largest = 0
    cdef Py_ssize_t i
    for i in range(n):
        largest = max(largest, values[i])
    for i in range(n):
        values[i] /= largest


cdef double product_of(const views_t *v, const double *one, const double *other) noexcept nogil:
    """Of two columns, the sum over rows with their weights: in four parts, since an addition waits for the last."""
    cdef double a = 0, b = 0, c = 0, e = 0
    cdef Py_ssize_t n = v.n_drawn // 4 * 4, i = 0
    while i < n:
        a += v.weight[i] * one[i] * other[i]
        b += v.weight[i + 1] * one[i + 1] * other[i + 1]
        c += v.weight[i + 2] * one[i + 2] * other[i + 2]
        e += v.weight[i + 3] * one[i + 3] * other[i + 3]
        i += 4
    while i < v.n_drawn:
        a += v.weight[i] * one[i] * other[i]
        i += 1
    return (a + b) + (c + e)


cdef bint standardise(views_t *v, const rows_t *rows) noexcept nogil:
    """OUT v.rows, v.mean, v.unit. Whether all of these are numbers."""
    cdef double total = 0, mean, square
    cdef double *column
    cdef Py_ssize_t i, j
    for i in range(v.n_drawn):
        total += v.weight[i]
    for j in range(v.n_features):
        column = v.rows + j * v.stride
        mean = square = 0
        for i in range(v.n_drawn):
            column[i] = value_of(rows, v.drawn[i], j)
            mean += v.weight[i] * column[i]
        mean /= total
        for i in range(v.n_drawn):
            column[i] -= mean
        square = product_of(v, column, column) / total
        if not square < INFINITY:
            return False
        v.mean[j], v.unit[j] = mean, sqrt(square)
        for i in range(v.n_drawn):
            column[i] = column[i] / v.unit[j] if square > 0 else 0
    return True


# ---- a view ---------------------------------------------------------------------------------------------------------

cdef void keep_columns(views_t *v) noexcept nogil:
    """The view of standardised columns. OUT v.ward.means."""
    cdef Py_ssize_t j
    for j in range(v.n_features):
        memcpy(v.ward.means + j * v.ward.stride, v.rows + j * v.stride, v.n_drawn * sizeof(double))


cdef Py_ssize_t turn_to_flat_axes(views_t *v) noexcept nogil:
    """The view along principal axes in which rows are spread more evenly than normal ones, each of variance 1. OUT
    v.ward.means, v.axes [n_features][n_features], its first columns; their number, 0 where all axes are so."""
    cdef Py_ssize_t d = v.n_features, stride = v.stride, n_flat = 0, i, j, q
    cdef double largest = 0, total = 0, fourth
    cdef double *along
    for i in range(v.n_drawn):
        total += v.weight[i]
    for j in range(d):
        for q in range(j + 1):
            v.covariance[j * d + q] = product_of(v, v.rows + j * stride, v.rows + q * stride) / total
            v.covariance[q * d + j] = v.covariance[j * d + q]
    diagonalise(1, d, v.covariance, v.axes)
    for q in range(d):
        largest = max(largest, v.covariance[q * (d + 1)])
    for q in range(d):
        if not v.covariance[q * (d + 1)] > NEGLIGIBLE * largest:
            continue
        along = v.ward.means + n_flat * v.ward.stride
        memset(along, 0, v.ward.stride * sizeof(double))
        for j in range(d):
            v.axes[j * d + n_flat] = v.axes[j * d + q] / sqrt(v.covariance[q * (d + 1)])
            for i in range(v.n_drawn):
                along[i] += v.axes[j * d + n_flat] * v.rows[j * stride + i]
        fourth = 0
        for i in range(v.n_drawn):
            fourth += v.weight[i] * (along[i] * along[i]) * (along[i] * along[i])
        n_flat += fourth / total < 3 - FLAT * sqrt(24 / <double> v.n_drawn)
    return n_flat if n_flat < d else 0


cdef bint take_means(views_t *v, view_t *view) noexcept nogil:
    """IN view.labels. OUT view.means, of standardised columns. Whether all groups have weight."""
    cdef Py_ssize_t d = v.n_features, i, j, k
    memset(v.sizes, 0, v.n_groups * sizeof(double))
    memset(view.means, 0, v.n_groups * d * sizeof(double))
    for i in range(v.n_drawn):
        v.sizes[view.labels[i]] += v.weight[i]
    for j in range(d):
        for i in range(v.n_drawn):
            view.means[view.labels[i] * d + j] += v.weight[i] * v.rows[j * v.stride + i]
    for k in range(v.n_groups):
        if not v.sizes[k] > 0:
            return False
        for j in range(d):
            view.means[k * d + j] /= v.sizes[k]
    return True


cdef void take_forms(const views_t *v, view_t *view, Py_ssize_t n_axes) noexcept nogil:
    """IN view.means. OUT view.forms, view.constants: so that the least is of the nearest mean, along the first columns
    of v.axes, or of standardised columns where there are none."""
    cdef Py_ssize_t d = v.n_features, j, k, q
    cdef const double *mean
    cdef double *form
    cdef double along
    for k in range(v.n_groups):
        mean, form = view.means + k * d, view.forms + k * d
        if n_axes == 0:
            memcpy(form, mean, d * sizeof(double))
        else:
            memset(form, 0, d * sizeof(double))
        for q in range(n_axes):
            along = 0
            for j in range(d):
                along += v.axes[j * d + q] * mean[j]
            for j in range(d):
                form[j] += v.axes[j * d + q] * along
        view.constants[k] = 0
        for j in range(d):
            view.constants[k] += mean[j] * form[j] / 2


cdef void label_drawn(const views_t *v, view_t *view) noexcept nogil:
    """OUT view.labels, by the forms."""
    cdef chunk_t chunk
    memset(&chunk, 0, sizeof(chunk_t))
    chunk.columns, chunk.n_rows, chunk.stride = v.rows, v.n_drawn, v.stride
    v.centres.least_form(v.n_groups, v.n_features, &chunk, view.constants, view.labels)


cdef bint see_the_same(const views_t *v, const int64_t *one, const int64_t *other) noexcept nogil:
    """Whether each group of one partition is a group of the other."""
    cdef Py_ssize_t n = v.n_groups, i, k, g
    cdef double of_row, of_column, most
    memset(v.shared, 0, n * n * sizeof(double))
    for i in range(v.n_drawn):
        v.shared[one[i] * n + other[i]] += 1
    for k in range(n):
        of_row, most = 0, 0
        for g in range(n):
            of_row += v.shared[k * n + g]
        for g in range(n):
            if 2 * v.shared[k * n + g] > of_row:
                of_column = 0
                for i in range(n):
                    of_column += v.shared[i * n + g]
                most = v.shared[k * n + g] / (of_row + of_column - v.shared[k * n + g])
        if not most > IN_COMMON:
            return False
    return True


cdef void consider(views_t *v, Py_ssize_t n_axes) noexcept nogil:
    """IN v.ward.means. Keep the view where its groups are neither those of k-means nor of an earlier one."""
    cdef view_t *view = &v.found[v.n_found]
    cdef Py_ssize_t i
    memcpy(v.ward.sizes, v.weight, v.n_drawn * sizeof(double))
    join_all(&v.ward, n_axes if n_axes > 0 else v.n_features)
    cut_into(&v.ward, v.n_groups, view.labels)
    if not take_means(v, view):
        return
    take_forms(v, view, n_axes)
    label_drawn(v, view)
    if see_the_same(v, v.by_kmeans, view.labels):
        return
    for i in range(v.n_found):
        if see_the_same(v, v.found[i].labels, view.labels):
            return
    v.n_found += 1


cdef void look_about(views_t *v, const rows_t *rows, const int64_t *labels, uint64_t seed) noexcept nogil:
    """IN labels [n_rows]: those of k-means. OUT v.found [v.n_found]: views of dense rows that see other groups."""
    cdef Py_ssize_t n_axes, i
    v.n_found = 0
    if v.n_drawn == 0:
        return
    draw_rows(v, rows, seed)
    if not standardise(v, rows):
        return
    for i in range(v.n_drawn):
        v.by_kmeans[i] = labels[v.drawn[i]]
    keep_columns(v)
    consider(v, 0)
    if 1 < v.n_features <= MOST_COLUMNS and v.n_features < v.n_drawn:
        n_axes = turn_to_flat_axes(v)
        if n_axes > 0:
            consider(v, n_axes)


# ---- all rows -------------------------------------------------------------------------------------------------------

cdef int find_least_form(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                         double *lane) noexcept nogil:
    """Labels of the chunk's rows, to assign_data."""
    mixfast_select_centres(p.family.isa, p.family.real_bytes).least_form(
        p.family.n_components, p.family.n_features, chunk, p.tables, (<int64_t *> p.strategy.assign_data) + start)
    return 0


cdef int label_rows(const views_t *v, Py_ssize_t which, pass_t *p, int64_t *labels) noexcept nogil:
    """OUT labels [n_rows]: the groups of all rows in one of the views that were found; p.params: their means. `p` is a
    pass of the centres family over the rows."""
    cdef const view_t *view = &v.found[which]
    cdef Py_ssize_t d = v.n_features, k, j
    cdef strategy_t strategy = usual()
    cdef double form, constant
    cdef int code
    for k in range(v.n_groups):
        for j in range(d):
            p.params[k * d + j] = v.mean[j] + v.unit[j] * view.means[k * d + j]
    prepare(p)  # chooses the pivot; the tables are of other forms than distances to these means
    for k in range(v.n_groups):
        constant = view.constants[k]
        for j in range(d):
            form = view.forms[k * d + j] / v.unit[j] if v.unit[j] > 0 else 0
            constant += (v.mean[j] - p.pivot[j]) * form
            put(p.tables, p.family.real_bytes, v.n_groups + k * d + j, form)
        put(p.tables, p.family.real_bytes, k, constant)
    strategy.assign, strategy.assign_data, strategy.deliver = find_least_form, labels, adding(p)
    code = visit(p, &strategy)
    if code == 0:
        move_to_means(p)
    return code
