"""Mixtures of factor analysers beside full covariances: time per iteration, and held-out log-likelihoods of digits.

python benchmarks/factor.py [--cases small,large]

small: scikit-learn's digits, 8 x 8. large, which takes ten minutes: 20,000 pictures of 28 x 28, drawn from the digits
by enlarging them, moving each by up to two pixels, and adding noise to every pixel.
"""

import argparse
import time
import warnings

import numpy as np
from scipy.ndimage import zoom
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mixfast import GaussianMixture

REG_COVARS = 0.01, 0.1, 1.0


def seconds_per_iteration(X, labels, n_components, n_iter, **options):
    """Of the iterations after the first, without the start."""
    seconds = []
    for max_iter in (1, 1 + n_iter):
        model = GaussianMixture(n_components, init_params=labels, tol=0, max_iter=max_iter, **options)
        began = time.perf_counter()
        model.fit(X)
        seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / n_iter


def compare(train, test, labels, n_components, n_factors, n_iter, repeats, max_iter):
    print(f"digits, {train.shape[0]} x {train.shape[1]}, {n_components} components")
    for name, options in (
        ("full", {"covariance_type": "full"}),
        (f"{n_factors} factors", {"covariance_type": "factor", "n_factors": n_factors}),
    ):
        seconds = min(seconds_per_iteration(train, labels, n_components, n_iter, **options) for _ in range(repeats))
        print(f"{name}: {1e3 * seconds:.2f} ms an iteration; held-out log-likelihood of a row", end="", flush=True)
        for reg_covar in REG_COVARS:
            model = GaussianMixture(
                n_components, init_params=labels, max_iter=max_iter, reg_covar=reg_covar, **options
            ).fit(train)
            print(f", reg_covar={reg_covar:g} {model.score(test):.2f}", end="", flush=True)
        print()


def split_digits():
    """(train, test, labels of train)"""
    X, y = load_digits(return_X_y=True)
    train, test, labels, _ = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    return train, test, labels


def enlarged(pictures, n, rng):
    """n pictures of 28 x 28 from those of 8 x 8, which have values from 0 to 16."""
    large = np.stack([zoom(picture.reshape(8, 8), 3, order=1) for picture in pictures])
    made = np.zeros((n, 28, 28))
    for row, which, (down, right) in zip(
        made, rng.integers(len(large), size=n), rng.integers(0, 5, size=(n, 2)), strict=True
    ):
        row[down : down + 24, right : right + 24] = large[which]
    return made.reshape(n, -1) + rng.normal(size=(n, 784))


def small():
    compare(*split_digits(), n_components=10, n_factors=5, n_iter=20, repeats=3, max_iter=100)


def large():
    train, test, _ = split_digits()
    rng = np.random.default_rng(0)
    train, test = enlarged(train, 20_000, rng), enlarged(test, 4_000, rng)
    labels = KMeans(20, random_state=0).fit_predict(train)
    compare(train, test, labels, n_components=20, n_factors=10, n_iter=3, repeats=1, max_iter=10)


CASES = {"small": small, "large": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="small", help="some of " + ", ".join(CASES))
    warnings.simplefilter("ignore")
    for name in parser.parse_args().cases.split(","):
        CASES[name]()


if __name__ == "__main__":
    main()
