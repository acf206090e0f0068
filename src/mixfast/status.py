"""How a fit ended, as flags."""

from __future__ import annotations

from enum import IntFlag


class Status(IntFlag):
    """What happened in a fit, as flags: `status_` of an estimator.

    OK
        Nothing to report: no iterations were asked for (`max_iter=0`).
    REPAIRED_COVARIANCE
        A covariance was not positive definite to working precision; its diagonal was raised by a millionth of the
        variance that the column has over all rows that the M-step counted, tenfold until it was. Parameters are finite
        and usable; the log-likelihood may have fallen at that iteration.
    EMPTIED_COMPONENT
        A component lost all its rows. It has the parameters of all rows together, and weight 0 unless
        weights are given or have a prior.
    NOT_FINITE
        Values of the data, log densities, sums or parameters were not finite, or the largest weight of a row is not
        between 1e-30 and 1e30. Or a column, Gaussian or Student-t, varies, but with a range below 2.4e-153, 1.7e-18
        for float32 rows, so that the precision cannot hold variances, and `reg_covar` does not make them larger. Or a
        compiled family of another package says that it failed. `fit` raises; in a batch the parameters are NaN.
    IMPOSSIBLE_ROWS
        Some rows had density zero under every component; they were shared equally among the components. Or log
        densities are so low that their weighted sum is minus infinity in float64. The lower bound is -inf.
    CONVERGED
        The lower bound moved by less than `tol` between two iterations. Draws of a Dirichlet process mixture: they are
        worth enough independent ones, and chains agree.
    MAX_ITER
        `max_iter` iterations were done without that, or all draws that were asked for. Or the lower bound rose 20 times
        after it had fallen, each by more than `tol`: repairs of covariances make it do so, and more iterations would
        not end it. Parameters are those of the last iteration.
    TOO_FEW_ROWS
        There are fewer rows (of positive weight) than components, or fewer than two. `fit` raises; in a batch the
        parameters are NaN.
    CONSTANT_DATA
        All rows are equal: components differ, if at all, by what a repair or a prior put there.
    INTERRUPTED
        Ctrl-C came before this problem of a batch was fitted; the parameters are NaN.
    OUT_OF_DOMAIN
        The data has values that the family has no density for, such as a 2 among zeros and ones. `fit` raises; in a
        batch the parameters are NaN.
    CAPPED_PARAMETER
        A parameter that a component makes infinite, or nearly, was kept at the family's maximum: the concentration
        where all its directions are one, the shape of a Gamma distribution where a column of it is constant.
    SPURIOUS_COMPONENT
        A component, at the end of the fit, is no find but a place where the likelihood has no bound. Gaussian and
        Student-t: an eigenvalue of its covariance is below ten times what `reg_covar` or a repair added to it.
        Student-t also: in a column its squared scale is below 1e-6 of the variance, with less than 0.5 degrees of
        freedom. Gamma,
        exponential and von Mises-Fisher: a parameter is at the family's maximum. All but exponential: it takes more
        than half of fewer distinct rows than it needs, d + 2 for a full covariance of d columns, 3 for others, 2 for
        Gamma and von Mises-Fisher. Of several starts such a fit loses against any other, and `select` and `fit_many`
        pass it over.
    LOWER_BOUND_FELL
        The lower bound fell in some iteration by more than rounding: by a millionth of 1 + abs(bound), by 1e-4 of it
        where rows are float32. `reg_covar` does that where it is not small beside the variances, since it is added to
        them after the M-step, and repairs do; so does rounding where float32 rows are 1e5 standard deviations from
        their mean and more.
    SHORTENED_STEP
        Experts and gates: a step of Newton's method went so far that the lower bound would have fallen, and was halved
        until it did not.

    Examples
    --------
    >>> from mixfast import Status
    >>> status = Status.CONVERGED | Status.REPAIRED_COVARIANCE
    >>> bool(status & Status.REPAIRED_COVARIANCE)
    True
    >>> print(status)
    REPAIRED_COVARIANCE|CONVERGED
    """

    # the values of the M-step's own findings are those of _kernels/family.h
    OK = 0
    REPAIRED_COVARIANCE = 1
    EMPTIED_COMPONENT = 2
    NOT_FINITE = 4
    IMPOSSIBLE_ROWS = 8
    CONVERGED = 16
    MAX_ITER = 32
    TOO_FEW_ROWS = 64
    CONSTANT_DATA = 128
    INTERRUPTED = 256
    OUT_OF_DOMAIN = 512
    CAPPED_PARAMETER = 1024
    LOWER_BOUND_FELL = 2048
    SPURIOUS_COMPONENT = 4096
    SHORTENED_STEP = 8192

    def __str__(self):
        return self.name or "OK"

    def __format__(self, spec):
        return format(str(self), spec)
