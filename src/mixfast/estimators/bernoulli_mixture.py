"""Bernoulli mixtures: soft clusters of binary data."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._domain import first_outside
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._using import IndependentColumns
from mixfast.families.bernoulli import Bernoulli, BernoulliParams


@described
class BernoulliMixture(IndependentColumns, LikelihoodMixture):
    """Mixture of Bernoulli distributions, fitted by EM; also known as latent class analysis of binary items.

    The probability of a row of zeros and ones is sum_k weights_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j). Entries that
    are NaN are missing: the product is over the others, and so are the sums that probabilities are estimated from. That
    is maximum likelihood where entries are missing at random.

    Parameters
    ----------
    <n_components>
    alpha : float, default=1.0
        Pseudo-counts of ones and of zeros that are added to each column of each component; 0 is maximum likelihood.
        This is the mode under a Beta(1 + alpha, 1 + alpha) prior, and what the iterations increase (the lower bound)
        includes that prior: mean log probability + alpha / n sum_kj log p_kj (1 - p_kj).
    binarize : float or None, default=0.0
        Values above it count as one. None says that X holds zeros and ones already, and anything else but NaN is an
        error.
    <tol, max_iter, n_init, init_params>

        With alpha below 1 a start from labels, k-means' or given, or from single rows gives half of each row to all
        components, so that no probability begins at 0 or 1; given responsibilities are taken as they are.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `probabilities_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    probabilities_ : ndarray of shape (n_components, n_features)
        Of a one in each column of each component. Where a component, without a prior, has no entry in a column, that of
        all rows; half where there is none in these either.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for data that is not binary with `binarize=None`.
        <errors of every fit>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import BernoulliMixture
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
    >>> labels = BernoulliMixture(n_components=2, random_state=0).fit_predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    _parameter_constraints: dict = {
        **LikelihoodMixture._parameter_constraints,
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "binarize": [None, Interval(Real, None, None, closed="neither")],
    }

    _accepts_sparse = "csr"
    _accepts_missing = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: float = 1.0,
        binarize: float | None = 0.0,
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
        self.binarize = binarize
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
        cls, *, weights: ArrayLike, probabilities: ArrayLike, feature_names: Sequence[str] | None = None, **options: Any
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        probabilities : array-like of shape (n_components, n_features)
            From 0 to 1.
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
        return model_of(cls, options, weights, parameters, feature_names)

    def _centres(self):
        return np.asarray(self.probabilities_, dtype=np.float64)

    def _family(self):
        return Bernoulli(alpha=self.alpha)

    def _publish(self, params, dtype):
        self.probabilities_ = self._family().rounded(params, dtype).probabilities

    def _collect(self):
        return BernoulliParams(self.probabilities_)

    def _params_of_codes(self):
        return {"binarize": None}  # what is drawn are zeros and ones

    def _prepare_rows(self, X):
        if self.binarize is not None:
            return self._binarized(X)
        values = X.data if scipy.sparse.issparse(X) else X
        if np.all((values == 0) | (values == 1) | np.isnan(values)):
            return X
        row, column, value = first_outside(X, lambda values: (values != 0) & (values != 1) & ~np.isnan(values))
        raise ValueError(
            f"Column {column} of X is not binary: row {row} is {value}. Pass zeros and ones, or set binarize to the "
            "value above which a number counts as one."
        )

    def _binarized(self, X):
        self._check_finite(X)
        if not scipy.sparse.issparse(X):
            return self._bits(X)
        if self.binarize < 0:
            raise ValueError(
                f"binarize={self.binarize} makes ones of all zeros that a sparse X leaves out: set it to 0 or above"
            )
        bits = self._bits(X.data)
        if np.array_equal(bits, X.data):
            return X
        binary = scipy.sparse.csr_matrix((bits, X.indices, X.indptr), X.shape)  # which shares the places of X
        if not np.all(bits):
            binary = binary.copy()
            binary.eliminate_zeros()
        return binary

    def _bits(self, values):
        bits = (values > self.binarize).astype(values.dtype)
        bits[np.isnan(values)] = np.nan
        return bits
