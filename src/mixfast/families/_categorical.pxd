# Families of categorical columns: their loops, sizes and layouts. See _kernels/categorical.h.

from mixfast.engine._family cimport family_t
from mixfast.engine._kernels cimport categorical_t

# A family of categorical columns with the common members filled in. Its context begins with a `categorical_t`; the rest
# of it is zeros. `n_categories`: one number for each column. `prepare_component` has to write log_weights[K] and then
# coefficients[K][C] to `work`, where C is the number of categories of all columns.
cdef family_t *new_categorical(size_t context_bytes, Py_ssize_t n_components, object n_categories, int real_bytes,
                               object isa) except NULL


cdef inline const categorical_t *categorical_of(const family_t *f) noexcept nogil:
    return <const categorical_t *> f.context


cdef inline Py_ssize_t n_rows_of(const family_t *f) noexcept nogil:
    """Rows of the kernels' table: one for each category, and one for missing answers in each column."""
    return categorical_of(f).first[f.n_features]


cdef inline Py_ssize_t n_own_of(const family_t *f) noexcept nogil:
    """Number of parameters of a component: C, one for each category of each column."""
    return n_rows_of(f) - f.n_features


cdef inline Py_ssize_t n_categories_of(const family_t *f, Py_ssize_t j) noexcept nogil:
    return categorical_of(f).first[j + 1] - categorical_of(f).first[j] - 1
