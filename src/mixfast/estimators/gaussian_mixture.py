"""Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions

from mixfast._docstrings import described
from mixfast._typing import Accelerate, CovarianceShape, CovarianceType, InitParams, InitPolicy, Seed
from mixfast.estimators._elliptical import EllipticalMixture
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._using import EllipticalColumns
from mixfast.families.gaussian import STRUCTURES


@described
class GaussianMixture(EllipticalColumns, EllipticalMixture, LikelihoodMixture):
    """Mixture of Gaussians, fitted by EM: a drop-in for scikit-learn's class of the same name.

    The density of a row is sum_k weights_k N(x; means_k, covariances_k). From the same start each iteration gives
    scikit-learn's numbers. Beyond it: weights of rows, threads, `icl`, a start from labels or responsibilities, and
    results that are the same bits for any number of threads.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'} or one of mclust's names, default='full'
        - 'full': each component has a covariance matrix of its own;
        - 'tied': all components share one covariance matrix;
        - 'diag': each component has a variance for each column;
        - 'spherical': each component has a single variance;
        - 'EII', 'VII', 'EEI', 'VEI', 'EVI', 'VVI', 'EEE', 'VEE', 'EVE', 'VVE', 'EEV', 'VEV', 'EVV', 'VVV': mclust's
          shapes. The letters say of the volume (`scale_`), of the variances in proportion to it (`shape_`) and of the
          axes (`orientation_`) whether components have them in common, E, or each its own, V; I stands for equal
          variances, and for the columns as axes. 'E' and 'V' are 'EII' and 'VII' of a single column.
    <tol, reg_covar, max_iter, n_init, init_params, weights_init, means_init, precisions_init, random_state, warm_start,
    verbose, verbose_interval, n_threads, on_degenerate, accelerate, n_init_policy, canonical_order>
        The parameter is `means_`.
    <regularization, weights, weight_concentration>

    Attributes
    ----------
    <weights_>
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses, and the upper triangular U with U U' the inverse (its square roots where diagonal).
        The shape depends on `covariance_type`::

            (n_components, n_features, n_features) if 'full',
            (n_features, n_features)               if 'tied',
            (n_components, n_features)             if 'diag',
            (n_components,)                        if 'spherical',
            (n_components, n_features, n_features) if one of mclust's, whatever components share

        Fitted arrays, these and all others, are read-only. Every method uses what is assigned, such as
        `model.covariances_ = 4 * model.covariances_`, and the two others of these three follow.
    scale_ : ndarray of shape (n_components,)
        Volumes of the covariances: det(covariance)^(1 / n_features).
    shape_ : ndarray of shape (n_components, n_features)
        Variances on the axes of `orientation_`, over `scale_`.
    orientation_ : ndarray of shape (n_components, n_features, n_features)
        Axes of the covariances, in columns: the largest variance first, or the columns of the data. Of axes that all
        components share it is the first component whose variances fall.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        <errors of every fit>
        And for columns that vary, but with a range below 2.4e-153, or 1.7e-18 where X is
        float32, whose variances the precision cannot hold, unless `reg_covar` makes them larger.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> model.predict([[0, 0], [12, 3]]) == model.predict(X)[[0, 3]]
    array([ True,  True])
    """

    _parameter_constraints: dict = {
        **EllipticalMixture._parameter_constraints,
        "covariance_type": [StrOptions(set(STRUCTURES))],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType | CovarianceShape = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        on_degenerate: Literal["repair", "raise"] = "repair",
        accelerate: Accelerate = None,
        n_init_policy: InitPolicy = "all",
        canonical_order: bool = False,
        regularization: Literal["absolute", "relative"] = "absolute",
        weights: ArrayLike | None = None,
        weight_concentration: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.on_degenerate = on_degenerate
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.canonical_order = canonical_order
        self.regularization = regularization
        self.weights = weights
        self.weight_concentration = weight_concentration

    @classmethod
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | None = None,
        precisions: ArrayLike | None = None,
        precisions_cholesky: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """A fitted model of given parameters, as another program or a publication has them.

        It is what a fit without iterations leaves: `converged_` is False, `n_iter_` is 0 and `lower_bound_` is -inf. A
        fit with `warm_start=True` goes on from it.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            At least 0, and summing to 1 within 0.001; taken as they are. Arrays are float32 in the model where all that
            are given are, else float64.
        means : array-like of shape (n_components, n_features)
            The centre of each component.
        covariances, precisions, precisions_cholesky : array-like, default=None
            One of them, of the shape that `covariance_type` says, or several, which should agree within a hundredth:
            what is not given is computed. `covariances` and `precisions_cholesky` of a fit make a model of the same
            densities and draws to the last bit.
        feature_names : list of str of length n_features, default=None
            The names of the columns, as a fit to a data frame keeps them.
        **options
            Parameters of the constructor but `n_components`. That which has the name of a parameter above, `weights`,
            is what the constructor has for it: `set_params` sets it.

        Returns
        -------
        model : object
            <given model>

        Raises
        ------
        ValueError
            For parameters that are no numbers or not finite, of other shapes or outside their domain; it says which.
        TypeError
            For options that the constructor does not have.

        Examples
        --------
        >>> from mixfast import GaussianMixture
        >>> model = GaussianMixture.from_parameters(
        ...     weights=[0.3, 0.7], means=[[0.0], [8.0]], covariances=[1.0, 4.0], covariance_type="spherical"
        ... )
        >>> model.predict([[1.0], [7.0]])
        array([0, 1])
        """
        parameters = {
            "means": means,
            "covariances": covariances,
            "precisions": precisions,
            "precisions_cholesky": precisions_cholesky,
        }
        return cls._of_given(weights, parameters, feature_names, options)

    def _family(self):
        return STRUCTURES[self.covariance_type](reg_covar=self.reg_covar)
