# Parameters at the edge of their domain: probabilities of 0 and 1, rates of 0.


cdef inline bint is_left_by_prior(double alpha) noexcept nogil:
    """Whether pseudo-counts are so many that EM leaves the edge, where rows of one component alone would put it. Of 12
    fits each (tol=1e-8, three components) to 300, 3,000 and 30,000 overlapping rows of 8 zeros and ones, 7, 7 and 2
    ended below those from a shared start with 1e-10, 2, 3 and 1 with 0.1, 3, 1 and 0 with 0.5, none with 1 and 2."""
    return alpha >= 1
