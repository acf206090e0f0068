cdef double shape_of(double s) noexcept nogil
cdef double LARGEST_SHAPE
