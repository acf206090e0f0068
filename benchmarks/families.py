"""The other families beside whatever else fits them: for `compare.py`.

Each case makes rows and a rough labelling, and says how mixfast and others fit so many iterations from what maximum
likelihood makes of the labels; the log-likelihoods then agree, but for student-t (the rival's degrees of freedom begin
elsewhere), dirichlet-multinomial (its M-step is a single step of a fixed point) and Bernoulli columns (mixfast begins a
little inside, so that no probability is 0 or 1: some 1e-6 after twelve iterations). Where no library has the family,
the rival is "numpy", EM as one would write it with NumPy and SciPy: matrix products, no loop over rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import digamma, gammaln, logsumexp


class Contender(NamedTuple):
    """A system on a case: `fit(n_iter)` gives a model, `log_likelihood(model)` that of a row."""

    name: str
    version: str
    fit: Callable
    log_likelihood: Callable


class FamilyCase(NamedTuple):
    """`make()` gives the contenders, mixfast first."""

    what: str
    make: Callable


def mixfast(name, X, labels, **options):
    """Our estimator, from the labels."""
    estimator = getattr(import_module("mixfast"), name)
    n_components = int(labels.max()) + 1

    def fit(n_iter):
        return estimator(n_components, max_iter=n_iter, tol=0, init_params=labels, **options).fit(X)

    return Contender("mixfast", version("mixfast"), fit, lambda model: model.score(X))


def unless_missing(name):
    """A rival that is not installed fails when it is asked to fit, and the others go on."""

    def decorate(make):
        def contender(*arguments, **options):
            try:
                return make(*arguments, **options)
            except ImportError as error:
                missing = error

            def fit(n_iter):
                raise missing

            return Contender(name, "", fit, None)

        return contender

    return decorate


@unless_missing("pomegranate")
def pomegranate(distribution, X, labels, start, dtype="float64"):
    """`start(rows)` gives the arguments of a distribution from the rows that are labelled as its own."""
    torch = import_module("torch")
    torch.set_default_dtype(getattr(torch, dtype))
    kind = getattr(import_module("pomegranate.distributions"), distribution)
    model = import_module("pomegranate.gmm").GeneralMixtureModel
    parts = [X[labels == k] for k in range(labels.max() + 1)]
    weights = np.array([len(part) for part in parts]) / len(X)
    rows = torch.from_numpy(X)

    def fit(n_iter):
        components = [kind(*start(part), check_data=False) for part in parts]
        return model(components, weights, max_iter=n_iter, tol=-math.inf, check_data=False).fit(rows)

    def log_likelihood(model):
        return float(model.log_probability(rows).mean())

    return Contender("pomegranate", version("pomegranate"), fit, log_likelihood)


@unless_missing("stepmix")
def stepmix(X, labels, measurement, **options):
    """From the labels, through a subclass that replaces its random responsibilities by them."""
    base = import_module("stepmix.stepmix").StepMix
    n_components = int(labels.max()) + 1

    class Started(base):
        def _initialize_parameters(self, X, random_state):
            self._initialize_parameters_measurement(X, random_state, init_emission=False)
            resp = np.eye(n_components)[labels]
            self.weights_ = resp.mean(axis=0)
            self._mm.m_step(X, resp)

    def fit(n_iter):
        return Started(
            n_components, measurement=measurement, max_iter=n_iter, abs_tol=0, rel_tol=0, progress_bar=0, **options
        ).fit(X)

    return Contender("stepmix", version("stepmix"), fit, lambda model: float(model.score(X)))


@unless_missing("studenttmixture")
def studenttmixture(X, labels):
    """From the labels, through a subclass that replaces its k-means by them and takes what is no limit yet for one."""
    base = import_module("studenttmixture").EMStudentMixture
    parts = [X[labels == k] for k in range(labels.max() + 1)]

    class Started(base):
        def initialize_params(self, X, random_seed, init_type):
            scales = np.stack([np.cov(part, rowvar=False) for part in parts], axis=-1)
            factors = np.stack([np.linalg.cholesky(scales[:, :, k]) for k in range(len(parts))], axis=-1)
            weights = np.array([len(part) for part in parts]) / len(X)
            return np.stack([part.mean(axis=0) for part in parts]), scales, weights, factors

        def fitting_restart(self, X, random_state):
            bound, _, *found = super().fitting_restart(X, random_state)
            return bound, True, *found

        def optimize_df(self, *arguments):  # by Newton's method, with as many steps as EM has iterations
            self.max_iter, n_iter = 1000, self.max_iter
            try:
                return super().optimize_df(*arguments)
            finally:
                self.max_iter = n_iter

    def fit(n_iter):
        model = Started(len(parts), tol=1e-300, max_iter=n_iter, fixed_df=False, random_state=0)
        model.fit(X)
        return model

    return Contender("studenttmixture", version("studenttmixture"), fit, lambda model: float(model.score(X)))


class NumpyEM(NamedTuple):
    """EM by whole arrays: `log_density(params)` (n, K), `maximise(resp, params)` gives params from the last ones."""

    log_density: Callable
    maximise: Callable
    labels: np.ndarray
    first: object = None  # params before there are any

    def fit(self, n_iter):
        resp = np.eye(self.labels.max() + 1)[self.labels]
        weights, params = resp.mean(axis=0), self.maximise(resp, self.first)
        for _ in range(n_iter):
            joint = self.log_density(params) + np.log(weights)
            resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
            weights, params = resp.mean(axis=0), self.maximise(resp, params)
        return weights, params

    def log_likelihood(self, model):
        weights, params = model
        return float(logsumexp(self.log_density(params) + np.log(weights), axis=1).mean())

    def contender(self):
        return Contender("numpy", np.__version__, self.fit, self.log_likelihood)


def rough(labels, rng):
    """Labels of which two thirds are random: EM has some way to go from them."""
    return np.where(rng.uniform(size=len(labels)) < 2 / 3, rng.integers(labels.max() + 1, size=len(labels)), labels)


def groups(n_samples, n_components, seed):
    rng = np.random.default_rng(seed)
    return rng, np.arange(n_samples) % n_components


def poisson():
    rng, own = groups(100_000, 8, 1)
    X = rng.poisson(rng.gamma(2, 2, size=(8, 20))[own]).astype(float)
    labels = rough(own, rng)
    return [
        mixfast("PoissonMixture", X, labels),
        pomegranate("Poisson", X, labels, lambda part: (part.mean(axis=0),)),
    ]


def exponential():
    rng, own = groups(100_000, 8, 2)
    X = rng.exponential(rng.gamma(2, 2, size=(8, 20))[own])
    labels = rough(own, rng)
    return [
        mixfast("ExponentialMixture", X, labels),
        pomegranate("Exponential", X, labels, lambda part: (part.mean(axis=0),)),
    ]


def gamma():
    rng, own = groups(100_000, 8, 3)
    shapes, scales = rng.uniform(1, 6, (8, 20)), rng.uniform(0.5, 2, (8, 20))
    X = rng.gamma(shapes[own], scales[own])
    labels = rough(own, rng)

    def start(part):
        mean, variance = part.mean(axis=0), part.var(axis=0)
        return mean**2 / variance, mean / variance

    return [mixfast("GammaMixture", X, labels), pomegranate("Gamma", X, labels, start)]


def categorical():
    rng, own = groups(10_000, 5, 4)
    probabilities = rng.dirichlet(np.ones(4), size=(5, 20))
    draws = rng.uniform(size=(10_000, 20, 1)) > np.cumsum(probabilities, axis=2)[own][:, :, :-1]
    X = draws.sum(axis=2).astype(float)
    labels = rough(own, rng)
    return [mixfast("CategoricalMixture", X, labels, alpha=0.0), stepmix(X, labels, "categorical")]


def bernoulli_missing():
    rng, own = groups(20_000, 6, 5)
    X = (rng.uniform(size=(20_000, 40)) < rng.uniform(0.2, 0.8, (6, 40))[own]).astype(float)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    labels = rough(own, rng)
    return [mixfast("BernoulliMixture", X, labels, alpha=0.0, binarize=None), stepmix(X, labels, "binary_nan")]


def documents(n_documents, n_words, length, n_components, seed):
    """Words of Zipf's law, in an order of its own in each group: CSR."""
    rng, own = groups(n_documents, n_components, seed)
    share = np.cumsum(1 / np.arange(1, n_words + 1))
    ranks = np.searchsorted(share / share[-1], rng.uniform(size=(n_documents, length)))
    words = np.stack([rng.permutation(n_words) for _ in range(n_components)])[own[:, np.newaxis], ranks]
    indptr = np.arange(n_documents + 1) * length
    X = scipy.sparse.csr_matrix((np.ones(words.size), words.ravel(), indptr), (n_documents, n_words))
    X.sum_duplicates()
    return X, rough(own, rng)


def multinomial():
    X, labels = documents(20_000, 10_000, 60, 20, 6)
    base = gammaln(np.asarray(X.sum(axis=1)).ravel() + 1)
    terms = X.copy()
    terms.data = gammaln(terms.data + 1)
    base = (base - np.asarray(terms.sum(axis=1)).ravel())[:, np.newaxis]

    def maximise(resp, params):
        totals = (X.T @ resp).T + 0.1
        return np.log(totals / totals.sum(axis=1, keepdims=True))

    numpy = NumpyEM(lambda log_p: X @ log_p.T + base, maximise, labels)
    return [mixfast("MultinomialMixture", X, labels, alpha=0.1), numpy.contender()]


def von_mises_fisher():
    rng, own = groups(20_000, 10, 7)
    d = 300
    X = rng.standard_normal((10, d))[own] + 1.5 * rng.standard_normal((20_000, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    labels = rough(own, rng)
    special = import_module("mixfast.engine._special")  # SciPy's Bessel functions underflow here

    def maximise(resp, params):
        sums = resp.T @ X
        lengths = np.linalg.norm(sums, axis=1)
        kappa = np.array([special.concentration(d, r) for r in lengths / resp.sum(axis=0)])
        return kappa[:, np.newaxis] * sums / lengths[:, np.newaxis], kappa

    def log_density(params):
        return X @ params[0].T + np.array([special.log_sphere_normaliser(d, kappa) for kappa in params[1]])

    return [mixfast("VonMisesFisherMixture", X, labels), NumpyEM(log_density, maximise, labels).contender()]


def student_t():
    rng, own = groups(20_000, 5, 8)
    X = 2 * rng.standard_normal((5, 8))[own] + rng.standard_t(4, (20_000, 8))
    labels = rough(own, rng)
    return [mixfast("StudentTMixture", X, labels), studenttmixture(X, labels)]


def dirichlet_multinomial():
    """The rival takes Minka's fixed point, a step in each iteration, which is what fits in a few array operations."""
    rng, own = groups(5_000, 6, 9)
    X = rng.multinomial(200, rng.dirichlet(0.3 * np.ones(200), size=6)[own]).astype(float)
    labels = rough(own, rng)
    totals = X.sum(axis=1)
    base = (gammaln(totals + 1) - gammaln(X + 1).sum(axis=1))[:, np.newaxis]
    n_components = labels.max() + 1

    def log_density(a):
        total = a.sum(axis=1)
        of_words = np.stack([(gammaln(X + own) - gammaln(own)).sum(axis=1) for own in a], axis=1)
        return base + of_words - gammaln(totals[:, np.newaxis] + total) + gammaln(total)

    def maximise(resp, a):
        total = a.sum(axis=1)
        seen = np.stack([resp[:, k] @ (digamma(X + a[k]) - digamma(a[k])) for k in range(n_components)])
        drawn = (resp * (digamma(totals[:, np.newaxis] + total) - digamma(total))).sum(axis=0)
        return np.maximum(a * seen / drawn[:, np.newaxis], 1e-10)

    ours = mixfast("DirichletMultinomialMixture", X, labels, prior_shape=0.0, prior_rate=0.0)
    first = np.ones((n_components, X.shape[1]))
    return [ours, NumpyEM(log_density, maximise, labels, first).contender()]


def product():
    rng, own = groups(20_000, 5, 10)
    numbers = rng.standard_normal((5, 4))[own] * 2 + rng.standard_normal((20_000, 4))
    binary = (rng.uniform(size=(20_000, 6)) < rng.uniform(0.2, 0.8, (5, 6))[own]).astype(float)
    probabilities = np.cumsum(rng.dirichlet(np.ones(4), size=(5, 6)), axis=2)[own][:, :, :-1]
    answers = (rng.uniform(size=(20_000, 6, 1)) > probabilities).sum(axis=2).astype(float)
    X, labels = np.column_stack([numbers, binary, answers]), rough(own, rng)
    kinds = import_module("mixfast.parts")
    parts = [
        (*range(4), kinds.Gaussian("diag")),
        (*range(4, 10), kinds.Bernoulli(alpha=0.0)),
        (*range(10, 16), kinds.Categorical(alpha=0.0)),
    ]
    estimator = import_module("mixfast").ProductMixture

    def fit(n_iter):
        return estimator(parts, 5, max_iter=n_iter, tol=0, init_params=labels).fit(X)

    ours = Contender("mixfast", version("mixfast"), fit, lambda model: model.score(X))
    names = {"numbers": ("gaussian_diag", 4), "binary": ("binary", 6), "answers": ("categorical", 6)}
    measurement = {name: {"model": model, "n_columns": n} for name, (model, n) in names.items()}
    return [ours, stepmix(X, labels, measurement)]


#: Each family's case by its name.
FAMILY_CASES = {
    "bernoulli-missing": FamilyCase("20,000 x 40, a tenth missing, K=6", bernoulli_missing),
    "categorical": FamilyCase("10,000 x 20 of 4 categories, K=5", categorical),
    "dirichlet-multinomial": FamilyCase("5,000 x 200, 200 words each, K=6", dirichlet_multinomial),
    "exponential": FamilyCase("100,000 x 20, K=8", exponential),
    "gamma": FamilyCase("100,000 x 20, K=8", gamma),
    "multinomial": FamilyCase("20,000 documents of 60 words out of 10,000, sparse, K=20", multinomial),
    "poisson": FamilyCase("100,000 x 20, K=8", poisson),
    "product": FamilyCase("20,000 rows of 4 numbers, 6 binary, 6 of 4 categories, K=5", product),
    "student-t": FamilyCase("20,000 x 8, K=5, full", student_t),
    "von-mises-fisher": FamilyCase("20,000 x 300, K=10", von_mises_fisher),
}
