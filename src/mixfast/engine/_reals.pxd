# Reals of either precision in memory that says only how many bytes each takes.

cdef inline double get(const void *values, int real_bytes, Py_ssize_t i) noexcept nogil:
    return (<const double *> values)[i] if real_bytes == 8 else (<const float *> values)[i]


cdef inline void put(void *values, int real_bytes, Py_ssize_t i, double value) noexcept nogil:
    if real_bytes == 8:
        (<double *> values)[i] = value
    else:
        (<float *> values)[i] = <float> value


cdef inline void add(void *values, int real_bytes, Py_ssize_t i, double value) noexcept nogil:
    put(values, real_bytes, i, get(values, real_bytes, i) + value)
