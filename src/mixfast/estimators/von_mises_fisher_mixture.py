"""Von Mises-Fisher mixtures: soft clusters of directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._constraints import Names
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.counts import blocks, row_sums
from mixfast.families.von_mises_fisher import CONCENTRATIONS, VonMisesFisherParams

#: By how much the norm of a row may differ from 1, as in SciPy: rounding to float32 is far less.
NORM_TOLERANCE = 1e-5


@described
class VonMisesFisherMixture(LikelihoodMixture):
    """Mixture of von Mises-Fisher distributions on the unit sphere, fitted by EM, for directions.

    Texts and embeddings that are compared by cosines are directions, too.

    The density of a unit vector x is sum_k weights_k C_d(kappa_k) exp(kappa_k mu_k'x), with mean directions mu_k,
    concentrations kappa_k and C_d(kappa) = kappa^(d/2-1) / ((2 pi)^(d/2) I_(d/2-1)(kappa)): Banerjee, Dhillon, Ghosh &
    Sra, J. Mach. Learn. Res. 6 (2005), 1345-1382. Concentrations are maximum likelihood's, not an approximation.

    Parameters
    ----------
    <n_components>
    concentration_type : {'own', 'shared'}, default='own'
        Whether each component has a concentration of its own, or all have one.
    normalize : bool, default=False
        If True, each row is divided by its norm first. If False, rows are unit vectors, and one whose norm differs from
        1 by more than 1e-5 is an error.
    <tol, max_iter, n_init, init_params>

        k-means runs on the unit vectors.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `mean_directions_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    mean_directions_ : ndarray of shape (n_components, n_features)
        Unit vectors.
    concentrations_ : ndarray of shape (n_components,)
        At most 1e6 (n_features - 1), which a component of equal directions reaches; `status_` then has
        `Status.CAPPED_PARAMETER`. The root mean square angle to the mean direction is then 0.001.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for rows that are not unit vectors with `normalize=False`, rows of zeros with
        `normalize=True`, and a single column.
        <errors of every fit>

    Notes
    -----
    X may be sparse; it is never made dense.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import VonMisesFisherMixture
    >>> X = np.array([[1.0, 0.1], [2.0, -0.1], [3.0, 0.4], [-0.1, 1.0], [0.2, 5.0], [0.0, 2.0]])
    >>> model = VonMisesFisherMixture(n_components=2, normalize=True, random_state=0).fit(X)
    >>> model.predict([[4.0, 0.0], [0.0, 4.0]]) == model.predict(X[[0, 5]])
    array([ True,  True])
    """

    _parameter_constraints: dict = {
        **LikelihoodMixture._parameter_constraints,
        "concentration_type": [Names(CONCENTRATIONS)],
        "normalize": ["boolean"],
    }

    _accepts_sparse = "csr"
    _shared: dict = {"concentration_type": {"shared": "own"}}

    _structural: tuple[str, ...] = ("concentration_type",)

    def __init__(
        self,
        n_components: int = 1,
        *,
        concentration_type: Literal["own", "shared"] = "own",
        normalize: bool = False,
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
        self.concentration_type = concentration_type
        self.normalize = normalize
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
        mean_directions: ArrayLike,
        concentrations: ArrayLike,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        mean_directions : array-like of shape (n_components, n_features)
            Of norm 1 within 0.001.
        concentrations : array-like of shape (n_components,)
            At least 0; all equal where `concentration_type` is 'shared'.
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
        parameters = {"mean_directions": mean_directions, "concentrations": concentrations}
        return model_of(cls, options, weights, parameters, feature_names)

    def _family(self):
        return CONCENTRATIONS[self.concentration_type]()

    def _publish(self, params, dtype):
        self.mean_directions_ = params.mean_directions.astype(dtype)
        self.concentrations_ = params.concentrations.astype(dtype)

    def _collect(self):
        return VonMisesFisherParams(self.mean_directions_, self.concentrations_)

    def _prepare_rows(self, X):
        if X.shape[1] < 2:
            raise ValueError(
                f"Directions have 2 columns or more, but X has n_features = {X.shape[1]}, which has only signs"
            )
        if self.normalize:
            return _normalized(X)
        norms = _norms(X)
        wrong = np.abs(norms - 1) > NORM_TOLERANCE
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise ValueError(
                f"Row {row} of X is no unit vector, its norm is {norms[row]:.7g}: divide the rows by their norms, or "
                "set normalize=True"
            )
        return X


def _norms(X):
    """Of the rows, in float64."""
    if not scipy.sparse.issparse(X):
        return np.sqrt(row_sums(X, np.square))
    squares = np.empty(X.shape[0])
    for rows in blocks(X.shape[0], X.nnz):
        some = X[rows]
        row_of_value = np.repeat(np.arange(some.shape[0]), np.diff(some.indptr))
        squares[rows] = np.bincount(row_of_value, some.data.astype(np.float64) ** 2, some.shape[0])
    return np.sqrt(squares)


def _normalized(X):
    """A copy whose rows have norm 1; of numbers of any size."""
    largest = abs(X).max(axis=1)
    largest = largest.toarray().ravel() if scipy.sparse.issparse(X) else largest
    if np.any(largest == 0):
        raise ValueError(f"Row {int(np.argmax(largest == 0))} of X is all zeros and has no direction: leave it out")
    X = _divided(X, largest)
    return _divided(X, _norms(X))


def _divided(X, by):
    by = by.astype(X.dtype)
    if not scipy.sparse.issparse(X):
        return X / by[:, np.newaxis]
    shares = np.repeat(by, np.diff(X.indptr))
    np.divide(X.data, shares, out=shares)
    return scipy.sparse.csr_matrix((shares, X.indices, X.indptr), X.shape)  # which shares the places of X
