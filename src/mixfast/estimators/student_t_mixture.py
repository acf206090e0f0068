"""Student-t mixtures: clusters with outliers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
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
from mixfast.estimators._using import EllipticalColumns
from mixfast.families.student_t import DEGREES, DEGREES_LIMITS, STRUCTURES, GivenDegrees
from mixfast.seeding import AUTO, ELSEWHERE, METHODS


@described
class StudentTMixture(
    MixtureWithMissingEntries, TrimmedMixture, MixtureWithNoise, EllipticalColumns, EllipticalMixture, LikelihoodMixture
):
    """Mixture of multivariate Student-t distributions, fitted by maximum likelihood: heavy tails, outliers.

    The density of a row x of d columns is sum_k weights_k t(x; means_k, covariances_k, n_k) with

        t(x; m, S, n) = gamma((n + d) / 2) / gamma(n / 2) det(pi n S)^(-1/2) (1 + D / n)^(-(n + d) / 2),

    D = (x - m)' S^-1 (x - m).

    In the estimate of a component's mean and scale a row weighs (n + d) / (n + its squared distance), so that outliers
    count little, the fewer the degrees of freedom n the less: Peel & McLachlan, "Robust mixture modelling using the t
    distribution", Statistics and Computing 10 (2000), doi:10.1023/A:1008981510081. The iterations have the same limits
    as those of EM there and never lower the likelihood either, but longer steps: weighted moments are divided by the
    sum of the weights instead of the number of rows (Liu, Rubin & Wu, Biometrika 85 (1998),
    doi:10.1093/biomet/85.4.755), and degrees of freedom are found together with the scales.

    Entries that are NaN are missing: the density of a row is that of the p columns that are there, in which p stands
    for d, and its weight is (n + p) / (n + the squared distance of these) (Liu & Rubin, "ML estimation of the t
    distribution using EM and its extensions, ECM and ECME", Statistica Sinica 5 (1995); Wang, Zhang, Luo & Wei,
    Computational Statistics and Data Analysis 45 (2004)). That is maximum likelihood where entries are missing at
    random.

    Parameters
    ----------
    <n_components>
    covariance_type : {'full', 'tied', 'diag', 'spherical'} or one of mclust's names, default='full'
        - 'full': each component has a scale matrix of its own;
        - 'tied': all components share one scale matrix;
        - 'diag': each component has a scale for each column;
        - 'spherical': each component has a single scale;
        - mclust's names, as 'VEI': whether volumes, proportions and axes are shared (E) or each component's own (V).
    degrees_of_freedom : {'component', 'shared'} or float, default='component'
        - 'component': each component has degrees of freedom of its own, to be estimated;
        - 'shared': all components have the same, to be estimated;
        - a number between 0.01 and 1e8: they are given. 1 is the Cauchy distribution, and 1e8 a Gaussian.

        Estimates lie between these limits too. Without outliers the likelihood hardly depends on them, and estimates
        are as large as `tol` lets them become.
    <tol, reg_covar, max_iter, n_init, init_params of student-t components, weights_init, means_init, precisions_init>
        Here covariances are scale matrices. Degrees of freedom to be estimated start at 8.
    <random_state, warm_start, verbose, verbose_interval, n_threads, on_degenerate, accelerate, n_init_policy,
    canonical_order>
        The parameter is `means_`.
    <regularization, weights, weight_concentration, noise, noise_volume, hold, trim>

    Attributes
    ----------
    <weights_>
    means_ : ndarray of shape (n_components, n_features)
        Locations: expectations where there are more than one degree of freedom.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Scale matrices, their inverses, and the upper triangular U with U U' the inverse (its square roots where
        diagonal); of the shapes that covariances have in a `GaussianMixture` of that `covariance_type`. The covariance
        of a component is n / (n - 2) times its scale matrix where it has n > 2 degrees of freedom, else infinite.
    degrees_of_freedom_ : ndarray of shape (n_components,)
    scale_, shape_, orientation_ : ndarray
        Volumes of the scale matrices, their variances in proportion to these, and their axes, in columns.
    <trim_level_, noise_volume_, noise_box_, converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_,
    feature_names_in_>

    Raises
    ------
    ValueError
        <errors of every fit>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import StudentTMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(95, 2)), rng.uniform(-50, 50, size=(5, 2))])
    >>> model = StudentTMixture(random_state=0).fit(X)
    >>> bool(np.all(np.abs(model.means_) < 0.3) and model.degrees_of_freedom_ < 3)
    True
    """

    _parameter_constraints: dict = {
        **EllipticalMixture._parameter_constraints,
        **MixtureWithNoise._parameter_constraints,
        **TrimmedMixture._parameter_constraints,
        "covariance_type": [Names(STRUCTURES)],
        "init_params": [Names([*METHODS, AUTO, ELSEWHERE]), "array-like"],
        "degrees_of_freedom": [Names(DEGREES), Interval(Real, *DEGREES_LIMITS, closed="both")],
    }

    _structural: tuple[str, ...] = ("covariance_type", "degrees_of_freedom", "noise")

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType | CovarianceShape = "full",
        degrees_of_freedom: float | Literal["component", "shared"] = "component",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams | Literal["auto"] = "kmeans",
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
        noise: Literal["uniform"] | float | None = None,
        noise_volume: float | None = None,
        hold: dict[str, ArrayLike] | None = None,
        trim: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.degrees_of_freedom = degrees_of_freedom
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
        self.noise = noise
        self.noise_volume = noise_volume
        self.hold = hold
        self.trim = trim

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        means: ArrayLike,
        degrees_of_freedom: ArrayLike,
        covariances: ArrayLike | None = None,
        precisions: ArrayLike | None = None,
        precisions_cholesky: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        means : array-like of shape (n_components, n_features)
            The centre of each component.
        degrees_of_freedom : array-like of shape (n_components,)
            From 0.01 to 1e8. The constructor's parameter of that name, what a later fit makes of them, is set by
            `set_params`.
        covariances, precisions, precisions_cholesky : array-like, default=None
            Scale matrices, their inverses or factors of these: at least one.
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
        parameters = {
            "means": means,
            "covariances": covariances,
            "precisions": precisions,
            "precisions_cholesky": precisions_cholesky,
            "degrees_of_freedom": degrees_of_freedom,
        }
        return cls._of_given(weights, parameters, feature_names, options)

    def _scaled_by(self, columns, values, structure, covariances):
        distances = self._distances(columns, values[np.newaxis])[0]
        degrees = np.asarray(self.degrees_of_freedom_, dtype=np.float64)
        factors = (degrees + distances) / (degrees + len(columns))
        if structure == "tied":
            structure, covariances = "full", np.repeat(covariances[np.newaxis], len(factors), axis=0)
        covariances = factors.reshape(-1, *[1] * (np.ndim(covariances) - 1)) * covariances
        degrees = np.minimum(degrees + len(columns), DEGREES_LIMITS[1])
        return structure, covariances, {"degrees_of_freedom": degrees}

    def _distances(self, columns, rows):
        """Squared, of rows (n, n_columns) of some columns to the components, in units of these: (n, n_components)."""
        away = rows[:, np.newaxis] - self._centres()[:, columns]
        within = np.asarray(self.covariance_matrices(), dtype=np.float64)[:, columns][:, :, columns]
        return np.sum(away * np.linalg.solve(within, away[..., np.newaxis])[..., 0], axis=2)

    def _stretches(self, columns, rows, labels, rng):
        """A draw of n + p degrees of freedom is sqrt((n + D) / chi-squared of these) times as far out as a normal one,
        where p columns are known and have the distance D."""
        degrees = np.asarray(self.degrees_of_freedom_, dtype=np.float64)[labels]
        distances = self._distances(columns, rows)[np.arange(len(rows)), labels]
        chi2 = np.maximum(rng.chisquare(degrees + len(columns)), np.finfo(float).tiny)
        return np.sqrt((degrees + distances) / chi2)

    def _family_of_components(self):
        degrees = DEGREES.get(self.degrees_of_freedom) or GivenDegrees(self.degrees_of_freedom)
        return STRUCTURES[self.covariance_type](reg_covar=self.reg_covar, degrees=degrees)

    def _given_start(self, n_features, units):
        given = super()._given_start(n_features, units)
        if given is not None and self._start_is_given():
            family = self._family()
            record = family.params_layout(self._n_weights(), n_features).view(given[1])
            record.degrees_of_freedom[...] = family.degrees.start
        return given
