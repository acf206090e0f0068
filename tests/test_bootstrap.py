"""The bootstrap test of K against K + 1 components."""

import doctest
import warnings

import numpy as np
import pandas as pd
import pytest
from estimators_table import ESTIMATORS
from sklearn.base import clone

from mixfast import (
    GSDMM,
    BernoulliMixture,
    CategoricalMixture,
    GammaMixture,
    GaussianMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    bootstrap,
    bootstrap_lrt,
)
from mixfast.parts import Bernoulli, Categorical, Gaussian

RNG = np.random.default_rng(0)
TWO = np.concatenate([RNG.normal(-3, 1, (60, 1)), RNG.normal(3, 1, (60, 1))])


def test_a_clear_second_component_is_found_and_a_third_is_not():
    estimator = GaussianMixture(n_init=3, tol=1e-5, max_iter=500)
    one = bootstrap_lrt(TWO, estimator, 1, n_bootstrap=49, random_state=0)
    assert one.p_value == 1 / 50
    assert one.statistic > 2 * one.bootstrap_statistics.max()
    two = bootstrap_lrt(TWO, estimator, 2, n_bootstrap=49, random_state=0)
    assert two.p_value > 0.2


def test_draws_beyond_float32_are_rows_of_a_float32_test():
    """A Gamma distribution of a small shape draws 1e-60, which float32 rounds to zero; a Student-t of few degrees of
    freedom 1e40, which it rounds to infinity."""
    limits = np.finfo(np.float32)
    few = GammaMixture.from_parameters(weights=[1.0], shapes=[[0.02]], scales=[[1.0]])
    heavy = StudentTMixture.from_parameters(
        weights=[1.0], means=[[0.0]], covariances=[[[1.0]]], degrees_of_freedom=[0.05]
    )
    for model in (few, heavy):
        wanted = model.sample(300, random_state=np.random.RandomState(1))[0]
        model.weights_ = model.weights_.astype(np.float32)
        drawn = model._redrawing(np.zeros((300, 1), np.float32))(np.random.RandomState(1))
        assert drawn.dtype == np.float32
        assert np.any(np.abs(wanted) < limits.tiny) or np.any(np.abs(wanted) > limits.max)
        inside = np.sign(wanted) * np.clip(np.abs(wanted), limits.tiny, limits.max)
        np.testing.assert_allclose(drawn, inside, rtol=1e-6)
    X = np.clip(few.sample(60, random_state=0)[0], limits.tiny, None).astype(np.float32)
    found = bootstrap_lrt(X, GammaMixture(tol=1e-2), 1, n_bootstrap=5, random_state=0)
    assert np.all(np.isfinite(found.bootstrap_statistics))


def test_p_values_are_uniform_under_the_null():
    """With one Gaussian against two the statistic does not depend on mean and variance, so that it and its nine
    bootstrap statistics are equals: each of the ten p-values has probability 1 / 10."""
    estimator = GaussianMixture(tol=1e-2, reg_covar=0, n_threads=1)
    rng = np.random.default_rng(1)
    p_values = np.array(
        [
            bootstrap_lrt(rng.normal(7, 3, (40, 1)), estimator, 1, n_bootstrap=9, random_state=study).p_value
            for study in range(40)
        ]
    )
    # four standard deviations either way
    assert abs(p_values.mean() - 0.55) < 4 * np.sqrt((1 - 1 / 100) / 12 / 40)
    for level in (0.1, 0.3, 0.5, 0.7):
        assert abs(np.mean(p_values <= level + 1e-9) - level) < 4 * np.sqrt(level * (1 - level) / 40)


def test_the_statistic_is_twice_the_gain_in_log_likelihood_of_two_fits():
    test = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=3, random_state=0)
    assert (test.null.n_components, test.alternative.n_components) == (1, 2)
    gain = test.alternative.score_samples(TWO).sum() - test.null.score_samples(TWO).sum()
    assert test.statistic == pytest.approx(2 * gain, rel=1e-12)
    for model in (test.null, test.alternative):
        np.testing.assert_array_equal(clone(model).fit(TWO).means_, model.means_)  # its seed is among its parameters
    assert test.bootstrap_statistics.shape == (3,)


@pytest.mark.parametrize(("statistic", "p_value"), [(0.5, 1.0), (2.0, 0.75), (3.0, 0.5), (5.0, 0.25)])
def test_the_p_value_counts_statistics_that_are_not_smaller(statistic, p_value):
    model = GaussianMixture()
    assert bootstrap.BootstrapLRT(statistic, np.array([1.0, 2.0, 4.0]), model, model).p_value == p_value


def test_spurious_fits_are_no_evidence():
    """Three values, twenty times each: two components can only sit on equal rows, without a bound."""
    X = np.repeat([[1.0], [2.0], [3.0]], 20, axis=0)
    with pytest.warns(UserWarning, match=r"All starts of 2 components end with a spurious one.*the statistic is 0"):
        test = bootstrap_lrt(X, GaussianMixture(n_init=3), 1, n_bootstrap=19, random_state=0)
    assert Status.SPURIOUS_COMPONENT in test.alternative.status_
    assert (test.statistic, test.p_value) == (0.0, 1.0)
    # among the samples, too: those of few rows
    few = bootstrap_lrt(TWO[:12], GaussianMixture(), 1, n_bootstrap=39, random_state=0)
    assert 0 < few.n_spurious <= np.count_nonzero(few.bootstrap_statistics == 0) < 39


@pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.has_likelihood])
def test_statistics_are_not_negative(name):
    entry = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All starts of", UserWarning)
        test = bootstrap_lrt(entry.X, entry.make(), 2, n_bootstrap=9, random_state=0)
    assert test.statistic >= 0
    assert np.all(test.bootstrap_statistics >= 0)


def test_fits_end_where_those_of_select_do():
    X = RNG.normal(size=(60, 1))
    test = bootstrap_lrt(X, GaussianMixture(n_init=3), 1, n_bootstrap=19, random_state=0)
    explicit = GaussianMixture(n_init=3, tol=1e-6, max_iter=1000, reg_covar=0)
    assert bootstrap_lrt(X, explicit, 1, n_bootstrap=19, random_state=0).p_value == test.p_value
    assert test.alternative.tol == 1e-6
    # own values are taken as they are
    assert bootstrap_lrt(X, GaussianMixture(tol=1e-4), 1, n_bootstrap=1, random_state=0).alternative.tol == 1e-4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_where_own_starts_are_less_likely_than_fewer_components_these_are_split():
    """After one iteration two components from random responsibilities are nearly one, of which the fit is the best."""
    X = np.concatenate([TWO, TWO[:20] + 8])
    null = GaussianMixture(2, random_state=0, n_init=5).fit(X)
    poor = GaussianMixture(3, random_state=0, init_params="random", max_iter=1, tol=0).fit(X)
    assert poor.score(X) < null.score(X)
    better, gain = bootstrap._with_a_split(X, null, poor)
    assert better.score(X) > poor.score(X)
    assert gain == pytest.approx(2 * len(X) * (better.score(X) - null.score(X)))
    assert better.get_params() == poor.get_params()


def test_rows_are_evaluated_once_for_each_fit(monkeypatch):
    evaluated, evaluate = [], GaussianMixture._log_likelihood

    def counted(self, *args):
        evaluated.append(self)
        return evaluate(self, *args)

    monkeypatch.setattr(GaussianMixture, "_log_likelihood", counted)
    test = bootstrap_lrt(RNG.normal(size=(60, 1)), GaussianMixture(n_init=3), 1, n_bootstrap=5, random_state=0)
    # a sample whose larger fit is spurious has one more, from a split
    assert 12 <= len(evaluated) == len(set(map(id, evaluated))) <= 12 + 1 + test.n_spurious


def test_the_same_bits_for_any_number_of_threads():
    X = np.random.default_rng(0).normal(size=(5_000, 2))
    first, *others = (
        bootstrap_lrt(X, GaussianMixture(max_iter=5), 2, n_bootstrap=3, random_state=1, n_threads=n) for n in (1, 2, 7)
    )
    for other in others:
        assert other.statistic == first.statistic
        np.testing.assert_array_equal(other.bootstrap_statistics, first.bootstrap_statistics)


def test_the_size_of_blocks_bounds_memory_and_changes_nothing(monkeypatch):
    whole = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=7, random_state=0)
    fit_all, sizes = bootstrap._fit_all, []

    def counted(problems, *rest):
        sizes.append(len(problems))
        return fit_all(problems, *rest)

    monkeypatch.setattr(bootstrap, "BLOCK", 3 * len(TWO))
    monkeypatch.setattr(bootstrap, "_fit_all", counted)
    parts = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=7, random_state=0)
    assert sizes == [3, 3, 3, 3, 1, 1]
    np.testing.assert_array_equal(parts.bootstrap_statistics, whole.bootstrap_statistics)


def test_samples_have_the_categories_of_the_rows(monkeypatch):
    answers = np.repeat([[0.0, 1], [1, 0], [2, 1]], [20, 9, 1], axis=0)  # a sample without a 2 is likely
    whole = bootstrap_lrt(answers, CategoricalMixture(), 1, n_bootstrap=9, random_state=0)
    assert whole.alternative.categories_[0].tolist() == [0, 1, 2]
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    parts = bootstrap_lrt(answers, CategoricalMixture(), 1, n_bootstrap=9, random_state=0)
    np.testing.assert_array_equal(parts.bootstrap_statistics, whole.bootstrap_statistics)


def test_every_family_and_precision_has_it():
    bits = (RNG.random((100, 6)) < np.where(np.arange(100)[:, np.newaxis] % 2, 0.2, 0.8)).astype(np.float32)
    test = bootstrap_lrt(bits, BernoulliMixture(), 1, n_bootstrap=9, random_state=0)
    assert test.p_value == 0.1
    assert test.null.weights_.dtype == np.float32


def test_seeds_are_the_callers_or_the_estimators():
    own = bootstrap_lrt(TWO, GaussianMixture(random_state=3), 1, n_bootstrap=2)
    given = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=2, random_state=3)
    np.testing.assert_array_equal(own.bootstrap_statistics, given.bootstrap_statistics)
    other = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=2, random_state=4)
    assert not np.array_equal(other.bootstrap_statistics, given.bootstrap_statistics)


def test_it_says_what_it_found_and_how_far_it_is_when_asked(capsys):
    test = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=9, random_state=0)
    assert capsys.readouterr().out == ""
    assert repr(test).startswith("BootstrapLRT(1 against 2 components: statistic=")
    assert repr(test).endswith("p_value=0.1, n_bootstrap=9)")
    test = bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=2, random_state=0, progress=True)
    shown = test._repr_html_()
    assert "1 against 2 components" in shown
    assert f">{test.statistic:.5g}</td>" in shown
    bar = capsys.readouterr().err  # one for all fits
    assert "4/4" in bar
    assert bar.count(" 0/") == 1


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, "should be a mixture of mixfast", (TWO, GaussianMixture, 1)),
        (TypeError, "finds the number of clusters itself and has no likelihood", (TWO, GSDMM(), 1)),
        (ValueError, "n_components=0 should be a whole number of at least 1", (TWO, GaussianMixture(), 0)),
        (ValueError, "n_components=1.5 should be", (TWO, GaussianMixture(), 1.5)),
        (ValueError, "Expected n_samples >= n_components", (TWO[:3], GaussianMixture(), 3)),
    ],
)
def test_wrong_arguments_are_said_to_be_wrong(error, message, arguments):
    with pytest.raises(error, match=message):
        bootstrap_lrt(*arguments)
    with pytest.raises(ValueError, match="n_bootstrap=0 should be"):
        bootstrap_lrt(TWO, GaussianMixture(), 1, n_bootstrap=0)


def test_the_example_in_the_docstring_runs():
    failures, tried = doctest.testmod(bootstrap)
    assert tried > 3
    assert failures == 0


def test_strings_and_tables_are_tested_as_codes_are():
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((60, 1)) < 0.5, rng.random((60, 3)) < 0.9, rng.random((60, 3)) < 0.1).astype(int)
    words = np.array(["no", "yes"], dtype=object)[codes]
    options = {"n_bootstrap": 9, "random_state": 0}
    wanted = bootstrap_lrt(codes.astype(float), CategoricalMixture(), 1, **options)
    assert wanted.p_value == 0.1
    for rows in (words, pd.DataFrame(words, columns=["a", "b", "c"])):
        found = bootstrap_lrt(rows, CategoricalMixture(), 1, **options)
        assert found.statistic == pytest.approx(wanted.statistic, rel=1e-12)
        assert found.p_value == wanted.p_value
    table = pd.DataFrame({1: codes[:, 0], 0: rng.normal(size=60), "c": words[:, 2]}, dtype=object)
    table.columns = ["x", "y", "z"]
    mixed = ProductMixture([("y", Gaussian()), (["z", "x"], Categorical())])
    assert 0 < bootstrap_lrt(table.astype({"y": float}), mixed, 1, **options).p_value <= 1


def test_columns_that_no_part_names_are_left_out():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": "a text", "x": TWO[:, 0], "y": rng.normal(size=120)})
    wanted = bootstrap_lrt(table[["x"]], ProductMixture([(Gaussian(),)]), 1, n_bootstrap=9, random_state=0)
    assert wanted.p_value == 0.1
    renumbered = table.set_axis([2, 1, 0], axis=1)
    for rows, name in ((table, "x"), (renumbered, 1)):
        found = bootstrap_lrt(rows, ProductMixture([(name, Gaussian())]), 1, n_bootstrap=9, random_state=0)
        np.testing.assert_array_equal(found.bootstrap_statistics, wanted.bootstrap_statistics)
        assert found.null.score(rows) == wanted.null.score(table[["x"]])


def test_categories_of_any_type_are_tested_as_strings_are():
    rng = np.random.default_rng(0)
    ages = pd.DataFrame({"age": pd.cut(rng.uniform(0, 90, 60), 3), "other": pd.cut(rng.uniform(0, 90, 60), 3)})
    parts = ProductMixture([("age", "other", Categorical())])
    for estimator in (CategoricalMixture(), parts):
        found, wanted = (
            bootstrap_lrt(rows, estimator, 1, n_bootstrap=3, random_state=0) for rows in (ages, ages.astype(str))
        )
        np.testing.assert_array_equal(found.bootstrap_statistics, wanted.bootstrap_statistics)
        assert found.null.score(ages) == wanted.null.score(ages.astype(str))


def test_samples_of_zeros_and_ones_are_not_made_binary_again():
    bits = (RNG.random((80, 3)) < 0.4).astype(float)
    options = {"n_bootstrap": 9, "random_state": 0}
    wanted = bootstrap_lrt(bits, BernoulliMixture(binarize=None), 1, **options)
    for binarize, rows in ((100, 255 * bits), (-2, 3 * bits - 3)):
        found = bootstrap_lrt(rows, BernoulliMixture(binarize=binarize), 1, **options)
        np.testing.assert_array_equal(found.bootstrap_statistics, wanted.bootstrap_statistics)
        parts = ProductMixture([(Bernoulli(binarize=binarize),)])
        assert len(set(bootstrap_lrt(rows, parts, 1, **options).bootstrap_statistics)) > 1


def test_weights_have_a_remedy_and_no_name_that_is_none_of_them():
    with pytest.raises(TypeError, match=r"'sample_weight'.*It takes no weights: repeat the rows"):
        bootstrap_lrt(TWO, GaussianMixture(), 1, sample_weight=np.ones(len(TWO)))
