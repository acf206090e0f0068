from mixfast._em cimport EM

cdef class AcceleratedEM(EM):
    cdef double *block             # the image and the points, in one piece
    cdef double *image             # the state to go back to: weights and parameters
    cdef (double *)[3] points      # images of consecutive plain steps, oldest first; n_points of them, the newest
    cdef Py_ssize_t n_point, n_points, n_slow
    cdef int said                  # what the M-step at the last accepted point said
    cdef double bound              # the objective at the last accepted point
    cdef double increment          # what the last plain step added to the objective
    cdef double moved              # its size; infinite after an extrapolation
    cdef double gain               # what the last extrapolation added, 0 when it was none
    cdef double longest            # how far the next one may go
    cdef bint make_pass(self) except -1
    cdef void accept_extrapolated(self, double objective, double length) noexcept
    cdef void accept_plain(self, double objective) noexcept
    cdef int record(self) except -1
    cdef double extrapolate(self) except -1
    cdef void go_back(self) noexcept
    cdef void forget(self) noexcept
