"""Gaussian mixtures with priors on everything, fitted by variational Bayes."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._em import EM
from mixfast._threads import resolve_threads
from mixfast._typing import Accelerate, CovarianceType, InitParams, InitPolicy, Seed
from mixfast.engine._rows import Rows
from mixfast.estimators._constraints import Names, WholeNumber
from mixfast.estimators._elliptical import EllipticalMixture
from mixfast.estimators._posterior import FLAT, PosteriorMixture
from mixfast.estimators._weight_priors import WEIGHT_PRIORS
from mixfast.families.domains import POSITIVE, check_domain
from mixfast.families.posteriors import POSTERIORS
from mixfast.in_messages import in_short
from mixfast.moves import PRESENT, Problem, Search, State
from mixfast.row_data import OF_COMPONENTS
from mixfast.scatter import Scatter
from mixfast.status import Status

#: Hyper-parameters are between these, so that nothing that is made of them overflows.
SMALLEST_PRIOR, LARGEST_PRIOR = 1e-100, 1e100
#: The moves of `prune`.
PRUNING = ("merge", "delete")
#: What a search with moves has no word for: how the fit before it ended, and what lies between its moves.
UNSAID = Status.CONVERGED | Status.MAX_ITER | Status.EMPTIED_COMPONENT | Status.LOWER_BOUND_FELL


@described
class BayesianGaussianMixture(PosteriorMixture, EllipticalMixture):
    """Gaussian mixture with a posterior of its weights, means and covariances: a drop-in for scikit-learn's class.

    Each component has a conjugate prior, mean | precision ~ N(mean_prior, 1 / (mean_precision_prior precision)),
    precision ~ Wishart(degrees_of_freedom_prior, 1 / covariance_prior), and the weights a Dirichlet prior or that of a
    Dirichlet process. Variational Bayes approximates the posterior by one in which the parameters and the components of
    the rows are independent, and raises a lower bound of the log evidence, log p(X), in each iteration (Bishop,
    "Pattern recognition and machine learning", 2006, section 10.2; Blei & Jordan, Bayesian Analysis 1, 2006,
    doi:10.1214/06-BA104).

    `covariance_type='full'` has scikit-learn's numbers, iteration by iteration from the same start. For 'tied', 'diag'
    and 'spherical' scikit-learn's update is not that of the model: it has the expected log-determinant of a Wishart
    matrix for variances that are independent, and n / n_components rows for a matrix that all share. On 80 x 6 rows
    with 4 diagonal components its parameters have the bound -786.791 after 12 iterations and -787.458 after 20. Here
    all four are exact, and no iteration lowers the bound.

    Parameters
    ----------
    n_components : int, default=1
        Number of components at most: those that the rows do not need get a weight near 0, and `n_clusters_` counts the
        others.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        - 'full': each component has a precision matrix of its own;
        - 'tied': all components share one;
        - 'diag': each component has a precision for each column;
        - 'spherical': each component has one for all columns.
    tol : float, default=1e-3
        Iterations stop when the lower bound, in nats and of all rows together, moves by less.
    reg_covar : float, default=1e-6
        Added to the outer product of each row, in the unit that `regularization` says. The prior keeps covariances
        from being singular anyway; with 0 each iteration is exact coordinate ascent.
    max_iter : int, default=100
        Largest number of iterations from a start. 0 keeps the start itself.
    n_init : int, default=1
        Number of starts; that with the largest lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        Where the first responsibilities come from: labels of k-means, one row for each component by greedy k-means++ or
        at random, random numbers, labels (n_samples,) with -1 for rows of which nothing is known, or responsibilities
        (n_samples, n_components).
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, default='dirichlet_process'
        - 'dirichlet_process': by stick-breaking, w_k = v_k prod over j < k of (1 - v_j), v_k ~ Beta(1, alpha);
        - 'dirichlet_distribution': w ~ Dirichlet(alpha, ..., alpha).
    weight_concentration_prior : float, default=None
        alpha > 0. None is 1 / n_components. A Dirichlet process expects about alpha log(1 + n / alpha) clusters of n
        rows. alpha enters the bound by terms of the size of log n only: on clear clusters it changes little.
    mean_precision_prior : float, default=None
        How many rows `mean_prior` counts for, more than 0. None is 1.
    mean_prior : array-like of shape (n_features,), default=None
        None is the mean of X: of all rows, where these are in partitions or blocks, and of the first batch of
        `partial_fit`. The same goes for `covariance_prior`.
    degrees_of_freedom_prior : float, default=None
        How many rows `covariance_prior` counts for: more than n_features - 1 for 'full' and 'tied', more than 0 for
        others. None is n_features.
    covariance_prior : float or array-like, default=None
        The prior's scale, of the shape of one component's covariance: (n_features, n_features), (n_features,) for
        'diag', a number for 'spherical'; `covariance_prior / degrees_of_freedom_prior` is about the covariance that is
        expected. None is the covariance of X, the variances of its columns, or their mean; a column that does not vary
        counts for one with the geometric mean of the other columns' variances. Weights that sum to less than 2 have
        half their sum in the place of the number of rows less one.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts, and of `sample`. An int gives the same result each time, for any number of threads.
    warm_start : bool, default=False
        If True, a second call of `fit` goes on from the posterior of the first, and `n_init` is ignored.
    verbose : int, default=0
        1 prints starts and iterations, 2 also times and changes of the lower bound.
    verbose_interval : int, default=10
        Number of iterations between two lines.
    n_threads : int or None, default=None
        Threads to use at most; None is all that the process may use. The result does not depend on it.
    canonical_order : bool, default=False
        If True, components are numbered by `means_`: by column 0, those that are equal there by column 1, and so on.
        Sticks are then broken in that order, for which the bound is a little lower than `lower_bound_`.
    regularization : {'absolute', 'relative'}, default='absolute'
        What `reg_covar` is measured in: the squared unit of the data, or each column's variance. Default priors do not
        depend on units either way.
    accelerate : {'auto'} or None, default=None
        'auto' extrapolates the course of the iterations where it is slow, and drops what lowers the bound.
    <n_init_policy>
    prune : bool, default=False
        If True, the fit goes on with moves: two components are merged, or one gives its rows to the others, wherever
        that raises the bound; at the end those that hold less than half a row give them to the others, whatever the
        bound says; sticks are sorted, the largest first. What is left over is empty: there are still
        `n_components`, and `n_clusters_` says how many have rows. That takes up to `max_iter` times `n_components`
        iterations more, which `n_iter_` counts. False never moves a component. Moves look at rows: where these are in
        partitions or blocks they are made in the sample that the fit starts from, and iterations over all rows follow;
        `partial_fit` makes them in the first batch.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weights, scaled to sum to one.
    weight_concentration_ : ndarray of shape (2, n_components) or (n_components,)
        For a Dirichlet process the two parameters of each stick's Beta distribution, else those of the Dirichlet
        distribution.
    means_ : ndarray of shape (n_components, n_features)
        Expected means.
    mean_precision_ : ndarray of shape (n_components,)
        How many rows each mean counts for.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        The inverse of the expected precision, Psi / nu, that precision, and the upper triangular U with U U' the
        precision (square roots where diagonal). The shape depends on `covariance_type`: (n_components, n_features,
        n_features) if 'full', (n_features, n_features) if 'tied', (n_components, n_features) if 'diag',
        (n_components,) if 'spherical'.
    degrees_of_freedom_ : ndarray of shape (n_components,), or of shape () for 'tied'
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_ : ndarray of shape (n_features,)
    covariance_prior_ : ndarray
        The prior, defaults filled in.
    n_clusters_ : int
        Components whose rows have a weight of half a row or more.
    converged_ : bool
    n_iter_ : int
        Number of iterations of the best start; each is one pass over the rows.
    lower_bound_ : float
        The exact evidence lower bound, in nats, summed over rows, after the last iteration's update: no constant is
        left out, so bounds can be compared between numbers of components, priors and structures. With c columns of X
        in another unit it moves by n log of that unit alone.
    lower_bounds_ : list of float
        The same for each iteration; with `prune=True` of those that moves are tried by only the last of each that was
        kept.
    status_ : mixfast.Status
        What happened, as flags.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    Raises
    ------
    ValueError
        By `fit`, for X or weights that are empty, not finite or of the wrong shape, for fewer rows than components, for
        priors that are none, and for sums that overflow.

    See Also
    --------
    DirichletProcessMixture : Components that are born, merge and are deleted, and exact draws from the posterior.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import BayesianGaussianMixture
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    >>> model = BayesianGaussianMixture(n_components=8, max_iter=500, random_state=0).fit(X)
    >>> int(np.sum(model.weights_ > 0.05))
    3
    """

    _parameter_constraints: dict = {
        **{
            name: constraint
            for name, constraint in EllipticalMixture._parameter_constraints.items()
            if name
            not in ("weights", "weight_concentration", "weights_init", "means_init", "precisions_init", "on_degenerate")
        },
        "covariance_type": [Names(POSTERIORS)],
        "prune": ["boolean"],
        "weight_concentration_prior_type": [Names(WEIGHT_PRIORS)],
        "weight_concentration_prior": [None, Interval(Real, SMALLEST_PRIOR, LARGEST_PRIOR, closed="both")],
        "mean_precision_prior": [None, Interval(Real, SMALLEST_PRIOR, LARGEST_PRIOR, closed="both")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, SMALLEST_PRIOR, LARGEST_PRIOR, closed="both")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, LARGEST_PRIOR, closed="right")],
    }

    _attribute_constraints: dict = {
        **EllipticalMixture._attribute_constraints,
        **{
            name: [Interval(Real, SMALLEST_PRIOR, LARGEST_PRIOR, closed="both")]
            for name in ("weight_concentration_prior_", "mean_precision_prior_", "degrees_of_freedom_prior_")
        },
        "n_clusters_": [WholeNumber(0)],
        "weight_concentration_": [np.ndarray, list, tuple],
        "mean_precision_": [np.ndarray, list],
        "degrees_of_freedom_": [np.ndarray, list, Real],
        "mean_prior_": [np.ndarray, list],
        "covariance_prior_": [np.ndarray, list, Real],
    }

    _structural: tuple[str, ...] = ("covariance_type", "weight_concentration_prior_type")

    _warnings = {Status.REPAIRED_COVARIANCE: FLAT}

    on_degenerate = "repair"

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weight_concentration_prior_type: Literal["dirichlet_process", "dirichlet_distribution"] = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: float | ArrayLike | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        canonical_order: bool = False,
        regularization: Literal["absolute", "relative"] = "absolute",
        accelerate: Accelerate = None,
        n_init_policy: InitPolicy = "all",
        prune: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.canonical_order = canonical_order
        self.regularization = regularization
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.prune = prune

    # ---- the prior ----

    def _concentration(self):
        """That of the weights, which a fit takes and keeps as `weight_concentration_prior_`."""
        given = self.weight_concentration_prior
        return 1.0 / self.n_components if given is None else float(given)

    def _mean_precision(self):
        return 1.0 if self.mean_precision_prior is None else float(self.mean_precision_prior)

    def _weight_prior(self):
        return WEIGHT_PRIORS[self.weight_concentration_prior_type]

    def _family(self):
        return self._family_with(self.mean_prior, self.covariance_prior)

    def _family_with(self, mean_prior, covariance_prior):
        return POSTERIORS[self.covariance_type](
            self._mean_precision(),
            self.degrees_of_freedom_prior,
            mean_prior,
            covariance_prior,
            reg_covar=self.reg_covar,
        )

    def _family_of_fit(self):
        return self._family_with(
            self.mean_prior_ if self.mean_prior is None else self.mean_prior,
            self.covariance_prior_ if self.covariance_prior is None else self.covariance_prior,
        )

    def _scatter_of(self, rows, sample_weight):
        if self.mean_prior is not None and self.covariance_prior is not None:
            return None
        family = POSTERIORS[self.covariance_type](1.0, None)  # whatever is given: what is wrong with it, the fit says
        capsule = family.encode(rows).bind(1, rows.dtype)
        return Scatter.about(*EM(capsule, Rows(rows, sample_weight), resolve_threads(self.n_threads)).common())

    def _proportions(self):
        return self._weight_prior().proportions(self._concentration(), self.n_components)

    def _check_state(self):
        super()._check_state()
        least, given = self._least_degrees(self._n_fitted_features()), self.degrees_of_freedom_prior_
        if not given > least:
            raise ValueError(f"degrees_of_freedom_prior_ is {given}, and should be greater than {least}")

    def _least_degrees(self, n_features):
        return POSTERIORS[self.covariance_type].least_degrees(n_features)

    def _fitted_family(self):
        priors = self.mean_precision_prior_, self.degrees_of_freedom_prior_
        return POSTERIORS[self.covariance_type](*priors)  # the rest of the prior is among the parameters

    def _proportions_of_predictions(self):
        return self._weight_prior().proportions(self.weight_concentration_prior_, len(self.weights_))

    def _given_prior(self, family, units, n_features):
        if self.regularization == "absolute" or (family.m0 is None and family.scale0 is None):
            return family
        return family.in_units(units, n_features)

    def _start_is_given(self):
        return False

    def _given_start(self, n_features, units):
        """Nothing can be given but a start by `init_params`. Priors are looked at here, where the columns are known."""
        family = self._family()
        if self.mean_prior is not None:
            self._checked_prior("mean_prior", (n_features,))
        shape = family.param_shapes(1, n_features)[family.Params._fields.index("covariance_prior")]
        if self.covariance_prior is not None:
            scale = self._checked_prior("covariance_prior", shape)
            try:
                family.factor_covariances(scale)
            except ValueError as wanted:
                raise ValueError(
                    f"The parameter 'covariance_prior' should be {wanted} for covariance_type={self.covariance_type!r}"
                ) from None
        least, given = self._least_degrees(n_features), self.degrees_of_freedom_prior
        if given is not None and not given > least:
            raise ValueError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {least}, but got {given:.3f}."
            )

    def _checked_prior(self, name, shape):
        """A hyper-parameter that is an array, float64; ValueError where it is none of that shape."""
        given = getattr(self, name)
        try:
            array = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"The parameter {name!r} should hold numbers, but got {in_short(given)}") from None
        if array.shape != shape:
            raise ValueError(
                f"The parameter {name!r} should have the shape of {shape} for covariance_type="
                f"{self.covariance_type!r}, but got {array.shape}"
            )
        if not np.all(np.abs(array) < LARGEST_PRIOR):
            raise ValueError(
                f"The parameter {name!r} should be finite and below {LARGEST_PRIOR:g}, but got {in_short(given)}"
            )
        return array

    def _narrow_columns(self, ranges):
        return None  # the prior's variances are added

    def _bound_dtype(self, dtype):
        return np.dtype(np.float64)  # bounds are sums over the rows: float32 has steps of 0.1 at a million

    def _finish(self, best, layout, dtype, reorders=True):
        self.weight_concentration_prior_ = self._concentration()
        self.mean_precision_prior_ = self._mean_precision()
        given = self.degrees_of_freedom_prior
        self.degrees_of_freedom_prior_ = float(layout.shapes[0][1] if given is None else given)
        super()._finish(best, layout, dtype, reorders)

    def _volume(self, units, total_weight):
        return units.log_volume * total_weight

    # ---- moves ----

    @property
    def _fits_alone(self):
        return self.prune

    def _check_components(self, data, sample_weight, init_params):
        super()._check_components(data, sample_weight, init_params)
        for name in OF_COMPONENTS:
            if self.prune and name in data:
                raise ValueError(f"prune=True moves components, and {name} is said of them: set prune=False")

    def _search(self, X, sample_weight, init_params, units, volume, encoded, layout, found):
        best = super()._search(X, sample_weight, init_params, units, volume, encoded, layout, found)
        if not self.prune or best.n_iter == 0:
            return best
        family, record = encoded.family, layout.view(best.params)
        given = type(family)(
            family.kappa0, family.nu0, record.mean_prior, record.covariance_prior, reg_covar=family.reg_covar
        )
        problem = Problem(
            encoded._replace(family=given),
            X.shape[1],
            self._kernel_dtype(family, X.dtype),
            self._proportions(),
            sample_weight,
            resolve_threads(self.n_threads),
        )
        most = self.max_iter * self.n_components
        search = Search(problem, self.n_components, State(best.weights, best.params), PRUNING, self.tol, most).run()
        bound, state = search.with_empty(self.n_components)
        if search.status & Status.NOT_FINITE or not bound > best.lower_bound:
            return best
        ended = Status.CONVERGED if search.converged else Status.MAX_ITER
        return best._replace(
            weights=state.numbers,
            params=state.params,
            lower_bounds=[*best.lower_bounds, *search.bounds, bound],
            lower_bound=bound,
            n_iter=best.n_iter + search.n_iter + 1,
            converged=search.converged,
            status=int((best.status | search.status) & ~UNSAID | ended),
        )

    # ---- what is published ----

    def _weights_of(self, mixing):
        weights, _ = self._weight_prior().expected_weights(mixing, self._prior_of_weights())
        return weights / weights.sum(axis=-1, keepdims=True)

    def _prior_of_weights(self):
        """Of the fit, or of one that is to come."""
        return vars(self).get("weight_concentration_prior_", self._concentration())

    def _publish_mixing(self, mixing, dtype):
        n_clusters = int(self._n_clusters_of(mixing))
        mixing = self._rounded_mixing(mixing, dtype)  # all of what is published belongs together
        numbers = self._weight_prior().numbers(mixing, self._prior_of_weights())
        self.weight_concentration_ = numbers.astype(dtype)
        self._publish_together(weights_=self._weights_of(mixing).astype(dtype), n_clusters_=n_clusters)

    def _rounded_mixing(self, mixing, dtype):
        prior, concentration = self._weight_prior(), self._prior_of_weights()
        numbers = prior.numbers(mixing, concentration).astype(dtype).astype(np.float64)
        return np.maximum(prior.counts(numbers, concentration), 0)

    def _is_present(self):
        return self._mixing() >= PRESENT  # others are the prior, as wide as all rows

    def _mixing(self):
        numbers = np.asarray(self.weight_concentration_, dtype=np.float64)
        return np.maximum(self._weight_prior().counts(numbers, self.weight_concentration_prior_), 0)

    def _check_domains(self):
        check_domain("weight_concentration_", np.asarray(self.weight_concentration_), (POSITIVE,))
        self._check_domains_of_components()

    def _published(self, params):
        *arrays, _ = params
        return *arrays, self._family().precisions(params.precisions_cholesky.astype(np.float64))

    def _published_fields(self, params):
        *names, _ = params._fields
        return names

    def _collect(self):
        family = self._family()
        *names, _ = family.Params._fields
        arrays = [np.asarray(getattr(self, f"{name}_")) for name in names]
        return family.Params(*arrays, np.zeros(()))  # the log-determinant of the prior: no prediction asks for it

    #: What is made of the posterior of the weights.
    _followers = {**EllipticalMixture._followers, "weight_concentration_": ("weights_", "n_clusters_")}

    def _follow(self, name):
        if name not in ("weights_", "n_clusters_") or "weight_concentration_" not in vars(self):
            return super()._follow(name)
        if name == "n_clusters_":
            return int(self._n_clusters_of(self._mixing()))
        return self._weights_of(self._mixing()).astype(np.asarray(self.weight_concentration_).dtype)

    def __setattr__(self, name, value):
        if name == "weights_":
            raise AttributeError("weights_ are expectations: assign the posterior, weight_concentration_, instead")
        super().__setattr__(name, value)

    # ---- predictions ----

    def _predictive(self):
        layout = self._family().params_layout(len(self.weights_), self._n_fitted_features())
        mixing, packed = self._packed_state(layout)
        weights, rest = self._weight_prior().expected_weights(mixing, self.weight_concentration_prior_)
        return *self._fitted_family().predictive(layout.view(packed)), np.append(weights, rest)
