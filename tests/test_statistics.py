"""Statistics that travel: a fit from parts of the rows is a fit to the rows."""

import contextlib
import copy
import os
import pickle
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from batches import assert_near, assert_same_state
from estimators_table import ESTIMATORS, SUMMED, Rows, every_summed, summed_with_dtypes
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_python_family import Geometric, GeometricMixture

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    Design,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Statistics,
    Status,
    StudentTMixture,
    fit_many,
    persistence,
    select,
)
from mixfast.engine._fit import Fit
from mixfast.engine._isa import available_isas
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.parts import Bernoulli, Categorical, Gaussian, StudentT

# fits of a few steps, on purpose, and sums of nobody's rows
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CUTS = [0, 1, 20, 20, 60]  # a row, some, none, many
DTYPES = [np.float64, np.float32]
# float32 parameters are rounded after each step by hand, and not within a fit; Student-t degrees magnify that
RTOL = {np.float64: 1e-12, np.float32: 1e-4, object: 1e-12}


def parts_of(rows):
    some = rows.some if isinstance(rows, Rows) else rows.__getitem__
    return [some(slice(first, last)) for first, last in pairwise(CUTS)]


def of(method, rows, **options):
    """What a method makes of rows, alone or with what they have."""
    return rows.to(method, **options) if isinstance(rows, Rows) else method(rows, **options)


def responsibilities(n_rows=60, n_components=2):
    return np.random.default_rng(0).dirichlet(np.ones(n_components), n_rows)


def at_start(entry, rows, **options):
    return of(entry.make(max_iter=0, tol=0, init_params=responsibilities(len(rows)), **options).fit, rows)


def packed(model):
    return np.concatenate([np.ravel(np.asarray(array, dtype=float)) for array in (model._mixing(), *model._collect())])


def design_of(model, parts, **options):
    designs = [of(model.design, part, **options) for part in parts]
    total = designs[0]
    for design in designs[1:]:
        total = total + design
    return total


def assert_same_sums(got, wanted, rtol=1e-11):
    """But for rounding. Those of the columns of regressions are about the means of all rows, where they are 0: they are
    compared with what a column of ones would sum to."""
    for field, array in wanted.sums.items():
        scale = wanted.weight if field == "columns" else np.abs(array).max(initial=0)
        np.testing.assert_allclose(got.sums[field], array, rtol=rtol, atol=rtol * scale, err_msg=field)


def fit_by_hand(model, parts, n_steps, design=None):
    for _ in range(n_steps):
        model.update(Statistics.sum([of(model.statistics, part, design=design) for part in parts]))
    return model


# ---- the law --------------------------------------------------------------------------------------------------------


@summed_with_dtypes
def test_a_fit_from_parts_is_a_fit_to_the_whole(name, dtype):
    entry = SUMMED[name]
    rows = entry.rows(dtype)
    whole = of(entry.make(max_iter=6, tol=0, init_params=responsibilities()).fit, rows)
    model = at_start(entry, rows)
    design = design_of(model, parts_of(rows))
    fit_by_hand(model, parts_of(rows), 6, pickle.loads(pickle.dumps(design)))
    assert_near(model, whole, RTOL[dtype])
    np.testing.assert_allclose(model.lower_bound_, whole.lower_bound_, rtol=RTOL[dtype])
    assert model.lower_bound_.dtype == whole.lower_bound_.dtype
    passing = Status.MAX_ITER | Status.CONVERGED | Status.LOWER_BOUND_FELL | Status.SPURIOUS_COMPONENT
    assert (model.status_ | passing) == (whole.status_ | passing)
    assert (model.n_iter_, model.lower_bounds_) == (1, [model.lower_bound_])


@every_summed
def test_statistics_of_parts_add_up_to_those_of_the_whole(name):
    entry = SUMMED[name]
    rows = entry.rows()
    model = at_start(entry, rows)
    design = of(model.design, rows)
    whole = of(model.statistics, rows, design=design)
    parts = [of(model.statistics, part, design=design) for part in parts_of(rows)]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    assert [part.n_rows for part in parts] == [1, 19, 0, 40]
    assert (total.n_rows, total.weight, total.status) == (60, 60.0, Status.OK)
    np.testing.assert_allclose(total.log_likelihood, whole.log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(total.entropy, whole.entropy, rtol=1e-11)
    if isinstance(model, LikelihoodMixture):
        np.testing.assert_allclose(total.log_likelihood, of(model.score_samples, rows).sum(), rtol=1e-12)
        assert total.entropy == 0
    np.testing.assert_allclose(total.counts, whole.counts, rtol=1e-12)
    assert_same_sums(total, whole)
    again = Statistics.sum(iter(parts))
    assert again.to_bytes() == ((parts[0] + parts[1]) + (parts[2] + parts[3])).to_bytes()


@every_summed
def test_an_integer_weight_equals_repeating_the_row_and_zero_leaving_it_out(name):
    entry = SUMMED[name]
    rows = entry.rows()
    model = at_start(entry, rows)
    repeats = np.random.default_rng(1).integers(0, 4, 60)
    design = of(model.design, rows, sample_weight=repeats)
    weighted = of(model.statistics, rows, sample_weight=repeats, design=design)
    repeated = of(model.statistics, rows.some(np.repeat(np.arange(60), repeats)), design=design)
    assert weighted.n_rows == np.count_nonzero(repeats)
    assert weighted.weight == repeated.weight == repeats.sum()
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)
    assert_same_sums(weighted, repeated)
    none = of(model.statistics, rows, sample_weight=np.zeros(60), design=design)
    assert (none.n_rows, none.weight) == (0, 0.0)
    assert (weighted + none).to_bytes() == weighted.to_bytes()


@pytest.mark.parametrize("options", [{"weights": [0.3, 0.7]}, {"weight_concentration": 3.0}], ids=str)
def test_the_proportions_of_the_estimator_hold(options):
    entry = ESTIMATORS["Gaussian full"]
    whole = entry.make(max_iter=4, tol=0, init_params=responsibilities(), **options).fit(entry.X)
    model = fit_by_hand(at_start(entry, entry.X, **options), parts_of(entry.X), 4)
    assert_near(model, whole, 1e-12)
    np.testing.assert_allclose(model.lower_bound_, whole.lower_bound_, rtol=1e-12)


def test_rows_far_from_the_origin_keep_their_digits():
    entry = ESTIMATORS["Gaussian full"]
    X = entry.X + 1e6
    whole = entry.make(max_iter=4, tol=0, init_params=responsibilities()).fit(X)
    model = fit_by_hand(at_start(entry, X), parts_of(X), 4)
    # numbers of 1e6 have steps of 1e-10: so much is left of a covariance about 1
    np.testing.assert_allclose(model.covariances_, whole.covariances_, rtol=1e-8)


def test_a_plain_fit_is_converged_where_updates_are():
    entry = ESTIMATORS["Gaussian full"]
    model = entry.make(max_iter=0, tol=1e-6, init_params=responsibilities()).fit(entry.X)
    whole = entry.make(max_iter=500, tol=1e-6, init_params=responsibilities()).fit(entry.X)
    n_steps = 0
    while not model.converged_:
        fit_by_hand(model, parts_of(entry.X), 1)
        n_steps += 1
    assert n_steps == whole.n_iter_
    assert model.status_ & Status.CONVERGED
    assert_near(model, whole, 1e-10)


def test_sparse_rows_give_the_statistics_of_dense_ones():
    entry = ESTIMATORS["multinomial"]
    model = at_start(entry, entry.X)
    dense, sparse = model.statistics(entry.X), model.statistics(scipy.sparse.csr_array(entry.X))
    np.testing.assert_allclose(sparse.sums["words"], dense.sums["words"], rtol=1e-12)
    model.update(dense + sparse)


# ---- designs --------------------------------------------------------------------------------------------------------


def binary_with_gaps():
    X = ESTIMATORS["Bernoulli"].X.copy()
    X[[3, 30, 31], [0, 2, 2]] = np.nan
    return X


@pytest.mark.parametrize("is_sparse", [False, True])
def test_missing_entries_of_some_parts(is_sparse):
    X = scipy.sparse.csr_array(binary_with_gaps()) if is_sparse else binary_with_gaps()
    options = {"binarize": None, "init_params": responsibilities(), "tol": 0}
    whole = BernoulliMixture(2, max_iter=5, **options).fit(X)
    model = BernoulliMixture(2, max_iter=0, **options).fit(X)
    parts = parts_of(X)
    with pytest.raises(ValueError, match="rows that were encoded differently cannot be added: make a design"):
        Statistics.sum([model.statistics(part) for part in parts])
    fit_by_hand(model, parts, 5, design_of(model, parts))
    assert_near(model, whole, 1e-12)
    with pytest.raises(ValueError, match="Column 2 of X has missing entries, and none in the rows of the design"):
        model.statistics(X, design=model.design(parts[1]))


def test_cells_are_joined_without_a_design():
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    model, joined = at_start(entry, entry.X), at_start(entry, entry.X)
    parts = parts_of(entry.X)
    fit_by_hand(joined, parts, 3)
    fit_by_hand(model, parts, 3, design_of(model, parts))
    assert_near(joined, model, 1e-12)
    one, other = joined.statistics(parts[0]), joined.statistics(parts[3])
    total = one + other
    assert one.sums["weights"].shape[1] < total.sums["weights"].shape[1]
    np.testing.assert_array_equal(total._design["cells"], (other + one)._design["cells"])
    with pytest.raises(ValueError, match="X has counts or totals that no row of the design has"):
        model.statistics(parts[3], design=model.design(parts[0]))


def test_exposures_of_some_parts():
    X, exposure = ESTIMATORS["Poisson"].X, np.linspace(0.5, 2, 60)
    exposure[:20] = 1
    options = {"init_params": responsibilities(), "tol": 0}
    whole = PoissonMixture(2, max_iter=5, **options).fit(X, exposure=exposure)
    model = PoissonMixture(2, max_iter=0, **options).fit(X, exposure=exposure)
    design = model.design(X[:20]) + model.design(X[20:], exposure=exposure[20:])
    for _ in range(5):
        known = model.statistics(X[:20], design=design, exposure=np.ones(20))
        model.update(known + model.statistics(X[20:], design=design, exposure=exposure[20:]))
    assert_near(model, whole, 1e-12)


def test_categories_that_the_first_rows_do_not_show():
    X = np.array([["red"], ["blue"]] * 10 + [["green"], [None]] * 5, dtype=object)
    unfitted = CategoricalMixture(2, random_state=0, max_iter=3, tol=0)
    design = unfitted.design(X[:20]) + unfitted.design(X[20:]) + unfitted.design(X[:0])
    assert [own.tolist() for own in design.categories] == [["blue", "green", "red"]]
    model = unfitted.with_design(design).fit(X[:20])
    assert model.probabilities_[0].shape == (2, 3)
    fit_by_hand(model, [X[:20], X[20:]], 2, design)
    without = CategoricalMixture(2, random_state=0).fit(X[:20])
    with pytest.raises(ValueError, match=r"other categories than the fitted model: fit with estimator\.with_design"):
        without.statistics(X, design=design)


def without_last_name(rows, design):
    """Those of the rows that do not show the last category of the first categorical column, or class of y."""
    last = next(own[-1] for own in design.categories if len(own))
    is_shown = np.any(rows.X == last, axis=1)
    if "y" in rows.data:
        is_shown = rows.data["y"] == last
    return rows.some(~is_shown)


@every_summed
def test_what_is_known_of_all_rows_lasts(name):
    """Through fits, clones, copies and pickles, and in designs of some rows; fits without it leave what they were."""
    entry = SUMMED[name]
    rows, estimator = entry.rows(), entry.make(max_iter=3)
    design = of(estimator.design, rows)
    known, params = estimator.with_design(design), clone(estimator).get_params()
    assert repr(known.get_params()) == repr(params)
    part = rows if design.categories is None else without_last_name(rows, design)
    wanted = None if design.categories is None else [own.tolist() for own in design.categories]
    if wanted is not None and "given" not in name:  # categories that are given are those of all rows
        assert [own.tolist() for own in of(estimator.design, part).categories] != wanted
    for again in (known, clone(known), copy.deepcopy(known), pickle.loads(pickle.dumps(clone(known)))):
        for _ in range(2):
            of(again.fit, part)
            names = again._names_of_codes()
            assert (names if names is None else [own.tolist() for own in names]) == wanted
        of(again.update(of(again.statistics, rows, design=design)).score_samples, rows)
    if wanted is not None:
        assert [own.tolist() for own in of(known.design, part).categories] == wanted
        of(clone(estimator).fit, part)._check_categories(of(estimator.design, part))


@every_summed
def test_names_of_components_are_in_designs(name):
    entry = SUMMED[name]
    rows, estimator = entry.rows(), entry.make(max_iter=2)
    if "known_labels" not in estimator._row_data:
        with pytest.raises(TypeError, match="known_labels"):
            of(estimator.design, rows, known_labels=np.zeros(len(rows), dtype=int))
        return
    if "canonical_order" in estimator.get_params():
        estimator.set_params(canonical_order=False)  # which refuses labels
    labels = np.where(np.arange(len(rows)) % 2, "a", "b").astype(object)
    labels[:20] = None
    halves = slice(0, 30), slice(30, None)
    designs = [of(estimator.design, rows.some(own), known_labels=labels[own]) for own in halves]
    assert designs[0].component_names == ["a", "b"]
    only = np.where(labels == "b", None, labels)
    of_a, of_none = (of(estimator.design, rows, known_labels=own) for own in (only, np.full(len(rows), None)))
    assert (of_a.component_names, of_none.component_names) == (["a"], [])
    total = designs[0] + designs[1]
    for design in (total, Design.from_bytes(total.to_bytes()), of_none + of_a + designs[1]):
        known = estimator.with_design(design)
        for again in (known, clone(known)):
            for _ in range(2):
                model = of(again.fit, rows, known_labels=np.where(labels == "a", None, labels))
                assert model.component_names_.tolist() == ["a", "b"]
            labels_of_b = of(model.predict if "y" not in rows.data else model.labels, rows, known_labels=labels)
            assert set(labels_of_b[labels == "b"]) == {1}
    with pytest.raises(ValueError, match="known_labels is 'c' in row 59, which the fit did not know"):
        of(known.fit, rows, known_labels=np.where(np.arange(len(rows)) == 59, "c", labels))


def test_a_design_of_other_responses_is_refused():
    entry = SUMMED["experts, multinomial"]
    rows = entry.rows()
    design = of(entry.make().design, rows)
    for own, message in (
        (design, "the design is of 'multinomial', and this is of 'multinomial', 'gaussian'"),
        (of_before(design), r"the design is of 1 response\(s\), and expert=\['multinomial', 'gaussian'\] is"),
    ):
        known = entry.make().with_design(own)
        known.set_params(expert=["multinomial", "gaussian"])
        with pytest.raises(ValueError, match=message):
            known.fit(rows.X, [rows.data["y"], rows.X[:, 0]])


def of_before(design):
    """The design as it was written before it said what its categories are of."""
    contents = persistence.from_bytes(design.to_bytes(), "design", dict)
    del contents["design"]["columns"]
    return Design.from_bytes(persistence.to_bytes(persistence.Contents("design", "Design", contents)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_with_design_said_is_kept_where_a_model_is_chosen():
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(90, 1)), np.arange(90) % 3
    estimator = MixtureOfExperts(1, expert="multinomial", random_state=0, max_iter=5)
    known = estimator.with_design(estimator.design(Z[:4], np.array([0, 1, 2, 7])))
    for model, wanted in ((known, [0, 1, 2, 7]), (estimator, [0, 1, 2])):
        chosen = select(Z, model, y=y, n_components=[1], criterion="heldout").best_
        assert chosen.classes_.tolist() == wanted
        assert chosen.fit(Z, y).classes_.tolist() == wanted
    assert chosen.fit(Z, y // 2).classes_.tolist() == [0, 1]


def test_a_design_of_no_rows_says_nothing():
    X = ESTIMATORS["categorical"].X
    model = CategoricalMixture(2, random_state=0).with_design(CategoricalMixture().design(X[:0])).fit(X)
    assert [own.tolist() for own in model.categories_] == [[0, 1, 2]] * 3
    no_answers = np.column_stack([X[:, 0], np.full(60, np.nan)])
    with pytest.raises(ValueError, match=r"Column 1 of X has no answers: leave it out"):
        CategoricalMixture(2).with_design(CategoricalMixture().design(no_answers)).fit(no_answers)
    with pytest.raises(ValueError, match="X has 2 columns of categories, and the design is of rows with 3"):
        CategoricalMixture(2).with_design(CategoricalMixture().design(X)).fit(X[:, :2])


def test_bytes_of_before_designs_had_names_of_components_and_a_precision_are_read():
    design = BernoulliMixture().design(ESTIMATORS["Bernoulli"].X)
    contents = persistence.from_bytes(design.to_bytes(), "design", dict)
    for name in ("component_names", "dtype", "columns"):
        del contents["design"][name]
    old = persistence.to_bytes(persistence.Contents("design", "Design", contents))
    assert Design.from_bytes(old).to_bytes() == design.to_bytes()
    for names in (["b", "a"], ["a", "a"], [1]):
        contents["design"]["component_names"] = names
        strange = persistence.to_bytes(persistence.Contents("design", "Design", contents))
        with pytest.raises(ValueError, match="names of components should be strings, sorted, once each"):
            Design.from_bytes(strange)
    contents["design"] |= {"component_names": [], "columns": ["a", 1]}
    with pytest.raises(ValueError, match=r"what categories are of should be strings, got \['a', 1\]"):
        Design.from_bytes(persistence.to_bytes(persistence.Contents("design", "Design", contents)))
    contents["design"] |= {"columns": None, "dtype": "int64"}
    with pytest.raises(ValueError, match="dtype of rows should be float32 or float64, got 'int64'"):
        Design.from_bytes(persistence.to_bytes(persistence.Contents("design", "Design", contents)))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("make", [BayesianGaussianMixture, DirichletProcessMixture])
def test_priors_of_columns_need_no_products_of_pairs(make, covariance_type):
    """So that designs of many columns are small; products of pairs are made of the same rows with the same bits."""
    X, weight = ESTIMATORS["Gaussian full"].X, np.random.default_rng(0).uniform(0.5, 2, 60)
    design, wider = (make(**{NAMES_OF_TYPES[make]: own}).design(X, weight) for own in (covariance_type, "full"))
    own, pairs = design._scatter.products, wider._scatter.products
    np.testing.assert_array_equal(own, pairs if covariance_type in ("full", "tied") else np.diagonal(pairs))
    assert own.shape == ((3, 3) if covariance_type in ("full", "tied") else (3,))
    contents = persistence.from_bytes(design.to_bytes(), "design", dict)
    contents["scatter"]["products"] = pairs  # as designs of before have it
    old = Design.from_bytes(persistence.to_bytes(persistence.Contents("design", "Design", contents)))
    for of_pairs in {True, False} if own.ndim == 2 else {False}:
        for ours, theirs in zip(design._scatter.moments(of_pairs), old._scatter.moments(of_pairs), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    if own.ndim == 2:
        assert (design + old)._scatter.products.shape == (3, 3)
        return
    for one, other in ((design, old), (old, design)):
        with pytest.raises(ValueError, match=r"one design has the products of each pair of columns.* Make both again"):
            one + other


NAMES_OF_TYPES = {BayesianGaussianMixture: "covariance_type", DirichletProcessMixture: "component"}


@summed_with_dtypes
def test_no_rows_have_no_precision(name, dtype):
    entry = SUMMED[name]
    rows = entry.rows(dtype)
    model = at_start(entry, rows)
    none = entry.rows().some(slice(0))
    design = of(model.design, none) + of(model.design, rows) + of(model.design, none)
    assert design.dtype == (np.float64 if dtype is object else dtype)
    of_all, of_none = (of(model.statistics, own, design=design) for own in (rows, none))
    assert of_none.dtype == of_all.dtype
    assert_same_sums(of_all + of_none, of_all, 0)


def test_a_product_with_gaps_and_categories_in_some_parts():
    X = ESTIMATORS["product"].X.copy()
    X[40, 2], X[41, 3], X[42, 3] = np.nan, "violet", None
    make = ProductMixture([(0, 1, Gaussian()), (2, Bernoulli()), (3, Categorical())], 2, tol=0)
    design = design_of(make, parts_of(X))
    make = make.with_design(design).set_params(init_params=responsibilities())
    whole = copy.deepcopy(make).set_params(max_iter=5).fit(X)
    model = fit_by_hand(make.set_params(max_iter=0).fit(X), parts_of(X), 5, design)
    assert_near(model, whole, 1e-12)


def test_relative_units_need_the_design_of_all_rows():
    entry = ESTIMATORS["Gaussian, relative"]
    model, parts = at_start(entry, entry.X), parts_of(entry.X)
    with pytest.raises(ValueError, match="encoded differently"):
        model.statistics(parts[1]) + model.statistics(parts[3])
    with pytest.raises(ValueError, match="units need column_means, column_deviations, column_precisions of all rows"):
        model.statistics(parts[2])


def test_the_design_of_parts_has_the_moments_of_the_whole():
    X = ESTIMATORS["Gaussian full"].X * [1e-200, 1.0, 1e200] + [0.0, 1e6, 0.0]
    X = np.column_stack([X, np.full(60, 0.1)])
    model = GaussianMixture(2, regularization="relative")
    weight = np.random.default_rng(0).uniform(0.5, 2, 60)
    whole, total = model.design(X, weight), model.design(X[:0])
    for first, last in pairwise(CUTS):
        total = total + model.design(X[first:last], weight[first:last])
    np.testing.assert_allclose(total.weight, whole.weight, rtol=1e-14)
    for name, array in whole._moments.items():
        # a mean of 1e6 has steps of 1e-10, and so has what a part's deviation is about
        np.testing.assert_allclose(total._moments[name], array, rtol=1e-11, err_msg=name)
    assert total._moments["column_deviations"][3] == 0
    assert total._moments["column_means"][3] == 0.1


@every_summed
def test_designs_travel(name):
    entry = SUMMED[name]
    rows = entry.rows()
    design = of(entry.make().design, rows)
    again = pickle.loads(pickle.dumps(design))
    assert again.to_bytes() == design.to_bytes()
    assert (again.n_rows, again.weight, repr(again)) == (60, 60.0, repr(design))
    assert (design + again).n_rows == 120
    none = of(entry.make().design, rows.some(slice(0)))
    assert (none + design).to_bytes() == (design + none).to_bytes() == design.to_bytes()


@every_summed
def test_the_design_of_a_stream_is_that_of_its_first_batch(name):
    """Whole, with the scatter that a prior follows from."""
    entry = SUMMED[name]
    rows = entry.rows()
    design, model = of(entry.make().design, rows), entry.make(max_iter=2)
    of(model.partial_fit, rows)
    if model._stream.design is not None:  # of cells, which differ from batch to batch
        assert model._stream.design.to_bytes() == design.to_bytes()


def test_designs_of_others_are_refused():
    one, other = ESTIMATORS["Bernoulli"], ESTIMATORS["categorical"]
    with pytest.raises(ValueError, match="designs for BernoulliMixture and CategoricalMixture cannot be added"):
        one.make().design(one.X) + other.make().design(other.X)
    with pytest.raises(ValueError, match="rows with other columns"):
        other.make().design(other.X) + other.make().design(other.X[:, :2])
    with pytest.raises(ValueError, match="the design is for CategoricalMixture, this is a BernoulliMixture"):
        at_start(one, one.X).statistics(one.X, design=other.make().design(other.X))
    with pytest.raises(TypeError, match="design should be what the method design returns, got str"):
        at_start(one, one.X).statistics(one.X, design="all")


# ---- bytes ----------------------------------------------------------------------------------------------------------


@summed_with_dtypes
def test_statistics_travel(name, dtype):
    entry = SUMMED[name]
    rows = entry.rows(dtype)
    model = at_start(entry, rows)
    statistics = of(model.statistics, rows)
    for again in (Statistics.from_bytes(statistics.to_bytes()), pickle.loads(pickle.dumps(statistics))):
        assert again.to_bytes() == statistics.to_bytes()
        assert again.log_likelihood == statistics.log_likelihood
        assert again.sums.keys() == statistics.sums.keys()
        assert again.dtype == np.dtype(np.float64 if dtype is object else dtype)
        assert len(again.parameters) == 16
        model.update(again)
        assert not again.counts.flags.writeable
        model = at_start(entry, rows)


@pytest.mark.parametrize("kind", [Statistics, Design])
def test_foreign_bytes_are_an_error_and_no_crash(kind):
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    model = at_start(entry, entry.X)
    made = {Statistics: model.statistics(entry.X[:5]), Design: model.design(entry.X[:5])}
    data = made.pop(kind).to_bytes()
    (other,) = made.values()
    rng = np.random.default_rng(0)
    for bad in [b"", b"PK", rng.bytes(1000), data[:-1], data + b"x", data[: len(data) // 2], other.to_bytes()]:
        with pytest.raises(ValueError, match="no bytes of"):
            kind.from_bytes(bad)
    for place in rng.integers(0, len(data), 400):
        bad = bytearray(data)
        bad[place] ^= 1 << rng.integers(8)
        with contextlib.suppress(ValueError):  # some bits say nothing, as those of the version that wrote it
            kind.from_bytes(bytes(bad))
    with pytest.raises(TypeError, match="expected bytes, got str"):
        kind.from_bytes("PK")


def with_fields(statistics, section, **fields):
    """Its bytes with other values, in a zip that is whole."""
    own = statistics._fields()
    sections = {"sums": own.pop("sums"), "design": own.pop("design")}
    sections["statistics"] = {**own, "parameters": own["parameters"].hex(), "seen": own["seen"]._asdict()}
    sections[section] = {**sections[section], **fields}
    return persistence.to_bytes(persistence.Contents("statistics", "Statistics", sections))


def test_bytes_of_before_there_was_an_entropy_are_read():
    entry = ESTIMATORS["Gaussian full"]
    statistics = at_start(entry, entry.X).statistics(entry.X)
    own = statistics._fields()
    sections = {"sums": own.pop("sums"), "design": own.pop("design")}
    del own["entropy"]
    sections["statistics"] = {**own, "parameters": own["parameters"].hex(), "seen": own["seen"]._asdict()}
    data = persistence.to_bytes(persistence.Contents("statistics", "Statistics", sections))
    assert Statistics.from_bytes(data).to_bytes() == statistics.to_bytes()
    design = entry.make().design(entry.X)
    contents = {
        "design": {"estimator": "GaussianMixture", "n_rows": 60, "weight": 60.0, "categories": None},
        "sets": {},
        "moments": {},
    }
    data = persistence.to_bytes(persistence.Contents("design", "Design", contents))
    assert Design.from_bytes(data).to_bytes() == design.to_bytes()


@pytest.mark.parametrize(
    ("scatter", "match"),
    [
        ({"weight": np.ones(1)}, "a scatter has"),
        ({"weight": np.ones(1), "means": np.zeros(3), "products": np.zeros((3, 2))}, "products of shape"),
        ({"weight": np.zeros(1), "means": np.zeros(3), "products": np.zeros((3, 3))}, "weight 0.0"),
        ({"weight": np.ones(1), "means": np.zeros(3, int), "products": np.zeros((3, 3))}, "float64"),
    ],
)
def test_bytes_of_designs_with_no_scatter_are_refused(scatter, match):
    contents = {
        "design": {"estimator": "BayesianGaussianMixture", "n_rows": 60, "weight": 60.0, "categories": None},
        "sets": {},
        "moments": {},
        "scatter": scatter,
    }
    data = persistence.to_bytes(persistence.Contents("design", "Design", contents))
    with pytest.raises(ValueError, match=match):
        Design.from_bytes(data)


@pytest.mark.parametrize(
    ("section", "fields", "match"),
    [
        ("statistics", {"dtype": "float16"}, "dtype"),
        ("statistics", {"entropy": float("nan")}, "entropy"),
        ("statistics", {"parameters": "00"}, "digest"),
        ("statistics", {"parameters": "zz" * 16}, "hexadecimal"),
        ("statistics", {"log_likelihood": float("nan")}, "log-likelihood"),
        ("statistics", {"log_likelihood": 1}, "log-likelihood"),
        ("statistics", {"counts": np.array([1.0, np.nan])}, "counts are not finite"),
        ("statistics", {"counts": np.array([1.0, -1.0])}, "counts should be"),
        ("statistics", {"counts": np.array([1, 1])}, "counts should be float64"),
        ("statistics", {"counts": None}, "float64"),
        ("statistics", {"more": 1}, "more"),
        ("statistics", {"seen": {"n_rows": -1, "n_impossible": 0, "weight": 1.0, "least": 1.0}}, "rows"),
        ("statistics", {"seen": {"n_rows": 1, "n_impossible": 0, "weight": -1.0, "least": 1.0}}, "weight"),
        ("statistics", {"seen": {"n_rows": 1}}, "missing"),
        ("sums", {"weights": np.full((2, 3), np.inf)}, "weights are not finite"),
        ("sums", {"weights": np.zeros((2, 3))}, "sums of another number"),
        ("design", {"cells": np.zeros((3, 2), dtype=np.int64)}, "not in order"),
        ("design", {"cells": np.zeros((3, 2))}, "int64"),
        ("design", {"cells": "all"}, "int64"),
    ],
)
def test_bytes_that_are_whole_and_say_nonsense_are_an_error(section, fields, match):
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    statistics = at_start(entry, entry.X).statistics(entry.X[:5])
    assert Statistics.from_bytes(with_fields(statistics, section)).to_bytes() == statistics.to_bytes()
    with pytest.raises(ValueError, match=rf"no bytes of statistics that mixfast made.*{match}"):
        Statistics.from_bytes(with_fields(statistics, section, **fields))


@every_summed
def test_sums_that_no_rows_have_are_an_error_or_an_m_step(name):
    """Of the right shapes, from somebody else: parameters are finite then, or it is a ValueError."""
    entry = SUMMED[name]
    model = at_start(entry, entry.rows())
    statistics = of(model.statistics, entry.rows())
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e-300, 1e150, 1e300):
        sums = {field: scale * rng.normal(size=array.shape) for field, array in statistics.sums.items()}
        strange = Statistics.from_bytes(with_fields(statistics, "sums", **sums))
        try:
            after = copy.deepcopy(model).update(strange)
        except ValueError:
            continue
        assert np.all(np.isfinite(packed(after)))


@pytest.mark.parametrize(
    ("design", "match"),
    [
        ({"cells": np.array([[9, 1]])}, "the design has cells of column 9, X has 4 columns"),
        ({"cells": np.array([[-1, 1]])}, "cells should be columns and counts in order"),
        ({"columns": np.zeros(2)}, "a design should have"),
    ],
)
def test_designs_that_no_rows_have_are_an_error(design, match):
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    model = at_start(entry, entry.X)
    own = model.statistics(entry.X[:5])
    strange = own._replaced(design=design, sums={"weights": np.ones((2, 1))})
    with pytest.raises(ValueError, match=match):
        model.update(strange)


def test_sums_of_another_shape_are_an_error():
    entry = ESTIMATORS["Gaussian full"]
    model = at_start(entry, entry.X)
    own = model.statistics(entry.X)
    with pytest.raises(ValueError, match=r"CentredMoments.first should have the shape of \(2, 3\), got \(2, 4\)"):
        model.update(own._replaced(sums={**own.sums, "first": np.zeros((2, 4))}))
    with pytest.raises(ValueError, match=r"the statistics have sums \['first'\], and should have"):
        model.update(own._replaced(sums={"first": own.sums["first"]}))
    with pytest.raises(ValueError, match="expected 2 counts"):
        model.update(own._replaced(counts=np.ones(3)))


@every_summed
def test_sums_of_another_shape_are_an_error_whatever_their_size(name):
    """Each of them, those of gates too."""
    entry = SUMMED[name]
    model = at_start(entry, entry.rows())
    own = of(model.statistics, entry.rows())
    for field, array in own.sums.items():
        for other in (np.zeros((*array.shape, 2)), np.zeros((1, *array.shape)), np.zeros(array.size + 1)):
            with pytest.raises(ValueError, match=r"should have the shape of \(|cells, and sums of another number"):
                model.update(Statistics.from_bytes(with_fields(own, "sums", **{field: other})))


def test_the_layout_is_that_of_every_instruction_set():
    script = (
        "import sys, pickle, warnings; warnings.simplefilter('ignore'); "
        "from test_statistics import made_here; sys.stdout.buffer.write(pickle.dumps(made_here()))"
    )
    here, of_base = made_here(), None
    for isa in available_isas():
        environment = {**os.environ, "MIXFAST_ISA": isa}
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment, capture_output=True, check=True
        )
        made = pickle.loads(found.stdout)
        of_base = of_base or made
        for name, theirs in made.items():
            assert {field: array.shape for field, array in theirs.sums.items()} == {
                field: array.shape for field, array in here[name].sums.items()
            }, (isa, name)
            both = here[name] * 0.5 + theirs * 0.5
            assert_same_sums(both, here[name])
            if isa == "v2":  # which test_agnosticism asks of dense rows
                assert theirs.to_bytes() == of_base[name].to_bytes(), name


def made_here():
    """Statistics of every estimator, at parameters that no instruction set has a say in, of dense and sparse rows."""
    made = {}
    for name, entry in SUMMED.items():
        rows = entry.rows()
        model = settled(at_start(entry, rows))
        made[name] = of(model.statistics, rows, design=of(model.design, rows))
        if entry.takes_sparse:
            made[f"{name}, sparse"] = of(model.statistics, Rows(scipy.sparse.csr_array(rows.X), rows.data))
    return made


def settled(model):
    """With parameters rounded to a few digits: the last ones depend on the instruction set."""
    if hasattr(model, "prior_"):
        model.prior_ = {of: np.round(own, 4) for of, own in model.prior_.items()}
    record = model._collect()
    shrunk = record._replace(**{record._fields[0]: np.round(np.asarray(record[0], dtype=float), 4)})
    mixing = model._mixing()  # a gate's, weights, or counts
    alike = np.full_like(mixing, mixing.sum() / mixing.size) if mixing.size == 2 else mixing
    layout = model._family().params_layout(len(model.weights_), model._n_fitted_features())
    packed = layout.pack(type(record)(*(np.round(np.asarray(array, dtype=float), 4) for array in shrunk)))
    found = Fit(np.round(alike, 4), packed, [], 0.0, 1, True, 0, False)
    model._finish(found, layout, np.dtype(np.float64), reorders=False)
    return model


# ---- refusals -------------------------------------------------------------------------------------------------------


@every_summed
def test_statistics_of_other_parameters_are_refused(name):
    entry = SUMMED[name]
    rows = entry.rows()
    model = at_start(entry, rows)
    design = of(model.design, rows)
    before, statistics = copy.deepcopy(model), of(model.statistics, rows, design=design)
    model.update(statistics)
    with pytest.raises(ValueError, match="statistics of different parameters cannot be added"):
        statistics + of(model.statistics, rows, design=design)
    with pytest.raises(ValueError, match="were not made at the parameters of this model"):
        model.update(statistics)
    before.update(statistics)
    assert_same_state(before, model)


def test_statistics_of_other_kinds_are_refused():
    entry = ESTIMATORS["Gaussian full"]
    model = at_start(entry, entry.X)
    statistics = model.statistics(entry.X)
    diagonal = at_start(ESTIMATORS["Gaussian diag"], entry.X)
    with pytest.raises(ValueError, match="statistics of family FullGaussian and DiagonalGaussian cannot be added"):
        statistics + diagonal.statistics(entry.X)
    single = at_start(entry, entry.X.astype(np.float32)).statistics(entry.X.astype(np.float32))
    with pytest.raises(ValueError, match="statistics of dtype float64 and float32 cannot be added"):
        statistics + single
    with pytest.raises(ValueError, match="were not made at the parameters of this model"):
        diagonal.update(statistics)
    with pytest.raises(TypeError, match="expected Statistics, got list"):
        model.update([statistics])
    with pytest.raises(TypeError, match="sum is of Statistics, got int"):
        Statistics.sum([1])
    with pytest.raises(TypeError, match="unsupported operand"):
        statistics + 1
    with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
        statistics * "2"
    with pytest.raises(ValueError, match="there are no statistics to add"):
        Statistics.sum([])
    with pytest.raises(ValueError, match="finite numbers of at least 0, got -1"):
        statistics * -1
    with pytest.raises(AttributeError):
        statistics.counts = 0


def test_there_must_be_a_model():
    X = ESTIMATORS["Gaussian full"].X
    model = GaussianMixture(2)
    for call in (lambda: model.statistics(X), lambda: model.update(None), lambda: model.recentre(None, model)):
        with pytest.raises(NotFittedError):
            call()
    fitted = GaussianMixture(2, random_state=0).fit(X)
    statistics = fitted.statistics(X)
    with pytest.raises(ValueError, match="covariance_type is 'diag', and was 'full' in that fit: fit again"):
        fitted.set_params(covariance_type="diag").update(statistics)


def test_an_update_that_fails_leaves_the_old_model():
    entry = ESTIMATORS["Gaussian full"]
    model = at_start(entry, entry.X, on_degenerate="raise", reg_covar=0.0)
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        model.update(model.statistics(entry.X[:1]))
    with pytest.raises(ValueError, match="statistics of no rows"):
        model.update(model.statistics(entry.X[:0]))
    with pytest.raises(ValueError, match="statistics of no rows"):
        model.update(model.statistics(entry.X) * 0)
    assert_same_state(model, before)


def test_impossible_rows_are_told():
    model = CategoricalMixture(1, alpha=0, max_iter=0).fit([[0], [0], [1]])
    model.probabilities_ = [np.array([[1.0, 0.0]])]
    statistics = model.statistics([[1], [0]])
    assert statistics.status == Status.IMPOSSIBLE_ROWS
    assert statistics.log_likelihood == -np.inf
    assert Statistics.from_bytes(statistics.to_bytes()).log_likelihood == -np.inf
    with pytest.warns(UserWarning, match="density zero under every component"):
        model.update(statistics)
    assert model.status_ & Status.IMPOSSIBLE_ROWS


# ---- scaling and moving ---------------------------------------------------------------------------------------------


@every_summed
def test_scaled_statistics_are_those_of_scaled_weights(name):
    entry = SUMMED[name]
    rows = entry.rows()
    model = at_start(entry, rows)
    design = of(model.design, rows)
    scaled, half = 0.5 * of(model.statistics, rows, design=design), np.full(60, 0.5)
    weighted = of(model.statistics, rows, sample_weight=half, design=design)
    assert (scaled.weight, scaled.n_rows, scaled._seen.least) == (30.0, 60, 0.5)
    np.testing.assert_allclose(scaled.log_likelihood, weighted.log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(scaled.entropy, weighted.entropy, rtol=1e-11)
    assert_same_sums(scaled, weighted)


@summed_with_dtypes
def test_moved_statistics_make_the_same_m_step(name, dtype):
    entry = SUMMED[name]
    rows = entry.rows(dtype)
    old = at_start(entry, rows)
    new = fit_by_hand(copy.deepcopy(old), [rows], 3, of(old.design, rows))
    statistics = of(old.statistics, rows, design=of(old.design, rows))
    moved = old.recentre(statistics, new)
    assert moved.parameters == of(new.statistics, rows).parameters
    there, here = copy.deepcopy(new).update(moved), copy.deepcopy(old).update(statistics)
    if (
        "Dirichlet-multinomial" in name
    ):  # its M-step is some steps uphill from the present parameters: others end elsewhere
        for field, array in statistics.sums.items():
            np.testing.assert_array_equal(moved.sums[field], array)
        return
    # degrees of freedom are the root of an equation that flattens where they are many
    rtol = (1e-12 if "Student" not in name else 1e-9) if dtype != np.float32 else 1e-4
    if "gate" in name:  # weights are reported of the parameters that went in
        there.weights_ = here.weights_
    assert_near(there, here, rtol)
    back = new.recentre(moved, old)
    assert_same_sums(back, statistics)


def test_moments_are_moved_to_those_about_other_means():
    """The same responsibilities: those of components that are all alike are their weights wherever the means are."""
    X = ESTIMATORS["Gaussian full"].X
    for kind, options in ((GaussianMixture, {}), (StudentTMixture, {"degrees_of_freedom": 5.0})):
        for covariance_type in ("full", "tied", "diag", "spherical"):
            old = kind(1, covariance_type=covariance_type, max_iter=0, **options).fit(X)
            new = copy.deepcopy(old)
            new.means_ = old.means_ + np.array([0.3, -2.0, 1.0])
            moved, weight = old.recentre(old.statistics(X), new), np.ones(len(X))
            if kind is StudentTMixture:
                factor = np.atleast_2d(np.squeeze(old.covariance_matrices()))
                distance = np.einsum("ij,jk,ik->i", X - old.means_, np.linalg.inv(factor), X - old.means_)
                weight = 1 / (1 + distance / 5)
            about = X - new.means_
            np.testing.assert_allclose(moved.sums["first"][0], weight @ about, rtol=1e-10)
            second = np.einsum("i,ij,ik->jk", weight, about, about)
            wanted = second[np.tril_indices(3)] if covariance_type in ("full", "tied") else np.diag(second)
            np.testing.assert_allclose(np.ravel(moved.sums["second"]), wanted, rtol=1e-10)


def test_statistics_that_cannot_be_moved_are_refused():
    X = np.random.default_rng(0).geometric(0.3, (60, 2)) - 1.0
    old = GeometricMixture(2, random_state=0, max_iter=1).fit(X)
    new = fit_by_hand(copy.deepcopy(old), [X], 1)
    with pytest.raises(ValueError, match="statistics of Geometric cannot be moved to other parameters"):
        old.recentre(old.statistics(X), new)
    model = MultinomialMixture(2, random_state=0).fit(X)
    other = MultinomialMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match="cannot be moved from a model of"):
        model.recentre(model.statistics(X), other)
    with pytest.raises(ValueError, match="were not made at the parameters of this model"):
        model.recentre(other.statistics(X), model)


def test_a_stream_of_batches_is_learned_with_forgetting():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [6.0, 6.0]])
    X = centres[rng.integers(0, 2, 6000)] + rng.normal(size=(6000, 2))
    batches = np.array_split(X, 60)
    model = GaussianMixture(2, random_state=0, max_iter=1, tol=0).fit(batches[0])
    memory = model.statistics(batches[0])
    for batch in batches[1:]:
        before = copy.copy(model)
        model.update(memory)
        memory = 0.9 * before.recentre(memory, model) + model.statistics(batch)
    order = np.argsort(model.means_[:, 0])
    np.testing.assert_allclose(model.means_[order], centres, atol=0.2)
    np.testing.assert_allclose(model.covariances_[order], [np.eye(2)] * 2, atol=0.3)


def test_forgetting_goes_on_for_thousands_of_steps():
    """What was seen first has no weight left that a double could hold."""
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = GaussianMixture(1).fit(X)
    batch = model.statistics(X)
    memory = batch
    for _ in range(3000):
        memory = 0.5 * memory + batch
    again = Statistics.from_bytes(memory.to_bytes())
    np.testing.assert_allclose(again.weight, 100)
    before = model.means_
    model.update(again)
    np.testing.assert_allclose(model.means_, before, rtol=1e-12)


def test_a_python_family_has_statistics_too():
    X = np.random.default_rng(0).geometric(0.3, (60, 2)) - 1.0
    whole = GeometricMixture(2, max_iter=4, tol=0, init_params=responsibilities()).fit(X)
    model = GeometricMixture(2, max_iter=0, tol=0, init_params=responsibilities()).fit(X)
    assert_near(fit_by_hand(model, parts_of(X), 4), whole, 1e-12)


def test_statistics_of_a_python_family_that_says_how_can_be_moved(monkeypatch):
    X = np.random.default_rng(0).geometric(0.3, (60, 2)) - 1.0
    old = GeometricMixture(2, max_iter=0, init_params=responsibilities()).fit(X)
    statistics = old.statistics(X)
    new = fit_by_hand(copy.deepcopy(old), [X], 1)
    monkeypatch.setattr(Geometric, "recentre", lambda self, counts, stats, last_params, params: stats)
    moved = old.recentre(statistics, new)
    assert moved.parameters == new.statistics(X).parameters
    np.testing.assert_array_equal(moved.sums["failures"], statistics.sums["failures"])
    assert_near(copy.deepcopy(new).update(moved), copy.deepcopy(old).update(statistics), 0)


def test_the_names_of_a_model_say_what_it_is_for():
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    statistics = DirichletMultinomialMixture(2, random_state=0).fit(entry.X).statistics(entry.X)
    assert repr(statistics).startswith("<Statistics of 60 rows for 2 components, DirichletMultinomial, float64")


#: (made, changed): what the categories of a design are of is another column or response in the second.
CHANGED = {
    "another column": (
        ProductMixture([(0, Categorical()), (1, Categorical()), (2, Gaussian())], 2),
        {"parts": [(1, Categorical()), (0, Categorical()), (2, Gaussian())]},
    ),
    "fewer columns": (
        ProductMixture([(0, Categorical()), (1, Categorical()), (2, Gaussian())], 2),
        {"parts": [(1, Categorical()), (2, Gaussian())]},
    ),
    "the rest": (
        ProductMixture([(0, Gaussian()), (Categorical(),)], 2),
        {"parts": [(1, Gaussian()), (Categorical(),)]},
    ),
    "another column of a process": (
        DirichletProcessMixture([(0, Categorical()), (2, Gaussian())]),
        {"component": [(1, Categorical()), (2, Gaussian())]},
    ),
    "another response": (
        MixtureOfExperts(2, expert=["multinomial", "gaussian"]),
        {"expert": ["gaussian", "multinomial"]},
    ),
    "another kind": (MixtureOfExperts(2, expert="multinomial"), {"expert": "poisson"}),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_known_of_one_column_is_not_that_of_another(name):
    """All columns hold 0, 1 and 2, so that nothing but the names of columns could tell."""
    estimator, params = CHANGED[name]
    X = np.random.default_rng(0).integers(0, 3, size=(60, 3)).astype(float)
    rows = X[:, :1] if isinstance(estimator, MixtureOfExperts) else X
    several = isinstance(estimator, MixtureOfExperts) and not isinstance(estimator.expert, str)
    data = {} if rows is X else {"y": X[:, 1:] if several else X[:, 1]}
    design = estimator.design(rows, **data)
    known = estimator.with_design(design)
    known.fit(rows, **data)  # as it was
    other = clone(estimator).set_params(**params)
    for own in (design, Design.from_bytes(design.to_bytes())):
        with pytest.raises(ValueError, match=r"the design is of .*, and this is of .*: .* Make a design by this"):
            other.with_design(own)
    for again in (known, clone(known)):
        again.set_params(**params)
        with pytest.raises(ValueError, match=r"the design is of .*, and this is of .*: .* Make a design by this"):
            again.fit(rows, **data)
    assert other.with_design(other.design(rows, **data)).fit(rows, **data).n_iter_  # the remedy


def test_parts_that_change_otherwise_keep_what_is_known():
    X = np.random.default_rng(0).integers(0, 3, size=(60, 3)).astype(float)
    estimator = ProductMixture([(0, Categorical()), (1, Gaussian())], 2, random_state=0)
    known = estimator.with_design(estimator.design(X[:, :2]))
    known.set_params(parts=[(1, StudentT()), (0, Categorical(alpha=2.0))], n_components=3)
    model = known.fit(X[X[:, 0] < 2])
    assert [own.tolist() for own in model._names_of_codes()] == [[0, 1, 2]]


@pytest.mark.parametrize("make", [partial(CategoricalMixture, 2), partial(DirichletProcessMixture, "categorical")])
def test_what_is_known_of_a_table_is_not_that_of_its_columns_in_another_order(make):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": list("xyz") * 20, "b": list("zxy") * 20})
    known = make().with_design(make().design(table))
    known.fit(table)
    known.fit(table.to_numpy())  # which has no names
    with pytest.raises(ValueError, match=r"the design is of 'a', 'b', and this is of 'b', 'a'"):
        known.fit(table[["b", "a"]])
    # the names of an earlier fit are no parameters
    model = make().fit(table[["b", "a"]])
    assert model.with_design(make().design(table)).fit(table).feature_names_in_.tolist() == ["a", "b"]


def test_a_part_of_what_is_left_has_as_many_columns_as_in_the_design():
    X = np.random.default_rng(0).integers(0, 3, size=(60, 4)).astype(float)
    estimator = ProductMixture([(0, Gaussian()), (Categorical(),)], 2)
    known = estimator.with_design(estimator.design(X[:, :3]))
    with pytest.raises(ValueError, match="X has 3 columns of categories, and the design is of rows with 2: make one"):
        known.fit(X)


@every_summed
def test_what_is_known_of_all_rows_is_in_models_of_batches(name):
    entry = SUMMED[name]
    rows, estimator = as_numbers(entry.rows()), entry.make(max_iter=3)
    design = of(estimator.design, rows)
    known = estimator.with_design(design)
    part = rows if design.categories is None else without_last_name(rows, design)
    data = dict(part.data) if isinstance(part, Rows) else {}
    X = part.X if isinstance(part, Rows) else part
    halves = [slice(0, len(part) // 2), slice(len(part) // 2, None)]

    def fitted(of_one):
        data_of = {key: [np.asarray(own)[half] for half in halves] for key, own in data.items()}
        return fit_many([X[half] for half in halves], of_one, **data_of)

    model, other = fitted(known)[0], fitted(estimator)[0]
    assert _said(model) == _said(known)
    assert _said(other) == _said(estimator) == (None, ())
    again = pickle.loads(pickle.dumps(fitted(known)))[0]
    assert _said(again) == _said(known)


def as_numbers(rows):
    """Strings by their codes: batches take numbers alone."""
    if rows.X.dtype != object:
        return rows
    columns = [own if isinstance(own[0], float) else np.unique(own, return_inverse=True)[1] for own in rows.X.T]
    return Rows(np.column_stack(columns).astype(float), rows.data)


def _said(model):
    """What an estimator knows of all rows."""
    names = model._names_of_all
    return None if names.categories is None else [own.tolist() for own in names.categories], names.components
