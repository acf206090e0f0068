# Gaussian components as others build on them: a family for each structure of the covariances, with a context of
# `context_bytes` that begins with a covariances_t.

from mixfast.engine._family cimport family_t

cdef void centre_means(const family_t *f, const double *log_weights, const double *means, double *pivot,
                       double *centred) noexcept nogil
cdef family_t *new_full(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        size_t context_bytes) except NULL
cdef family_t *new_tied(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        size_t context_bytes) except NULL  # without its quick family
cdef family_t *new_diagonal(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                            double reg_covar, size_t context_bytes) except NULL
cdef family_t *new_spherical(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                             double reg_covar, size_t context_bytes) except NULL
