"""What all estimators share that tell how likely rows are, whichever way they are fitted."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from mixfast import persistence


class DensityEstimator(DensityMixin, BaseEstimator):
    """Base of the estimators: their seed, scores from `score_samples`, files."""

    def _seed(self):
        """64 bits that all random numbers of a fit come from."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(0, 2**63, dtype=np.int64))

    @staticmethod
    def _check_weights(sample_weight, X):
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        assert_all_finite(sample_weight, input_name="sample_weight")
        if not np.any(sample_weight > 0):
            raise ValueError("All values of sample_weight are zero: at least one row needs a positive weight.")
        return np.ascontiguousarray(sample_weight)

    def score(self, X, y=None, sample_weight=None):
        """The mean log density of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        log_likelihood : float
        """
        total, weight = self._log_likelihood(X, sample_weight)
        return total / weight

    def _log_likelihood(self, X, sample_weight):
        """(sum of weight * log density, sum of weights)"""
        log_norm = self.score_samples(X).astype(np.float64, copy=False)
        if sample_weight is None:
            return float(np.sum(log_norm)), len(log_norm)
        sample_weight = self._check_weights(sample_weight, log_norm)
        kept = sample_weight > 0
        return float(np.dot(sample_weight[kept], log_norm[kept])), float(np.sum(sample_weight))

    def _rng_of_sample(self, n_samples, random_state):
        check_is_fitted(self)
        if not isinstance(n_samples, Integral):
            raise TypeError(f"n_samples must be an integer, got {n_samples!r}")
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        return check_random_state(self.random_state if random_state is None else random_state)

    def _draw_components(self, n_samples, rng):
        """The component of each row, in order."""
        weights = np.asarray(self.weights_, dtype=np.float64)
        counts = rng.multinomial(n_samples, weights / weights.sum())
        return np.repeat(np.arange(len(weights), dtype=np.int64), counts)

    def save(self, path):
        """Write the fitted model to a file that `mixfast.load` reads, without pickle.

        The format is in the project's docs/files.md. A model of a class of your own is loaded by
        `mixfast.load(path, classes=[YourClass])`.

        Parameters
        ----------
        path : str or path-like
            Taken as it is, without a suffix added; a file that is there is replaced.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a parameter that is no number, string, None or array, as a RandomState instance in `random_state`.
            Nothing has been written then.
        ValueError
            For a class of your own that has the name of one of mixfast's.
        """
        persistence.save_estimator(self, path)
