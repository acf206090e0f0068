"""Mixtures of factor analysers beside full covariances: time per iteration, and held-out log-likelihoods of digits.

python benchmarks/factor.py
"""

import time
import warnings

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mixfast import GaussianMixture

N_COMPONENTS, N_FACTORS, N_ITER = 10, 5, 20
REG_COVARS = 0.01, 0.1, 1.0


def seconds_per_iteration(X, labels, **options):
    """Of the iterations after the first, without the start."""
    seconds = []
    for max_iter in (1, 1 + N_ITER):
        model = GaussianMixture(N_COMPONENTS, init_params=labels, tol=0, max_iter=max_iter, **options)
        began = time.perf_counter()
        model.fit(X)
        seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / N_ITER


def main():
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    train, test, labels, _ = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    print(f"digits, {train.shape[0]} x {train.shape[1]}, {N_COMPONENTS} components")
    for name, options in (
        ("full", {"covariance_type": "full"}),
        (f"{N_FACTORS} factors", {"covariance_type": "factor", "n_factors": N_FACTORS}),
    ):
        seconds = min(seconds_per_iteration(train, labels, **options) for _ in range(3))
        print(f"{name}: {1e3 * seconds:.2f} ms an iteration; held-out log-likelihood of a row", end="")
        for reg_covar in REG_COVARS:
            model = GaussianMixture(N_COMPONENTS, random_state=0, reg_covar=reg_covar, **options).fit(train)
            print(f", reg_covar={reg_covar:g} {model.score(test):.2f}", end="")
        print()


if __name__ == "__main__":
    main()
