"""Dirichlet-multinomial mixtures: soft clusters of counts that vary more than a multinomial distribution lets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, NEffective, RowsLike, Seed
from mixfast.estimators._constraints import Names
from mixfast.estimators._density import of_rows
from mixfast.estimators._domain import LARGEST_COUNT
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._given_totals import GivenTotalsMixture, check_totals
from mixfast.estimators._rows import check_is_here
from mixfast.families.counts import row_totals
from mixfast.families.dirichlet_multinomial import (
    DirichletMultinomial,
    DirichletMultinomialParams,
    FixedDirichletMultinomial,
    SymmetricDirichletMultinomial,
)
from mixfast.weights import observed

#: The families by the names that `concentration` gives them.
FAMILIES = {"free": DirichletMultinomial, "symmetric": SymmetricDirichletMultinomial}


@described
class DirichletMultinomialMixture(GivenTotalsMixture):
    """Mixture of Dirichlet-multinomial distributions, fitted by EM, for counts whose proportions vary within a cluster.

    Clusters of bags of words, of microbial communities, or of any counts.

    The probability of a row of counts, given its total N, is

        sum_k weights_k N! Gamma(A_k) / Gamma(A_k + N) prod_j Gamma(a_kj + x_j) / (Gamma(a_kj) x_j!),

    where a_kj are the concentrations of a component and A_k is their sum: proportions a_kj / A_k on average, which vary
    the less the larger A_k is. In text that says that a word that has come once is likely to come again. A row without
    counts has probability one: it belongs to each component with the component's weight.

    Parameters
    ----------
    <n_components>
    concentration : {"free", "symmetric"} or float, default="free"
        "free": every component has a concentration for each column. "symmetric": one for all columns, so that
        components differ in how unequal the proportions of a row are, not in which columns have more. A number: the sum
        A_k of each component's concentrations, up to 1e30, the larger the closer to a multinomial distribution; only
        the mean proportions are estimated.
    prior_shape, prior_rate : float, default=0.1
        Of a Gamma distribution of each concentration (of the one of a component where they are symmetric), whose
        density with respect to the logarithm of the concentration is the prior: what the iterations increase, the lower
        bound, is mean log probability + 1 / n sum_kj (shape log a_kj - rate a_kj + shape log rate - log Gamma(shape)),
        the last two terms only where neither is zero. 0 and 0 are maximum likelihood. The default is that of R's
        DirichletMultinomial. Where `concentration` is a number, the rate and those two terms, which are the same for
        all parameters, are left out.
    <tol, max_iter, n_init, init_params>

        k-means and k-means++ look at the square roots of the proportions of each row.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `concentrations_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    concentrations_ : ndarray of shape (n_components, n_features)
        Between 1e-12, what a column without counts has without a prior, and 1e12 for all of a component, where counts
        vary no more than multinomial ones: `Status.CAPPED_PARAMETER` in `status_`.
    totals_, total_shares_ : ndarray of shape (n_totals,)
        The totals that rows had in `fit`, and the share of the rows that had each: what `sample` draws from. Models of
        a batch have none.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for values that are no counts: negative, fractions, or above 2**53.
        <errors of every fit>

    Notes
    -----
    X may be sparse (CSR); it is never made dense. What is computed of a count is computed once for all rows that have
    it in a column: time grows with the nonzeros, and memory with n_components times the number of distinct pairs of a
    column and a count. float32 rows are computed in float32, with an error of some 1e-7 of the sum of the logarithms
    whose sum is a log probability: for concentrations above 1e4 or so, pass float64.

    Holmes, Harris & Quince, "Dirichlet multinomial mixtures: generative models for microbial metagenomics", PLoS ONE 7
    (2012), doi:10.1371/journal.pone.0030126; Minka, "Estimating a Dirichlet distribution" (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import DirichletMultinomialMixture
    >>> X = np.array([[9, 1, 0, 0], [5, 2, 1, 0], [0, 0, 2, 8], [0, 1, 3, 3]])
    >>> labels = DirichletMultinomialMixture(n_components=2, random_state=0).fit_predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    _parameter_constraints: dict = {
        **GivenTotalsMixture._parameter_constraints,
        "concentration": [Names(FAMILIES), Interval(Real, 0.0, 1e30, closed="right")],
        "prior_shape": [Interval(Real, 0.0, None, closed="left")],
        "prior_rate": [Interval(Real, 0.0, None, closed="left")],
    }

    _structural: tuple[str, ...] = ("concentration",)

    def __init__(
        self,
        n_components: int = 1,
        *,
        concentration: Literal["free", "symmetric"] | float = "free",
        prior_shape: float = 0.1,
        prior_rate: float = 0.1,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        accelerate: Accelerate = None,
        n_init_policy: InitPolicy = "all",
        canonical_order: bool = False,
        weights: ArrayLike | None = None,
        weight_concentration: float | None = None,
        hold: dict[str, ArrayLike] | None = None,
    ) -> None:
        self.n_components = n_components
        self.concentration = concentration
        self.prior_shape = prior_shape
        self.prior_rate = prior_rate
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.canonical_order = canonical_order
        self.weights = weights
        self.weight_concentration = weight_concentration
        self.hold = hold

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        concentrations: ArrayLike,
        totals: ArrayLike | None = None,
        total_shares: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        concentrations : array-like of shape (n_components, n_features)
            Above 0; equal in each row, or of the sum, that `concentration` asks for.
        totals, total_shares : array-like of shape (n_totals,), default=None
            Sums of rows, and the share of the rows that has each, for `sample`; both or neither.
        <feature_names, options>

        Returns
        -------
        model : object
            <given model>

        Raises
        ------
        ValueError
            <errors of given parameters>
        TypeError
            <errors of options>
        """
        parameters = {"concentrations": concentrations}
        return model_of(cls, options, weights, parameters, feature_names, **check_totals(totals, total_shares))

    def _family(self):
        if self.concentration in FAMILIES:
            return FAMILIES[self.concentration](self.prior_shape, self.prior_rate)
        return FixedDirichletMultinomial(self.concentration, self.prior_shape)

    def _publish(self, params, dtype):
        self.concentrations_ = params.concentrations.astype(dtype)

    def _collect(self):
        return DirichletMultinomialParams(self.concentrations_)

    def _prepare_rows(self, X):
        X = super()._prepare_rows(X)
        totals = row_totals(X)
        if np.any(totals > LARGEST_COUNT):
            row = int(np.argmax(totals))
            raise ValueError(f"Row {row} of X sums to {totals[row]}: totals should be at most 2**53")
        return X

    @of_rows
    def laplace(self, X: RowsLike, sample_weight: ArrayLike | None = None, n_effective: NEffective = None) -> float:
        """Approximate minus the log evidence by Laplace's method; the lower the better.

        The log posterior is taken for a Gaussian about the fitted model, in the logarithms of the concentrations and in
        all weights but the largest, and the covariances between components for zero: as R's DirichletMultinomial does,
        in whose units, nats without a factor of 2, it is.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows that the model was fitted to.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts: 2 equals repeating it, 0 leaving it out. None is 1 for all.
        n_effective : {'sum', 'kish'} or float, default=None
            As in `bic`: the posterior is that of the weights scaled so. Better scale them before `fit`, whose prior
            then has its share: the model is the maximum of that posterior.

        Returns
        -------
        laplace : float
            inf or NaN where the posterior has no maximum at the model.

        Raises
        ------
        ValueError
            Unless concentrations are free and have a prior that can be normalised, and weights are free and have none.
        """
        if self.concentration != "free" or not (self.prior_shape > 0 and self.prior_rate > 0):
            raise ValueError(
                "laplace integrates over free concentrations under their prior: fit with concentration='free' and "
                f"positive prior_shape and prior_rate, not {self.concentration!r}, {self.prior_shape}, "
                f"{self.prior_rate}"
            )
        if self.weights is not None or self.weight_concentration is not None:
            raise ValueError(
                "laplace is for weights without a prior: fit with weights=None and weight_concentration=None"
            )
        check_is_here(X)
        X, sample_weight = observed(X, sample_weight, n_effective)
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        X = self._validate_rows(X, reset=False)
        weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        resp = self.predict_proba(X).astype(np.float64) * weight[:, np.newaxis]
        a = self.concentrations_.astype(np.float64)
        log_prior = np.sum(self.prior_shape * np.log(a) - self.prior_rate * a)
        log_prior += a.size * (self.prior_shape * math.log(self.prior_rate) - gammaln(self.prior_shape))
        log_det = self._family().log_det(X, resp, a)
        log_det += np.sum(2 * math.log(n) - np.log(np.sort(resp.sum(axis=0))[:-1]))
        return -float(log_likelihood + log_prior) + 0.5 * float(log_det - self._n_parameters() * math.log(2 * math.pi))
