"""Programs that call mixfast from compiled loops of their own, examples/hosts, do what they say."""

import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from test_capi_examples import built, loaded

from mixfast import GaussianMixture, capi

HOSTS = Path(__file__).parent.parent / "examples" / "hosts"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are compiled as on POSIX")


def test_a_detector_assigns_what_scikit_learn_would(tmp_path):
    module = built("assign_anchors", HOSTS / "assign_anchors.pyx", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyximport imports what Python deprecates
        detector = loaded("detector", HOSTS / "detector.py")
        losses, offsets = detector.losses_of_boxes(300)
        labels = module.assign(detector.plan(), losses, offsets)
        for first, last in pairwise(offsets):
            np.testing.assert_array_equal(labels[first:last], detector.by_scikit_learn(losses[first:last]))


def test_a_detector_hears_of_a_box_without_enough_candidates(tmp_path):
    module = built("assign_anchors", HOSTS / "assign_anchors.pyx", tmp_path)
    plan = capi.plan(GaussianMixture(2, covariance_type="diag"), n_features=1)
    with pytest.raises(ValueError, match="box 1: "):
        module.assign(plan, np.arange(6.0), np.array([0, 5, 6]))


@pytest.fixture(scope="module")
def background():
    return loaded("background", HOSTS / "background.py")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_moves_is_told_from_the_background(background, n_threads):
    """Also where the square takes 20 frames to leave a pixel, and the background was seen for no more than that."""
    for n_frames, size in ((60, 12), (40, 40)):
        subtractor, overlaps = background.BackgroundSubtractor(n_threads=n_threads), []
        for frame, truth in background.video(n_frames, 48, 64, size):
            mask = subtractor.apply(frame)
            if truth.any():
                overlaps.append(background.overlap(mask, truth))
        assert len(overlaps) == n_frames // 2
        assert min(overlaps) >= 0.95


def test_masks_are_no_worse_than_those_of_mog2(background):
    """With the same rate, share of the background and distance; in float32 and in bytes."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: make test-hosts")
    ours = background.BackgroundSubtractor()
    theirs = background.mog2(cv2, ours)
    overlaps = []
    for frame, truth in background.video(60, 48, 64, 40):
        masks = ours.apply(frame), theirs.apply(frame.astype(np.uint8)) > 0
        if truth.any():
            overlaps.append([background.overlap(mask, truth) for mask in masks])
    (mean, other), (least, _) = np.mean(overlaps, axis=0), np.min(overlaps, axis=0)
    assert mean >= other
    assert least >= 0.95


def test_what_rests_becomes_background_when_it_says(background):
    subtractor = background.BackgroundSubtractor(rate=0.05, background=0.6)
    frames = [background.video(1, 8, 8, 4, seed).__next__()[0] for seed in (0, 0)]
    frames[1] = np.full_like(frames[0], 220)
    for _ in range(10):
        assert not subtractor.apply(frames[0]).any()
    n_frames = 0
    while subtractor.apply(frames[1]).all():
        n_frames += 1
    assert not subtractor.apply(frames[1]).any()
    assert abs(n_frames - np.log(0.6) / np.log(0.95)) < 1.5  # 9.96


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")  # by hmmlearn, NumPy 2.5
def test_a_markov_model_ends_where_hmmlearn_does(tmp_path):
    """Densities are the same from the first on. hmmlearn's covariances are about the means before the step, which is no
    step of EM, so the ways differ by what the means moved; the limits do not."""
    pytest.importorskip("hmmlearn", reason="hmmlearn is not installed")
    markov = loaded("markov", HOSTS / "markov.py")
    markov.MixfastGMMHMM.compiled = built("emissions", HOSTS / "emissions.pyx", tmp_path)
    X, lengths = markov.sequences(5, 200)
    for covariance_type in ("diag", "full", "tied"):
        options = {"covariance_type": covariance_type, "tol": 1e-6}
        theirs, ours = (
            markov.started(kind, X, lengths, n_iter=1, **options) for kind in (markov.GMMHMM, markov.MixfastGMMHMM)
        )
        np.testing.assert_allclose(ours.score(X, lengths), theirs.score(X, lengths), rtol=1e-12)
        last = ours.means_
        for model in (theirs, ours):
            model.fit(X, lengths)
        for name in ("startprob_", "transmat_", "weights_", "means_"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            ours.covars_ + moved(covariance_type, ours, last), theirs.covars_, rtol=1e-9, atol=1e-9
        )
        first = markov.started(markov.GMMHMM, X, lengths, n_iter=10, **options).fit(X, lengths)
        theirs, ours = (
            markov.started(kind, X, lengths, n_iter=1000, **options) for kind in (markov.GMMHMM, markov.MixfastGMMHMM)
        )
        for model in (theirs, ours):
            for name in ("startprob_", "transmat_", "weights_", "means_", "covars_"):
                setattr(model, name, getattr(first, name))
            model.fit(X, lengths)
        np.testing.assert_allclose(ours.score(X, lengths), theirs.score(X, lengths), rtol=1e-8)


def moved(covariance_type, model, last):
    """What covariances about the last means are larger by, in hmmlearn's shapes."""
    delta = model.means_ - last
    if covariance_type == "diag":
        return delta**2
    outer = delta[..., :, np.newaxis] * delta[..., np.newaxis, :]
    return outer if covariance_type == "full" else np.einsum("sk,skij->sij", model.weights_, outer)


def test_a_markov_model_says_what_it_cannot_fit(tmp_path):
    pytest.importorskip("hmmlearn", reason="hmmlearn is not installed")
    markov = loaded("markov", HOSTS / "markov.py")
    X, lengths = markov.sequences(2, 50)
    for options in ({"covariance_type": "spherical"}, {"params": "stm"}):
        with pytest.raises(ValueError, match="should be 'full', 'tied' or 'diag', and all"):
            markov.started(markov.MixfastGMMHMM, X, lengths, **options).fit(X, lengths)


def test_an_encoder_decodes_what_it_encoded():
    """Beside rdt's own: as many values are out of reach of their components, and the mixtures are as good."""
    pytest.importorskip("rdt", reason="rdt is not installed, which wants an older pandas: make test-hosts")
    encoder = loaded("encoder", HOSTS / "encoder.py")
    table = encoder.table_of_columns(1000, 6)
    theirs, ours = (encoder.fitted(kind, table) for kind in (encoder.ClusterBasedNormalizer, encoder.MixfastNormalizer))
    for own, other in zip(ours, theirs, strict=True):
        (name,) = own.columns
        column = table[[name]]
        encoded = own.transform(column)
        decoded = own.reverse_transform(encoded)
        in_reach = np.abs(encoded[f"{name}.normalized"]) < 0.99
        assert in_reach.mean() >= 0.995
        np.testing.assert_allclose(decoded[in_reach], column[in_reach], rtol=0, atol=1e-6)
        densities = (model._bgm_transformer.score(column.to_numpy()) for model in (own, other))
        assert next(densities) >= next(densities) - 0.01
