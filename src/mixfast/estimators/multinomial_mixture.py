"""Multinomial mixtures: soft clusters of bags of words."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval

from mixfast.estimators._base import BaseMixture
from mixfast.estimators._domain import check_counts, rounded_above_zero
from mixfast.families.counts import row_totals
from mixfast.families.multinomial import Multinomial, MultinomialParams


class MultinomialMixture(BaseMixture):
    """Mixture of multinomial distributions, fitted by EM: clusters of bags of words, or of any counts of which the
    proportions matter.

    The probability of a row of counts, given its total N, is sum_k weights_k N! prod_j p_kj^x_j / x_j!. A row without
    counts, an empty document, has probability one: it belongs to each component with the component's weight.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    alpha : float, default=1.0
        Pseudo-count that is added to each column of each component; 0 is maximum likelihood, which gives a column that a
        component never has the probability zero: a row that no component can have made has log density -inf, is shared
        equally, and warned of. This is the mode under a Dirichlet(1 + alpha) prior, and what the iterations increase
        (the lower bound) includes that prior: mean log probability + alpha / n sum_kj log p_kj.
    tol, max_iter, n_init, init_params, random_state, warm_start, verbose, verbose_interval, n_threads, accelerate,
    n_init_policy
        As in `GaussianMixture`. k-means and k-means++ look at square roots of the proportions of each row.
    canonical_order : bool, default=False
        As in `GaussianMixture`, by `probabilities_`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    probabilities_ : ndarray of shape (n_components, n_features)
        Of each column in each component; rows sum to one. Those of all rows where a component holds no counts, if
        there is no prior.
    totals_, total_shares_ : ndarray of shape (n_totals,)
        The totals that rows had in `fit`, and the share of the rows that had each: what `sample` draws from. Models of a
        batch have none.
    converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_
        As in `GaussianMixture`.

    Raises
    ------
    ValueError
        By `fit` and the predictions, for values that are no counts: negative, fractions, or above 2**53; by `fit` also
        as in `GaussianMixture`.

    Notes
    -----
    X may be sparse (CSR); it is never made dense, and time grows with its nonzeros. Rigouste, Cappé & Yvon, "Inference
    and evaluation of the multinomial mixture model for text clustering", Information Processing and Management 43
    (2007), doi:10.1016/j.ipm.2006.11.001.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import MultinomialMixture
    >>> X = np.array([[3, 1, 0, 0], [5, 2, 1, 0], [0, 0, 2, 4], [0, 1, 3, 3]])
    >>> labels = MultinomialMixture(n_components=2, random_state=0).fit_predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    _parameter_constraints: dict = {
        **BaseMixture._parameter_constraints,
        "alpha": [Interval(Real, 0.0, None, closed="left")],
    }

    _accepts_sparse = "csr"

    def __init__(
        self,
        n_components=1,
        *,
        alpha=1.0,
        tol=1e-3,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        n_threads=None,
        accelerate=None,
        n_init_policy="all",
        canonical_order=False,
    ):
        self.n_components = n_components
        self.alpha = alpha
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

    def _family(self):
        return Multinomial(alpha=self.alpha)

    def _publish(self, params, dtype):
        self.probabilities_ = rounded_above_zero(params.probabilities, dtype)

    def _collect(self):
        return MultinomialParams(self.probabilities_)

    def _prepare_rows(self, X):
        check_counts(X)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _learn_design(self, X, sample_weight):
        self.totals_, place = np.unique(row_totals(X), return_inverse=True)
        share = np.bincount(place, weights=sample_weight)
        self.total_shares_ = share / share.sum()

    def sample(self, n_samples=1, random_state=None, totals=None):
        """Draw rows from the fitted model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`; if that is an int, each call gives the same rows.
        totals : int or array-like of shape (n_samples,), default=None
            Sums of the rows, which the model says nothing of. None draws them from those of the rows in `fit`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component.
        y : ndarray of shape (n_samples,), int64
            The component of each row.
        """
        rng = self._rng_of_sample(n_samples, random_state)
        return self._draw(n_samples, rng, totals=self._totals_of_sample(n_samples, rng, totals))

    def _totals_of_sample(self, n_samples, rng, totals):
        if totals is None:
            if not hasattr(self, "totals_"):
                raise ValueError("This model does not know the totals of the rows that it was fitted to: pass totals")
            return rng.choice(self.totals_, size=n_samples, p=self.total_shares_).astype(np.int64)
        totals = np.broadcast_to(
            check_array(np.atleast_1d(totals), ensure_2d=False, input_name="totals", dtype=np.float64), n_samples
        )
        if np.any((totals < 0) | (totals != np.floor(totals))):
            raise ValueError(f"totals should be whole numbers of at least 0, got {totals}")
        return totals.astype(np.int64)
