"""Which candidates of 10,000 boxes are positive, in one compiled loop: assign_anchors.pyx, beside scikit-learn's loop.

python examples/hosts/detector.py                          # seconds a box; needs Cython and setuptools
"""

import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyximport
from sklearn.mixture import GaussianMixture as Theirs

import mixfast
from mixfast import GaussianMixture, capi

N_BOXES, N_OF_SCIKIT_LEARN = 10_000, 200


def losses_of_boxes(n_boxes, seed=0):
    """(losses, offsets (n_boxes + 1,)) of 10 to 100 candidates a box, some of which have small losses."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 101, size=n_boxes)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    is_good = rng.random(offsets[-1]) < 0.3
    return np.where(is_good, rng.gamma(4, 0.1, offsets[-1]), 1.5 + rng.gamma(4, 0.3, offsets[-1])), offsets


def plan():
    """Two components of one column, with scikit-learn's tolerance."""
    return capi.plan(GaussianMixture(2, covariance_type="diag"), n_features=1)


def by_scikit_learn(losses):
    """Labels of the candidates of one box, from the same start."""
    rows = losses[:, np.newaxis]
    start = {"weights_init": [0.5, 0.5], "means_init": [[losses.min()], [losses.max()]], "precisions_init": [[1], [1]]}
    return Theirs(2, covariance_type="diag", **start).fit(rows).predict(rows)


def main():
    sys.path.append(str(Path(mixfast.__file__).parents[1]))  # where Cython finds capi.pxd of an editable install too
    pyximport.install(setup_args={"include_dirs": [mixfast.get_include()]}, language_level=3)
    from assign_anchors import assign

    warnings.simplefilter("ignore")
    losses, offsets = losses_of_boxes(N_BOXES)
    start = time.perf_counter()
    labels = assign(plan(), losses, offsets)
    ours = (time.perf_counter() - start) / N_BOXES
    start, n_equal = time.perf_counter(), 0
    for first, last in pairwise(offsets[: N_OF_SCIKIT_LEARN + 1]):
        n_equal += np.array_equal(by_scikit_learn(losses[first:last]), labels[first:last])
    theirs = (time.perf_counter() - start) / N_OF_SCIKIT_LEARN
    print(f"{1e6 * ours:.1f} us a box, scikit-learn {1e6 * theirs:.0f} us: {theirs / ours:.0f}x; equal labels in "
          f"{n_equal} of {N_OF_SCIKIT_LEARN}")  # fmt: skip


if __name__ == "__main__":
    main()
