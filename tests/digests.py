"""Digests of what fits of all families come to: `python tests/digests.py` prints {case: digest} as JSON.

Run once for each instruction set (test_same_bits.py), for a fit's bits are not to depend on it.
"""

import hashlib
import json
import warnings

import numpy as np
from estimators_table import ESTIMATORS
from scipy.sparse import csr_array

import mixfast
from mixfast import parts


def digest(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def of_model(model, X):
    known = (
        "weights_",
        "means_",
        "covariances_",
        "lower_bound_",
        "probabilities_",
        "rates_",
        "shapes_",
        "concentrations_",
    )
    own = [np.asarray(getattr(model, name)) for name in known if hasattr(model, name)]
    own = [array for array in own if array.dtype != object]
    scores = [model.score_samples(X)] if hasattr(model, "score_samples") else []
    return digest(*own, *scores, model.predict(X))


def clusters(n, d, n_clusters, spread, seed=0):
    rng = np.random.default_rng(seed)
    centres = spread * rng.normal(size=(n_clusters, d))
    return centres[rng.integers(n_clusters, size=n)] + rng.normal(size=(n, d))


def large_cases():
    """name -> (estimator, rows): several chunks and lanes, pruning, starts by k-means, loops that are accelerated."""
    rng = np.random.default_rng(1)
    for d in (1, 2, 3, 4, 5, 16, 23):
        for structure in ("full", "tied", "diag", "spherical"):
            for dtype in (np.float64, np.float32):
                X = clusters(5_003, d, 6, 3.0).astype(dtype)
                model = mixfast.GaussianMixture(6, covariance_type=structure, max_iter=20, random_state=0)
                yield f"{structure} {d} {np.dtype(dtype).name}", model, X
    for structure in ("full", "tied", "diag", "spherical"):
        X = clusters(20_000, 8, 64, 12.0)
        yield f"pruned {structure}", mixfast.GaussianMixture(64, covariance_type=structure, random_state=0), X
    X = clusters(4_001, 6, 4, 2.5)
    yield "several starts", mixfast.GaussianMixture(4, n_init=5, init_params="k-means++", random_state=0), X
    yield "random starts", mixfast.GaussianMixture(4, n_init=5, init_params="random", random_state=0), X
    yield "Student-t", mixfast.StudentTMixture(4, random_state=0), X
    yield "factors", mixfast.GaussianMixture(4, covariance_type="factor", n_factors=3, random_state=0), X
    yield "noise", mixfast.GaussianMixture(4, noise="uniform", random_state=0), X
    yield "Bayesian", mixfast.BayesianGaussianMixture(10, random_state=0), X
    yield "process", mixfast.DirichletProcessMixture(random_state=0), X
    yield "sampler", mixfast.DirichletProcessMixture(algorithm="sampler", burn_in=20, n_draws=20, random_state=0), X
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    yield "missing entries", mixfast.GaussianMixture(4, random_state=0), holes
    yield "missing entries, tied", mixfast.GaussianMixture(4, covariance_type="tied", random_state=0), holes
    yield "missing entries, diagonal", mixfast.GaussianMixture(4, covariance_type="diag", random_state=0), holes
    yield "missing entries, Student-t", mixfast.StudentTMixture(4, random_state=0), holes
    yield "missing entries, noise", mixfast.GaussianMixture(4, noise="uniform", random_state=0), holes
    counts = rng.poisson(rng.gamma(2.0, 1.0, size=(5, 30))[rng.integers(5, size=3_000)])
    for name, estimator in (
        ("multinomial", mixfast.MultinomialMixture),
        ("Poisson", mixfast.PoissonMixture),
        ("Dirichlet-multinomial", mixfast.DirichletMultinomialMixture),
    ):
        yield name, estimator(5, random_state=0), counts.astype(float)
    yield (
        "sparse multinomial",
        mixfast.MultinomialMixture(5, random_state=0),
        csr_array(counts * (counts > 2), dtype=float),
    )
    bits = (rng.random((3_000, 40)) < rng.random((3, 40))[rng.integers(3, size=3_000)]).astype(float)
    yield "Bernoulli", mixfast.BernoulliMixture(3, random_state=0), bits
    yield "sparse Bernoulli", mixfast.BernoulliMixture(3, random_state=0), csr_array(bits)
    yield "categorical", mixfast.CategoricalMixture(3, random_state=0), bits[:, :20] + bits[:, 20:]
    yield (
        "gamma",
        mixfast.GammaMixture(3, random_state=0),
        (rng.gamma(2.0, size=(3_000, 4)) * (1 + 5 * bits[:, :1])).round(3) + 0.001,
    )
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    yield "directions", mixfast.VonMisesFisherMixture(4, random_state=0), directions
    mixed = [(0, 1, parts.Gaussian()), (2, 3, parts.Bernoulli())]
    yield (
        "product",
        mixfast.ProductMixture(mixed, n_components=3, random_state=0),
        np.column_stack([X[:3_000, :2], bits[:, :2]]),
    )


def experts_cases():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(3_001, 3))
    # rounded: what NumPy and BLAS make of the same numbers differs in last bits from processor to processor
    X = X.round(3)
    eta = np.where(rng.random(len(X)) < 0.4, X[:, 0] - X[:, 1] + 0.5 * X[:, 2], 0.5 - X[:, 0]).round(3)
    responses = {
        "gaussian": eta + 0.3 * rng.normal(size=len(X)),
        "student_t": eta + 0.3 * rng.standard_t(3, size=len(X)),
        "poisson": rng.poisson(np.exp(eta)).astype(float),
        "binomial": (rng.random(len(X)) < 1 / (1 + np.exp(-3 * eta))).astype(float),
        "gamma": rng.gamma(3.0, np.exp(eta) / 3.0),
        "negative_binomial": rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, size=len(X))).astype(float),
        "multinomial": np.digitize(eta, [-0.5, 0.5]).astype(float),
    }
    for expert, y in responses.items():
        y = np.maximum(y.round(3), 0.001) if expert == "gamma" else y.round(3)
        for gate in (None, "same"):
            model = mixfast.MixtureOfExperts(2, expert=expert, gate=gate, random_state=0, n_init=2, max_iter=30)
            yield f"experts {expert}, gate {gate}", model, X, y


def all_digests():
    found, rows = {}, []
    for name, entry in ESTIMATORS.items():
        found[name] = of_model(entry.make().fit(entry.X), entry.X)
    for name, model, X in large_cases():
        found["large: " + name] = of_model(model.fit(X), X)
        rows.append(X.toarray() if hasattr(X, "toarray") else X)
    found["large: rows"] = digest(*rows)
    for name, model, X, y in experts_cases():
        model.fit(X, y)
        found[name] = digest(model.predict(X), model.log_prob(X, y), np.asarray(model.lower_bound_))
    table = clusters(2_000, 12, 3, 3.0)
    columns = mixfast.fit_many_columns(table, mixfast.GaussianMixture(3, random_state=0))
    found["columns of a table"] = digest(columns.lower_bound, columns.n_iter)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(all_digests(), indent=0))
