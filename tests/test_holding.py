"""Parameters that are held, `hold=`, over all estimators that EM fits by maximum likelihood."""

import copy
import warnings

import numpy as np
import pytest
from batches import assert_near
from estimators_table import ESTIMATORS, REGRESSIONS, Rows
from numpy.testing import assert_allclose
from scipy.special import softmax
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import mixfast
from mixfast import (
    GaussianMixture,
    MixtureOfExperts,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    fit_many,
    select,
)
from mixfast.families.covariances import SHAPES
from mixfast.families.holding import ALL, COMPONENT, NUMBER
from mixfast.partitions import InMemory
from mixfast.parts import Categorical, Gaussian, Poisson, StudentT

HOLDERS = {
    **{
        name: entry
        for name, entry in ESTIMATORS.items()
        if "hold" in entry.make().get_params() and not isinstance(entry.make(), ProductMixture)  # whose parts hold
    },
    **{f"experts, {name}": entry for name, entry in REGRESSIONS.items() if "wide" not in name},  # which holds nothing
}
every_holder = pytest.mark.parametrize("name", HOLDERS)


def rows(n=300, d=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[n // 3 : 2 * n // 3] += 5
    X[2 * n // 3 :, 0] = 0.3 * X[2 * n // 3 :, 0] - 4
    return X


def fitted(estimator, X, **row_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows, and limits that are slow
        return X.to(estimator.fit) if isinstance(X, Rows) else estimator.fit(X, **row_data)


def made(entry, **options):
    estimator = entry.make(**({"tol": 1e-9, "max_iter": 300} | options))
    if "canonical_order" in estimator.get_params():
        estimator.set_params(canonical_order=False)
    if "reg_covar" in estimator.get_params():
        estimator.set_params(reg_covar=0)  # what is added to estimates may lower the likelihood
    return estimator


def array_of(model, name):
    """An attribute; of several responses a list, with None for those without."""
    value = getattr(model, f"{name}_")
    if isinstance(model, MixtureOfExperts) and isinstance(value, list):
        return [None if own is None else np.array(own, dtype=np.float64) for own in value]
    return np.array(value, dtype=np.float64)


def each(function, value, *others):
    """Of an array, or of each that a list has."""
    if not isinstance(value, list):
        return function(value, *others)
    return [None if own[0] is None else function(*own) for own in zip(value, *others, strict=True)]


def assert_equal(got, wanted):
    """Where numbers are wanted."""
    each(lambda own, its: np.testing.assert_array_equal(own[~np.isnan(its)], its[~np.isnan(its)]), got, wanted)


def part_of(values, depth):
    """What of a parameter is held: all, all of component 1, or its first number that is not 0, as those of the first
    class of a response are."""
    part = np.full(values.shape, np.nan)
    where = {ALL: ..., COMPONENT: 1, NUMBER: (1, *np.argwhere(values[1])[0])}[depth]
    part[where] = values[where]
    return part


def held_with_needs(model, name, depth_of_part):
    """{name: numbers}, with what is held together with it."""
    holdings = model._holdings()
    return {
        own: each(lambda values: part_of(values, depth_of_part), array_of(model, own))
        for own in (name, *holdings[name].needs)
    }


def holds_weights(model):
    """But for those of a gate."""
    return getattr(model, "gate", None) is None


@every_holder
def test_held_numbers_come_out_to_the_last_bit_and_the_objective_never_falls(name):
    entry = HOLDERS[name]
    model = fitted(made(entry, n_init=1), entry.rows())
    other = fitted(
        made(entry, random_state=5, init_params="random"), entry.rows().some(slice(40))
    )  # numbers that are not the fit's own
    holdings = model._holdings()
    for parameter, holding in holdings.items():
        depth = min([holding.depth, *(holdings[need].depth for need in holding.needs)])
        hold = held_with_needs(other, parameter, depth)
        again = fitted(made(entry, hold=hold), entry.rows())
        for held, numbers in hold.items():
            assert_equal(array_of(again, held), numbers)
        assert np.diff(again.lower_bounds_).min(initial=0) > -1e-10
        assert again._n_parameters() < model._n_parameters()
    if not holds_weights(model):
        return
    weights = np.where(np.arange(len(model.weights_)) == 1, 0.3, np.nan)
    again = fitted(made(entry, hold={"weights": weights}), entry.rows())
    assert again.weights_[1] == 0.3
    assert again.weights_.sum() == pytest.approx(1)
    assert again._n_parameters() == model._n_parameters() - 1


@every_holder
def test_to_hold_nothing_changes_no_bit(name):
    entry = HOLDERS[name]
    model = fitted(made(entry), entry.rows())
    names = [*model._holdings(), *(["weights"] if holds_weights(model) else [])]
    nothing = {own: each(lambda values: values * np.nan, array_of(model, own)) for own in names}
    for hold in ({}, nothing):
        again = fitted(made(entry, hold=hold), entry.rows())
        np.testing.assert_array_equal(again._mixing(), model._mixing())
        for one, two in zip(again._collect(), model._collect(), strict=True):
            np.testing.assert_array_equal(one, two)


@every_holder
def test_to_hold_everything_leaves_everything(name):
    entry = HOLDERS[name]
    model = fitted(made(entry, random_state=3), entry.rows().some(slice(48)))
    names = [*model._holdings(), *(["weights"] if holds_weights(model) else [])]
    hold = {own: array_of(model, own) for own in names}
    again = fitted(made(entry, hold=hold, max_iter=7, tol=0), entry.rows())
    for own in hold.keys() - {"weights"}:
        assert_equal(array_of(again, own), hold[own])
    if holds_weights(model):
        np.testing.assert_allclose(again.weights_, model.weights_, rtol=1e-15)
    # of Student-t components not always
    if isinstance(model, MixtureOfExperts) or set(again._collect()._fields) <= {*hold, "precisions_cholesky"}:
        assert np.ptp(again.lower_bounds_) < 1e-9
        assert again._n_parameters() == 0


@every_holder
def test_a_mask_holds_what_the_last_fit_has(name):
    entry = HOLDERS[name]
    model = fitted(made(entry, warm_start=True, max_iter=3), entry.rows())
    if not model._holdings():  # weights alone
        return
    parameter, holding = next(iter(model._holdings().items()))
    before = array_of(model, parameter)
    together = ALL in [model._holdings()[own].depth for own in (parameter, *holding.needs)]

    def mask_of(values):
        if "common" in name:  # the first column is not shared
            return np.arange(values.shape[1]) + np.zeros((len(values), 1)) == 0
        return np.ones(values.shape, bool) if together else np.arange(len(values)) == 0

    hold = {own: each(mask_of, array_of(model, own)) for own in (parameter, *holding.needs)}
    model.set_params(hold=hold, max_iter=20)
    fitted(model, entry.rows())
    each(
        lambda own, its, mask: np.testing.assert_array_equal(own[mask], its[mask]),
        array_of(model, parameter),
        before,
        hold[parameter],
    )
    with pytest.raises(ValueError, match="set warm_start=True and fit again"):
        fitted(made(entry, hold=hold), entry.rows())


# ---- Gaussians, where the numbers are known ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", *SHAPES])
def test_scatters_are_about_held_means(name):
    """One component: the limit is known."""
    X, mean = rows() - 30, np.array([[-29.0, -31.0]])
    model = fitted(GaussianMixture(1, covariance_type=name, reg_covar=0, hold={"means": mean}), X)
    scatter = (X - mean).T @ (X - mean) / len(X)
    free = fitted(GaussianMixture(1, covariance_type=name, reg_covar=0), mean + np.vstack([X - mean, mean - X]))
    np.testing.assert_allclose(model.covariance_matrices(), free.covariance_matrices(), rtol=1e-10)
    if name == "full":
        np.testing.assert_allclose(model.covariances_[0], scatter, rtol=1e-12)


def test_components_begin_near_what_is_held():
    X = rows(3000)
    means = np.full((3, 2), np.nan)
    means[2], means[0] = [5.0, 5.0], [-4.0, 0.0]
    model = fitted(GaussianMixture(3, hold={"means": means}, random_state=0), X)
    np.testing.assert_array_equal(model.means_[[0, 2]], means[[0, 2]])
    np.testing.assert_allclose(model.means_[1], 0, atol=0.2)
    assert model.covariances_[2] == pytest.approx(np.eye(2), abs=0.2)


@pytest.mark.parametrize("options", [{"regularization": "relative"}, {"accelerate": "auto"}, {"n_threads": 3}], ids=str)
def test_held_means_stay_under_every_option(options):
    X = 1e3 + rows() * [1.0, 1e-3]
    means = np.full((3, 2), np.nan)
    means[1] = [1004.9, 1000.0051]
    model = fitted(GaussianMixture(3, hold={"means": means}, random_state=0, tol=1e-9, max_iter=500, **options), X)
    np.testing.assert_array_equal(model.means_[1], means[1])
    narrow = fitted(GaussianMixture(3, hold={"means": means}, random_state=0), X.astype(np.float32))
    np.testing.assert_array_equal(narrow.means_[1], means[1].astype(np.float32))


def test_the_limit_is_a_maximum_under_what_is_held():
    """No small step of what is free, in any direction, makes rows more likely."""
    X, rng = rows(), np.random.default_rng(0)
    means = np.full((2, 2), np.nan)
    means[0] = [4.0, 4.0]
    model = fitted(GaussianMixture(2, hold={"means": means}, reg_covar=0, tol=1e-13, max_iter=5000, random_state=0), X)
    best = model.score(X)
    for _ in range(50):
        step = 1e-3 * rng.normal(size=(2, 2))
        step[0] = 0
        factors = np.eye(2) + 1e-3 * rng.normal(size=(2, 2, 2))
        near = GaussianMixture.from_parameters(
            weights=model.weights_,
            means=model.means_ + step,
            covariances=factors @ model.covariances_ @ np.swapaxes(factors, 1, 2),
        )
        assert near.score(X) < best


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("held", ["coefficients", "intercepts", "gate", "dispersions"])
def test_the_limit_of_regressions_is_a_maximum_under_what_is_held(held, name):
    """As that of means: no small step of what is free makes y more likely."""
    entry = REGRESSIONS[name]
    names = {
        "coefficients": ["coef"],
        "intercepts": ["intercept"],
        "gate": ["gate_coef", "gate_intercept"],
        "dispersions": ["sigma", "shape", "theta"],
    }[held]
    free = fitted(made(entry, n_init=3), entry.rows())
    holdings = free._holdings()
    names = [own for own in names if own in holdings and "wide" not in name]
    if not names:
        return  # the expert has none of these
    # near the free ones, so that no component is lost
    numbers = {own: each(lambda values: part_of(1.1 * values, NUMBER), array_of(free, own)) for own in names}
    for own in names:
        if holdings[own].depth == ALL:
            numbers[own] = 1.1 * array_of(free, own)
    options = {"n_init": 3, "tol": 1e-13, "max_iter": 20_000, "accelerate": "auto", "alpha": 0.1}
    model = fitted(made(entry, hold=numbers, **options), entry.rows())
    assert model.converged_

    def objective(model):
        coefficients = model.coef_ if isinstance(model.coef_, list) else [model.coef_]
        own = [values[:, :1] if "common" in name else values for values in coefficients]  # the second column is fixed
        return entry.rows().to(model.score_samples).sum() - 0.05 * sum(np.sum(values**2) for values in own)

    def moved(values, its, is_shared):
        step = 1e-3 * rng.normal(size=values.shape) * np.isnan(its) * (values != 0)
        if "common" in name and values.ndim == 2:
            step[:, 1] = step[0, 1]
        return values + (step[:1] if is_shared else step)

    best, rng = objective(model), np.random.default_rng(0)
    for _ in range(20):
        near = copy.deepcopy(model)
        for own, holding in holdings.items():
            values = array_of(model, own)
            wanted = numbers.get(own, each(lambda values: values * np.nan, values))
            shared = [holding.depth == ALL] * len(values) if isinstance(values, list) else holding.depth == ALL
            setattr(near, f"{own}_", each(moved, values, wanted, shared))
        if "gate" not in name and "groups" not in name:
            weights = model.weights_ * np.exp(1e-3 * rng.normal(size=2))
            near.weights_ = weights / weights.sum()
        assert objective(near) < best + 1e-9 * abs(best)


def test_missing_entries_and_noise_go_with_it():
    X = rows()
    means = np.full((3, 2), np.nan)
    means[1] = [5.0, 5.0]
    holes = X.copy()
    holes[::7, 0] = np.nan
    options = {"hold": {"means": means}, "random_state": 0, "reg_covar": 0, "tol": 1e-9, "max_iter": 500}
    for model in (
        fitted(GaussianMixture(3, **options), holes),
        fitted(GaussianMixture(3, noise="uniform", **options), np.vstack([X, 20 * X[:30]])),
    ):
        np.testing.assert_array_equal(model.means_[1], means[1])
        assert np.diff(model.lower_bounds_).min() > -1e-10


def test_batches_choices_and_files(tmp_path):
    X = rows()
    means = np.full((3, 2), np.nan)
    means[1] = [5.0, 5.0]
    estimator = GaussianMixture(3, hold={"means": means}, random_state=0)
    result = fit_many([X, X[:200]], estimator, random_state=0)
    np.testing.assert_array_equal(result.means[:, 1], [means[1]] * 2)
    chosen = select(X, estimator, n_components=[3], covariance_type=["full", "tied"], random_state=0)
    np.testing.assert_array_equal(chosen.best_.means_[1], means[1])
    model = fitted(estimator, X)
    model.save(tmp_path / "model.mixfast")
    again = mixfast.load(tmp_path / "model.mixfast")
    np.testing.assert_array_equal(again.hold["means"], means)
    assert again.bic(X) == model.bic(X)


def test_sums_over_rows():
    X = rows()
    means = np.full((3, 2), np.nan)
    means[1] = [4.5, 5.0]
    model = fitted(GaussianMixture(3, hold={"means": means}, random_state=0, tol=1e-10, max_iter=500), X)
    stepped = fitted(GaussianMixture(3, hold={"means": means}, random_state=0, tol=1e-10, max_iter=500), X)
    stepped.update(model.statistics(X[:100]) + model.statistics(X[100:]))
    np.testing.assert_array_equal(stepped.means_[1], means[1])
    np.testing.assert_allclose(stepped.covariances_, model.covariances_, rtol=1e-4)


def held_regressions():
    """(estimator that holds a number of everything, rows)"""
    entry = REGRESSIONS["poisson, gate and exposure"]
    hold = {
        "coef": [[np.nan, 0.3], [-0.2, np.nan]],
        "intercept": [np.nan, 0.5],
        "gate_coef": [[0.0], [0.2]],
        "gate_intercept": [np.nan, -0.1],
    }
    return entry.make(hold=hold, max_iter=5, tol=0), entry.rows()


@pytest.mark.parametrize(
    "name", ["gaussian", "student_t", "gaussian, common", "poisson, gate and exposure", "multinomial", "several"]
)
def test_standard_errors_are_given_what_is_held(name):
    """The information of the others is that of a fit that ends at the same parameters without holding any."""
    entry = REGRESSIONS[name]
    free = fitted(made(entry, alpha=0.5, tol=1e-12, max_iter=5000), entry.rows())
    hold = {"intercept": each(lambda values: part_of(values, NUMBER), array_of(free, "intercept"))}
    if "gate" in name:
        hold["gate_coef"] = part_of(array_of(free, "gate_coef"), NUMBER)
    else:
        hold["weights"] = free.weights_
    model = fitted(made(entry, alpha=0.5, tol=1e-12, max_iter=5000, hold=hold, warm_start=True), entry.rows())
    wanted, got = (entry.rows().to(own.inference) for own in (free, model))
    assert len(got.terms) == model.n_parameters < len(wanted.terms)
    all_terms = list(zip(wanted.components, wanted.terms, strict=True))
    kept = [all_terms.index(own) for own in zip(got.components, got.terms, strict=True)]
    information = np.linalg.inv(wanted.covariance)[np.ix_(kept, kept)]
    np.testing.assert_allclose(got.estimates, wanted.estimates[kept], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(got.covariance, np.linalg.inv(information), rtol=0.02, atol=1e-4)


def assert_held(model, hold):
    for name, numbers in hold.items():
        assert_equal(array_of(model, name), np.array(numbers))


def test_regressions_hold_in_sums_batches_choices_and_files(tmp_path):
    estimator, rows = held_regressions()
    whole = fitted(clone(estimator), rows)
    assert_held(whole, estimator.hold)
    assert whole._n_parameters() == 4 + 2 + 2 - 5
    start = fitted(clone(estimator).set_params(max_iter=0, warm_start=True), rows).set_params(max_iter=5)
    parts = [(part.X, None, part.data) for part in (rows.some(slice(0, 17)), rows.some(slice(17, 60)))]
    model = fitted(copy.deepcopy(start), InMemory(parts))
    assert_near(model, fitted(copy.deepcopy(start), rows), 1e-11)
    assert_held(model, estimator.hold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = copy.deepcopy(model)
        for batch in (slice(0, 30), slice(30, 60)):
            rows.some(batch).to(stream.partial_fit)
        assert_held(stream, estimator.hold)
        lists = {name: [values, values] for name, values in rows.data.items()}
        for own in fit_many([rows.X, rows.X], estimator, random_state=0, **lists):
            np.testing.assert_array_equal(own.coef_, whole.coef_)
        chosen = select(rows.X, estimator, n_components=[2], random_state=0, **rows.data)
    assert_held(chosen.best_, estimator.hold)
    several = REGRESSIONS["several"]
    hold = {"coef": [np.array([[0.1, np.nan], [np.nan] * 2]), None], "sigma": [[0.5, np.nan], None]}
    both = fitted(several.make(hold=hold), several.rows())
    assert (both.coef_[0][0, 0], both.sigma_[0][0]) == (0.1, 0.5)
    for fit in (whole, both):
        fit.save(tmp_path / "model")
        again = mixfast.load(tmp_path / "model")
        assert again._n_parameters() == fit._n_parameters()
        np.testing.assert_array_equal(again.coef_, fit.coef_)


@pytest.mark.parametrize(
    ("options", "hold", "said"),
    [
        (
            {},
            {"slope": 1.0},
            "hold has 'slope', and a MixtureOfExperts.* can hold 'weights', 'coef', 'intercept', 'sigma'",
        ),
        ({}, {"shape": [1.0, 2.0]}, "hold has 'shape'"),
        ({}, {"degrees_of_freedom": [4.0, 4.0]}, "hold has 'degrees_of_freedom'.*degrees_of_freedom=4.0"),
        ({}, {"coef": [[1.0, 2.0]]}, r"hold\['coef'\] should have the shape of \(2, 2\), got \(1, 2\)"),
        ({}, {"sigma": [-1.0, np.nan]}, r"hold\['sigma'\].*above"),
        ({}, {"coef": [True, False]}, "set warm_start=True and fit again"),
        ({}, {"gate_coef": [[0.0], [1.0]]}, "hold has 'gate_coef'.*gate=None"),
        ({"gate": "same"}, {"weights": [0.5, 0.5]}, "hold has 'weights'.*gate='same'.*can hold 'coef'"),
        ({}, {"weights": [0.5, 0.6]}, r"hold\['weights'\]=.*should sum to 1"),
        ({}, {"weights": [1.5, -0.5]}, r"hold\['weights'\]=.*should be positive"),
        ({"gate": "same"}, {"gate_intercept": [1.0, np.nan]}, "0 or NaN for component 0"),
        ({"gate": [0]}, {"gate_coef": [[0.0, 1.0]] * 2}, r"hold\['gate_coef'\] should have the shape of \(2, 1\)"),
        ({"variance": "common"}, {"sigma": [1.0, np.nan]}, "all components together are held"),
        ({"variance": "common"}, {"sigma": [1.0, 2.0]}, "not the same number for all"),
        ({"fixed": [1]}, {"coef": [[1.0, 2.0], [np.nan, np.nan]]}, "hold has a coef that all components share"),
        ({"fit_intercept": False}, {"intercept": [1.0, 2.0]}, "hold has 'intercept'"),
        (
            {"expert": ["gaussian"], "columns": [[0]]},
            {"coef": [[[1.0, 2.0], [np.nan, np.nan]]]},
            r"0 or NaN for columns that columns=\[\[0\]\] leave out",
        ),
        ({"expert": ["gaussian"]}, {"coef": [[1.0, 2.0], [1.0, 2.0]]}, "a list with an entry for each of 1 responses"),
    ],
)
def test_what_regressions_cannot_hold_is_said(options, hold, said):
    X = rows(60)
    y = X @ [1.0, -1.0]
    with pytest.raises(ValueError, match=said):
        fitted(MixtureOfExperts(2, hold=hold, **options), X, y=[y] if "expert" in options else y)


@pytest.mark.parametrize(
    "hold",
    [
        {"coef": [[1.0, 2.0], [np.nan, np.nan]]},
        {"coef": np.array([[1.0, 2.0], [np.nan, np.nan]])},
        {"intercept": np.array([1.0, np.nan])},
        {"sigma": [1.0, np.nan]},
        {"sigma": [1.0, None]},
        {"coef": [[[1.0, 2.0]] * 2]},
    ],
)
def test_one_array_for_two_responses_is_said_to_be_one(hold):
    X = rows(60)
    with pytest.raises(ValueError, match=r"a list with an entry for each of 2 responses, an array each, or None.*got"):
        MixtureOfExperts(2, expert=["gaussian", "gaussian"], hold=hold).fit(X, np.column_stack([X[:, 0], X[:, 1]]))


#: Attributes of a gate of two columns -> how many numbers of each are of a component.
OF_A_GATE = {"gate_intercept": 1, "gate_coef": 2}


def gated(far, n_rows=400):
    """(X, y, columns of a gate `far` from 0, of which the first says which line a row is of)"""
    rng = np.random.default_rng(0)
    Z, x = rng.normal([far, 0.0], 1.0, size=(n_rows, 2)), rng.normal(size=(n_rows, 1))
    is_first = rng.random(n_rows) < 1 / (1 + np.exp(-2 * (Z[:, 0] - far) - 0.3))
    return x, np.where(is_first, 5 + 3 * x[:, 0], -2 * x[:, 0]) + rng.normal(0, 0.5, n_rows), Z


@pytest.mark.parametrize("far", [0.0, 100.0, 1e4])
def test_a_gate_that_holds_something_begins_where_rows_have_all_components(far):
    """Else an intercept about the origin, or a slope, gives all rows to one of them where columns are far from 0."""
    X, y, Z = gated(far)
    options = {"gate": "gate_X", "random_state": 0, "tol": 1e-12, "max_iter": 2000}
    free = MixtureOfExperts(2, **options).fit(X, y, gate_X=Z)
    assert free.status_ == Status.CONVERGED
    for hold in (
        {"gate_intercept": free.gate_intercept_},
        {"gate_coef": free.gate_coef_},
        {"gate_coef": np.where([[False, False], [True, False]], free.gate_coef_, np.nan)},
    ):
        for max_iter in (1, 2000):
            model = MixtureOfExperts(2, **options | {"max_iter": max_iter}, hold=hold)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y, gate_X=Z)
            assert model.status_ in (Status.CONVERGED, Status.MAX_ITER)
            assert np.all(model.weights_ > 0.3)
        assert_allclose(model.lower_bound_, free.lower_bound_, rtol=1e-9)
    # other numbers than those of the maximum are no obstacle
    for intercept in (-30.0, 0.0) if far > 0 else (0.0,):
        model = MixtureOfExperts(2, **options, hold={"gate_intercept": [0.0, intercept]}).fit(X, y, gate_X=Z)
        assert model.status_ == Status.CONVERGED
        assert np.all(model.weights_ > 0.3)
        assert model.lower_bound_ > free.lower_bound_ - 0.35


@pytest.mark.parametrize("far", [0.0, 100.0])
@pytest.mark.parametrize(
    "hold",
    [
        {"gate_coef": np.zeros((2, 2))},
        {"gate_coef": np.array([[0.0, 0.0], [np.nan, 0.0]])},
        {"gate_intercept": np.zeros(2)},
    ],
)
def test_a_gate_of_zeros_that_was_fitted_is_no_start(hold, far):
    """The M-step there is Newton's for what is fitted, about 0 as anywhere; of rows here, of sums, of partitions."""
    X, y, Z = gated(far)
    options = {"gate": "gate_X", "gate_alpha": 0.5, "random_state": 0, "tol": 0, "max_iter": 1, "hold": hold}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        last = MixtureOfExperts(2, warm_start=True, **options).fit(X, y, gate_X=Z)
        last.gate_intercept_, last.gate_coef_ = np.zeros(2), np.zeros((2, 2))
        of_rows = copy.deepcopy(last).fit(X, y, gate_X=Z)
        of_sums = copy.deepcopy(last).update(last.statistics(X, y=y, gate_X=Z))
        half = [slice(0, 150), slice(150, None)]
        parts = InMemory([(X[own], None, {"y": y[own], "gate_X": Z[own]}) for own in half])
        of_parts = copy.deepcopy(last).fit(parts)

    # responsibilities at equal shares, the gradient and the information of a logistic regression of them on (1, Z)
    log_density = norm.logpdf(y[:, np.newaxis], X * last.coef_[:, 0] + last.intercept_, last.sigma_)
    resp, columns = softmax(log_density, axis=1)[:, 1], np.hstack([np.ones((len(Z), 1)), Z])
    held = np.concatenate([hold.get(name, np.full((2, n), np.nan)).reshape(2, n)[1] for name, n in OF_A_GATE.items()])
    fitted_ones = np.isnan(held)
    information = columns.T @ columns / 4 + np.diag([0, 0.25, 0.25])
    step = np.zeros(3)
    step[fitted_ones] = np.linalg.solve(
        information[np.ix_(fitted_ones, fitted_ones)], (columns.T @ (resp - 0.5))[fitted_ones]
    )
    for model in (of_rows, of_sums, of_parts):
        found = np.append(model.gate_intercept_[1], model.gate_coef_[1])
        assert_allclose(found, step, rtol=1e-9, atol=1e-12)


def test_components_that_a_column_separates_are_separated_there_whatever_is_capped():
    """Slopes of the gate end at 1e6, and what an intercept moves by is what they moved by: so that the gate still turns
    where the column does, 1,000 from 0."""
    rng = np.random.default_rng(0)
    order, x = np.sort(rng.normal(size=400)), rng.normal(size=(400, 1))
    is_first = order > 0
    z = 1000 + 1e-6 * (order + np.where(is_first, 0.5, -0.5))
    y = np.where(is_first, 50 + 3 * x[:, 0], -2 * x[:, 0]) + rng.normal(0, 0.5, 400)
    model = MixtureOfExperts(2, gate="gate_X", gate_alpha=0.0, random_state=0, tol=0, max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y, gate_X=z[:, np.newaxis])
    assert Status.CAPPED_PARAMETER in model.status_
    assert abs(model.gate_coef_[1, 0]) == 1e6
    turns = -model.gate_intercept_[1] / model.gate_coef_[1, 0]
    assert z[~is_first].max() < turns < z[is_first].min()


def test_held_coefficients_cost_no_degree_of_freedom():
    X = rows(200)
    y = X @ [1.0, -1.0] + np.where(np.arange(200) % 2, 8.0, 0.0) + np.random.default_rng(3).normal(size=200)
    hold = {"coef": [[1.0, -1.0], [np.nan, np.nan]], "intercept": [0.0, np.nan]}
    model = MixtureOfExperts(2, sigma_df="n-p", hold=hold, random_state=0, tol=1e-13, max_iter=5000).fit(X, y)
    resp = model.posterior(X, y)
    squares = (y[:, np.newaxis] - X @ model.coef_.T - model.intercept_) ** 2
    variances = np.sum(resp * squares, axis=0) / np.sum(resp, axis=0)
    assert_allclose(model.sigma_**2, variances * [1, 200 / (200 - 3)], rtol=1e-6)


def test_inference_says_what_to_do_with_weights_of_which_some_are_held():
    X = rows(200)
    y = X @ [1.0, -1.0] + 8.0 * (np.arange(200) % 3) + np.random.default_rng(3).normal(size=200)
    model = MixtureOfExperts(3, hold={"weights": [1 / 3, np.nan, np.nan]}, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="hold all of them, at what weights_ has found perhaps, or none"):
        model.inference(X, y)
    again = model.set_params(hold={"weights": model.weights_}, warm_start=True).fit(X, y)
    assert np.isfinite(again.inference(X, y).standard_errors).all()


def test_a_gate_of_many_coefficients_holds_nothing():
    entry = REGRESSIONS["gaussian, wide gate"]
    with pytest.raises(ValueError, match="has more than 60 coefficients, of which none can be held: leave columns out"):
        fitted(entry.make(hold={"gate_intercept": [0.0, 1.0]}), entry.rows())


def test_the_first_class_is_what_others_are_relative_to():
    entry = REGRESSIONS["multinomial"]
    with pytest.raises(ValueError, match="0 or NaN for the first class"):
        fitted(entry.make(hold={"intercept": [[1.0, 2.0, 3.0], [np.nan] * 3]}), entry.rows())


E = np.eye(2)


@pytest.mark.parametrize(
    ("cls", "options", "hold", "said"),
    [
        (GaussianMixture, {}, {"location": [[0.0]]}, "'location'.*can hold 'weights', 'means', 'covariances'"),
        (
            GaussianMixture,
            {},
            {"means": [[0.0, 0.0]]},
            r"hold\['means'\] should have the shape of \(2, 2\), got \(1, 2\)",
        ),
        (GaussianMixture, {}, {"means": [[0.0, np.nan], [1.0, 1.0]]}, "of component 0.*whole components are held"),
        (GaussianMixture, {}, {"means": [[0.0, np.inf], [1.0, 1.0]]}, "finite"),
        (GaussianMixture, {}, {"means": "all"}, "an array of numbers, or a mask"),
        (GaussianMixture, {}, {"covariances": [-E, E]}, r"hold\['covariances'\].*positive-definite"),
        (GaussianMixture, {}, {"weights": [0.4, 0.7]}, r"hold\['weights'\]=.*should sum to 1"),
        (GaussianMixture, {}, {"weights": [1.4, np.nan]}, r"hold\['weights'\].*below 1"),
        (GaussianMixture, {"weights": [0.5, 0.5]}, {"weights": [0.5, np.nan]}, "beside weights"),
        (GaussianMixture, {"canonical_order": True}, {"means": [[0.0, 0.0], [np.nan] * 2]}, "set one of them"),
        (GaussianMixture, {"covariance_type": "VEV"}, {"covariances": [E, np.nan * E]}, "all components together"),
        (
            GaussianMixture,
            {"covariance_prior": "default"},
            {"means": [[0.0, 0.0]] * 2},
            "can hold 'weights', 'covariances'",
        ),
        (GaussianMixture, {"eigenvalue_ratio": 2.0}, {"covariances": [E, np.nan * E]}, "all components together"),
        (StudentTMixture, {}, {"covariances": [E, E]}, "held together with 'degrees_of_freedom'"),
    ],
)
def test_what_cannot_be_held_is_said(cls, options, hold, said):
    with pytest.raises(ValueError, match=said):
        fitted(cls(2, hold=hold, **options), rows())


def test_what_has_no_place_for_it():
    assert "hold" not in Gaussian().get_params()
    with pytest.raises(ValueError, match="rates"):
        fitted(PoissonMixture(1, hold={"rates": [[-1.0, np.nan]]}), np.ones((5, 2)))


# ---- parts of products ----------------------------------------------------------------------------------------------


def mixed_rows(n=400):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, size=n)
    counts = rng.poisson(np.where(group, 2, 9))
    answers = (rng.random(n) < np.where(group, 0.2, 0.7)).astype(float)
    return np.column_stack(
        [counts, 4 * group + rng.normal(size=n), rng.normal(size=n), answers, 3 * group + rng.normal(size=n)]
    )


def product_of(part=Gaussian, **options):
    parts = [(0, Poisson()), (1, 2, part(reg_covar=0.0)), (3, Categorical()), (4, Gaussian(reg_covar=0.0))]
    return ProductMixture(parts, 2, **({"random_state": 0, "tol": 1e-9, "max_iter": 300} | options))


@pytest.mark.parametrize("part", [Gaussian, StudentT])
def test_parts_hold_what_their_mixtures_hold(part):
    X = mixed_rows()
    free = fitted(product_of(part), X)
    means, rates = np.full((2, 2), np.nan), np.full((2, 1), np.nan)
    means[1], rates[0] = [0.1, 0.2], 8.5
    last = np.array([[np.nan], [0.3]])
    hold = {"1, 2": {"means": means}, "0": {"rates": rates}, "4": {"means": last}, "weights": [0.55, np.nan]}
    model = fitted(product_of(part, hold=hold), X)
    np.testing.assert_array_equal(model.components_["1, 2"].means_[1], means[1])
    assert model.components_["0"].rates_[0, 0] == 8.5
    assert model.components_["4"].means_[1, 0] == 0.3
    assert model.weights_[0] == 0.55
    assert np.diff(model.lower_bounds_).min() > -1e-10
    assert model._n_parameters() == free._n_parameters() - 5
    # second moments are about what is held: the M-step of the rest is a maximum
    resp = model.predict_proba(X)[:, 1]
    variance = resp @ (X[:, 4] - 0.3) ** 2 / resp.sum()
    assert model.components_["4"].covariances_[1, 0, 0] == pytest.approx(variance, rel=1e-4)
    single = fitted(product_of(part, hold=hold), X.astype(np.float32))
    np.testing.assert_allclose(single.components_["4"].covariances_, model.components_["4"].covariances_, rtol=1e-3)
    # k-means begins with a row near each held mean: component 1 is the group about it
    assert model.components_["1, 2"].means_[0, 0] == pytest.approx(4, abs=0.3)
    flipped = {"1, 2": {"means": means[::-1]}, "4": {"means": last[::-1]}}
    other = fitted(product_of(part, hold=flipped), X)
    assert other.components_["1, 2"].means_[1, 0] == pytest.approx(4, abs=0.3)


def test_a_part_alone_holds_as_its_mixture():
    X = rows()
    means = np.full((2, 2), np.nan)
    means[0] = [4.0, 5.5]
    options = {"random_state": 0, "tol": 1e-10, "max_iter": 500}
    alone = fitted(GaussianMixture(2, hold={"means": means}, init_params="random", **options), X)
    parts = [(0, 1, Gaussian())]
    product = fitted(ProductMixture(parts, 2, hold={"0, 1": {"means": means}}, init_params="random", **options), X)
    np.testing.assert_allclose(product.components_["0, 1"].covariances_, alone.covariances_, rtol=1e-6)
    assert product.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-12)
    assert product.bic(X) == pytest.approx(alone.bic(X), rel=1e-12)


def test_parts_hold_the_last_fit_in_warm_starts_and_in_sums_of_rows():
    X = mixed_rows()
    model = fitted(product_of(warm_start=True), X)
    kept = model.components_["4"].covariances_
    model.set_params(hold={"4": {"covariances": [True, True]}})
    again = fitted(model, X + np.array([0, 1, 1, 0, 1]))
    np.testing.assert_array_equal(again.components_["4"].covariances_, kept)
    hold = {"4": {"means": [[0.5], [2.5]]}}
    step, sums = (fitted(product_of(hold=hold, max_iter=n, tol=0.0), X) for n in (4, 3))
    sums.update(sums.statistics(X[:150]) + sums.statistics(X[150:]))
    np.testing.assert_array_equal(sums.components_["4"].means_, [[0.5], [2.5]])
    np.testing.assert_allclose(sums.components_["4"].covariances_, step.components_["4"].covariances_, rtol=1e-9)


def test_batches_and_files_keep_what_parts_hold(tmp_path):
    X = mixed_rows()
    estimator = product_of(hold={"4": {"means": [[0.5], [2.5]]}}, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = fit_many([X[:200], X[200:]], estimator)
    for own, rows_of in zip(results, (X[:200], X[200:]), strict=True):
        alone = fitted(mixfast.ProductMixture(**estimator.get_params(deep=False)), rows_of)
        np.testing.assert_array_equal(own.components_["1, 2"].means_, alone.components_["1, 2"].means_)
        np.testing.assert_array_equal(own.components_["4"].means_, [[0.5], [2.5]])
    alone.save(tmp_path / "model.mixfast")
    again = mixfast.load(tmp_path / "model.mixfast")
    assert again._n_parameters() == alone._n_parameters()


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        ({"means": [[0.0], [1.0]]}, "hold has 'means', and should have 'weights' or the parts"),
        ({"4": [[0.0], [1.0]]}, "should be a dict of parameters of the part"),
        ({"4": {"weights": [0.5, 0.5]}}, r"beside hold\['weights'\]"),
        ({"4": {"shapes": [[0.0], [1.0]]}}, "Part '4': hold has 'shapes', and this part, a GaussianMixture, can hold"),
        ({"4": {"means": [0.0, 1.0]}}, r"Part '4': hold\['means'\] should have the shape of \(2, 1\)"),
        ({"4": {"covariances": [[[-1.0]], [[1.0]]]}}, "Part '4': hold"),
        ({"4": {"means": [True, False]}}, "Part '4': .* is a mask, of what a model was fitted to before"),
    ],
)
def test_what_parts_cannot_hold_is_said(hold, said):
    with pytest.raises(ValueError, match=said):
        product_of(hold=hold).fit(mixed_rows())
