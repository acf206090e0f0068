"""Multinomial mixtures: soft clusters of bags of words."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._given_totals import GivenTotalsMixture, check_totals
from mixfast.families.multinomial import Multinomial, MultinomialParams


@described
class MultinomialMixture(GivenTotalsMixture):
    """Mixture of multinomial distributions, fitted by EM: clusters of bags of words, or of any counts.

    Given the total of a row, proportions are what matters.

    The probability of a row of counts, given its total N, is sum_k weights_k N! prod_j p_kj^x_j / x_j!. A row without
    counts, an empty document, has probability one: it belongs to each component with the component's weight.

    Parameters
    ----------
    <n_components>
    alpha : float, default=1.0
        Pseudo-count that is added to each column of each component; 0 is maximum likelihood, which gives a column that
        a component never has the probability zero: a row that no component can have made has log density -inf, is
        shared equally, and warned of. This is the mode under a Dirichlet(1 + alpha) prior, and what the iterations
        increase (the lower bound) includes that prior: mean log probability + alpha / n sum_kj log p_kj.
    <tol, max_iter, n_init, init_params>

        k-means and k-means++ look at square roots of the proportions of each row. With alpha below 1 a start from
        labels, k-means' or given, or from single rows gives half of each row to all components, so that no probability
        begins at 0; given responsibilities are taken as they are.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `probabilities_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    probabilities_ : ndarray of shape (n_components, n_features)
        Of each column in each component; rows sum to one. Those of all rows where a component holds no counts, if
        there is no prior.
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
        **GivenTotalsMixture._parameter_constraints,
        "alpha": [Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: float = 1.0,
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
        self.weights = weights
        self.weight_concentration = weight_concentration
        self.hold = hold

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        probabilities: ArrayLike,
        totals: ArrayLike | None = None,
        total_shares: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        probabilities : array-like of shape (n_components, n_features)
            Rows sum to 1 within 0.001.
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
        parameters = {"probabilities": probabilities}
        return model_of(cls, options, weights, parameters, feature_names, **check_totals(totals, total_shares))

    def _family(self):
        return Multinomial(alpha=self.alpha)

    def _publish(self, params, dtype):
        self.probabilities_ = self._family().rounded(params, dtype).probabilities

    def _collect(self):
        return MultinomialParams(self.probabilities_)
