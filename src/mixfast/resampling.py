"""How sure the parameters of Gaussian and Student-t mixtures are: fits to the rows under other weights, one batch."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mixfast._typing import RowsLike, Seed
from mixfast.as_html import html_table
from mixfast.batches.fit_many import INTERRUPTED_BY, fit_many
from mixfast.estimators._elliptical import EllipticalMixture
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.in_messages import in_short, swapped
from mixfast.read_only import frozen
from mixfast.status import Status
from mixfast.whole import check_whole

#: Rows under so many numbers at a time (128 MB).
BLOCK = 2**24

#: Fits begin at the model, and end where they are as exact as differences between them have to be.
TOL, MAX_ITER = 1e-8, 2000

#: Rows of the table of a notebook at most.
MOST_SHOWN = 40

Kind: TypeAlias = Literal["nonparametric", "weighted", "jackknife"]


def _counted(rng, n, n_draws):
    """How often each row, or group, is drawn, with replacement."""
    return rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64)


def _weighted(rng, n, n_draws):
    """Exponential numbers of mean 1: no row is ever left out, so that small components keep theirs."""
    weight = rng.standard_exponential((n_draws, n))
    return weight * (n / weight.sum(axis=1, keepdims=True))


def _without_one(rng, n, n_draws):
    return 1.0 - np.eye(n)


#: kind -> (rng, n, n_draws) -> (n_draws, n), the weights of the rows, or of groups of them.
WEIGHTS = {"nonparametric": _counted, "weighted": _weighted, "jackknife": _without_one}


@dataclass(frozen=True, repr=False)
class BootstrapInference:
    """Standard errors and confidence limits of the parameters of a mixture.

    Attributes
    ----------
    kind : str
        'nonparametric', 'weighted' or 'jackknife'.
    estimates : dict
        The parameters of the model, by name: weights, means, covariances and degrees of freedom where there are some.
    draws : dict
        The same of each fit that has parameters, with an axis of fits in front.
    standard_errors : dict
        Of each number of `estimates`, in its unit.
    n_failed : int
        Fits that had no parameters, or a spurious component: they are left out.
    """

    kind: str
    estimates: dict[str, NDArray[np.float64]]
    draws: dict[str, NDArray[np.float64]]
    standard_errors: dict[str, NDArray[np.float64]]
    n_failed: int

    def limits(self, confidence: float = 0.95) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Confidence limits of each number.

        Parameters
        ----------
        confidence : float, default=0.95
            Above 0 and below 1.

        Returns
        -------
        limits : dict
            Name -> (lower, upper), arrays of the estimates' shape: quantiles of the draws, or, by the jackknife, normal
            limits about the estimate.

        Raises
        ------
        ValueError
            For a confidence that is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence={confidence!r} should be above 0 and below 1")
        tail = (1 - confidence) / 2
        if self.kind == "jackknife":
            reach = -ndtri(tail)
            return {
                name: (own - reach * self.standard_errors[name], own + reach * self.standard_errors[name])
                for name, own in self.estimates.items()
            }
        return {name: tuple(np.quantile(own, [tail, 1 - tail], axis=0)) for name, own in self.draws.items()}

    def to_frame(self, confidence: float = 0.95) -> Any:
        """A row for each number of the parameters.

        Parameters
        ----------
        confidence : float, default=0.95
            As in `limits`.

        Returns
        -------
        frame : pandas.DataFrame
            `parameter`, `index` (its place in the array), `estimate`, `standard_error`, `lower` and `upper`.
        """
        import pandas as pd

        return pd.DataFrame(list(self._numbers(confidence)))

    def _numbers(self, confidence=0.95):
        """What `to_frame` says of each number of the parameters, an iterator of dicts."""
        limits = self.limits(confidence)
        for name, own in self.estimates.items():
            for place in np.ndindex(own.shape):
                yield {
                    "parameter": name,
                    "index": ", ".join(map(str, place)),
                    "estimate": float(own[place]),
                    "standard_error": float(self.standard_errors[name][place]),
                    "lower": float(limits[name][0][place]),
                    "upper": float(limits[name][1][place]),
                }

    def _repr_html_(self) -> str:
        total = sum(own.size for own in self.estimates.values())
        shown = [
            [value if isinstance(value, str) else f"{value:.4g}" for value in row.values()]
            for row in itertools.islice(self._numbers(), MOST_SHOWN)
        ]
        left = f", {total - MOST_SHOWN:,} more numbers" if total > MOST_SHOWN else ""
        header = ["parameter", "index", "estimate", "standard error", "lower 95 %", "upper 95 %"]
        return html_table(f"{self!r}{left}", header, shown)

    def __repr__(self):
        n_draws = len(self.draws["weights"])
        return f"BootstrapInference(kind={self.kind!r}, {n_draws} fits, n_failed={self.n_failed})"


def bootstrap_inference(
    model: Any,
    X: RowsLike,
    *,
    kind: Kind = "nonparametric",
    n_draws: int = 999,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    known_labels: ArrayLike | None = None,
    random_state: Seed = None,
    n_threads: int | None = None,
) -> BootstrapInference:
    """Standard errors and confidence limits of weights, means and covariances, by fits to the rows under other weights.

    Every fit begins at the model, so that its components are the model's, and iterates to a tolerance of 1e-8. Noise
    is one of the weights, the last, and keeps the model's `noise_volume_`: errors are those given the region.

    Parameters
    ----------
    model : GaussianMixture or StudentTMixture
        Fitted to the rows.
    X : array-like of shape (n_samples, n_features)
        The rows.
    kind : {'nonparametric', 'weighted', 'jackknife'}, default='nonparametric'
        - 'nonparametric': rows are drawn with replacement;
        - 'weighted': the weighted likelihood bootstrap, rows weigh exponential numbers, so that no row is ever left out
          and small components keep theirs;
        - 'jackknife': each row is left out once.

        With `groups`, it is groups of rows that are drawn, weighed and left out.
    n_draws : int, default=999
        Number of fits; of the jackknife, where it plays no role, as many as there are rows, or groups.
    sample_weight : array-like of shape (n_samples,), default=None
        What the model was fitted with; the weights of a fit are multiplied by it. Each row is drawn, weighed and left
        out as one, whatever its weight: weights say how much rows tell, not how many they stand for, so that twice the
        weights give the same errors. For rows that stand for several, repeat them; errors of `inference`, where weights
        are counts of rows, are those of repeated rows.
    groups : array-like of shape (n_samples,), default=None
        As in the model's `fit`. Rows of a group are dependent, and what is drawn are groups.
    known_labels : array-like of shape (n_samples,) or (n_samples, n_components), default=None
        As in the model's `fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights. None takes that of the model.
    n_threads : int or None, default=None
        Threads to use at most; None is all that the process may use. The result does not depend on it.

    Returns
    -------
    inference : BootstrapInference
        Estimates, draws, standard errors and limits.

    Raises
    ------
    TypeError
        For a model that is no mixture of Gaussians or Student-t distributions by maximum likelihood.
    ValueError
        For another kind, fewer than two draws, and where fewer than two fits have parameters. For a model that was
        fitted with groups or known labels, which are not given here; one that comes of a file does not know.

    Notes
    -----
    O'Hagan, Murphy, Scrucca & Gormley, "Investigation of parameter uncertainty in clustering using a Gaussian mixture
    model via jackknife, bootstrap and weighted likelihood bootstrap", Computational Statistics 34 (2019),
    doi:10.1007/s00180-019-00897-9.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, bootstrap_inference
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-3, 1, (100, 1)), rng.normal(3, 1, (100, 1))])
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> inference = bootstrap_inference(model, X, n_draws=99, random_state=0)
    >>> bool(np.all(np.abs(inference.standard_errors["means"] - 0.1) < 0.03))
    True
    """
    if not (isinstance(model, EllipticalMixture) and isinstance(model, LikelihoodMixture)):
        raise TypeError(
            f"model={in_short(model)} should be a GaussianMixture or a StudentTMixture"
            + swapped(X, "bootstrap_inference(model, X)")
        )
    check_is_fitted(model)
    if not model._family().made_of_scales:
        raise TypeError(
            f"covariance_type={model.covariance_type!r}: loadings may be rotated, so that they have no standard errors"
        )
    if kind not in WEIGHTS:
        raise ValueError(f"kind={kind!r} should be one of {', '.join(map(repr, WEIGHTS))}")
    n_draws = check_whole("n_draws", n_draws, 2)
    rows = np.ascontiguousarray(np.asarray(X), dtype=np.asarray(model.means_).dtype)
    rng = check_random_state(model.random_state if random_state is None else random_state)
    row_data = _row_data(model, rows, {"groups": groups, "known_labels": known_labels})
    units = row_data.get("groups", np.arange(len(rows)))  # what is drawn: numbers from 0
    weights = WEIGHTS[kind](rng, int(units.max()) + 1, n_draws)[:, units]
    if sample_weight is not None:
        weights = weights * np.asarray(sample_weight, dtype=np.float64)
    draws, n_failed = _fitted_under(_begun_at(model), rows, row_data, weights, n_threads)
    n_used = len(draws["weights"])
    if n_used < 2:
        raise ValueError(f"{n_failed} of {n_failed + n_used} fits have no parameters, or a spurious component")
    scale = (n_used - 1) / np.sqrt(n_used) if kind == "jackknife" else 1.0
    estimates = {name: frozen(np.asarray(getattr(model, f"{name}_"), dtype=np.float64)) for name in draws}
    errors = {name: frozen(scale * own.std(axis=0, ddof=1), copy=False) for name, own in draws.items()}
    return BootstrapInference(kind, estimates, draws, errors, n_failed)


def _row_data(model, rows, data):
    """What is said of the components of rows, checked, by name; ValueError for what the model was fitted with and is
    not given."""
    data = {name: own for name, own in data.items() if own is not None}
    lacking = [name for name in vars(model).get("_fitted_with", ()) if name not in data]
    if lacking:
        raise ValueError(
            f"the model was fitted with {lacking[0]}, without which fits are of another likelihood and have other "
            f"errors: pass {lacking[0]}="
        )
    return model._as_passed(model._check_row_data(data, rows, reset=False))


def _begun_at(model):
    """An unfitted clone that begins where the model is."""
    begun = clone(model)
    begun.set_params(
        weights_init=None if model.weights is not None else np.asarray(model.weights_, dtype=np.float64),
        means_init=np.asarray(model.means_, dtype=np.float64),
        precisions_init=np.asarray(model.precisions_, dtype=np.float64),
        init_params="random_from_data",
        n_init=1,
        tol=min(model.tol, TOL),
        max_iter=max(model.max_iter, MAX_ITER),
        warm_start=False,
        verbose=0,
        canonical_order=False,
    )
    if model.noise is not None:
        # single rows are no start beside noise
        begun.set_params(noise_volume=model.noise_volume_, init_params="random")
    if begun.weights is None:  # weights that sum to 1 up to rounding of float32 are to sum to it
        begun.weights_init = begun.weights_init / begun.weights_init.sum()
    return begun


def _fitted_under(estimator, rows, row_data, weights, n_threads):
    """Parameters by name of the fits to the rows under each of some weights, and how many have none."""
    fields = estimator._family_of_components().Params._fields
    names = ["weights", *(name for name in fields if name != "precisions_cholesky")]
    found, n_failed = {name: [] for name in names}, 0
    block = max(1, BLOCK // rows.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", INTERRUPTED_BY, UserWarning)
        for first in range(0, len(weights), block):
            own = weights[first : first + block]
            problems, data = (
                _repeated(rows, len(own)),
                {name: _repeated(one, len(own)) for name, one in row_data.items()},
            )
            result = fit_many(problems, estimator, sample_weight=own, random_state=0, n_threads=n_threads, **data)
            if np.any(result.status & Status.INTERRUPTED):
                raise KeyboardInterrupt
            usable = result.has_parameters & ((result.status & Status.SPURIOUS_COMPONENT) == 0)
            n_failed += int(np.sum(~usable))
            for name in names:
                found[name].append(np.asarray(getattr(result, name), dtype=np.float64)[usable])
    return {name: frozen(np.concatenate(own), copy=False) for name, own in found.items()}, n_failed


def _repeated(values, n):
    """An array of the same values for each of n problems."""
    return np.ascontiguousarray(np.broadcast_to(values, (n, *np.shape(values))))
