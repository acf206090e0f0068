"""One table of all public estimators: a maker, rows, what is outside the domain, densities by SciPy. Laws that hold for
every estimator run over it: `@every_estimator`."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.utils import get_tags

import mixfast
from mixfast import (
    GSDMM,
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
)
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.covariances import SHAPES
from mixfast.partitions import fits_elsewhere
from mixfast.parts import Bernoulli, Categorical, Gamma, Gaussian

N_ROWS = 60
RNG = np.random.default_rng(20)
GROUP = np.arange(N_ROWS) % 2

REALS = RNG.normal(size=(N_ROWS, 3)) * [1.0, 0.5, 2.0] + np.array([[0.0, 1.0, -3.0], [4.0, -2.0, 5.0]])[GROUP]
BITS = (RNG.random((N_ROWS, 4)) < np.array([[0.8, 0.2, 0.7, 0.4], [0.2, 0.7, 0.1, 0.6]])[GROUP]).astype(float)
CODES = (3 * RNG.random((N_ROWS, 3)) ** np.array([[0.5], [2.0]])[GROUP]).astype(int).astype(float)
WORDS = np.array(["blue", "green", "red"], dtype=object)[CODES.astype(int)]
COUNTS = RNG.poisson(np.array([[1.0, 5.0, 2.0, 4.0], [6.0, 1.0, 3.0, 1.0]])[GROUP]).astype(float)
WAITS = RNG.gamma(np.array([[2.0, 9.0, 4.0], [8.0, 2.0, 4.0]])[GROUP], [[1.0, 0.5, 2.0]])
DIRECTIONS = REALS / np.linalg.norm(REALS, axis=1, keepdims=True)
MIXED = np.column_stack([REALS[:, :2].astype(object), BITS[:, 0].astype(object), WORDS[:, 0]])
PARTS = [(0, 1, Gaussian()), (2, Bernoulli()), (3, Categorical())]


@dataclass(frozen=True)
class Rows:
    """Rows with what they have beside their values, by name."""

    X: np.ndarray
    data: dict

    def __len__(self):
        return self.X.shape[0]

    def some(self, rows):
        return Rows(self.X[rows], {name: values[rows] for name, values in self.data.items()})

    def to(self, method, **options):
        """What a method makes of them."""
        return method(self.X, **self.data, **options)


class Entry(NamedTuple):
    """An estimator and rows for it.

    make : (parameters) -> a new estimator
    X : (60, d) rows in its domain, of two groups that alternate; float64, or objects
    log_densities : (fitted model, X) -> (n, K), of each component, by NumPy and SciPy alone
    outside : a value of the first column that `fit` and predictions refuse; None where all finite numbers are taken
    unseen : a value of the first column that a fit to X does not know: `fit` would learn it, predictions refuse it
    log_density_of_new : (fitted model, X) -> (n, 1), of a component that no row was of, which `remaining_weight_` is of
    """

    make: Callable
    X: np.ndarray
    log_densities: Callable
    outside: object = None
    unseen: object = None
    log_density_of_new: Callable | None = None

    def rows(self, dtype=None):
        return Rows(self.X if dtype is None else self.X.astype(dtype), {})

    @property
    def takes_weights(self):
        return not issubclass(type(self.make()), GSDMM)

    @property
    def has_likelihood(self):
        return issubclass(type(self.make()), LikelihoodMixture)

    @property
    def fits_elsewhere(self):
        """Whether sums over rows, wherever these are, are all that a fit needs."""
        return fits_elsewhere(self.make())

    @property
    def is_by_em(self):
        """Of a number of components that is given, from starts of several kinds."""
        return "init_params" in self.make().get_params()

    @property
    def takes_sparse(self):
        return get_tags(self.make()).input_tags.sparse

    @property
    def takes_missing(self):
        """Whether the first column may have entries that are missing."""
        return get_tags(self.make()).input_tags.allow_nan

    @property
    def dtypes(self):
        """Those that X may have."""
        return [np.float64, np.float32] if self.X.dtype != object else [object]

    def row_with(self, value):
        """(1, d), the first row with a value in its first column."""
        row = self.X[:1].copy()
        row[0, 0] = value
        return row

    def refused_rows(self):
        """name -> (1, d), a row that `fit` and predictions refuse."""
        rows = {"infinity": self.row_with(np.inf)}
        if not self.takes_missing:
            rows["NaN"] = self.row_with(np.nan)
        if self.outside is not None:
            rows["outside the domain"] = self.row_with(self.outside)
        return rows

    def strange_rows(self):
        """The rows that no fit to X expects: those that are refused, and those of unseen values."""
        rows = self.refused_rows()
        if self.unseen is not None:
            rows["unseen"] = self.row_with(self.unseen)
        return rows


def _maker(cls, *args, **fixed):
    def make(**params):
        return cls(*args, **({"n_components": 2, "random_state": 0} | fixed | params))

    return make


def _process_maker(component, **fixed):
    """Of a Dirichlet process mixture without moves, which has as many components as it begins with; there is one way to
    begin and one loop."""

    def make(n_components=2, **params):
        options = {"init_components": n_components, "moves": (), "random_state": 0} | fixed | params
        for name in ("init_params", "n_init", "accelerate"):
            options.pop(name, None)
        if "max_iter" in options:
            options["max_iter"] += 1  # after the first, which leaves the start and cannot be left out
        return DirichletProcessMixture(component, **options)

    return make


def _by_component(log_density):
    """(model, X) -> (n, K), of a function (model, k, X) -> (n,)."""
    return lambda model, X: np.column_stack([log_density(model, k, X) for k in range(len(model.weights_))])


def _gaussian(model, X):
    matrices = model.covariance_matrices()
    parts = [stats.multivariate_normal(m, S) for m, S in zip(model.means_, matrices, strict=True)]
    return np.column_stack([part.logpdf(X) for part in parts])


def _predictive_matrices(model, X):
    """Of a posterior: t distributions with n + n0 + 1 - d degrees of freedom."""
    matrices, kappa, d = model.covariance_matrices(), model.mean_precision_, X.shape[1]
    nu = np.broadcast_to(model.degrees_of_freedom_, kappa.shape)
    wider = nu / (nu - d + 1) * (1 + kappa) / kappa
    columns = zip(model.means_, wider[:, np.newaxis, np.newaxis] * matrices, nu - d + 1, strict=True)
    return np.column_stack([stats.multivariate_t.logpdf(X, m, S, df) for m, S, df in columns])


def _predictive_columns(model, k, X):
    """Of a posterior with a variance for each column."""
    scales = np.sqrt(model.covariances_[k] * (1 + 1 / model.mean_precision_[k]))
    return stats.t.logpdf(X, model.degrees_of_freedom_[k], model.means_[k], scales).sum(axis=1)


def _predictive_spheres(model, k, X):
    """Of a posterior with one variance."""
    matrix = model.covariances_[k] * (1 + 1 / model.mean_precision_[k]) * np.eye(X.shape[1])
    return stats.multivariate_t.logpdf(X, model.means_[k], matrix, X.shape[1] * model.degrees_of_freedom_[k])


def _student_t(model, X):
    matrices = model.covariance_matrices()
    columns = zip(model.means_, matrices, model.degrees_of_freedom_, strict=True)
    return np.column_stack([stats.multivariate_t.logpdf(X, m, S, df) for m, S, df in columns])


def _binary(model, k, X):
    return np.nansum(np.where(X == 1, np.log(model.probabilities_[k]), np.log1p(-model.probabilities_[k])), axis=1)


def _answers(model, k, X):
    of_columns = [
        np.log(p[k])[[own.tolist().index(value) for value in X[:, j].tolist()]]
        for j, (p, own) in enumerate(zip(model.probabilities_, model.categories_, strict=True))
    ]
    return np.sum(of_columns, axis=0)


def _words_given_totals(concentrations):
    return lambda model, k, X: stats.dirichlet_multinomial.logpmf(
        X.astype(int), concentrations(model)[k], X.sum(axis=1).astype(int)
    )


def _gamma(model, k, X):
    return stats.gamma.logpdf(X, model.shapes_[k], scale=model.scales_[k]).sum(axis=1)


def _vmf(model, k, X):
    return stats.vonmises_fisher.logpdf(X, model.mean_directions_[k], model.concentrations_[k])


def _product(model, X):
    gaussian, bits, answers = model.components_.values()
    columns = X[:, :2].astype(float), X[:, 2:3].astype(float), X[:, 3:]
    return _gaussian(gaussian, columns[0]) + _by_component(_binary)(bits, columns[1]) + _by_component(_answers)(
        answers, columns[2]
    )  # fmt: skip


def _beta(model, X):
    shares = SimpleNamespace(probabilities_=model.a_ / (model.a_ + model.b_), weights_=model.a_)
    return _by_component(_binary)(shares, X)


def _dirichlet_answers(model, X):
    columns = np.split(model.concentrations_, np.cumsum([len(own) for own in model.categories_])[:-1], axis=1)
    shares = [own / own.sum(axis=1, keepdims=True) for own in columns]
    return _by_component(_answers)(
        SimpleNamespace(probabilities_=shares, categories_=model.categories_, weights_=model.concentrations_), X
    )


def _negative_binomial(model, k, X):
    rates = model.rates_[k]
    return stats.nbinom.logpmf(X, model.shapes_[k], rates / (1 + rates)).sum(axis=1)


def _lomax(model, k, X):
    return stats.lomax.logpdf(X, model.shapes_[k], scale=model.rates_[k]).sum(axis=1)


def _as_matrices(model):
    """The prior of full and tied covariances as the posterior of a component without rows; tied, of the same
    precision."""
    prior, is_tied = model.prior_, model.component == "tied"
    nu = model.degrees_of_freedom_ if is_tied else prior["nu0"]
    matrix = model.covariances_ if is_tied else prior["Psi0"] / nu
    return {
        "means_": prior["m0"],
        "mean_precision_": prior["kappa0"],
        "degrees_of_freedom_": nu,
        "covariances_": matrix,
    }


def _as_variances(model):
    prior, alike = model.prior_, 1 if model.component == "diag" else model.n_features_in_
    nu = 2 * prior["shape"] / alike
    return {
        "means_": prior["m0"],
        "mean_precision_": prior["kappa0"],
        "degrees_of_freedom_": nu,
        "covariances_": 2 * prior["rate"] / alike / nu,
    }


def _as_columns(*names):
    """Of a prior whose numbers are those of each column; names of the attributes and of the numbers."""
    pairs = [name.split("=") for name in names]

    def of(model):
        width = vars(model)[pairs[0][0]].shape[1]
        return {own: np.broadcast_to(model.prior_[name], width) for own, name in pairs}

    return of


def _process(component, X, log_densities, as_component, **options):
    """A Dirichlet process mixture; `as_component` makes attributes of one component of its prior."""

    def with_new(model, X):
        own = {name: np.asarray(value)[np.newaxis] for name, value in as_component(model).items()}
        matrices = own.get("covariances_")
        new = SimpleNamespace(
            **own,
            weights_=np.ones(1),
            categories_=getattr(model, "categories_", None),
            covariance_matrices=lambda: matrices,
        )
        return log_densities(new, X)

    return Entry(_process_maker(component), X, log_densities, log_density_of_new=with_new, **options)


def _elliptical(cls, log_densities, **options):
    return Entry(_maker(cls, **options), REALS, log_densities)


#: By name: every public estimator in every structure.
ESTIMATORS = {
    **{
        f"Gaussian {name}": _elliptical(GaussianMixture, _gaussian, covariance_type=name)
        for name in ("full", "tied", "diag", "spherical", *SHAPES)
    },
    **{
        f"Gaussian factor {noise}": _elliptical(
            GaussianMixture, _gaussian, covariance_type="factor", factor_noise=noise
        )
        for noise in ("diag", "spherical", "tied_diag", "tied_spherical")
    },
    "Gaussian, relative": _elliptical(GaussianMixture, _gaussian, regularization="relative", canonical_order=True),
    **{
        f"Bayesian Gaussian {name}": _elliptical(
            BayesianGaussianMixture,
            log_densities,
            covariance_type=name,
            weight_concentration_prior_type="dirichlet_distribution",  # sticks leave some weight to other components
        )
        for name, log_densities in (
            ("full", _predictive_matrices),
            ("tied", _predictive_matrices),
            ("diag", _by_component(_predictive_columns)),
            ("spherical", _by_component(_predictive_spheres)),
        )
    },
    "Student-t": _elliptical(StudentTMixture, _student_t),
    "Student-t tied": _elliptical(StudentTMixture, _student_t, covariance_type="tied", degrees_of_freedom="shared"),
    "Student-t diag": _elliptical(StudentTMixture, _student_t, covariance_type="diag", degrees_of_freedom=4.0),
    "Student-t VEE": _elliptical(StudentTMixture, _student_t, covariance_type="VEE"),
    "Student-t EVI": _elliptical(StudentTMixture, _student_t, covariance_type="EVI", degrees_of_freedom=4.0),
    "Student-t spherical": _elliptical(StudentTMixture, _student_t, covariance_type="spherical"),
    "Bernoulli": Entry(_maker(BernoulliMixture, binarize=None), BITS, _by_component(_binary), outside=2.0),
    "categorical": Entry(_maker(CategoricalMixture), CODES, _by_component(_answers), unseen=7.0),
    "categorical of strings": Entry(_maker(CategoricalMixture), WORDS, _by_component(_answers), unseen="amber"),
    "categorical, given": Entry(
        _maker(CategoricalMixture, categories=[[0.0, 1.0, 2.0]] * 3), CODES, _by_component(_answers), outside=7.0
    ),
    "multinomial": Entry(
        _maker(MultinomialMixture),
        COUNTS,
        _by_component(lambda model, k, X: stats.multinomial.logpmf(X, X.sum(axis=1), model.probabilities_[k])),
        outside=0.5,
    ),
    **{
        f"Dirichlet-multinomial, {name}": Entry(
            _maker(DirichletMultinomialMixture, concentration=value),
            COUNTS,
            _by_component(_words_given_totals(lambda model: model.concentrations_)),
            outside=-1.0,
        )
        for name, value in (("free", "free"), ("symmetric", "symmetric"), ("fixed", 0.7))
    },
    "Poisson": Entry(
        _maker(PoissonMixture),
        COUNTS,
        _by_component(lambda model, k, X: stats.poisson.logpmf(X, model.rates_[k]).sum(axis=1)),
        outside=-1.0,
    ),
    "Gamma": Entry(_maker(GammaMixture), WAITS, _by_component(_gamma), outside=0.0),
    "exponential": Entry(
        _maker(ExponentialMixture),
        WAITS,
        _by_component(lambda model, k, X: stats.expon.logpdf(X, scale=1 / model.rates_[k]).sum(axis=1)),
        outside=-1.0,
    ),
    "von Mises-Fisher": Entry(_maker(VonMisesFisherMixture), DIRECTIONS, _by_component(_vmf), outside=3.0),
    "von Mises-Fisher, shared": Entry(
        _maker(VonMisesFisherMixture, concentration_type="shared"), DIRECTIONS, _by_component(_vmf), outside=3.0
    ),
    "product": Entry(_maker(ProductMixture, PARTS), MIXED, _product, outside="tall"),
    "product of Gammas": Entry(
        _maker(ProductMixture, [(Gamma(),)]),
        WAITS,
        lambda model, X: _by_component(_gamma)(*model.components_.values(), X),
        outside=-1.0,
    ),
    **{
        f"Dirichlet process {name}": _process(name, X, log_densities, as_component, **options)
        for name, X, log_densities, as_component, options in (
            ("full", REALS, _predictive_matrices, _as_matrices, {}),
            ("tied", REALS, _predictive_matrices, _as_matrices, {}),
            ("diag", REALS, _by_component(_predictive_columns), _as_variances, {}),
            ("spherical", REALS, _by_component(_predictive_spheres), _as_variances, {}),
            ("bernoulli", BITS, _beta, _as_columns("a_=a", "b_=b"), {"outside": 2.0}),
            ("categorical", CODES, _dirichlet_answers, _as_columns("concentrations_=alpha"), {"unseen": 7.0}),
            (
                "multinomial",
                COUNTS,
                _by_component(_words_given_totals(lambda model: model.concentrations_)),
                _as_columns("concentrations_=alpha"),
                {"outside": 0.5},
            ),
            (
                "poisson",
                COUNTS,
                _by_component(_negative_binomial),
                _as_columns("shapes_=shape", "rates_=rate"),
                {"outside": -1.0},
            ),
            (
                "exponential",
                WAITS,
                _by_component(_lomax),
                _as_columns("shapes_=shape", "rates_=rate"),
                {"outside": -1.0},
            ),
        )
    },
    "GSDMM": Entry(
        _maker(GSDMM, n_components=8, n_iter=5),
        COUNTS,
        _by_component(_words_given_totals(lambda model: model.word_counts_ + model.beta)),
        outside=0.5,
    ),
}

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
#: Those that take sample_weight, and so have a batch.
every_mixture = pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.takes_weights])
#: Those that are fitted by EM, from starts of several kinds.
every_by_em = pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.is_by_em])
#: Those that can be made of given parameters: all but posteriors.
every_given = pytest.mark.parametrize(
    "name", [name for name, entry in ESTIMATORS.items() if entry.has_likelihood or not entry.takes_weights]
)
#: Those that are fitted by maximum likelihood, and so have criteria and a choice.
every_likelihood = pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.has_likelihood])


# ---- regressions ----------------------------------------------------------------------------------------------------


class Regression(NamedTuple):
    """A mixture of experts and rows with a response for it; laws of all of them are in test_experts_laws.py.

    make : (parameters) -> a new estimator
    data : what the rows X have beside their values, y and perhaps more
    outside : a value of y that `fit` refuses beside those that are not finite; None where all finite numbers are taken
    log_density : (y, eta (n,), what the component has beside coefficients) -> (n,), by SciPy alone; None: see elsewhere
    """

    make: Callable
    data: dict
    outside: float | None = None
    log_density: Callable | None = None
    X: np.ndarray = REALS[:, :2]

    def rows(self, dtype=None):
        return Rows(self.X if dtype is None else self.X.astype(dtype), self.data)

    def some(self, rows):
        """(X, data) of some rows."""
        some = self.rows().some(rows)
        return some.X, some.data

    dtypes = (np.float64, np.float32)
    takes_sparse = True

    @property
    def batches(self):
        """Whether problems of a batch are fitted by compiled code."""
        return "groups" not in self.data


ETA = np.where(GROUP, 0.5 + 0.4 * REALS[:, 0], 1.5 - 0.3 * REALS[:, 1] - 0.5 * REALS[:, 0]).clip(-3, 3)
RESPONSES = {
    "gaussian": ETA + RNG.normal(scale=0.3, size=N_ROWS),
    "student_t": ETA + 0.3 * RNG.standard_t(3, size=N_ROWS),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "negative_binomial": RNG.poisson(RNG.gamma(2.0, np.exp(ETA) / 2.0)).astype(float),
    "binomial": np.column_stack([own := RNG.binomial(6, 1 / (1 + np.exp(-ETA))), 6 - own]).astype(float),
    "gamma": RNG.gamma(4.0, np.exp(ETA) / 4.0),
    "multinomial": np.digitize(ETA + RNG.logistic(size=N_ROWS), [0.0, 1.0]).astype(float),
}
OF_RESPONSES = {
    "gaussian": (None, lambda y, eta, sigma: stats.norm.logpdf(y, eta, sigma)),
    "student_t": (None, lambda y, eta, sigma, degrees: stats.t.logpdf(y, degrees, eta, sigma)),
    "poisson": (0.5, lambda y, eta: stats.poisson.logpmf(y, np.exp(eta))),
    "negative_binomial": (
        -1.0,
        lambda y, eta, theta: stats.nbinom.logpmf(y, theta, theta / (theta + np.exp(eta))),
    ),
    "binomial": (-1.0, lambda y, eta: stats.binom.logpmf(y[:, 0], y.sum(axis=1), 1 / (1 + np.exp(-eta)))),
    "gamma": (0.0, lambda y, eta, shape: stats.gamma.logpdf(y, shape, scale=np.exp(eta) / shape)),
    "multinomial": (None, None),
}


def _experts(expert, **fixed):
    return _maker(MixtureOfExperts, expert=expert, **{"n_init": 1} | fixed)


#: By name: mixtures of experts of every kind.
REGRESSIONS = {
    **{name: Regression(_experts(name), {"y": RESPONSES[name]}, *own) for name, own in OF_RESPONSES.items()},
    "gaussian, common": Regression(_experts("gaussian", variance="common", fixed=[1]), {"y": RESPONSES["gaussian"]}),
    "gaussian, gate": Regression(_experts("gaussian", gate="same"), {"y": RESPONSES["gaussian"]}),
    "poisson, gate and exposure": Regression(
        _experts("poisson", gate="gate_X"),
        {"y": RESPONSES["poisson"], "gate_X": REALS[:, 2:], "exposure": 1.0 + GROUP},
        outside=-1.0,
    ),
    "gamma, groups": Regression(
        _experts("gamma", gate="gate_X"),
        {"y": RESPONSES["gamma"], "groups": np.arange(N_ROWS) // 4, "gate_X": np.repeat(REALS[::4, 2:], 4, axis=0)},
        outside=-1.0,
    ),
    "gaussian, wide gate": Regression(  # whose M-step takes a bound of the information
        _experts("gaussian", gate="gate_X", gate_alpha=1.0),
        {"y": RESPONSES["gaussian"], "gate_X": np.random.default_rng(21).normal(size=(N_ROWS, 61))},
    ),
    "several": Regression(
        _experts(["gaussian", "poisson"], columns=[[0, 1], [0]]),
        {"y": np.column_stack([RESPONSES["gaussian"], RESPONSES["poisson"]])},
    ),
}
every_regression = pytest.mark.parametrize("name", REGRESSIONS)

#: By name: all that are fitted to sums over rows, wherever these are. Rows of a group may not be in several places.
SUMMED = {
    **{name: entry for name, entry in ESTIMATORS.items() if entry.fits_elsewhere},
    **{f"experts, {name}": entry for name, entry in REGRESSIONS.items() if "groups" not in entry.data},
}
every_summed = pytest.mark.parametrize("name", SUMMED)
summed_with_dtypes = pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name, entry in SUMMED.items() for dtype in entry.dtypes]
)


def public_estimators():
    """The classes of mixfast's public names that fit rows."""
    found = (getattr(mixfast, name) for name in mixfast.__all__)
    return {
        cls
        for cls in found
        if isinstance(cls, type) and hasattr(cls, "score_samples") and "random_state" in signature(cls).parameters
    }


def log_density(entry, model, X):
    """Of the mixture, by NumPy and SciPy alone."""
    logs = entry.log_densities(model, X) + np.log(model.weights_)
    if entry.log_density_of_new is not None:
        logs = np.column_stack([logs, entry.log_density_of_new(model, X) + np.log(model.remaining_weight_)])
    return logsumexp(logs, axis=1)
