"""How many components, by a test: K against K + 1 with the likelihood ratio, whose distribution is simulated."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from mixfast._typing import RowsLike, Seed
from mixfast._warnings import warn
from mixfast.as_html import html_table
from mixfast.batches.fit_many import INTERRUPTED_BY, fit_many
from mixfast.estimators._likelihood import LikelihoodMixture, check_comparable
from mixfast.progress import Bar
from mixfast.read_only import frozen
from mixfast.row_data import OF_COMPONENTS, check_names, check_not_of_formula, rows_with, separated
from mixfast.selection import Data, params_to_compare, split_labels
from mixfast.status import Status
from mixfast.tables import names_of
from mixfast.whole import check_whole

#: Samples that are drawn and fitted at a time hold at most so many numbers (128 MB): memory does not grow with
#: n_bootstrap.
BLOCK = 2**24


@dataclass(frozen=True, repr=False)
class BootstrapLRT:
    """A test of K components against K + 1.

    Attributes
    ----------
    statistic : float
        2 (log-likelihood of `alternative` - log-likelihood of `null`), or 0 where that is negative, or one of the two
        has a spurious component: K + 1 components, two of them equal, are never less likely than K.
    bootstrap_statistics : ndarray of shape (n_bootstrap,)
        The same of samples drawn from `null`.
    null, alternative : estimators
        Fitted to the rows, with K and K + 1 components.
    n_spurious : int
        Number of samples whose statistic is 0 because all their starts ended with a spurious component.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mixfast import GaussianMixture, bootstrap_lrt
    >>> test = bootstrap_lrt(load_iris().data, GaussianMixture(), 1, n_bootstrap=19, random_state=0)
    >>> test.p_value
    0.05
    """

    statistic: float
    bootstrap_statistics: np.ndarray
    null: LikelihoodMixture
    alternative: LikelihoodMixture
    n_spurious: int = 0

    @property
    def p_value(self) -> float:
        """(1 + number of bootstrap statistics that are not smaller) / (1 + n_bootstrap)."""
        exceeding = int(np.count_nonzero(self.bootstrap_statistics >= self.statistic))
        return (1 + exceeding) / (1 + len(self.bootstrap_statistics))

    def _repr_html_(self) -> str:
        of = f"{self.null.n_components} against {self.alternative.n_components} components"
        spread = np.quantile(self.bootstrap_statistics, [0.5, 0.95])
        rows = [
            ["statistic", f"{self.statistic:.5g}"],
            ["p value", f"{self.p_value:.3g}"],
            [f"median of {len(self.bootstrap_statistics)} samples", f"{spread[0]:.5g}"],
            ["95 % of them are below", f"{spread[1]:.5g}"],
        ]
        return html_table(f"BootstrapLRT: {of}", ["", ""], rows)

    def __repr__(self):
        return (
            f"BootstrapLRT({self.null.n_components} against {self.alternative.n_components} components: "
            f"statistic={self.statistic:.5g}, p_value={self.p_value:.3g}, n_bootstrap={len(self.bootstrap_statistics)})"
        )


def bootstrap_lrt(
    X: RowsLike,
    estimator: Any,
    n_components: int,
    *,
    n_bootstrap: int = 99,
    random_state: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    **row_data: ArrayLike | None,
) -> BootstrapLRT:
    """Test whether K components are enough, against K + 1, by the parametric bootstrap of the likelihood ratio.

    K and K + 1 components are fitted to the rows, and to each of `n_bootstrap` samples of as many rows drawn from the
    mixture of K. The usual chi-squared distribution does not hold here: the K + 1 mixtures that equal one of K lie at
    the edge of the parameters, and there are many of them.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        As in the `fit` of the estimator.
    estimator : mixture estimator
        Gives all parameters but `n_components`. It is cloned, never fitted. All fits are its own, from its own starts:
        with few of them (`n_init`) local optima make the test a noisy one.
        `tol`, `max_iter` and `reg_covar` that it has from its class' defaults are those of `select`.
    n_components : int
        K, the number under the null hypothesis.
    n_bootstrap : int, default=99
        Number of samples. The smallest p-value possible is 1 / (n_bootstrap + 1).
    random_state : int, RandomState instance or None, default=None
        Seed of samples and starts. None takes that of the estimator.
    n_threads : int or None, default=None
        Threads to use at most; None is all that the process may use. The result does not depend on it.
    progress : bool, default=False
        Show a bar of all fits (needs tqdm).
    **row_data : array-like
        What the `fit` of the estimator takes of each row: `exposure`, see `PoissonMixture`. Samples have the same
        exposures, in an order that is drawn anew for each. Of `MixtureOfExperts` also `y` and what goes with it: rows
        stay as they are, and samples have responses drawn for them.

    Returns
    -------
    test : BootstrapLRT
        The statistic, those of the samples, and the p-value.

    Raises
    ------
    TypeError
        For an estimator that is no mixture, and row data that it does not know.
    ValueError
        For numbers below one, and as the `fit` of the estimator does.

    Warns
    -----
    UserWarning
        Where all starts of K or of K + 1 components end with a spurious component, one on a few rows or on equal ones,
        whose likelihood has no bound and is no evidence: the statistic is then 0 and the p-value 1.

    Notes
    -----
    Starts that end with a spurious component lose, as in `select`. Where all of them do, or K + 1 components from
    the estimator's own starts are less likely than K, they begin once more at the clusters of K, the most spread of
    which is split in two: two more fits for such a sample, of which there are few with several starts. Regressions, and
    rows in groups, have the estimator's own starts alone, since clusters of rows are no start for these: give them more
    (`n_init`).

    McLachlan, "On bootstrapping the likelihood ratio test statistic for the number of components in a normal mixture",
    Applied Statistics 36 (1987), doi:10.2307/2347790. Under a prior (`alpha` of `BernoulliMixture`) parameters are
    those of the posterior mode; the statistic is still made of likelihoods, and the p-value remains valid.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, bootstrap_lrt
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-3, 1, (50, 1)), rng.normal(3, 1, (50, 1))])
    >>> bootstrap_lrt(X, GaussianMixture(), 1, n_bootstrap=19, random_state=0).p_value
    0.05
    """
    check_comparable(estimator, X, "bootstrap_lrt(X, estimator, n_components)")
    for name, number in (("n_components", n_components), ("n_bootstrap", n_bootstrap)):
        check_whole(name, number)
    check_not_of_formula("bootstrap_lrt()", estimator, [names_of(X)])
    check_names("bootstrap_lrt", estimator, row_data)
    for name in OF_COMPONENTS:
        if row_data.get(name) is not None and (name == "known_labels" or not estimator._needed_row_data):
            raise ValueError(f"{name} is of the rows, and rows that are drawn have other components: leave it out")
    fixed = params_to_compare(estimator) | ({} if n_threads is None else {"n_threads": n_threads})
    rng = check_random_state(estimator.random_state if random_state is None else random_state)
    seeds = rng.randint(np.iinfo(np.int32).max, size=(1 + n_bootstrap, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Some rows have density zero", UserWarning)
        null, alternative = (
            clone(estimator)
            .set_params(n_components=n_components + more, random_state=int(seed), **fixed)
            .fit(X, **row_data)
            for more, seed in enumerate(seeds[0])
        )
        rows = rows_with(X, row_data)
        draw = null._redrawing(rows)
        # a sample that lacks a category of X has it all the same, whichever samples are fitted with it
        coded = clone(null).set_params(**null._params_of_codes())
        models = [clone(coded).set_params(n_components=n_components + more) for more in (0, 1)]
        block = max(1, BLOCK // (_num_samples(X) * max(1, null.n_features_in_)))
        alternative, gain = _with_a_split(rows, null, alternative)
        statistics, n_spurious = [], 0
        bar = Bar(2 * n_bootstrap, progress)
        with bar:
            while (done := len(statistics)) < n_bootstrap:
                block_seeds = seeds[1 + done :][:block]
                samples = [draw(rng) for _ in block_seeds]
                pairs = _fit_pairs(samples, models, block_seeds, n_threads, progress and bar)
                for own, (smaller, larger) in zip(samples, pairs, strict=True):
                    larger, of_sample = _with_a_split(own, smaller, larger)
                    statistics.append(_statistic(smaller, larger, of_sample))
                    n_spurious += _is_spurious(smaller) or _is_spurious(larger)
        drawn = frozen(np.array(statistics), copy=False)
        found = BootstrapLRT(_statistic(null, alternative, gain), drawn, null, alternative, n_spurious)
    spurious = [model.n_components for model in (null, alternative) if _is_spurious(model)]
    if spurious:
        warn(
            f"All starts of {' and of '.join(map(str, spurious))} components end with a spurious one, on a few rows or "
            "on equal ones. Its likelihood has no bound and is no evidence, so the statistic is 0. Increase n_init, or "
            "set reg_covar or covariance_prior where the mixture has them.",
            UserWarning,
        )
    return found


def _is_spurious(model):
    return bool(model.status_ & Status.SPURIOUS_COMPONENT)


def _statistic(null, alternative, gain):
    """Of all samples alike, so that the p-value stays what it is: see `BootstrapLRT`."""
    return 0.0 if _is_spurious(null) or _is_spurious(alternative) else max(0.0, gain)


def _with_a_split(X, null, alternative):
    """(the fit of K + 1 components, twice what its log-likelihood is above that of `null`), or, where it has a spurious
    component or is less likely, the same of a better one that begins at the clusters of `null`, one of them split."""
    of_null = null._log_likelihood(X, None)[0]

    def with_gain(model):
        return model, 2 * (model._log_likelihood(X, None)[0] - of_null)

    found = with_gain(alternative)
    if not (_is_spurious(alternative) or found[1] < 0):
        return found
    other = _from_a_split(X, null, alternative)
    fits = [found] if other is None else [found, with_gain(other)]
    return max(fits, key=lambda fit: (not _is_spurious(fit[0]), fit[1]))


def _from_a_split(X, null, alternative):
    """The fit that begins at the clusters of `null`, one of them split; None where clusters of the rows are no starts,
    as of regressions and of rows in groups, or none can be split."""
    if not alternative._clusters_are_starts or any(name in separated(X)[1] for name in OF_COMPONENTS):
        return None
    data, template = Data(X, None), clone(alternative)
    labels = split_labels(template, data, data.labels(null), alternative.n_components)
    try:
        other = None if labels is None else data.fit(template, init_params=labels, n_init=1)
    except ValueError:  # a group has too few rows
        other = None
    return None if other is None else other.set_params(init_params=template.init_params, n_init=template.n_init)


def _fit_pairs(problems, models, seeds, n_threads, progress):
    """For each problem, each of the models fitted to it; `seeds` has a row for each problem."""
    fitted = [_fit_all(problems, *of_model, n_threads, progress) for of_model in zip(models, seeds.T, strict=True)]
    return list(zip(*fitted, strict=True))


def _fit_all(problems, estimator, seeds, n_threads, progress):
    """The estimator fitted to each problem, rows with what they have, from its own seed."""

    def alone(i):
        X, data = separated(problems[i])
        return clone(estimator).set_params(random_state=int(seeds[i])).fit(X, **data)

    rows, data = zip(*map(separated, problems), strict=True)
    data = {name: [own[name] for own in data] for name in data[0]}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", INTERRUPTED_BY, UserWarning)
        result = fit_many(list(rows), estimator, seeds=seeds, n_threads=n_threads, progress=progress, **data)
    if np.any(result.status & Status.INTERRUPTED):
        raise KeyboardInterrupt
    # what has no parameters raises here, and says why
    return [alone(i) if np.isnan(weights[0]) else result[i] for i, weights in enumerate(result.weights)]
