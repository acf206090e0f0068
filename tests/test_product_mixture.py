"""ProductMixture: its density is the product of its parts', whatever these are; columns by name and by number."""

import copy
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_python_family import Geometric
from twins import DTYPES, FAMILIES, PRODUCTS, random_weights

from mixfast import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    fit_many,
    select,
)
from mixfast._em import EM
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._predictions import evaluate
from mixfast.engine._rows import Rows
from mixfast.families.product import Product
from mixfast.parts import Bernoulli, Categorical, Exponential, Gamma, Gaussian, Poisson, StudentT


def made(name, rng, n_rows=900, n_components=4):
    """(family, twin, rows, weights, params)"""
    twins = PRODUCTS[name]
    rows, params = twins.make_rows(rng, n_rows, None), twins.make_params(rng, n_components, None)
    return twins.compiled, twins.reference, rows, random_weights(rng, n_components), params


def engine(family, X, weights, params, kind=EM, isa=None, sample_weight=None, **options):
    em = kind(family.bind(len(weights), X.shape[1], X.dtype, isa), Rows(X, sample_weight), **options)
    em.set_state(weights, family.params_layout(len(weights), X.shape[1]).pack(params))
    return em


# ---- float32 rows that are computed in float64 --------------------------------------------------------------------


def test_a_column_of_zeros_beside_a_gamma_part_has_the_rate_of_float32():
    X = np.random.default_rng(3).gamma(2, size=(50, 2)).astype(np.float32)
    X[:, 1] = 0
    model = ProductMixture([(0, Gamma()), (1, Exponential())])
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        fitted = clone(model).fit(X)
    assert fitted.components_["1"].rates_[0, 0] == np.float32(1e30)
    gamma = GammaMixture().fit(X[:, :1])
    assert_allclose(fitted.score_samples(X), gamma.score_samples(X[:, :1]) + np.log(1e30), rtol=1e-6)
    assert fitted.lower_bound_ == pytest.approx(gamma.lower_bound_ + np.log(1e30), rel=1e-6)
    result = fit_many([X], model)
    assert result.status[0] == fitted.status_
    assert result[0].components_["1"].rates_[0, 0] == np.float32(1e30)


@pytest.mark.parametrize("part", [Gaussian, StudentT])
def test_precisions_beyond_float32_are_an_error_beside_a_gamma_part(part):
    X = np.ones((4000, 2), np.float32)
    X[:, 0] = np.random.default_rng(4).gamma(2, size=4000)
    X[:, 1] = 0
    X[:2, 1] = -1e-18, 1e-18  # a variance of 5e-40
    for covariance_type in ("diag", "full"):
        model = ProductMixture([(0, Gamma()), (1, part(covariance_type=covariance_type, reg_covar=0.0))], max_iter=0)
        with pytest.raises(ValueError, match="pass float64 data"):
            clone(model).fit(X)
        result = fit_many([X, 1e9 * X], model)
        assert result.status.tolist() == [Status.NOT_FINITE, Status.OK]
        assert np.all(np.isnan(result.weights[0]))
        variance = result[1].components_["1"].covariances_.ravel()
        assert_allclose(
            variance, clone(model).fit(1e9 * X.astype(float)).components_["1"].covariances_.ravel(), rtol=1e-6
        )


# ---- the family ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRODUCTS)
def test_log_densities_are_the_sums_of_those_of_the_parts(name):
    rng = np.random.default_rng(2)
    family, own_twin, X, weights, params = made(name, rng)
    total = np.log(weights) + own_twin.log_density(X, params)
    log_norm, resp = np.empty(len(X)), np.empty((len(X), 4))
    evaluate(engine(family, X, weights, params), log_norm=log_norm, resp=resp)
    assert_allclose(log_norm, np.logaddexp.reduce(total, axis=1), rtol=1e-12)
    assert_allclose(np.log(resp), total - log_norm[:, np.newaxis], rtol=1e-10, atol=1e-10)


def test_extrapolation_ends_no_lower_in_fewer_passes():
    family, _, X, weights, params = made("gaussian, binary, categories", np.random.default_rng(6), n_components=3)
    plain, fast = (engine(family, X, weights, params, kind=kind) for kind in (EM, AcceleratedEM))
    ends = [em.iterate(5000, 1e-10)[0][-1] for em in (plain, fast)]
    assert ends[1] >= ends[0] - 1e-6
    assert fast.n_passes < plain.n_passes


def test_a_part_in_python_does_as_well():
    rng = np.random.default_rng(7)
    geometric, gaussian = Geometric(), FAMILIES["diagonal"]
    X = np.column_stack([rng.geometric(0.3, (400, 2)) - 1.0, gaussian.make_rows(rng, 400, 3)])
    family = Product([geometric, gaussian.compiled], [2, 3])
    params = gaussian.make_params(rng, 2, 3)
    record = family.join([geometric.Params(np.array([[0.2, 0.4], [0.3, 0.6]])), params])
    log_norm, weights = np.empty(400), np.array([0.4, 0.6])
    evaluate(engine(family, X, weights, record), log_norm=log_norm)
    total = np.log(weights) + geometric.log_density(X[:, :2], geometric.Params(record[0]))
    total += gaussian.reference.log_density(X[:, 2:], params)
    assert_allclose(log_norm, np.logaddexp.reduce(total, axis=1), rtol=1e-12)


class Broken(Geometric):
    def accumulate(self, X, resp, params):
        raise RuntimeError("broken part")


def test_what_a_part_in_python_raises_comes_through():
    X = np.random.default_rng(8).geometric(0.3, (50, 3)) - 1.0
    params = (np.array([[0.2, 0.4]]), np.array([[0.5]]))
    family = Product([Geometric(), Broken()], [2, 1])
    em = engine(family, X, np.ones(1), params)
    with pytest.raises(RuntimeError, match="broken part"):
        em.step()


# ---- the estimator ---------------------------------------------------------------------------------------------------

PARTS = [("age", "height", Gaussian()), ("smoker", Bernoulli()), ("job", "town", Categorical())]


def people(n_rows=500, seed=0, holes=0.0):
    rng = np.random.default_rng(seed)
    old = rng.integers(2, size=n_rows)
    table = pd.DataFrame(
        {
            "id": pd.to_datetime("2020-01-01"),
            "job": np.where(rng.uniform(size=n_rows) < 0.1 + 0.7 * old, "pilot", "baker"),
            "age": 30 + 40 * old + 5 * rng.standard_normal(n_rows),
            "smoker": rng.uniform(size=n_rows) < 0.2 + 0.5 * old,
            "height": 1.7 + 0.1 * rng.standard_normal(n_rows),
            "town": rng.choice(["Bonn", "Ulm", "Kiel"], n_rows),
        }
    )
    table.loc[rng.uniform(size=n_rows) < holes, "job"] = None
    return table, old


def by_parts(model, table):
    """Log densities from the margins and the weights."""
    log_weights = np.log(model.weights_)
    total = log_weights + np.zeros((len(table), 1))
    for name, part in model.components_.items():
        X = table[name.split(", ")]
        X = X if isinstance(part, CategoricalMixture) else X.astype(float)
        for k in range(len(log_weights)):
            one = copy.deepcopy(part)
            one.weights_ = np.eye(len(log_weights))[k]
            total[:, k] += one.score_samples(X)
    return np.logaddexp.reduce(total, axis=1)


@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_a_table_of_people(holes):
    table, old = people(holes=holes)
    model = ProductMixture(PARTS, 2, random_state=0).fit(table)
    found = model.predict(table)
    assert max((found == old).mean(), (found != old).mean()) > 0.98
    assert list(model.components_) == ["age, height", "smoker", "job, town"]
    gaussian, coin, job = model.components_.values()
    assert isinstance(gaussian, GaussianMixture)
    assert isinstance(coin, BernoulliMixture)
    assert isinstance(job, CategoricalMixture)
    assert gaussian.covariances_.shape == (2, 2, 2)
    assert coin.probabilities_.shape == (2, 1)
    assert [own.tolist() for own in job.categories_] == [["baker", "pilot"], ["Bonn", "Kiel", "Ulm"]]
    assert_allclose(model.score_samples(table), by_parts(model, table), rtol=1e-11)
    n_parameters = 1 + 2 * (2 + 3) + 2 + 2 * (1 + 2)
    assert model.bic(table) == pytest.approx(-2 * model.score(table) * 500 + n_parameters * math.log(500))


def test_a_part_alone_is_the_mixture_of_its_family():
    table, _ = people()
    for part, mixture, columns in (
        (Gaussian("diag", reg_covar=0.1), GaussianMixture(3, covariance_type="diag", reg_covar=0.1), ["age", "height"]),
        (Bernoulli(0.5), BernoulliMixture(3, alpha=0.5), ["smoker"]),
        (Categorical(0.5), CategoricalMixture(3, alpha=0.5), ["job", "town"]),
    ):
        X = table[columns] if isinstance(part, Categorical) else table[columns].to_numpy(dtype=float)
        labels = np.arange(len(table)) % 3
        alone = mixture.set_params(init_params=labels).fit(X)
        model = ProductMixture([(*columns, part)], 3, init_params=labels).fit(table)
        assert_allclose(model.lower_bounds_, alone.lower_bounds_, rtol=1e-12)
        assert_allclose(model.score_samples(table), alone.score_samples(X), rtol=1e-10)


@pytest.mark.parametrize(
    ("part", "mixture"),
    [
        (Poisson(alpha=0.5, beta=0.1), PoissonMixture(2, alpha=0.5, beta=0.1)),
        (Gamma(), GammaMixture(2)),
        (Exponential(), ExponentialMixture(2)),
        (StudentT("diag", degrees_of_freedom=5), StudentTMixture(2, covariance_type="diag", degrees_of_freedom=5)),
    ],
)
def test_every_other_part_alone_is_the_mixture_of_its_family_too(part, mixture):
    X = np.random.default_rng(3).poisson(6, size=(300, 2)) + 1.0
    labels = (X[:, 0] > 7).astype(int)
    alone = mixture.set_params(init_params=labels).fit(X)
    model = ProductMixture([(0, 1, part)], 2, init_params=labels).fit(X)
    assert_allclose(model.lower_bounds_, alone.lower_bounds_, rtol=1e-12)
    assert_allclose(model.score_samples(X), alone.score_samples(X), rtol=1e-10)
    assert_allclose(model.sample(20_000, random_state=0)[0].mean(axis=0), X.mean(axis=0), rtol=0.05)


def test_columns_of_six_kinds_and_a_batch_of_them():
    rng = np.random.default_rng(4)
    group = rng.integers(2, size=600)
    X = np.column_stack(
        [
            rng.poisson(2 + 6 * group),
            rng.gamma(2 + 8 * group),
            rng.exponential(1 + 4 * group),
            rng.standard_t(3, 600) + 5 * group,
            rng.uniform(size=600) < 0.2 + 0.6 * group,
            rng.integers(3, size=600) * group,
        ]
    )
    kinds = [Poisson(), Gamma(), Exponential(), StudentT(), Bernoulli(), Categorical(categories=[[0.0, 1.0, 2.0]])]
    mixture = ProductMixture([*enumerate(kinds)], 2, random_state=0)
    found = mixture.fit(X).predict(X)
    assert max((found == group).mean(), (found != group).mean()) > 0.98
    result = fit_many((X, [0, 250, 250, 600]), mixture)
    assert result.status[1] & Status.TOO_FEW_ROWS
    for i, rows in ((0, slice(250)), (2, slice(250, 600))):
        alone = clone(mixture).fit(X[rows])
        assert result[i].lower_bound_ == alone.lower_bound_
        assert_array_equal(result[i].predict_proba(X), alone.predict_proba(X))


def test_tables_are_read_by_the_names_of_the_columns():
    table, _ = people()
    model = ProductMixture([(["age", "height"], Gaussian()), *PARTS[1:]], 2, random_state=0).fit(table)
    assert list(model.components_) == ["age, height", "smoker", "job, town"]
    expected = model.predict_proba(table)
    for other in (table[table.columns[::-1]], table.drop(columns="id"), table.assign(more=1)):
        assert_array_equal(model.predict_proba(other), expected)
    drawn, labels = model.sample(9, random_state=0)
    assert model.predict(pd.DataFrame(drawn, columns=model.columns_)).shape == labels.shape
    with pytest.raises(ValueError, match="parts name column 'job', which X has not"):
        model.predict(table.drop(columns="job"))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Categorical(alpha=-1), "Part 'age': The 'alpha' parameter of CategoricalMixture"),
        (Bernoulli(alpha=-3), "Part 'age': The 'alpha' parameter of BernoulliMixture"),
        (Gaussian("ful"), "Part 'age': The 'covariance_type' parameter of GaussianMixture"),
        (Gaussian(reg_covar=-0.5), "Part 'age': The 'reg_covar' parameter of GaussianMixture"),
    ],
)
def test_parameters_of_parts_are_checked(part, message):
    with pytest.raises(ValueError, match=message):
        ProductMixture([("age", part)]).fit(people()[0])


@pytest.mark.parametrize("kind", ["polars", "array", "numbers", "rest"])
def test_columns_by_name_and_number_and_the_rest_are_the_same(kind):
    table, _ = people()
    table = table.drop(columns="id")
    expected = ProductMixture(PARTS, 2, random_state=0).fit(table)
    numbers = [(1, 3, Gaussian()), (2, Bernoulli()), (0, 4, Categorical())]
    X = {"polars": pl.from_pandas(table), "array": table.to_numpy(dtype=object)}.get(kind, table)
    parts = {"polars": PARTS, "rest": [*PARTS[:2], (Categorical(),)]}.get(kind, numbers)
    model = ProductMixture(parts, 2, random_state=0).fit(X)
    assert model.lower_bounds_ == expected.lower_bounds_
    assert_array_equal(model.predict_proba(X), expected.predict_proba(table))


def test_columns_that_no_part_names_are_not_looked_at():
    table, _ = people()
    model = ProductMixture(PARTS, 2, random_state=0).fit(table)
    assert model.columns_ == ["job", "age", "smoker", "height", "town"]
    assert_array_equal(model.predict(table.assign(id="?")), model.predict(table))


def test_samples_have_the_columns_of_the_table_in_their_order():
    table, _ = people()
    model = ProductMixture(PARTS, 2, random_state=0).fit(table)
    X, labels = model.sample(4000, random_state=0)
    drawn = pd.DataFrame(X, columns=model.columns_)
    assert set(drawn["job"]) == {"baker", "pilot"}
    assert set(drawn["smoker"]) == {0.0, 1.0}
    for k in range(2):
        own = drawn[labels == k]
        means = own[["age", "height"]].astype(float).mean()
        assert_allclose(means, model.components_["age, height"].means_[k], rtol=0.02)
    numeric = ProductMixture([("age", Gaussian()), ("smoker", Bernoulli())], 2, random_state=0).fit(table)
    assert numeric.sample(5)[0].dtype == np.float64


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_leads_to_a_fit_that_never_falls(init_params):
    table, _ = people(holes=0.1)
    weight = np.random.default_rng(0).integers(0, 3, len(table)).astype(float)
    model = ProductMixture(PARTS, 3, init_params=init_params, random_state=0, tol=1e-7, max_iter=2000)
    model.fit(table, sample_weight=weight)
    assert np.diff(model.lower_bounds_).min() >= -1e-10
    kept = np.repeat(np.arange(len(table)), weight.astype(int))
    total = model.score_samples(table.iloc[kept]).mean()
    assert model.score(table, sample_weight=weight) == pytest.approx(total, rel=1e-12)


def test_units_of_columns_do_not_move_the_start():
    table, old = people()
    table["height"] *= 1e6
    found = ProductMixture(PARTS, 2, random_state=0, max_iter=0).fit(table).predict(table)
    assert max((found == old).mean(), (found != old).mean()) > 0.9


@pytest.mark.parametrize("dtype", DTYPES)
def test_float32_columns_are_computed_in_float32(dtype):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((300, 2)), rng.integers(2, size=300)]).astype(dtype)
    model = ProductMixture([(0, 1, Gaussian("tied")), (2, Bernoulli())], 2, random_state=0).fit(X)
    assert model.weights_.dtype == dtype
    assert model.components_["0, 1"].means_.dtype == dtype
    assert model.score_samples(X).dtype == dtype


def test_going_on_and_a_canonical_order():
    table, _ = people()
    once = ProductMixture(PARTS, 2, random_state=0, tol=1e-8, max_iter=500).fit(table)
    again = ProductMixture(PARTS, 2, random_state=0, tol=1e-2, warm_start=True, canonical_order=True).fit(table)
    again.set_params(tol=1e-8, max_iter=500).fit(table)
    assert again.lower_bound_ == pytest.approx(once.lower_bound_, abs=1e-6)
    means = again.components_["age, height"].means_[:, 0]
    assert means[0] < means[1]
    assert_array_equal(again.components_["smoker"].weights_, again.weights_)


def test_margins_have_the_weights_of_the_whole():
    table, _ = people()
    model = ProductMixture(PARTS, 2, random_state=0).fit(table)
    before = model.weights_.copy()
    copied = copy.copy(model)
    copied.weights_ = np.array([0.9, 0.1])
    for own, weights in ((model, before), (copied, [0.9, 0.1])):
        for margin in own.components_.values():
            assert_array_equal(margin.weights_, weights)
        assert_allclose(own.score_samples(table), by_parts(own, table), rtol=1e-11)
    model.components_["smoker"].weights_ = [0.9, 0.1]
    for call in (model.predict, model.score, model.bic, lambda _: model.sample(), lambda _: model.save("unwritten")):
        with pytest.raises(ValueError, match=r"components_\['smoker'\]\.weights_ is .* assign those"):
            call(table)
    model.weights_ = [0.9, 0.1]
    assert_array_equal(model.score_samples(table), copied.score_samples(table))


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "parts is empty"),
        ([("age", Gaussian)], "parts should hold tuples of columns"),
        ([("weight", Gaussian())], "parts name column 'weight', which X has not: there are 'id', 'job'"),
        ([(9, Gaussian())], "parts name column 9, which X has not"),
        ([("age", Gaussian()), ("job", "age", Categorical())], "parts name column 'age' twice"),
        ([(Gaussian(),), (Bernoulli(),)], "several families without columns"),
        ([(*range(6), Categorical()), (Gaussian(),)], "n_features = 6, all named by other parts"),
        ([("job", Gaussian())], "Column 'job' of X should hold numbers, as it is Gaussian"),
        ([("age", Bernoulli())], "Part 'age', whose columns are numbered from 0: Column 0 of X is not binary"),
        ([("id", Categorical())], "Column 'id' of X should hold strings or numbers, got datetime64"),
    ],
)
def test_parts_that_do_not_fit_the_table_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        ProductMixture(parts).fit(people()[0])


def test_missing_values_of_student_t_parts_are_left_out():
    table, _ = people()
    table.loc[7, "height"] = np.nan
    parts = [("age", "height", StudentT()), *PARTS[1:]]
    model = ProductMixture(parts, 2, random_state=0).fit(table)
    own = model.components_["age, height"]
    there = np.delete(np.arange(len(table)), 7)
    assert_array_equal(model.score_samples(table.iloc[there]), model.score_samples(table)[there])
    assert model.score_samples(table)[7] > model.score_samples(table.assign(height=0.0))[7]
    assert abs(own.means_.mean(axis=0)[1] - table["height"].mean()) < table["height"].std()
    with pytest.raises(ValueError, match="height has no entry in any row"):
        ProductMixture(parts).fit(table.assign(height=np.nan))


def test_an_unseen_category_names_column_and_value():
    table, _ = people()
    model = ProductMixture(PARTS, random_state=0).fit(table)
    table.loc[3, "town"] = "Trier"
    with pytest.raises(ValueError, match="Column 'town' of X has the value 'Trier' in row 3"):
        model.predict(table)


# ---- with the rest of the package ------------------------------------------------------------------------------------


def test_a_batch_has_the_bits_of_fits_alone():
    rng = np.random.default_rng(0)
    problems = [np.column_stack([rng.normal(size=(n, 2)), rng.integers(3, size=(n, 2))]) for n in (80, 120)]
    parts = [(0, 1, Gaussian()), (2, Categorical(categories=[[0.0, 1.0, 2.0]])), (3, Categorical())]
    result = fit_many(problems, ProductMixture(parts, 2), random_state=3)
    for X, model in zip(problems, result, strict=True):
        alone = ProductMixture(parts, 2, random_state=3).fit(X)
        assert model.lower_bound_ == alone.lower_bound_
        assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_in_a_batch_nan_is_missing_where_the_family_has_a_place_for_it():
    rng = np.random.default_rng(0)
    problems = rng.integers(3, size=(3, 60, 3)).astype(float)
    problems[1, 4, 1] = problems[2, 5, 0] = problems[0, 6, 2] = np.nan
    parts = [(0, StudentT()), (1, Categorical(categories=[[0.0, 1.0, 2.0]]))]  # nobody looks at column 2
    result = fit_many(problems, ProductMixture(parts, 2), random_state=3)
    for own, X in zip(result, problems, strict=True):
        alone = ProductMixture(parts, 2, random_state=3).fit(X)
        assert own.lower_bound_ == alone.lower_bound_


@pytest.mark.parametrize("criterion", ["bic", "heldout"])
def test_a_choice_among_numbers_of_components(criterion):
    table, _ = people()
    chosen = select(table, ProductMixture(PARTS, random_state=0), n_components=[1, 2, 3], criterion=criterion)
    assert chosen.best_params_["n_components"] == 2
    assert chosen.best_.predict(table).shape == (500,)


def test_stepmixs_mixed_model_has_the_same_likelihood():
    rng = np.random.default_rng(12)
    own = np.arange(400) % 3
    numbers = rng.standard_normal((3, 2))[own] * 2 + rng.standard_normal((400, 2))
    binary = rng.uniform(size=(400, 3)) < rng.uniform(0.1, 0.9, (3, 3))[own]
    draws = rng.uniform(size=(400, 2, 1))
    steps = np.cumsum(rng.dirichlet(np.ones(4), size=(3, 2)), axis=2)[own][:, :, :-1]
    X = np.column_stack([numbers, binary, (draws > steps).sum(axis=2)])
    parts = [
        (0, 1, Gaussian("diag", reg_covar=0)),
        (2, 3, 4, Bernoulli(alpha=0)),
        (5, 6, Categorical(alpha=0)),
    ]
    model = ProductMixture(parts, 3, init_params="random", random_state=0, tol=1e-13, max_iter=20_000).fit(X)
    # StepMix 3.0.0, the best of five starts, gaussian_diag, binary and categorical, rel_tol=1e-13
    assert 400 * model.score(X) == pytest.approx(-3127.3004443216414, rel=1e-11)
