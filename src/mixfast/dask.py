"""Fits and predictions over Dask arrays and dataframes; `import mixfast.dask`, with the extra `mixfast[dask]`.

Each iteration is one graph, whose tasks are pure functions of a partition and the parameters of the fit; statistics are
added in a tree whose shape depends on the numbers of the partitions alone. So losing a worker costs time and changes no
bit of the result. Each iteration reads all rows: persist the collection, `X = X.persist()`, if it fits into the memory
of the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import dask
import numpy as np
import pandas

from mixfast import partitions, tasks
from mixfast.partitions import Partition

Result = TypeVar("Result")

__all__ = ["fit", "fit_many_groups", "predict", "predict_proba", "score_samples"]


class DaskSource:
    """The partitions of a Dask collection, for `mixfast.partitions.fit`.

    Parameters
    ----------
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
        Rows in chunks of any number, unknown ones too. Chunks of columns are joined.
    sample_weight : dask Array or Series, or None
        In the same chunks; of an array, with known chunks, in any.
    client : distributed Client or None
        Where to compute; None is Dask's current scheduler.
    """

    def __init__(self, X: Any, sample_weight: Any = None, client: Any = None) -> None:
        self._client = client
        rows = _parts_of(X)
        if sample_weight is None:
            weights = [None] * len(rows)
        else:
            if hasattr(sample_weight, "rechunk") and hasattr(X, "chunks") and not np.isnan(sum(X.chunks[0])):
                sample_weight = sample_weight.rechunk((X.chunks[0],))
            weights = list(sample_weight.to_delayed().ravel())
        if len(weights) != len(rows):
            raise ValueError(
                f"sample_weight has {len(weights)} partitions and X has {len(rows)}: make it of the columns of X, or "
                "give both the same chunks"
            )
        self._parts = list(zip(rows, weights, strict=True))

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        run, join = dask.delayed(_run, pure=False), dask.delayed(merge, pure=False)
        shared = dask.delayed((task, state), traverse=False)  # one node of the graph, shared by all partitions
        results = [run(shared, number, X, weight) for number, (X, weight) in enumerate(self._parts)]
        total = partitions.tree(results, join)
        return total.compute() if self._client is None else self._client.compute(total, sync=True)


def _run(shared, number, X, sample_weight):
    task, state = shared
    weight = None if sample_weight is None else np.asarray(sample_weight)
    return task(Partition(number, X, weight), state)


def _parts_of(X):
    """The rows of each partition, a list of Delayed."""
    if hasattr(X, "rechunk"):
        if X.ndim != 2:
            raise ValueError(f"X should be 2-D, got {X.ndim}-D")
        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
    if not hasattr(X, "to_delayed"):
        raise TypeError(
            f"X should be a Dask array or dataframe, got {type(X).__name__}: `fit` of the estimator takes it"
        )
    return list(np.asarray(X.to_delayed(), dtype=object).ravel())


def fit(estimator: Any, X: Any, sample_weight: Any = None, client: Any = None, **options: Any) -> Any:
    """Fit a mixture to a Dask array or dataframe.

    Parameters
    ----------
    estimator : mixture by maximum likelihood, or BayesianGaussianMixture
        Not changed. Each task takes one thread, unless its `n_threads` says otherwise: Dask has one task for each.
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
        Of arrays, or pandas dataframes. 4 to 16 partitions for each thread of the cluster make up for slow ones.
    sample_weight : dask Array or Series, default=None
        In the partitions of X.
    client : distributed Client, default=None
        None is Dask's current scheduler: that of the last client, or threads.
    **options
        Of `mixfast.partitions.fit`: `checkpoint`, `every` and `resume` for fits that may be stopped, `progress` for a
        bar of passes.

    Returns
    -------
    fitted : estimator
        The same class, fitted: it predicts, pickles and saves without Dask.

    Raises
    ------
    TypeError
        For estimators that are not fitted to sums over rows, and for X that is no Dask collection.
    ValueError
        For rows that `fit` refuses: the message begins with the number of the partition.

    See Also
    --------
    mixfast.partitions.fit : How it is done, over any engine.
    """
    return tasks.fit(estimator, DaskSource(X, sample_weight, client), **options)


def predict(model: Any, X: Any) -> Any:
    """The most likely component of each row, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture
    X : dask Array of shape (n_samples, n_features), or dask DataFrame

    Returns
    -------
    labels : dask Array of shape (n_samples,), or Series with the index of X
        int64.
    """
    return _lazily(model, X, "predict", np.int64, None)


def score_samples(model: Any, X: Any) -> Any:
    """The log density of each row, in nats, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture
    X : dask Array of shape (n_samples, n_features), or dask DataFrame

    Returns
    -------
    log_density : dask Array of shape (n_samples,), or Series with the index of X
    """
    return _lazily(model, X, "score_samples", np.float64, None)


def predict_proba(model: Any, X: Any) -> Any:
    """The probability of each component, for each row, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture
    X : dask Array of shape (n_samples, n_features), or dask DataFrame

    Returns
    -------
    probabilities : dask Array of shape (n_samples, n_components), or DataFrame with the index of X
        A dataframe has a column for each component, called by its number.
    """
    return _lazily(model, X, "predict_proba", np.float64, len(model.weights_))


def _lazily(model, X, method, dtype, width):
    dtype = np.dtype(dtype)
    if hasattr(X, "map_partitions"):
        empty = np.empty((0, width) if width else 0, dtype)
        meta = pandas.DataFrame(empty) if width else pandas.Series(empty, name=method)
        return X.map_partitions(_predict_table, model, method, meta, meta=meta)
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    if method != "predict":
        dtype = np.result_type(X.dtype if X.dtype in (np.float32, np.float64) else np.float64, model.weights_.dtype)
    if width:
        return X.map_blocks(_predict_block, model, method, dtype=dtype, chunks=(X.chunks[0], (width,)))
    return X.map_blocks(_predict_block, model, method, dtype=dtype, drop_axis=1)


def _predict_block(X, model, method):
    return getattr(model, method)(X)


def _predict_table(X, model, method, empty):
    if not len(X):
        return empty
    values = getattr(model, method)(X)
    if values.ndim == 2:
        return pandas.DataFrame(values, index=X.index)
    return pandas.Series(values, index=X.index, name=method)


def fit_many_groups(
    table: Any,
    estimator: Any,
    by: str,
    columns: Sequence[str],
    kind: Literal["components", "problems"] = "components",
    **options: Any,
) -> Any:
    """A fit for each group of rows, by whole partitions.

    Rows are shuffled by their group, and each partition is one call of `mixfast.fit_many_groups`: thousands of groups
    at the speed of a batch. Within groups they are sorted by their values, so that no order of arrival changes a bit. A
    group that cannot be fitted has no components, and its status is in its row of the problems.

    Parameters
    ----------
    table : dask DataFrame
    estimator : mixture
        As `mixfast.fit_many_groups` takes it.
    by : str
        The column that says the group.
    columns : list of str
        Those that are fitted.
    kind : {'components', 'problems'}, default='components'
        What the result has a row for, as `BatchResult.to_frame` has it: components of groups, or groups.
    **options
        Of `mixfast.fit_many_groups`. Each task takes one thread, unless `n_threads` is among them.

    Returns
    -------
    frame : dask DataFrame
        Lazy; `to_parquet` has the workers write it.

    Raises
    ------
    ValueError
        Where none of the first 1,000 rows can be fitted: they show what columns the result has.
    """
    fit_groups = tasks.FitGroups(estimator, by, list(columns), kind, options)
    wanted = table[fit_groups.read]
    meta = fit_groups.example(wanted.head(tasks.EXAMPLE, npartitions=-1)).iloc[:0]
    return wanted.shuffle(on=by).map_partitions(fit_groups, meta=meta)
