"""hmmlearn's `GMMHMM` with emissions by mixfast, in compiled loops: emissions.pyx.

python examples/hosts/markov.py                          # seconds of both; needs hmmlearn, Cython and setuptools
"""

import sys
import time
from pathlib import Path

import numpy as np
import pyximport
from hmmlearn.base import BaseHMM
from hmmlearn.hmm import GMMHMM

import mixfast
from mixfast import GaussianMixture, capi


def emissions():
    """The module of emissions.pyx."""
    sys.path.append(str(Path(mixfast.__file__).parents[1]))  # where Cython finds capi.pxd of an editable install too
    pyximport.install(setup_args={"include_dirs": [mixfast.get_include()]}, language_level=3)
    import emissions as module

    return module


class MixfastGMMHMM(GMMHMM):
    """hmmlearn's model: its starts, its forward and backward passes, its checks; mixfast's densities, sums and M-steps.

    hmmlearn's own M-step takes covariances about the means before the step, so they are too large by the outer product
    of what the means moved. Here they are about the new means, as EM's are. Both end at the same parameters.
    """

    #: A module with the functions of emissions.pyx.
    compiled = None

    def _check(self):
        super()._check()
        if self.covariance_type == "spherical" or not set("mcw") <= set(self.params):
            raise ValueError("covariances should be 'full', 'tied' or 'diag', and all that an emission has be fitted")
        model = GaussianMixture(self.n_mix, covariance_type=self.covariance_type, reg_covar=0)
        self.plan = capi.plan(model, self.n_features)

    def _packed(self):
        """(weights, params (n_states, n_params)) of hmmlearn's arrays."""
        params = np.empty((self.n_components, self.plan.n_params))
        if self.covariance_type == "diag":
            factors = self.covars_**-0.5
        else:
            factors = np.swapaxes(np.linalg.inv(np.linalg.cholesky(self.covars_)), -1, -2)
        arrays = {"means": self.means_, "covariances": self.covars_, "precisions_cholesky": factors}
        for s, own in enumerate(params):
            for name, array in arrays.items():
                self.plan.layout[name].of(own)[...] = array[s]
        return np.ascontiguousarray(self.weights_), params

    def _compute_log_likelihood(self, X):
        return self.compiled.log_densities(self.plan, *self._packed(), X)

    def _initialize_sufficient_statistics(self):
        sums = np.zeros((self.n_components, self.plan.n_sums))
        return BaseHMM._initialize_sufficient_statistics(self) | {"sums": sums}

    def _accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, forward, backward):
        BaseHMM._accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, forward, backward)
        weight = np.ascontiguousarray(posteriors.T)
        self.compiled.gather(self.plan, *self._packed(), X, weight, stats["sums"])

    def _do_mstep(self, stats):
        BaseHMM._do_mstep(self, stats)
        weights, params = self._packed()
        self.compiled.maximise(self.plan, stats["sums"], weights, params)
        layout = self.plan.layout
        self.weights_ = weights
        self.means_ = np.array([layout["means"].of(own) for own in params])
        self.covars_ = np.array([layout["covariances"].of(own) for own in params])


def sequences(n_sequences=40, n_rows=500, n_features=4, seed=0):
    """(X, lengths) of a chain of three states, each of which emits two Gaussians."""
    rng = np.random.default_rng(seed)
    means = rng.normal(scale=4, size=(3, 2, n_features))
    transitions = np.array([[0.9, 0.08, 0.02], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]])
    rows, state = [], 0
    for _ in range(n_sequences * n_rows):
        state = rng.choice(3, p=transitions[state])
        rows.append(means[state, rng.integers(2)] + rng.normal(size=n_features) * (1 + 0.5 * state))
    return np.array(rows), [n_rows] * n_sequences


def started(kind, X, lengths, **options):
    """A model with hmmlearn's start, which is not to be found again."""
    model = kind(n_components=3, n_mix=2, random_state=0, **options)
    model._init(X, lengths)
    return model.set_params(init_params="")


def main():
    MixfastGMMHMM.compiled = emissions()
    X, lengths = sequences()
    for covariance_type in ("diag", "full"):
        seconds, values = {}, {}
        for kind in (GMMHMM, MixfastGMMHMM):
            model = started(kind, X, lengths, covariance_type=covariance_type, n_iter=20, tol=-np.inf)
            start = time.perf_counter()
            model.fit(X, lengths)
            seconds[kind], values[kind] = time.perf_counter() - start, model.score(X, lengths)
        print(
            f"{covariance_type}: {len(X)} rows, 20 iterations: hmmlearn {seconds[GMMHMM]:.2f} s, mixfast "
            f"{seconds[MixfastGMMHMM]:.2f} s, {seconds[GMMHMM] / seconds[MixfastGMMHMM]:.1f}x; log-likelihoods "
            f"{values[GMMHMM]:.6f} and {values[MixfastGMMHMM]:.6f}"
        )


if __name__ == "__main__":
    main()
