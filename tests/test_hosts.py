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


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_moves_is_told_from_the_background(n_threads):
    background = loaded("background", HOSTS / "background.py")
    subtractor, overlaps = background.BackgroundSubtractor(n_threads=n_threads), []
    for frame, truth in background.video(60, 48, 64, 12):
        mask = subtractor.apply(frame)
        if truth.any():
            overlaps.append(background.overlap(mask, truth))
    assert len(overlaps) == 30
    assert min(overlaps) >= 0.95
