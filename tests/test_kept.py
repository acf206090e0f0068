"""What predictions keep of a fitted model is dropped with whatever it was made of."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mixfast import GaussianMixture, StudentTMixture, load
from mixfast.estimators._published import KEPT, Kept

ROWS = np.random.default_rng(0).normal(size=(60, 2)) * [1, 3] + np.repeat([[0, 0], [9, 0]], 30, axis=0)
CLASSES = pytest.mark.parametrize("cls", [GaussianMixture, StudentTMixture])


def as_new(model):
    """Log densities by a model that has kept nothing."""
    return pickle.loads(pickle.dumps(model)).score_samples(ROWS)


@CLASSES
def test_a_second_prediction_uses_what_the_first_one_made(cls):
    model = cls(2, random_state=0).fit(ROWS)
    first = model.score_samples(ROWS)
    kept = vars(model)[KEPT].find(vars(model))
    assert kept is not None
    np.testing.assert_array_equal(model.score_samples(ROWS), first)
    assert vars(model)[KEPT].find(vars(model)) is kept
    np.testing.assert_array_equal(as_new(model), first)


@CLASSES
def test_what_is_assigned_counts_by_whichever_way(cls):
    model = cls(2, random_state=0).fit(ROWS)
    before = model.score_samples(ROWS)
    model.means_ = model.means_ + 1
    moved = model.score_samples(ROWS)
    assert np.all(moved != before)
    np.testing.assert_array_equal(moved, as_new(model))
    vars(model)["means_"] = vars(model)["means_"] - 1
    assert np.all(model.score_samples(ROWS) != moved)
    model.covariances_ = 2 * model.covariances_
    np.testing.assert_array_equal(model.score_samples(ROWS), as_new(model))
    model.weights_ = [0.5, 0.5]
    np.testing.assert_array_equal(model.score_samples(ROWS), as_new(model))
    model.weights_[:] = [0.25, 0.75]  # a list stays the user's
    np.testing.assert_array_equal(model.score_samples(ROWS), as_new(model))


@CLASSES
def test_arrays_that_were_made_writable_are_read_anew(cls):
    model = cls(2, random_state=0).fit(ROWS)
    model.means_ = np.array(model.means_)
    model.score_samples(ROWS)
    model.means_.flags.writeable = True
    model.means_[0] += 1
    np.testing.assert_array_equal(model.score_samples(ROWS), as_new(model))


def test_a_view_that_is_assigned_does_not_change_with_what_it_is_a_view_of():
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    own = np.array(model.means_)
    view = own[:]
    view.flags.writeable = False
    model.means_ = view
    before = model.score_samples(ROWS)
    own += 5
    np.testing.assert_array_equal(model.score_samples(ROWS), before)


def test_wrong_values_are_refused_after_a_prediction_too():
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    model.predict(ROWS)
    model.weights_ = np.array([0.5, 0.6])
    with pytest.raises(ValueError, match="weights_ should be numbers that sum to 1"):
        model.predict(ROWS)
    model.weights_ = np.array([0.5, 0.5])
    model.covariance_type = "diag"
    with pytest.raises(ValueError, match="covariance_type is 'diag', and was 'full'"):
        model.predict(ROWS)


def test_precisions_of_rows_and_missing_entries_have_passes_of_their_own():
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    gaps = ROWS.copy()
    gaps[3, 1] = np.nan
    for _ in range(2):
        for X in (ROWS, ROWS.astype(np.float32), gaps, np.asfortranarray(ROWS), ROWS[::-2]):
            np.testing.assert_array_equal(model.score_samples(X), pickle.loads(pickle.dumps(model)).score_samples(X))


def test_copies_and_files_keep_for_themselves(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    before = model.score_samples(ROWS)
    model.save(tmp_path / "model")
    for own in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), load(tmp_path / "model")):
        assert isinstance(vars(own)[KEPT], Kept)
        np.testing.assert_array_equal(own.score_samples(ROWS), before)
        own.means_ = own.means_ + 1
        assert np.all(own.score_samples(ROWS) != before)
        np.testing.assert_array_equal(model.score_samples(ROWS), before)


def test_threads_share_what_is_kept():
    model = GaussianMixture(2, random_state=0, n_threads=1).fit(ROWS)
    wanted = model.score_samples(ROWS)
    with ThreadPoolExecutor(4) as pool:
        model.means_ = np.array(model.means_)  # nothing is kept when they begin
        for got in pool.map(lambda _: model.score_samples(ROWS), range(200)):
            np.testing.assert_array_equal(got, wanted)
