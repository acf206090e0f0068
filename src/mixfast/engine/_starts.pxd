from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._family cimport chunk_t, family_t
from mixfast.engine._pass cimport pass_t, workspace_t

# assign_data of `labelled` and `labelled_in_order`: a row gives the responsibility `own` to the component of its label
# (-1 for none) and alike[k] to every component k.
ctypedef struct labels_t:
    const int64_t *labels          # [n_rows]
    double own
    double *alike                  # [n_components], where own < 1

# assign_data of `drawn`.
ctypedef struct draw_t:
    uint64_t seed
    uint32_t start

cdef bint asks_every_row(const family_t *family) noexcept nogil
cdef labels_t share_rows(pass_t *p, const int64_t *labels) noexcept nogil
cdef Py_ssize_t sort_by_label(const uint32_t *rows, Py_ssize_t n_rows, const int64_t *labels, Py_ssize_t n_components,
                              uint32_t *order, Py_ssize_t *places) noexcept nogil
cdef int labelled(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil
cdef int labelled_in_order(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                           double *lane) noexcept nogil
cdef int given(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
               double *lane) noexcept nogil
cdef int drawn(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
               double *lane) noexcept nogil
