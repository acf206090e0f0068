"""Rows in partitions, wherever these are: what engines that hold them have to offer, and fits over them.

A *source* is any object with a method `map_reduce(task, state, merge)`: it calls `task(partition, state)` for each of
its partitions, `Partition` tuples numbered from 0, and returns what `merge`, a function of a list of results, makes of
these in the tree of `merged`. Tasks are pure functions that pickle: they may run anywhere, in any order, twice, or
again after a worker is lost. The tree goes by the numbers of partitions and not by who arrives first, so the result has
the same bits for any number of workers. A source that computes in threads of this process, or keeps something from one
pass to the next, may have a method `for_passes(n_threads)` that returns what a fit with so many threads is to ask.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import scipy.sparse
from sklearn.base import clone

from mixfast.checkpoints import Checkpoints
from mixfast.row_data import form_of
from mixfast.tables import adopted, is_table
from mixfast.whole import check_whole

Result = TypeVar("Result")

#: Results that are merged at once. A driver that merged 1,000 of 4.4 MB each would take 4.8 s at 10 Gbit/s, a tree of 8
#: takes 0.17 s.
FAN_IN = 8


class Partition(NamedTuple):
    """A part of the rows.

    Attributes
    ----------
    number : int
        Its place among the partitions, from 0.
    X : array-like of shape (n_rows, n_features)
        Any number of rows; one or none too.
    sample_weight : array-like of shape (n_rows,) or None
    row_data : mapping of str to array-like
        What rows have beside their values, as `fit` takes it by name: `y` of mixtures of experts, exposures.
    """

    number: int
    X: Any
    sample_weight: Any = None
    row_data: Mapping[str, Any] = {}


class Source(Protocol):
    """What has partitions of rows."""

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        """What `merge` makes of task(partition, state) of all partitions, by the tree of `merged`."""


def for_passes(source: Source, n_threads: int | None) -> Source:
    """The source as it is for a fit, which has so many threads: what its own method `for_passes` makes of it, if it has
    one, as those do that compute in threads of this process, or keep something from one pass to the next."""
    made: Callable[[int | None], Source] | None = getattr(source, "for_passes", None)
    return source if made is None else made(n_threads)


def is_source(X: object) -> bool:
    """Whether rows are in partitions."""
    return callable(getattr(type(X), "map_reduce", None))


def fits_elsewhere(estimator: object) -> bool:
    """Whether sums over rows, wherever these are, are all that a fit needs."""
    return callable(getattr(estimator, "_fit_partitions", None))


def check_fits_elsewhere(estimator: object) -> None:
    if fits_elsewhere(estimator):
        return
    if hasattr(estimator, "steps"):
        raise TypeError(
            f"a {type(estimator).__name__} is not fitted to rows elsewhere: fit its last step to what the other steps "
            "make of the rows of each partition"
        )
    raise TypeError(
        f"a {type(estimator).__name__} is not fitted to sums over rows alone, so its rows have to be here, in one array"
    )


def to_be_fitted(estimator: Any) -> Any:
    """A copy for a fit to rows elsewhere: with the model that the fit goes on from, where it does, else a clone."""
    return copy.deepcopy(estimator) if estimator._goes_on() else clone(estimator)


def merged(results: Iterable[Result], merge: Callable[[Sequence[Result]], Result]) -> Result:
    """Results of partitions, in the order of their numbers, merged in a fixed tree: eight neighbours at a time.

    Parameters
    ----------
    results : iterable
        Consumed one after the other: no more than seven for each level of the tree are held.
    merge : callable
        Of a list of one to eight results, in order.

    Returns
    -------
    result : object

    Raises
    ------
    ValueError
        Where there are no results.

    Examples
    --------
    >>> from mixfast.partitions import merged
    >>> merged(range(100), sum)
    4950
    """
    levels: list[list[Result]] = []
    for result in results:
        at = 0
        while True:
            if at == len(levels):
                levels.append([])
            levels[at].append(result)
            if len(levels[at]) < FAN_IN:
                break
            result, levels[at] = merge(levels[at]), []
            at += 1
    rest: list[Result] = []
    for level in levels:  # what is left of a level comes after what was merged before
        level = level + rest
        rest = [merge(level)] if level else []
    if not rest:
        raise ValueError("there are no partitions: a fit needs rows")
    return rest[0]


def tree(results: list[Any], merge: Callable[[list[Any]], Any]) -> Any:
    """As `merged`, of results that are all there, or promises of them: engines make a graph of this.

    Parameters
    ----------
    results : list
        One for each partition, in the order of their numbers.
    merge : callable
        Of a list of at most eight of them.

    Returns
    -------
    result : object

    Raises
    ------
    ValueError
        Where there are no results.
    """
    if not results:
        raise ValueError("there are no partitions: a fit needs rows")
    results = [merge([result]) for result in results] if len(results) == 1 else results
    while len(results) > 1:
        results = [merge(results[first : first + FAN_IN]) for first in range(0, len(results), FAN_IN)]
    return results[0]


class InMemory:
    """Partitions that are here: the simplest source, and a twin of others.

    Parameters
    ----------
    parts : sequence of array-like, or of tuple (X, sample_weight), or (X, sample_weight, row_data)
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._partitions = [
            Partition(i, *(part if isinstance(part, tuple) else (part,))) for i, part in enumerate(parts)
        ]

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        return merged((task(partition, state) for partition in self._partitions), merge)


def stacked(parts: Sequence[Any]) -> Any:
    """Rows of several partitions below each other, in the container that they come in."""
    parts = [adopted(part) for part in parts]
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        forms = form_of(first), form_of(part)
        if None not in forms and forms[0] != forms[1]:
            raise ValueError(f"rows should all come in one form: there is {forms[0]}, and after it {forms[1]}")
    if scipy.sparse.issparse(first):
        return scipy.sparse.vstack(parts, format="csr")
    if not is_table(first):
        return np.concatenate(parts)
    import narwhals  # an extra, and only tables need it

    return narwhals.concat(_with_one_type([narwhals.from_native(part) for part in parts])).to_native()


def _with_one_type(tables):
    """Tables whose columns of numbers have the same types: libraries differ in what they put below each other."""
    kinds = [table.schema for table in tables]
    differing = [name for name in kinds[0] if len({own[name] for own in kinds}) > 1]
    numbers = [name for name in differing if all(own[name].is_numeric() for own in kinds)]
    if not numbers:
        return tables
    import narwhals

    wanted = {n: narwhals.Int64 if all(own[n].is_integer() for own in kinds) else narwhals.Float64 for n in numbers}
    return [table.with_columns(*(narwhals.col(name).cast(own) for name, own in wanted.items())) for table in tables]


def fit(
    estimator: Any,
    source: Source,
    *,
    checkpoint: str | PathLike[str] | None = None,
    every: int = 10,
    resume: str | PathLike[str] | None = None,
    progress: bool = False,
) -> Any:
    """Fit a mixture to rows in partitions.

    What rows have beside their values, `y` and `gate_X` of mixtures of experts say, comes with them, as `row_data` of
    their `Partition`. Rows of a group may not be in several partitions, so there are no `groups`.

    The result is that of `fit` to all rows from the same start. That start is a fit to a sample of at most 131,072
    rows, which depends on the rows and their order alone, not on how they are cut: `n_init`, `init_params` and
    `random_state` are of the sample. Then each iteration asks all partitions once.

    Parameters
    ----------
    estimator : mixture by maximum likelihood, BayesianGaussianMixture or DirichletProcessMixture
        Not changed. A fitted one with `warm_start=True` is gone on from, without a start.
    source : object with map_reduce(task, state, merge)
        See the module.
    checkpoint : path-like, default=None
        A file that is written after the start and after every so many iterations, whole or not at all, in place of the
        one before: the parameters and what the fit has come to.
    every : int, default=10
        Iterations between two checkpoints. Accelerated fits extrapolate within them, so that bits depend on it.
    resume : path-like, default=None
        A checkpoint to go on from, of the same estimator and the same rows. Rows are surveyed and the start is made
        again, then the fit goes on from the parameters in the file and has the bits that it would have had. `max_iter`
        and `tol` may differ, and are then those of the iterations over all rows alone: the fit to the sample, which
        had them too, was that of the first call, and a new fit with the new ones would begin elsewhere. May be the same
        file as `checkpoint`.
    progress : bool, default=False
        Show a bar of passes over the rows (needs tqdm).

    Returns
    -------
    fitted : estimator
        A copy, fitted, which knows nothing of the source.

    Raises
    ------
    TypeError
        For estimators that are not fitted to sums over rows: GSDMM. For what is no source.
    RuntimeError
        Where a pass of the source did not look at each partition once, in the order of their numbers, or where a
        partition has another number of rows, or another sum of weights, than in the first pass.
    ValueError
        For `algorithm="sampler"`. For rows that `fit` refuses: the message begins with the number of the partition. For
        a file that is no checkpoint, or that of another fit.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, partitions
    >>> X = np.random.default_rng(0).normal(size=(1000, 2)) + np.repeat([[-4], [4]], 500, axis=0)
    >>> parts = partitions.InMemory([X[:100], X[100:]])
    >>> model = partitions.fit(GaussianMixture(2, random_state=0, canonical_order=True), parts)
    >>> model.means_.round(0) + 0
    array([[-4., -4.],
           [ 4.,  4.]])
    """
    check_fits_elsewhere(estimator)
    if not is_source(source):
        raise TypeError(
            "source should have a method map_reduce(task, state, merge), as mixfast.partitions.InMemory(parts) has for "
            f"a list of parts, got {type(source).__name__}"
        )
    checkpoints = Checkpoints(checkpoint, check_whole("every", every), resume)
    return to_be_fitted(estimator)._fit_partitions(source, checkpoints, progress)
