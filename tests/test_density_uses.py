"""Some columns of a density, the others given these, quantiles, regions of highest density: against SciPy and sums."""

import sys
import time

import numpy as np
import pytest
from estimators_table import COUNTS, ESTIMATORS, REALS, WAITS
from scipy import stats
from scipy.integrate import quad
from scipy.special import logsumexp

from mixfast import (
    BernoulliMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    StudentTMixture,
    VonMisesFisherMixture,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
STRUCTURES = ("full", "tied", "diag", "spherical")
ELLIPTICAL = [
    *(f"Gaussian {name}" for name in STRUCTURES),
    "Student-t",
    *(f"Student-t {name}" for name in STRUCTURES[1:]),
]
INDEPENDENT = ["Poisson", "Gamma", "exponential", "Bernoulli"]


def fitted(name, **params):
    entry = ESTIMATORS[name]
    return entry.make(**params).fit(entry.X)


def of_one_column(name):
    return {
        "Gaussian": GaussianMixture(2, random_state=0).fit(REALS).marginal(0),
        "Student-t": StudentTMixture(2, random_state=0).fit(REALS).marginal([1]),
        "Gamma": GammaMixture(2, random_state=0).fit(WAITS).marginal(2),
        "exponential": ExponentialMixture(2, random_state=0).fit(WAITS).marginal(0),
        "Poisson": PoissonMixture(2, random_state=0).fit(COUNTS).marginal(3),
        "Bernoulli": BernoulliMixture(2, random_state=0, binarize=None).fit(ESTIMATORS["Bernoulli"].X).marginal(1),
    }[name]


CONTINUOUS = ("Gaussian", "Student-t", "Gamma", "exponential")


# ---- columns ----


@pytest.mark.parametrize("name", ELLIPTICAL)
def test_margins_are_integrals(name):
    model = fitted(name)
    margin = model.marginal([2, 0])
    grid = np.linspace(-400, 400, 400_001)
    for x in REALS[:3]:
        rows = np.column_stack([np.full(len(grid), x[0]), grid, np.full(len(grid), x[2])])
        dense = np.sum(np.exp(model.score_samples(rows))) * (grid[1] - grid[0])
        assert margin.score_samples([[x[2], x[0]]])[0] == pytest.approx(np.log(dense), rel=1e-5)


@pytest.mark.parametrize("canonical_order", [False, True])
@pytest.mark.parametrize("name", [*ELLIPTICAL, *INDEPENDENT, "categorical"])
def test_what_is_given_and_what_is_left_make_the_whole(name, canonical_order):
    """log p(x) = log p(given) + log p(others | given)"""
    model, X = fitted(name, canonical_order=canonical_order), ESTIMATORS[name].X
    margin = model.marginal([1])
    for x in X[:4]:
        left = model.condition(1, x[1])
        assert left.n_features_in_ == X.shape[1] - 1
        whole = margin.score_samples([[x[1]]])[0] + left.score_samples([np.delete(x, 1)])[0]
        assert whole == pytest.approx(model.score_samples([x])[0], rel=1e-9)


@pytest.mark.parametrize("name", [*ELLIPTICAL, *INDEPENDENT])
def test_conditional_means_are_those_of_the_conditional_mixture(name):
    model, X = fitted(name), ESTIMATORS[name].X
    found = model.conditional_mean(X[:5, [1]], [1])
    assert found.shape == (5, X.shape[1] - 1)
    for x, mean in zip(X, found, strict=False):
        left = model.condition([1], [x[1]])
        np.testing.assert_allclose(mean, left.weights_ @ left._centres(), rtol=1e-9)


def test_conditional_means_are_regressions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    X = np.column_stack([x, 2 * x + 1 + rng.normal(size=len(x))])
    found = GaussianMixture(1).fit(X).conditional_mean([[0.0], [1.0]], 0)
    np.testing.assert_allclose(found, [[1], [3]], atol=0.05)


def test_conditional_means_of_many_rows_are_quick():
    model = GaussianMixture(4, random_state=0).fit(REALS)
    X = np.random.default_rng(0).normal(size=(100_000, 2))
    expected = [model.conditional_mean(own[np.newaxis], [0, 2])[0] for own in X[:3]]
    begin = time.process_time()
    found = model.conditional_mean(X, [0, 2])
    assert found.shape == (100_000, 1)
    assert time.process_time() - begin < 30  # a guard: it takes 0.011 s
    np.testing.assert_allclose(found[:3], expected, rtol=1e-12)


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(REALS, columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(table)
    margin = model.marginal(["c", "a"])
    assert margin.feature_names_in_.tolist() == ["c", "a"]
    np.testing.assert_array_equal(margin.means_, model.means_[:, [2, 0]])
    assert model.condition("b", 0.5).feature_names_in_.tolist() == ["a", "c"]
    with pytest.raises(ValueError, match="columns has 'd'"):
        model.marginal("d")


def test_categories_stay_with_their_columns():
    model = fitted("categorical of strings")
    margin = model.marginal([2, 0])
    assert [own.tolist() for own in margin.categories_] == [model.categories_[j].tolist() for j in (2, 0)]
    np.testing.assert_array_equal(margin.probabilities_[0], model.probabilities_[2])
    left = model.condition(1, ["red"])
    red = model.probabilities_[1][:, model.categories_[1].tolist().index("red")]
    np.testing.assert_allclose(left.weights_, model.weights_ * red / (model.weights_ @ red))


# ---- one column ----


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution_functions_are_integrals(name):
    model = of_one_column(name)
    low = model._family().support[0]
    for x in (0.3, 2.0, 7.0):
        expected = quad(lambda y: np.exp(model.score_samples([[y]])[0]), max(low, -200), x, limit=400, points=(1.0,))[0]
        assert model.cdf([[x]])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["Poisson", "Bernoulli"])
def test_distribution_functions_are_sums(name):
    model = of_one_column(name)
    values = np.arange(2 if name == "Bernoulli" else 30, dtype=float)
    expected = np.cumsum(np.exp(model.score_samples(values[:, np.newaxis])))
    np.testing.assert_allclose(model.cdf(values[:, np.newaxis]), expected, rtol=1e-9)
    np.testing.assert_array_equal(model.cdf([[-0.5]]), [0])
    seen = np.diff(expected, prepend=0) > 1e-8
    np.testing.assert_array_equal(model.ppf(expected - 1e-9)[seen], values[seen])
    assert model.ppf(0.0) == 0


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles_are_the_inverse(name):
    model = of_one_column(name)
    q = np.array([[1e-6, 0.01, 0.3], [0.5, 0.9, 1 - 1e-6]])
    values = model.ppf(q)
    assert values.shape == q.shape
    np.testing.assert_allclose(model.cdf(values.reshape(-1, 1)), q.ravel(), rtol=1e-9)
    assert np.all(np.diff(values.ravel()) > 0)
    ends = model.ppf([0, 1])
    assert ends.tolist() == list(model._family().support)


def test_quantiles_of_one_gaussian_are_scipys():
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[1e6]], covariances=[[[4.0]]])
    q = [1e-300, 1e-12, 0.25, 0.999]
    np.testing.assert_allclose(model.ppf(q), stats.norm(1e6, 2).ppf(q), rtol=1e-13)


# ---- regions of highest density ----


def test_levels_are_those_of_a_gaussian():
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0, 0.0]], covariances=[np.eye(2)])
    expected = -np.log(2 * np.pi) - stats.chi2(2).ppf(0.9) / 2
    assert model.log_density_level(0.9) == pytest.approx(expected, abs=0.05)
    X = model.sample(20_000, random_state=1)[0]
    assert np.mean(model.is_outlier(X, contamination=0.1)) == pytest.approx(0.1, abs=0.01)
    assert model.is_outlier([[9.0, 9.0]]).tolist() == [True]


@pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.has_likelihood])
def test_levels_of_every_family(name):
    model = fitted(name)
    if isinstance(model, MultinomialMixture) or "multinomial" in name:
        return  # rows that are drawn have totals of their own
    low, high = model.log_density_level(0.99, n_draws=2000), model.log_density_level(0.5, n_draws=2000)
    assert low < high
    assert model.is_outlier(ESTIMATORS[name].X, contamination=0.05, n_draws=2000).dtype == bool


@pytest.mark.parametrize("name", ["Gaussian full", "categorical"])
def test_levels_of_named_columns_need_no_pandas_and_are_those_of_draws(name, monkeypatch):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(ESTIMATORS[name].X).rename(columns="x{}".format)
    model = ESTIMATORS[name].make().fit(X)
    drawn = model.sample(2000, random_state=0, as_frame=True)[0]
    expected = np.quantile(model.score_samples(drawn), 0.3, method="lower")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert model.log_density_level(0.7, n_draws=2000) == expected


#: Those with a place for missing entries of the first column.
TAKE_MISSING = [name for name, entry in ESTIMATORS.items() if entry.has_likelihood and entry.takes_missing]
#: Those of them whose rows have all different densities.
CONTINUOUS_ROWS = [
    name for name in TAKE_MISSING if name.startswith(("Gaussian", "Student-t", "Gamma", "exponential", "product of"))
]


@pytest.mark.parametrize("name", TAKE_MISSING)
def test_rows_with_missing_entries_are_outliers_as_often_as_others(name):
    """Draws lose their first entry, or all but that: the share of outliers among them is that of complete rows."""
    model = fitted(name)
    X = model.sample(3000, random_state=1)[0]
    without, alone = X.copy(), X.copy()
    without[:, 0] = np.nan
    alone[:, 1:] = np.nan
    for rows in (X, without, alone):
        n_outliers = np.sum(model.is_outlier(rows, contamination=0.1, n_draws=20_000))
        assert n_outliers <= stats.binom(3000, 0.11).ppf(1 - 1e-6)  # levels have errors of their own
        if name in CONTINUOUS_ROWS:  # many rows of others may have the density of the level
            assert n_outliers >= stats.binom(3000, 0.09).ppf(1e-6)
    some = X[::300], without[::300], alone[::300]
    expected = [model.is_outlier(own, n_draws=2000) for own in some]
    assert model.is_outlier(np.concatenate(some), n_draws=2000).tolist() == np.concatenate(expected).tolist()


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_levels_of_patterns_are_those_of_marginals_in_any_unit(unit):
    X = 0.1 * REALS * unit
    model = GaussianMixture(2, random_state=0, regularization="relative").fit(X)
    middle = model.means_.copy()
    middle[:, 1] = np.nan
    assert not np.any(model.is_outlier(middle))
    rng = np.random.default_rng(2)
    holes = np.where(rng.random(X.shape) < 0.5, np.nan, X)
    found = model.is_outlier(holes, contamination=0.3)
    for there in ([0], [1, 2], [0, 2]):
        own = np.all(np.isnan(holes) != np.isin(np.arange(3), there), axis=1)
        margin = model.marginal(there)
        expected = margin.score_samples(holes[own][:, there]) < margin.log_density_level(0.7)
        assert own.sum() > 3
        assert np.sum(found[own] != expected) <= 1, there  # levels are of other draws
    assert np.any(found)


def _rows_with_patterns(n_patterns):
    """Rows of seven columns, one for each pattern of missing entries, and a fitted model of all columns."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 7)) + 4 * rng.integers(0, 2, 400)[:, np.newaxis]
    model = GaussianMixture(2, random_state=0).fit(X)
    is_gap = (np.arange(1, n_patterns + 1)[:, np.newaxis] >> np.arange(7)) % 2 == 1
    return model, np.where(is_gap, np.nan, X[:n_patterns])


@pytest.mark.parametrize(("n_patterns", "n_of_each"), [(10, 5000), (11, 2500), (126, 385)])
def test_levels_of_many_patterns_are_from_fewer_draws_each(n_patterns, n_of_each, monkeypatch):
    """Or else rows of a wide table, most of which have a pattern of their own, take hours."""
    model, X = _rows_with_patterns(n_patterns)
    evaluated = []
    evaluate = type(model)._evaluate_pass

    def counted(self, p, *args, **options):
        evaluated.append(p.rows.X.shape[0])
        return evaluate(self, p, *args, **options)

    monkeypatch.setattr(type(model), "_evaluate_pass", counted)
    model.is_outlier(X, n_draws=5000)
    assert evaluated[-n_patterns:] == [n_of_each] * n_patterns


def test_levels_of_many_patterns_have_the_error_that_their_draws_have():
    """Shares of fresh rows below each level: as many as 20,000 draws out of 13 let expect."""
    model, X = _rows_with_patterns(126)
    fresh = model.sample(20_000, random_state=5)[0]
    holes = np.where(np.isnan(X[np.arange(20_000) % 126]), np.nan, fresh)
    share, m = np.mean(model.is_outlier(holes, contamination=0.1, n_draws=20_000)), 20_000 // 13
    error = np.sqrt(0.1 * 0.9 * (1 / m + 1 / 20_000))  # levels share their draws, so at most this
    assert abs(share - 0.1) < 5 * error


def test_a_row_without_any_entry_is_no_outlier():
    assert fitted("Gaussian full").is_outlier(np.full((1, 3), np.nan)).tolist() == [False]


@pytest.mark.parametrize("name", TAKE_MISSING)
def test_conditional_means_of_rows_with_missing_entries_are_what_is_imputed(name):
    model, rng = fitted(name), np.random.default_rng(3)
    X, d = ESTIMATORS[name].X, ESTIMATORS[name].X.shape[1]
    given = [d - 1, 0]
    known = X[:, given].copy()
    known[rng.random((len(X), 2)) < 0.5] = np.nan
    assert (known != known).all(axis=1).any()
    try:
        model.conditional_mean(X[:, given], given)
    except TypeError:  # no means, or no distributions of columns by themselves
        with pytest.raises(TypeError):
            model.conditional_mean(known, given)
        return
    rows = np.full(X.shape, np.nan)
    rows[:, given] = known
    others = [j for j in range(d) if j not in given]
    np.testing.assert_allclose(model.conditional_mean(known, given), model.impute(rows)[:, others], rtol=1e-9)


# ---- values that cannot be given ----


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "values has nan for 'column 0': what is missing is not given"),
        (None, "values has None for 'column 0': what is missing is not given"),
        ("a", "values has 'a' for 'column 0', and should have a number"),
        (np.inf, "values has inf for 'column 0', and should have a finite number"),
    ],
)
@pytest.mark.parametrize("name", [*ELLIPTICAL, *INDEPENDENT])
def test_values_that_cannot_be_given_are_named(name, value, message):
    model = fitted(name)
    with pytest.raises(ValueError, match=message):
        model.condition([0], [value])
    with pytest.raises(ValueError, match=message):
        model.condition([1, 0], [1.0, value])


@pytest.mark.parametrize("use", ["marginal", "condition", "conditional_mean", "cdf", "ppf"])
def test_products_say_that_columns_are_those_of_parts(use):
    model = fitted("product of Gammas")
    arguments = {"marginal": [0], "condition": ([0], [1.0]), "conditional_mean": (WAITS[:, :1], [0]), "cdf": [WAITS]}
    with pytest.raises(TypeError, match=r"part by part.*model\.components_\["):
        getattr(model, use)(*arguments.get(use, [0.5]))
    (part,) = model.components_.values()
    assert part.marginal(0).cdf([[1.0]]).shape == (1,)


# ---- what has none ----


def test_what_has_no_columns_of_its_own_says_so():
    for model in (fitted("multinomial"), fitted("von Mises-Fisher")):
        with pytest.raises(TypeError, match="no distribution of their own"):
            model.marginal(0)
        with pytest.raises(TypeError, match="no distribution of their own"):
            model.conditional_mean([[1.0]], 0)
    with pytest.raises(ValueError, match=r"take one, as in model\.marginal"):
        fitted("Gaussian full").cdf(REALS)
    with pytest.raises(TypeError, match="not known in closed form"):
        VonMisesFisherMixture.from_parameters(weights=[1], mean_directions=[[1.0]], concentrations=[1.0]).cdf([[1.0]])
    x = np.linspace(0, 1, 40)[:, np.newaxis]
    with pytest.raises(TypeError, match="have no density"):
        MixtureOfExperts(1).fit(x, x[:, 0] + np.sin(9 * x[:, 0])).log_density_level(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.marginal([]), "some different ones of 3"),
        (lambda model: model.marginal([0, 0]), "some different ones of 3"),
        (lambda model: model.marginal(3), "numbers from 0 to 2"),
        (lambda model: model.marginal("a"), "no names"),
        (lambda model: model.condition([0, 1, 2], [1, 2, 3]), "and leave some of 3"),
        (lambda model: model.condition([0, 1], [1]), "values should be 2"),
        (lambda model: model.log_density_level(1.0), "share=1.0"),
        (lambda model: model.log_density_level(0.5, n_draws=1), "n_draws=1"),
        (lambda model: model.is_outlier(REALS, contamination=0), "contamination=0"),
        (lambda model: model.marginal(0).ppf(1.5), "q should be from 0 to 1, got 1.5"),
        (lambda model: model.marginal(0).ppf([0.5, np.nan]), "q should be from 0 to 1"),
        (lambda model: model.marginal(0).cdf(REALS), "X has 3 features"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted("Gaussian full"))


def test_mixture_weights_of_a_condition():
    model = fitted("Gaussian full")
    margin = model.marginal(0)
    joint = margin.component_log_density([[1.0]])[0] + np.log(margin.weights_)
    np.testing.assert_allclose(model.condition(0, 1.0).weights_, np.exp(joint - logsumexp(joint)), rtol=1e-9)
