"""Products of components in `DirichletProcessMixture`: laws, enumerated partitions, tables, files, batches."""

import copy
import pickle
import sys
from itertools import combinations

import numpy as np
import pytest
from batches import assert_same_fit, assert_same_state, fit_alone, same_bits
from scipy.special import gammaln, logsumexp
from sklearn.base import clone

from mixfast import DirichletProcessMixture, Status, fit_many, load
from mixfast.parts import Bernoulli, Categorical, Exponential, Gamma, Gaussian, Poisson

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(11)
GROUP = RNG.integers(3, size=150)
TABLE = pd.DataFrame(
    {
        "height": RNG.normal(4 * GROUP, 1),
        "width": RNG.normal(-3 * GROUP, 1),
        "smoker": RNG.random(150) < 0.1 + 0.4 * GROUP,
        "note": "unread",
        "job": np.array(["a", "b", "c"])[(GROUP + (RNG.random(150) < 0.2)) % 3],
        "visits": RNG.poisson(1 + 3 * GROUP),
        "wait": RNG.exponential(1 + GROUP),
    }
)
PARTS = [
    ("height", "width", Gaussian()),
    ("smoker", Bernoulli()),
    ("job", Categorical()),
    ("visits", Poisson()),
    (["wait"], Exponential()),
]
NAMES = ["height, width", "smoker", "job", "visits", "wait"]
PRIOR = {"height, width": {"kappa0": 0.1}, "smoker": {"a": 2.0, "b": 3.0}, "visits": {"shape": 2.0}}
#: The same parts as components of their own.
KINDS = dict(zip(NAMES, ["full", "bernoulli", "categorical", "poisson", "exponential"], strict=True))
both_algorithms = pytest.mark.parametrize(
    "options", [{}, {"algorithm": "sampler", "n_draws": 300, "thin": 10}], ids=["variational", "sampler"]
)


def fitted(parts=PARTS, X=TABLE, **options):
    return DirichletProcessMixture(parts, **{"random_state": 0, "prior": PRIOR} | options).fit(X)


def log_weights(n, alpha=1.0):
    """What the bound of one component has beside the evidence of the rows: log alpha + log B(1 + n, alpha)."""
    return np.log(alpha) + gammaln(1 + n) + gammaln(alpha) - gammaln(1 + n + alpha)


# ---- laws -----------------------------------------------------------------------------------------------------------


def test_what_a_fit_leaves():
    model = fitted()
    assert model.n_clusters_ == 3
    assert list(model.components_) == list(model.prior_) == NAMES
    assert model.columns_ == ["height", "width", "smoker", "job", "visits", "wait"]
    assert model.prior_["smoker"] == {"a": 2.0, "b": 3.0}
    assert model.prior_["height, width"]["kappa0"] == 0.1
    assert model.prior_["visits"]["shape"] == 2
    np.testing.assert_allclose(model.prior_["wait"]["rate"], TABLE["wait"].mean())
    for own in model.components_.values():
        assert same_bits(own.counts_, model.counts_)
        assert same_bits(own.weights_, model.weights_)
    assert model.components_["height, width"].means_.shape == (len(model.counts_), 2)
    assert model.components_["height, width"].feature_names_in_.tolist() == ["height", "width"]
    assert np.mean(model.predict(TABLE) == model.predict(TABLE[TABLE.columns[::-1]])) == 1


@pytest.mark.parametrize("batches", [1, 4])
def test_no_iteration_lowers_the_bound(batches):
    model = fitted(n_batches=batches, tol=1e-6)
    assert np.all(np.diff(model.lower_bounds_)[:-1] > -1e-9 * abs(model.lower_bound_))


def test_the_bound_of_one_component_is_the_sum_by_parts():
    whole = fitted(moves=(), init_components=1)
    n = len(TABLE)
    by_parts = [
        DirichletProcessMixture(KINDS[name], prior=whole.prior_[name], moves=(), init_components=1)
        .fit(own)
        .lower_bound_
        - log_weights(n)
        for name, own in columns_of_parts().items()
    ]
    np.testing.assert_allclose(whole.lower_bound_, sum(by_parts) + log_weights(n), rtol=1e-12)


def columns_of_parts(X=TABLE):
    columns = {name: X[name.split(", ")] for name in NAMES}
    return columns | {"smoker": columns["smoker"].astype(float)}


@pytest.mark.parametrize(("name", "part"), [*zip(NAMES, PARTS, strict=True)])
def test_a_product_of_one_part_is_that_component(name, part):
    X = columns_of_parts()[name]
    options = {"init_components": 1, "tol": 1e-8}  # k-means of a product measures columns by their spread
    product = fitted([part], prior={name: PRIOR.get(name, {})}, **options)
    alone = DirichletProcessMixture(KINDS[name], prior=PRIOR.get(name), random_state=0, **options).fit(X)
    np.testing.assert_allclose(product.lower_bound_, alone.lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(product.score_samples(X), alone.score_samples(X), rtol=1e-6)
    taken = DirichletProcessMixture(part[-1], prior=PRIOR.get(name), random_state=0, **options).fit(X)
    assert taken.lower_bound_ == alone.lower_bound_


@both_algorithms
def test_densities_of_components_are_products_of_those_of_parts(options):
    model = fitted(**options)
    by_parts = [model.components_[name].component_log_density(own) for name, own in columns_of_parts().items()]
    np.testing.assert_allclose(model.component_log_density(TABLE), np.sum(by_parts, axis=0), rtol=1e-10)
    for name, own in columns_of_parts().items():  # the margin of the whole
        margin = model.components_[name]
        assert np.all(np.isfinite(margin.score_samples(own)))
        np.testing.assert_allclose(margin.weights_.sum() + margin.remaining_weight_, 1)


def test_same_bits_for_any_number_of_threads():
    X = pd.concat([TABLE] * 10)
    one, seven = (fitted(X=X, n_threads=n_threads) for n_threads in (1, 7))
    assert_same_fit(one, seven)
    one, seven = (fitted(algorithm="sampler", n_draws=300, thin=10, n_threads=n_threads) for n_threads in (1, 7))
    assert same_bits(one.log_joint_draws_, seven.log_joint_draws_)


def test_weights_are_repetitions():
    weights = RNG.integers(0, 3, len(TABLE))
    weighted = DirichletProcessMixture(PARTS, random_state=0, tol=1e-6).fit(TABLE, sample_weight=weights)
    repeated = fitted(X=TABLE.loc[np.repeat(TABLE.index, weights)], prior=None, tol=1e-6)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-9)
    means = [own.components_["height, width"].means_ for own in (weighted, repeated)]
    np.testing.assert_allclose(*means, rtol=1e-4)


def test_float32_columns():
    reals = TABLE[["height", "width", "wait"]].to_numpy()
    parts = [(0, 1, Gaussian("diag")), (2, Exponential())]
    wide, narrow = (fitted(parts, reals.astype(dtype), prior=None) for dtype in (np.float64, np.float32))
    np.testing.assert_allclose(narrow.lower_bound_, wide.lower_bound_, rtol=1e-5)
    assert narrow.score_samples(reals.astype(np.float32)).dtype == np.float32


# ---- all partitions -------------------------------------------------------------------------------------------------

FEW = pd.DataFrame({"x": [-2.0, -1.7, 0.1, 2.1, 2.4, 2.2], "n": [0, 1, 2, 6, 5, 9]})
FEW_PARTS = [("x", Gaussian()), ("n", Poisson())]
FEW_PRIOR = {"x": {"m0": [0.0], "kappa0": 0.1, "nu0": 3.0, "Psi0": [[1.0]]}, "n": {"shape": 1.0, "rate": 0.3}}


def partitions(rows):
    """Of a tuple, as lists of tuples."""
    if not rows:
        yield []
        return
    first, *rest = rows
    for size in range(len(rows)):
        for others in combinations(rest, size):
            left = tuple(row for row in rest if row not in others)
            yield from ([(first, *others), *more] for more in partitions(left))


def evidence(rows):
    """log f of the rows of a cluster, by the bound of one component."""
    model = DirichletProcessMixture(FEW_PARTS, prior=FEW_PRIOR, moves=()).fit(FEW.iloc[list(rows)])
    return model.lower_bound_ - log_weights(len(rows))


def exact():
    """(log p(X), probabilities of 1, 2, .. clusters) under a Dirichlet process with alpha 1."""
    n = len(FEW)
    rows = tuple(range(n))
    known = {own: evidence(own) for size in range(1, n + 1) for own in combinations(rows, size)}
    found = [
        (len(own), sum(known[tuple(sorted(cluster))] + gammaln(len(cluster)) for cluster in own) - gammaln(n + 1))
        for own in partitions(rows)
    ]
    n_clusters, logs = np.array([k for k, _ in found]), np.array([log for _, log in found])
    total = logsumexp(logs)
    return total, np.array([np.exp(logs[n_clusters == k] - total).sum() for k in range(1, n + 1)])


def test_draws_and_bounds_agree_with_all_partitions():
    log_evidence, wanted = exact()
    assert len([*partitions(tuple(range(6)))]) == 203
    model = DirichletProcessMixture(
        FEW_PARTS, prior=FEW_PRIOR, algorithm="sampler", n_draws=4000, burn_in=200, thin=2, random_state=0
    ).fit(FEW)
    n_effective = model.effective_sample_size_["n_clusters"]
    for n_clusters, share in enumerate(wanted, start=1):
        error = np.sqrt(share * (1 - share) / n_effective) + 1e-3
        assert abs(model.n_clusters_posterior_.get(n_clusters, 0.0) - share) < 5 * error
    for start in (1, 2, 3):
        bound = fitted(FEW_PARTS, FEW, prior=FEW_PRIOR, init_components=start, tol=1e-9).lower_bound_
        assert log_evidence - 6 < bound < log_evidence


# ---- tables, files, batches -----------------------------------------------------------------------------------------


@both_algorithms
def test_files_and_copies(options, tmp_path):
    model = fitted(**options)
    model.save(tmp_path / "model")
    for same in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert same_bits(same.score_samples(TABLE), model.score_samples(TABLE))
        assert same_bits(same.predict_proba(TABLE), model.predict_proba(TABLE))
        drawn = same.sample(7, random_state=0)[0]
        assert np.array_equal(drawn, model.sample(7, random_state=0)[0])
        assert_same_state(same.prior_, model.prior_)
    rows = pd.DataFrame(drawn, columns=model.columns_)
    assert np.all(np.isfinite(model.score_samples(rows.assign(smoker=rows["smoker"].astype(float)))))
    assert not hasattr(clone(model), "components_")


@both_algorithms
def test_draws_are_labelled_without_pandas(options, monkeypatch):
    model = fitted(**options)
    frame, of_frame = model.sample(200, random_state=0, as_frame=True)
    monkeypatch.setitem(sys.modules, "pandas", None)
    X, labels = model.sample(200, random_state=0)
    assert np.array_equal(X, frame.to_numpy())
    assert np.array_equal(labels, of_frame)
    monkeypatch.undo()
    if model._averages_partitions():
        assert np.array_equal(labels, model.predict(frame))


def test_missing_answers_and_unseen_ones():
    X = TABLE.assign(job=TABLE["job"].where(TABLE.index % 7 > 0))
    parts = [*PARTS[:2], ("job", Categorical(unseen="missing")), *PARTS[3:]]
    model = fitted(parts, X)
    assert model.n_clusters_ == 3
    assert model.components_["job"].categories_[0].tolist() == ["a", "b", "c"]
    strange = TABLE.assign(job="d")
    assert np.all(np.isfinite(model.score_samples(strange)))
    with pytest.raises(ValueError, match=r"'job'.*'d'"):
        fitted().predict(strange)


def test_batches_have_the_bits_of_fits_alone(tmp_path):
    problems = [TABLE.iloc[first : first + 50].drop(columns=["job", "note"]) for first in (0, 50, 100)]
    problems[1] = problems[1].assign(visits=-1)
    parts = [part for part in PARTS if part[0] != "job"]
    estimator = DirichletProcessMixture(parts, prior={"smoker": {"a": 2.0}})
    result = fit_many([own.astype(float) for own in problems], estimator, random_state=4)
    assert result.status[1] == Status.OUT_OF_DOMAIN
    for i in (0, 2):
        alone = fit_alone(estimator, problems[i].astype(float), 4)
        assert_same_fit(result[i], alone)
        assert result[i].get_params()["prior"] == estimator.prior
        assert same_bits(result.score_samples(problems)[i], alone.score_samples(problems[i]))
    result.save(tmp_path / "batch")
    same = load(tmp_path / "batch")
    assert_same_state([same[0], same[2]], [result[0], result[2]])
    assert [own[0] for own in same.candidates[0].component] == ["height", "smoker", "visits", "wait"]


def test_parts_by_their_places():
    X = TABLE[["visits", "height"]].to_numpy(dtype=float)
    model = fitted([(1, Gaussian()), (Poisson(),)], X, prior={"1": {"kappa0": 0.2}})
    assert list(model.components_) == ["1", "0"]
    assert model.prior_["1"]["kappa0"] == 0.2
    assert model.sample(3, random_state=0)[0].shape == (3, 2)
    assert np.all(model.sample(50, random_state=0)[0][:, 0] % 1 == 0)


def test_what_is_assigned_holds_for_all_parts():
    model = fitted()
    before = model.score_samples(TABLE)
    model.counts_ = model.counts_[::-1].copy()
    assert all(same_bits(own.counts_, model.counts_) for own in model.components_.values())
    assert np.any(model.score_samples(TABLE) != before)
    model.components_["smoker"].a_ = -model.components_["smoker"].a_
    with pytest.raises(ValueError, match="Part 'smoker': a_"):
        model.predict(TABLE)


@pytest.mark.parametrize(
    ("parts", "options", "match"),
    [
        ([("height", Gamma())], {}, r"Gamma\(\), which has no conjugate prior: parts may be Bernoulli, Categorical"),
        ([("smoker", Bernoulli(alpha=2))], {}, r"whose alpha is a matter of the prior here.*with a, b"),
        (PARTS, {"prior": {"height": {"kappa0": 1}}}, "prior has 'height': the parts are 'height, width'"),
        (PARTS, {"prior": {"smoker": {"c": 1}}}, "Part 'smoker': prior has 'c': these components have a, b"),
        (PARTS, {"prior": {"smoker": 2.0}}, r"prior\['smoker'\]=2.0 should be a dict with a, b"),
        (PARTS, {"prior": {"height, width": {"nu0": 0.5}}}, r"Part 'height, width': prior\['nu0'\]=0.5"),
        ([("height", Gaussian("tied"))], {"algorithm": "sampler"}, "has no sampler"),
        ([], {}, "parts is empty"),
        (["full"], {}, "parts should hold tuples"),
        ([("size", Gaussian())], {}, "parts name column 'size'"),
        ([("visits", Exponential()), ("visits", Poisson())], {}, "parts name column 'visits' twice"),
    ],
)
def test_what_is_refused(parts, options, match):
    with pytest.raises(ValueError, match=match):
        fitted(parts, **{"prior": None} | options)


def test_a_failed_fit_leaves_the_last_model():
    model = fitted()
    before = model.score_samples(TABLE)
    with pytest.raises(ValueError, match="Part 'visits'"):
        model.fit(TABLE.assign(visits=-1))
    assert same_bits(model.score_samples(TABLE), before)
