"""Fits and predictions over Dask arrays and dataframes; `import mixfast.dask`, with the extra `mixfast[dask]`.

Each iteration is one graph, whose tasks are pure functions of a partition and the parameters of the fit; statistics are
added in a tree whose shape depends on the numbers of the partitions alone. So losing a worker costs time and changes no
bit of the result. Each iteration reads all rows: persist the collection, `X = X.persist()`, if it fits into the memory
of the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from numbers import Real
from typing import Any, Literal, TypeVar
from uuid import uuid4

import dask
import dask.array
import dask.dataframe
import numpy as np
import pandas
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

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
    row_data : mapping of str to dask Array, Series or DataFrame, or number, or None
        What rows have beside their values, by the names that `fit` has for it, in chunks as those of `sample_weight`; a
        number is that of all rows.
    """

    def __init__(
        self, X: Any, sample_weight: Any = None, client: Any = None, row_data: Mapping[str, Any] | None = None
    ) -> None:
        self._client = client
        self._parts = _parts_with(X, row_data or {}, sample_weight)

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        run, join = dask.delayed(_run, pure=False), dask.delayed(merge, pure=False)
        shared = dask.delayed((task, state), traverse=False)  # one node of the graph, shared by all partitions
        results = [run(shared, number, X, beside) for number, (X, beside) in enumerate(self._parts)]
        total = partitions.tree(results, join)
        return total.compute() if self._client is None else self._client.compute(total, sync=True)


def _run(shared, number, X, beside):
    task, state = shared
    row_data = dict(beside)
    weight = row_data.pop("sample_weight", None)
    return task(Partition(number, X, None if weight is None else np.asarray(weight), row_data), state)


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


def _parts_with(X, row_data, sample_weight=None):
    """(rows, what they have beside their values by name) of each partition, a list; both Delayed but for numbers, which
    are those of all rows."""
    rows = _parts_of(X)
    weights = {} if sample_weight is None else {"sample_weight": _parts_beside("sample_weight", sample_weight, X, rows)}
    told = {name: own for name, own in row_data.items() if own is not None}
    parts = weights | {
        name: [own] * len(rows) if isinstance(own, Real) else _parts_beside(name, own, X, rows)
        for name, own in told.items()
    }
    return [(part, {name: own[i] for name, own in parts.items()}) for i, part in enumerate(rows)]


def _parts_beside(name, values, X, rows):
    """What the rows of each partition have, a list of Delayed."""
    if not hasattr(values, "to_delayed"):
        raise TypeError(
            f"{name} should be a Dask array, series or dataframe, got {type(values).__name__}: make it one in the "
            "partitions of X, as dask.array.from_array does"
        )
    if hasattr(values, "rechunk"):
        own = {1: -1} if values.ndim == 2 and values.numblocks[1] > 1 else {}
        if hasattr(X, "chunks") and not np.isnan(sum(X.chunks[0]) + sum(values.chunks[0])):
            if len(values) != len(X):
                raise ValueError(f"{name} has {len(values)} rows and X has {len(X)}: give it one for each row of X")
            own[0] = X.chunks[0]
        values = values.rechunk(own) if own else values
    parts = list(np.asarray(values.to_delayed(), dtype=object).ravel())
    if len(parts) != len(rows):
        raise ValueError(
            f"{name} has {len(parts)} partitions and X has {len(rows)}: make it of the columns of X, or give both the "
            "same chunks"
        )
    return parts


def fit(estimator: Any, X: Any, y: Any = None, *, sample_weight: Any = None, client: Any = None, **options: Any) -> Any:
    """Fit a mixture to a Dask array or dataframe.

    Parameters
    ----------
    estimator : mixture by maximum likelihood, BayesianGaussianMixture or DirichletProcessMixture
        Not changed. Each task takes one thread, unless its `n_threads` says otherwise: Dask has one task for each.
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
        Of arrays, or pandas dataframes. 4 to 16 partitions for each thread of the cluster make up for slow ones.
    y : dask Array, Series or DataFrame, default=None
        The responses of mixtures of experts, in the partitions of X; of several responses a column for each.
    sample_weight : dask Array or Series, default=None
        In the partitions of X.
    client : distributed Client, default=None
        None is Dask's current scheduler: that of the last client, or threads.
    **options
        What else rows have beside their values, by the names that `fit` of the estimator has for it, `exposure` and
        `gate_X` say, as `y`, or a number for all rows. Others are of `mixfast.partitions.fit`: `checkpoint`, `every`
        and `resume` for fits that may be stopped, `progress` for a bar of passes.

    Returns
    -------
    fitted : estimator
        The same class, fitted: it predicts, pickles and saves without Dask.

    Raises
    ------
    TypeError
        For estimators that are not fitted to sums over rows, for X that is no Dask collection, and for a `y` that rows
        of the estimator do not have.
    ValueError
        For rows that `fit` refuses: the message begins with the number of the partition.

    See Also
    --------
    mixfast.partitions.fit : How it is done, over any engine.
    """
    row_data, options = tasks.told_apart(estimator, options, y)
    return tasks.fit(estimator, DaskSource(X, sample_weight, client, row_data), **options)


def predict(model: Any, X: Any, **row_data: Any) -> Any:
    """The most likely component of each row, of mixtures of experts the mean of y, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture, MixtureClassifier, or Pipeline of scikit-learn that ends in one
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
    **row_data
        What the method of the model takes beside X, as in `fit`: in the partitions of X, or a number for all rows.

    Returns
    -------
    labels : dask Array of shape (n_samples,), or Series with the index of X
        int64; of classifiers labels of classes; of mixtures of experts float64, and (n_samples, n_classes) or
        (n_samples, n_responses) where `predict` of the model is. What other methods say by a Pipeline is float64, too.

    Raises
    ------
    TypeError
        For what is no mixture of mixfast, for X that is no Dask collection, for row data that the method does not take
        or that are neither Dask collections nor numbers, and for mixtures of experts whose predictions are lists of
        arrays.
    ValueError
        For row data in other partitions than X.
    """
    return _lazily(model, X, "predict", row_data)


def score_samples(model: Any, X: Any, **row_data: Any) -> Any:
    """The log density of each row, in nats, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture, MixtureClassifier, or Pipeline of scikit-learn that ends in one
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
    **row_data
        What the method of the model takes beside X, as in `fit`: `y` of mixtures of experts.

    Returns
    -------
    log_density : dask Array of shape (n_samples,), or Series with the index of X

    Raises
    ------
    TypeError, ValueError
        As `predict`.
    """
    return _lazily(model, X, "score_samples", row_data)


def predict_proba(model: Any, X: Any, **row_data: Any) -> Any:
    """The probability of each component, of classifiers of each class, for each row, lazily, in the partitions of X.

    Parameters
    ----------
    model : fitted mixture, MixtureClassifier, or Pipeline of scikit-learn that ends in one
    X : dask Array of shape (n_samples, n_features), or dask DataFrame
    **row_data
        What the method of the model takes beside X, as in `fit`.

    Returns
    -------
    probabilities : dask Array of shape (n_samples, n_components), or DataFrame with the index of X
        A dataframe has a column for each component, called by its number.

    Raises
    ------
    TypeError, ValueError
        As `predict`.
    """
    return _lazily(model, X, "predict_proba", row_data)


def _lazily(model, X, method, row_data):
    mixture = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if not hasattr(mixture, "_form_of"):
        raise TypeError(
            f"model should be a fitted mixture of mixfast, or a Pipeline of scikit-learn that ends in one, got "
            f"{type(mixture).__name__}: give its method to map_blocks or map_partitions of X"
        )
    check_is_fitted(model)
    row_data = {name: own for name, own in row_data.items() if own is not None}
    own = getattr(model, method)
    try:
        signature(own).bind(X, **row_data)
    except TypeError as error:
        raise TypeError(f"{method}() of a {type(model).__name__}: {error}") from None
    parts, names = _parts_with(X, row_data), list(row_data)
    # of which precision the rows are that other steps make is known when they are made
    is_float32 = mixture is model and getattr(X, "dtype", None) == np.float32
    dtype, width = mixture._form_of(method, np.float32 if is_float32 else np.float64)
    name = f"{method}-{uuid4().hex}"
    if hasattr(X, "map_partitions"):
        empty = np.empty((0, width) if width else 0, dtype)
        meta = pandas.DataFrame(empty) if width else pandas.Series(empty, name=method)
        keys = [(name, i) for i in range(len(parts))]
        graph = ensure_dict(_graph(name, partial(_predict_table, own, names, meta), keys, parts))
        return dask.dataframe.from_graph(graph, meta, X.divisions, keys, method)
    columns = ((width,),) if width else ()
    keys = [(name, i, *(0 for _ in columns)) for i in range(len(parts))]
    graph = _graph(name, partial(_predict_block, own, names, dtype), keys, parts)
    return dask.array.Array(graph, name, (X.chunks[0], *columns), dtype)


def _graph(name, told, keys, parts):
    """The graph of one layer with a task for each part, told(rows, what they have): to optimize an array of 10,000
    blocks of layers of their own took 33 s of processor time, of this 0.4."""
    layer = {name: told} | {
        key: (_call, name, rows.key, [getattr(own, "key", own) for own in beside.values()])
        for key, (rows, beside) in zip(keys, parts, strict=True)
    }
    rows, beside = parts[0]  # those of a collection have one graph
    collections = [rows, *(own for own in beside.values() if dask.is_dask_collection(own))]
    return HighLevelGraph.from_collections(name, layer, dependencies=collections)


def _call(told, X, beside):
    return told(X, beside)


def _predict_block(predict, names, dtype, X, beside):
    return predict(X, **dict(zip(names, beside, strict=True))).astype(dtype, copy=False)


def _predict_table(predict, names, empty, X, beside):
    if not len(X):
        return empty
    found = predict(X, **dict(zip(names, beside, strict=True))).astype(empty.to_numpy().dtype, copy=False)
    if found.ndim == 2:
        return pandas.DataFrame(found, index=X.index)
    return pandas.Series(found, index=X.index, name=empty.name)


def fit_many_groups(
    table: Any,
    estimator: Any,
    by: str | Sequence[str],
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
    by : str or list of str
        The columns that say the group. Of several the result has their values in `problem_0`, `problem_1` and so on.
    columns : list of str
        Those that are fitted.
    kind : {'components', 'problems'}, default='components'
        What the result has a row for, as `BatchResult.to_frame` has it: components of groups, or groups.
    **options
        Of `mixfast.fit_many_groups`, `y="price"` of mixtures of experts say. Each task takes one thread, unless
        `n_threads` is among them.

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
    return wanted.shuffle(on=fit_groups.keys).map_partitions(fit_groups, meta=meta)
