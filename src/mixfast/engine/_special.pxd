# Special functions of one number, without the GIL: what each promises is in `_special.pyx`.

cpdef double digamma(double x) noexcept nogil
cpdef double trigamma(double x) noexcept nogil
cpdef double log_minus_digamma(double x) noexcept nogil
cpdef double trigamma_minus_reciprocal(double x) noexcept nogil
cpdef double lgamma_rise(double a, double n) noexcept nogil
cpdef double digamma_rise(double a, double n) noexcept nogil
cpdef double trigamma_rise(double a, double n) noexcept nogil


# A = I_{nu+1}(x) / I_nu(x), 1 - A and dA/dx, each with all its digits.
cdef struct bessel_ratio_t:
    double ratio
    double complement
    double slope

cdef bessel_ratio_t bessel_ratio(double nu, double x) noexcept nogil
cpdef double log_bessel_i(double nu, double x) noexcept nogil
cpdef double log_bessel_i_scaled(double nu, double x) noexcept nogil
cpdef double log_bessel_i_reduced(double nu, double x) noexcept nogil
cpdef double concentration(double d, double length) noexcept nogil
cpdef double log_sphere_normaliser(double d, double kappa) noexcept nogil
