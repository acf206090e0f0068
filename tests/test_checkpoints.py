"""Fits over partitions that were stopped go on with the bits that they would have had."""

import copy

import numpy as np
import pytest
from batches import assert_near, assert_same_state
from estimators_table import REGRESSIONS, SUMMED, every_summed
from test_partitions import parts_of

from mixfast import DirichletProcessMixture, GaussianMixture, Status, partitions
from mixfast.checkpoints import Checkpoints
from mixfast.estimators import _partitions
from mixfast.partitions import InMemory

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(5).normal(size=(600, 2)) + 1.5 * np.random.default_rng(6).integers(0, 3, size=(600, 1))
PARTS = np.array_split(X, 5)
MEANS = np.array([[0.1, 0.2], [1.5, 1.5], [3.0, 3.1]])


class Stopped(BaseException):
    """The process is no more."""


class Stopping(InMemory):
    """Partitions that are gone after so many questions to them."""

    def __init__(self, parts, n_left):
        super().__init__(parts)
        self.n_left = n_left

    def map_reduce(self, task, state, merge):
        self.n_left -= 1
        if self.n_left < 0:
            raise Stopped
        return super().map_reduce(task, state, merge)


@every_summed
def test_a_fit_that_was_stopped_goes_on_with_the_same_bits(name, tmp_path):
    entry = SUMMED[name]
    estimator, parts = entry.make(random_state=3, max_iter=12, tol=0), parts_of(entry.rows())
    kept = {"checkpoint": tmp_path / "fit", "every": 3}
    whole = partitions.fit(estimator, InMemory(parts), **kept)
    with pytest.raises(Stopped):
        partitions.fit(estimator, Stopping(parts, 2 + 8), **kept)  # the survey, the sample, and passes
    again = partitions.fit(estimator, InMemory(parts), resume=tmp_path / "fit", **kept)
    assert_same_state(again, whole)
    np.testing.assert_array_equal(again.lower_bounds_, whole.lower_bounds_)
    assert (again.n_iter_, again.status_, again.converged_) == (whole.n_iter_, whole.status_, whole.converged_)


@pytest.mark.parametrize("n_passes", range(1, 14))
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_it_may_be_stopped_anywhere(accelerate, n_passes, tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=12, tol=1e-7, accelerate=accelerate)
    kept = {"checkpoint": tmp_path / "fit", "every": 4}
    whole = partitions.fit(estimator, InMemory(PARTS), **kept)
    (tmp_path / "fit").unlink()
    with pytest.raises(Stopped):
        partitions.fit(estimator, Stopping(PARTS, 2 + min(n_passes, whole.n_iter_ - 1)), **kept)
    again = partitions.fit(estimator, InMemory(PARTS), resume=tmp_path / "fit", **kept)
    assert_same_state(again, whole)
    assert again.lower_bounds_ == whole.lower_bounds_


@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_what_goes_on_needs_no_new_checkpoint(accelerate, tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=40, tol=0, accelerate=accelerate)
    kept = {"checkpoint": tmp_path / "fit", "every": 3}
    whole = partitions.fit(estimator, InMemory(PARTS), **kept)
    with pytest.raises(Stopped):
        partitions.fit(estimator, Stopping(PARTS, 2 + 10), **kept)
    assert_same_state(partitions.fit(estimator, InMemory(PARTS), resume=tmp_path / "fit", every=3), whole)


@pytest.mark.parametrize("max_iter", [1, 2, 7, 20, 40, 41])
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_passes_are_no_more_than_max_iter(accelerate, max_iter, tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=max_iter, tol=0, accelerate=accelerate)
    for kept in ({}, {"checkpoint": tmp_path / "fit", "every": 3}):
        assert partitions.fit(estimator, InMemory(PARTS), **kept).n_iter_ <= max_iter


@pytest.mark.parametrize("n_passes", range(1, 12))
def test_a_process_may_be_stopped_before_and_after_its_sticks_are_sorted(n_passes, tmp_path, monkeypatch):
    monkeypatch.setattr(_partitions, "SAMPLE", 200)
    sorts, in_order = [], DirichletProcessMixture._in_order
    monkeypatch.setattr(
        DirichletProcessMixture,
        "_in_order",
        lambda self, course: sorts.append((len(course.bounds), in_order(self, course))) or sorts[-1][1],
    )
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.normal(4 * k, 1, size=(size, 2)) for k, size in enumerate([980, 1000, 1020])])
    parts, estimator = np.array_split(rows, 4), DirichletProcessMixture(random_state=0, max_iter=100, tol=1e-6)
    kept = {"checkpoint": tmp_path / "fit", "every": 2}
    whole = partitions.fit(estimator, InMemory(parts), **kept)
    assert len(sorts) == 2  # other sticks are longest in the sample
    assert 2 < sorts[0][0] < sorts[1][0] == whole.n_iter_ == 12
    assert np.array_equal(np.sort(whole.counts_)[::-1], whole.counts_)
    (tmp_path / "fit").unlink()
    with pytest.raises(Stopped):
        partitions.fit(estimator, Stopping(parts, 2 + n_passes), **kept)
    again = partitions.fit(estimator, InMemory(parts), resume=tmp_path / "fit", **kept)
    assert_same_state(again, whole)


def test_checkpoints_change_no_bit_of_plain_em(tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=12)
    plain = partitions.fit(estimator, InMemory(PARTS))
    for every in (1, 5, 100):
        assert_same_state(partitions.fit(estimator, InMemory(PARTS), checkpoint=tmp_path / "fit", every=every), plain)


@pytest.mark.parametrize("name", ["poisson", "binomial", "multinomial", "poisson, gate and exposure"])
def test_steps_that_overshoot_are_shortened_there_too(name, tmp_path):
    """From a bad start they go back to the state before, which is in the file."""
    rows = REGRESSIONS[name].rows()
    model = rows.to(REGRESSIONS[name].make(max_iter=0, tol=0, random_state=0, warm_start=True).fit)
    coefficients = model.coef_ + 3 * np.random.default_rng(1 if "poisson" in name else 0).normal(size=model.coef_.shape)
    model.coef_ = coefficients - (coefficients[:, :1] if name == "multinomial" else 0)
    model.set_params(max_iter=12)
    whole, plain = rows.to(copy.deepcopy(model).fit), copy.deepcopy(model).fit(InMemory(parts_of(rows)))
    assert whole.status_ == plain.status_
    assert plain.status_ & Status.SHORTENED_STEP
    assert_near(plain, whole, 1e-10)
    assert np.diff(plain.lower_bounds_).min() > -1e-10
    for every in (1, 2):
        fit = copy.deepcopy(model)._fit_partitions(InMemory(parts_of(rows)), Checkpoints(tmp_path / "fit", every, None))
        assert_same_state(fit, plain)
        assert fit.lower_bounds_ == plain.lower_bounds_


def test_a_finished_fit_may_be_given_more_iterations(tmp_path):
    short, long = (GaussianMixture(3, random_state=0, max_iter=n, tol=0) for n in (4, 9))
    first = partitions.fit(short, InMemory(PARTS), checkpoint=tmp_path / "fit", every=2)
    more = partitions.fit(long, InMemory(PARTS), resume=tmp_path / "fit")
    assert more.n_iter_ == 9
    assert more.lower_bounds_[:4] == first.lower_bounds_
    assert_same_state(partitions.fit(short, InMemory(PARTS), resume=tmp_path / "fit"), first)


@every_summed
def test_other_iterations_go_on_from_the_start_of_the_first_fit(name, tmp_path):
    """However early that was stopped: its start, a fit to the sample, had its `max_iter`."""
    entry = SUMMED[name]
    few, many = (entry.make(random_state=3, max_iter=n, tol=0) for n in (2, 6))
    parts, kept = parts_of(entry.rows()), {"checkpoint": tmp_path / "fit", "every": 3}
    whole = partitions.fit(few, InMemory(parts))
    with pytest.raises(Stopped):
        partitions.fit(few, Stopping(parts, 2), **kept)  # the survey and the sample
    more = partitions.fit(many, InMemory(parts), resume=tmp_path / "fit", **kept)
    again = partitions.fit(many, InMemory(parts), resume=tmp_path / "fit", **kept)
    assert more.lower_bounds_[: len(whole.lower_bounds_)] == whole.lower_bounds_
    assert_same_state(again, more)
    if name == "Gaussian full":  # a new fit begins where its own start ends
        assert partitions.fit(many, InMemory(parts)).lower_bounds_[0] > more.lower_bounds_[0]


def test_a_fit_that_has_converged_stays_as_it_is(tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=500, tol=1e-4)
    whole = partitions.fit(estimator, InMemory(PARTS), checkpoint=tmp_path / "fit", every=3)
    assert whole.converged_
    for max_iter in (500, 2):
        again = partitions.fit(estimator.set_params(max_iter=max_iter), InMemory(PARTS), resume=tmp_path / "fit")
        np.testing.assert_array_equal(again.means_, whole.means_)
        assert again.lower_bounds_ == whole.lower_bounds_
        assert (again.n_iter_, again.converged_, again.status_) == (whole.n_iter_, True, whole.status_)
    closer = partitions.fit(estimator.set_params(max_iter=500, tol=1e-7), InMemory(PARTS), resume=tmp_path / "fit")
    assert closer.n_iter_ > whole.n_iter_


def test_what_is_no_checkpoint_of_this_fit_is_refused(tmp_path):
    estimator = GaussianMixture(3, random_state=0, max_iter=4, tol=0)
    partitions.fit(estimator, InMemory(PARTS), checkpoint=tmp_path / "fit")
    for other, parts, what in [
        (GaussianMixture(2, random_state=0), PARTS, "n_components was 3 and is 2"),
        (GaussianMixture(3, covariance_type="diag", random_state=0), PARTS, "covariance_type was 'full' and is 'diag'"),
        (estimator, PARTS[:4], "rows, weight, first rows of the partitions was 600, 600.0"),
        (estimator, [1000 * part for part in PARTS], "first rows of the partitions"),
        (estimator, [part.astype(np.float32) for part in PARTS], "dtype"),
        (GaussianMixture(3, random_state=0, regularization="relative"), PARTS, "regularization was 'absolute'"),
        (GaussianMixture(3, random_state=0, reg_covar=0.1), PARTS, "reg_covar was 1e-06 and is 0.1"),
        (GaussianMixture(3, random_state=0, weights=[0.2, 0.3, 0.5]), PARTS, "weights was None"),
        (GaussianMixture(3, random_state=0, hold={"means": MEANS + 1e-12}), PARTS, "hold was None"),
    ]:
        with pytest.raises(ValueError, match=what):
            partitions.fit(other, InMemory(parts), resume=tmp_path / "fit")
    estimator.fit(X).save(tmp_path / "model")
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "cut").write_bytes((tmp_path / "fit").read_bytes()[:-30])
    for name in ("model", "text", "cut"):
        with pytest.raises(ValueError, match="is no checkpoint of a fit"):
            partitions.fit(estimator, InMemory(PARTS), resume=tmp_path / name)
    with pytest.raises(FileNotFoundError):
        partitions.fit(estimator, InMemory(PARTS), resume=tmp_path / "none")
    with pytest.raises(ValueError, match="every=0 should be a whole number of at least 1"):
        partitions.fit(estimator, InMemory(PARTS), checkpoint=tmp_path / "fit", every=0)


def test_held_numbers_are_compared_to_the_last_digit(tmp_path):
    held, other = (GaussianMixture(3, random_state=0, max_iter=4, hold={"means": m}) for m in (MEANS, MEANS + 1e-12))
    partitions.fit(held, InMemory(PARTS), checkpoint=tmp_path / "fit")
    partitions.fit(held, InMemory(PARTS), resume=tmp_path / "fit")
    with pytest.raises(ValueError, match="another fit: hold was"):
        partitions.fit(other, InMemory(PARTS), resume=tmp_path / "fit")


def test_no_iterations_leave_the_start():
    estimator = GaussianMixture(3, random_state=0, max_iter=0)
    model = partitions.fit(estimator, InMemory(PARTS))
    assert (model.n_iter_, model.converged_) == (0, False)
    assert_same_state(model, estimator.fit(X))


def test_a_bar_counts_passes(capsys):
    partitions.fit(GaussianMixture(3, random_state=0, max_iter=5, tol=0), InMemory(PARTS), progress=True)
    said = capsys.readouterr().err
    assert "5/5" in said
    assert "pass" in said
    partitions.fit(GaussianMixture(3, random_state=0, max_iter=5, tol=0), InMemory(PARTS))
    assert capsys.readouterr().err == ""


@every_summed
def test_what_rows_have_beside_their_values_tells_fits_apart(name, tmp_path):
    entry = SUMMED[name]
    rows, estimator = entry.rows(), entry.make(random_state=3, max_iter=2, tol=0)
    parts = [part if isinstance(part, tuple) else (part, None, {}) for part in parts_of(rows)]
    partitions.fit(estimator, InMemory(parts), checkpoint=tmp_path / "fit", every=1)
    weights = [
        (X, np.concatenate([[1.5, 0.5], np.ones(len(X) - 2)]) if len(X) > 1 else None, data) for X, _, data in parts
    ]
    with pytest.raises(ValueError, match="another fit: first rows of the partitions was"):
        partitions.fit(estimator, InMemory(weights), resume=tmp_path / "fit")
    for own in rows.data:
        others = [(X, None, data | {own: np.roll(data[own], 1, axis=0)}) for X, _, data in parts]
        with pytest.raises(ValueError, match="another fit: first rows of the partitions was"):
            partitions.fit(estimator, InMemory(others), resume=tmp_path / "fit")


@pytest.mark.parametrize("path", [True, 1, b"fit"])
@pytest.mark.parametrize("argument", ["checkpoint", "resume"])
def test_what_is_no_path_is_refused_before_the_fit(argument, path):
    with pytest.raises(TypeError, match=f"{argument}={path!r} should be the path of a file, or None"):
        partitions.fit(GaussianMixture(3), InMemory(PARTS), **{argument: path})
