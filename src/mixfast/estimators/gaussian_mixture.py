"""Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, CovarianceShape, CovarianceType, InitParams, InitPolicy, Seed
from mixfast.estimators._constraints import Names
from mixfast.estimators._elliptical import EllipticalMixture
from mixfast.estimators._given import of_known_names
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._missing import MixtureWithMissingEntries
from mixfast.estimators._noise import MixtureWithNoise
from mixfast.estimators._trimming import TrimmedMixture
from mixfast.estimators._truncation import TruncatedMixture
from mixfast.estimators._using import EllipticalColumns
from mixfast.families import gaussian
from mixfast.families.domains import COVARIANCE, check_domain
from mixfast.families.factors import NOISES, FactorGaussian
from mixfast.families.gaussian import WITH_LIMIT, WITH_PRIOR, CovariancePrior, ShapedGaussian, default_prior
from mixfast.families.presence import have_gaps
from mixfast.in_messages import listed
from mixfast.scatter import Scatter
from mixfast.seeding import AUTO, ELSEWHERE, METHODS

#: The families by `covariance_type`.
STRUCTURES = {**gaussian.STRUCTURES, "factor": FactorGaussian}

#: The parameters of the constructor that some of them have beside `reg_covar`.
OPTIONS = {"factor": ("n_factors", "factor_noise")}


@described
class GaussianMixture(
    MixtureWithMissingEntries,
    TruncatedMixture,
    TrimmedMixture,
    MixtureWithNoise,
    EllipticalColumns,
    EllipticalMixture,
    LikelihoodMixture,
):
    """Mixture of Gaussians, fitted by EM: a drop-in for scikit-learn's class of the same name.

    The density of a row is sum_k weights_k N(x; means_k, covariances_k). From the same start each iteration gives
    scikit-learn's numbers. Beyond it: weights of rows, threads, `icl`, a start from labels or responsibilities, and
    results that are the same bits for any number of threads.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'factor'} or one of mclust's names, default='full'
        - 'full': each component has a covariance matrix of its own;
        - 'tied': all components share one covariance matrix;
        - 'diag': each component has a variance for each column;
        - 'spherical': each component has a single variance;
        - 'EII', 'VII', 'EEI', 'VEI', 'EVI', 'VVI', 'EEE', 'VEE', 'EVE', 'VVE', 'EEV', 'VEV', 'EVV', 'VVV': mclust's
          shapes. The letters say of the volume (`scale_`), of the variances in proportion to it (`shape_`) and of the
          axes (`orientation_`) whether components have them in common, E, or each its own, V; I stands for equal
          variances, and for the columns as axes. 'E' and 'V' are 'EII' and 'VII' of a single column;
        - 'factor': each component has `n_factors` factors, a mixture of factor analysers: columns depend on each other
          by what they have in common, and the rest is noise. A row costs as much as `n_factors` times its columns,
          so that there may be thousands of them; where entries are missing, as 'full'.
    <tol, reg_covar, max_iter, n_init, init_params of gaussians, weights_init, means_init, precisions_init>
    <random_state, warm_start, verbose, verbose_interval, n_threads, on_degenerate>
    <accelerate, n_init_policy, canonical_order>
        The parameter is `means_`.
    <regularization, weights, weight_concentration>
    covariance_prior : 'default' or dict, default=None
        A conjugate prior of the components' means and covariances, of which a fit finds the posterior's mode (Fraley &
        Raftery, Journal of Classification 24 (2007)): no component shrinks onto a few rows. 'default' is theirs: each
        component has, as it were, `shrinkage` = 0.01 of a row at `mean`, the columns' means, and `dof` = n_features + 2
        rows more of the covariance `scale` / `dof`, where `scale` is the covariance of the rows over n_components^(2 /
        n_features), of diagonal shapes the mean of the columns' variances over that. Where entries are missing, mean
        and covariance of the rows are those of the most likely Gaussian. A dict has some of these four in their place.
        For 'full', 'EII', 'VII', 'EEI', 'VVI', 'EEE', 'VVV', 'E' and 'V', with `regularization='absolute'`.
        `lower_bound_` then has the prior's log density, up to a constant, divided by n; `score` and criteria have none.
    eigenvalue_ratio : float, default=None
        No eigenvalue of a covariance may be more than so many times another, of any component (Fritz, Garcia-Escudero &
        Mayo-Iscar, Computational Statistics and Data Analysis 61 (2013)): likelihoods have a bound then. At least 1;
        for 'full', 'VII', 'VVI', 'VVV' and 'V'. It depends on the units of the columns.
    <noise, noise_volume, hold, trim>
    n_factors : int, default=1
        Of each component, where `covariance_type` is 'factor': its covariance is loadings loadings' + noise, loadings
        (n_features, n_factors). Fewer than there are columns.
    factor_noise : {'diag', 'spherical', 'tied_diag', 'tied_spherical'}, default='diag'
        The noise of 'factor': a variance for each column of each component, or one for all columns, which is a
        mixture of probabilistic principal component analysers; 'tied' where all components have the same. No variance
        is less than `reg_covar`, which is not added here, nor than a millionth of what its column has in all rows.
    max_active : int, default=None
        For thousands of components: each row keeps so many of them, those that explain it best, and responsibilities of
        all others are 0 (truncated posteriors; Salwig, Kahlke, Hirschberger, Forster & Luecke, arXiv 2501.12299).
        Candidates are neighbours of what rows keep, a hundred or two whatever the number of components. EM
        then increases sum_n log sum_{k in K_n} weights_k N(x_n; means_k, covariances_k) / n, where K_n is what row n
        keeps: this is `lower_bound_`, no more than the mean log-likelihood, and it never falls. At least 1; from
        `n_components` on, and with None, nothing is left out. For 'spherical', 'diag' and 'factor', without `noise`,
        `hold`, `trim`, `accelerate`, halving and missing entries. 'kmeans' then draws seeds by Markov chains and joins
        pairs of them, 'k-means++' draws them alone. Predictions, `score` and criteria are of all components.

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
            (n_components, n_features, n_features) if one of mclust's, whatever components share, or 'factor'

        Fitted arrays, these and all others, are read-only. Every method uses what is assigned, such as
        `model.covariances_ = 4 * model.covariances_`, and the two others of these three follow. Of 'factor' they are
        made when they are asked for, and follow the two below, which are to be assigned in their place.
    loadings_ : ndarray of shape (n_components, n_features, n_factors)
        Of 'factor': how the columns follow the factors, which have variance 1. Rotated ones are of the same model.
    noise_variances_ : ndarray of shape (n_components, n_features)
        Of 'factor': of what the factors leave, whatever columns or components share.
    scale_ : ndarray of shape (n_components,)
        Volumes of the covariances: det(covariance)^(1 / n_features).
    shape_ : ndarray of shape (n_components, n_features)
        Variances on the axes of `orientation_`, over `scale_`.
    orientation_ : ndarray of shape (n_components, n_features, n_features)
        Axes of the covariances, in columns: the largest variance first, or the columns of the data. Of axes that all
        components share it is the first component whose variances fall.
    covariance_prior_ : dict
        Where there is a `covariance_prior`: shrinkage, mean, dof and scale of the fit.
    <trim_level_, noise_volume_, noise_box_, converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_,
    feature_names_in_>

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

    _of_rows = ("covariance_prior_",)

    _parameter_constraints: dict = {
        **EllipticalMixture._parameter_constraints,
        **MixtureWithNoise._parameter_constraints,
        **TrimmedMixture._parameter_constraints,
        **TruncatedMixture._parameter_constraints,
        "covariance_type": [Names(STRUCTURES)],
        "init_params": [Names([*METHODS, AUTO, ELSEWHERE]), "array-like"],
        "covariance_prior": [Names(["default"]), dict, None],
        "eigenvalue_ratio": [Interval(Real, 1.0, None, closed="left"), None],
        "n_factors": [Interval(Integral, 1, None, closed="left")],
        "factor_noise": [Names(NOISES)],
    }

    _attribute_constraints: dict = {
        **MixtureWithNoise._attribute_constraints,
        **EllipticalMixture._attribute_constraints,
        "loadings_": [np.ndarray, list],
        "noise_variances_": [np.ndarray, list],
    }

    _truncates = frozenset({"spherical", "diag", "factor"})

    _shared: dict = {"covariance_type": EllipticalMixture._shared["covariance_type"] | {"factor": "full"}}

    @property
    def _structural(self):
        return "covariance_type", "noise", *OPTIONS.get(self.covariance_type, ())

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType | CovarianceShape | Literal["factor"] = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams | Literal["auto"] = "auto",
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
        covariance_prior: Literal["default"] | dict[str, Any] | None = None,
        eigenvalue_ratio: float | None = None,
        noise: Literal["uniform"] | float | None = None,
        noise_volume: float | None = None,
        hold: dict[str, ArrayLike] | None = None,
        trim: float | None = None,
        n_factors: int = 1,
        factor_noise: Literal["diag", "spherical", "tied_diag", "tied_spherical"] = "diag",
        max_active: int | None = None,
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
        self.covariance_prior = covariance_prior
        self.eigenvalue_ratio = eigenvalue_ratio
        self.noise = noise
        self.noise_volume = noise_volume
        self.hold = hold
        self.trim = trim
        self.n_factors = n_factors
        self.factor_noise = factor_noise
        self.max_active = max_active

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | None = None,
        precisions: ArrayLike | None = None,
        precisions_cholesky: ArrayLike | None = None,
        loadings: ArrayLike | None = None,
        noise_variances: ArrayLike | None = None,
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
        loadings, noise_variances : array-like, default=None
            Both in their place where `covariance_type` is 'factor': of shape (n_components, n_features, n_factors) and
            (n_components, n_features).
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
            "loadings": loadings,
            "noise_variances": noise_variances,
        }
        return cls._of_given(weights, parameters, feature_names, options)

    def _options_of_columns(self, columns):
        options = super()._options_of_columns(columns)
        if isinstance(self.covariance_prior, dict):
            prior = dict(self.covariance_prior)
            if "mean" in prior:
                prior["mean"] = np.asarray(prior["mean"])[columns]
            if np.ndim(prior.get("scale")) == 2:
                prior["scale"] = np.asarray(prior["scale"])[np.ix_(columns, columns)]
            options["covariance_prior"] = prior
        return options

    def _family_of_components(self):
        if self.eigenvalue_ratio is None and self.covariance_prior is None:
            options = {name: getattr(self, name) for name in OPTIONS.get(self.covariance_type, ())}
            return STRUCTURES[self.covariance_type](reg_covar=self.reg_covar, **options)
        name = {"full": "VVV"}.get(self.covariance_type, self.covariance_type)
        self._check_constraint_of_shape("covariance_prior", name, WITH_PRIOR)
        self._check_constraint_of_shape("eigenvalue_ratio", name, WITH_LIMIT)
        if self.covariance_prior is not None and self.eigenvalue_ratio is not None:
            raise ValueError("covariance_prior and eigenvalue_ratio were both given: set one of them to None")
        prior = vars(self).get("covariance_prior_")
        family = ShapedGaussian(
            name,
            reg_covar=self.reg_covar,
            eigenvalue_ratio=self.eigenvalue_ratio,
            prior=None if prior is None else CovariancePrior(**prior),
        )
        family.batches = self.covariance_prior is None  # a prior of the rows is that of a problem
        return family

    def _check_constraint_of_shape(self, parameter, name, allowed):
        if getattr(self, parameter) is not None and name not in allowed:
            raise ValueError(
                f"{parameter}={getattr(self, parameter)!r} with covariance_type={self.covariance_type!r}: it is for "
                f"'full' and {', '.join(map(repr, allowed))}, whose M-step is exact with it"
            )

    def _family_of_rows(self, rows, sample_weight):
        vars(self).pop("covariance_prior_", None)
        family = super()._family_of_rows(rows, sample_weight)
        if self.covariance_prior is not None:
            if self.regularization != "absolute":
                raise ValueError(
                    "covariance_prior is in units of the data, and regularization='relative' fits in others: take "
                    "regularization='absolute'"
                )
            find = _most_likely_scatter if have_gaps(rows) else self._scatter_of
            self.covariance_prior_ = self._prior_of(family.name, find(rows, sample_weight))._asdict()
            family = self._family()
        return family

    def _scatter_of(self, rows, sample_weight):
        if self.covariance_prior is None:
            return None
        if have_gaps(rows):
            raise ValueError(
                f"covariance_prior={self.covariance_prior!r} with missing entries, NaN, wants all rows at once, in one "
                "array: fit them so, set it to None, or fill in what is missing"
            )
        rows = np.ascontiguousarray(rows, dtype=np.float64)  # products of columns first have other last digits
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight
        mean = weight @ rows / weight.sum()
        centred = rows - mean
        return Scatter(float(weight.sum()), mean, (weight * centred.T) @ centred)

    def _learn_of_all(self, design):
        if design._scatter is not None:
            self.covariance_prior_ = self._prior_of(self._family().name, design._scatter)._asdict()

    def _prior_of(self, name, scatter):
        """The default of rows, with what was given in its place."""
        d = len(scatter.means)
        prior = default_prior(name, self.n_components, scatter.means, scatter.products / max(scatter.weight - 1, 1))
        given = {} if isinstance(self.covariance_prior, str) else dict(self.covariance_prior)
        unknown = given.keys() - set(CovariancePrior._fields)
        if unknown:
            raise ValueError(
                f"covariance_prior has {listed(sorted(unknown))}, and should have {listed(CovariancePrior._fields)}"
            )
        numbers = {own: np.asarray(value, dtype=np.float64) for own, value in given.items()}
        if "mean" in numbers and numbers["mean"].shape != (d,):
            raise ValueError(f"covariance_prior['mean'] should have the shape of {(d,)}, got {numbers['mean'].shape}")
        scale = numbers.get("scale")
        if scale is not None:
            if scale.shape == ():
                numbers["scale"] = scale = scale * np.eye(d)
            if scale.shape != (d, d):
                raise ValueError(f"covariance_prior['scale'] should be a number or {(d, d)}, got {scale.shape}")
            check_domain("covariance_prior['scale']", scale, (COVARIANCE,))
        for own in [name for name in ("shrinkage", "dof") if name in numbers]:
            if not (numbers[own].shape == () and 0 <= numbers[own] < np.inf):
                raise ValueError(f"covariance_prior[{own!r}] should be a number of at least 0, got {given[own]!r}")
            numbers[own] = float(numbers[own])
        return prior._replace(**numbers)


def _most_likely_scatter(rows, sample_weight):
    """That of the most likely Gaussian of rows with missing entries; those without an entry do not count."""
    weight = np.ones(len(rows)) if sample_weight is None else sample_weight
    model = GaussianMixture(reg_covar=0.0, tol=1e-12, max_iter=10_000, accelerate="auto")
    model.fit(np.asarray(rows, dtype=np.float64), sample_weight=weight)
    n = float(weight[~np.isnan(rows).all(axis=1)].sum())
    return Scatter(n, model.means_[0], n * model.covariances_[0])
