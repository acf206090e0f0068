"""Tables and arrays of every form, read column by column.

A table is what has names of columns: of pandas, polars, pyarrow and whatever else narwhals knows. Names may be
anything, numbers and dates included; columns are read by their place, and a name is looked up in the list of names, so
that it means the same wherever it is used.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable
from functools import cached_property

import numpy as np
import scipy.sparse
from sklearn.utils import check_array

#: What to do where categories are strings.
NUMBER_THEM = (
    "number categories first, as sklearn.preprocessing.OrdinalEncoder does, fitted to all rows together, and take "
    "ProductMixture or CategoricalMixture, which have a place for them"
)

#: Types that NumPy would make numbers of.
NO_NUMBERS = (str, bytes, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)

#: How the names of types of dates and durations begin, in NumPy, pandas, polars and pyarrow.
DATES = ("date", "time", "duration", "period")


def check_eager(X):
    """Raises TypeError for a polars LazyFrame and its like."""
    if hasattr(type(X), "collect"):
        raise TypeError(f"a {type(X).__name__} has no rows yet: pass its .collect()")


def names_of(X):
    """Names of the columns of a table, as they are; None for all else."""
    check_eager(X)
    # the type is asked, for a column may have any name; a pyarrow table has its columns themselves as `columns`
    for attribute in ("column_names", "columns"):
        if hasattr(type(X), attribute):
            return list(getattr(X, attribute))
    return None


def is_table(X):
    return names_of(X) is not None


def adopted(X):
    """X in a form that the rest of the package reads: what a masked array hides is NaN, or None among objects, and what
    only speaks Arrow is a table."""
    check_eager(X)
    if isinstance(X, np.ma.MaskedArray):
        return _unmasked(X)
    speaks_arrow = [hasattr(type(X), f"__arrow_c_{form}__") for form in ("stream", "array")]
    is_batch = speaks_arrow[1] and hasattr(type(X), "column_names")  # pyarrow's, which narwhals does not read
    if not any(speaks_arrow) or (hasattr(X, "__array__") and not is_batch):  # tables have that too
        return X
    try:
        import pyarrow

        return pyarrow.table(X)
    except ImportError:
        import polars

        return polars.DataFrame(X)


def _unmasked(X):
    if not np.any(np.ma.getmaskarray(X)):
        return X.data
    if X.dtype.kind not in "fiub":
        values = np.array(X.data, dtype=object)  # .filled(None) would put the array's own fill value
        values[np.ma.getmaskarray(X)] = None
        return values
    return (X if X.dtype.kind == "f" else X.astype(np.float64)).filled(np.nan)


def check_no_dates(X, what="X"):
    """Raises ValueError where columns of a table, or an array that is called `what`, hold dates or durations: as
    numbers they would be nanoseconds, and a missing one -9e18."""
    names = names_of(X)
    if names is None:
        kinds = {what: getattr(X, "dtype", getattr(X, "type", ""))}.items()  # pyarrow's columns have the latter
    else:
        kinds = ((f"Column {name!r}", kind) for name, kind in zip(names, _types_of(X), strict=True))
    for whose, kind in kinds:
        if str(kind).lower().startswith(DATES):
            raise ValueError(
                f"{whose} holds {kind}: leave dates and durations out, or make numbers of them, for instance days "
                "since the first one"
            )


def _types_of(X):
    """Those of a table's columns, as its library has them."""
    return X.dtypes if hasattr(type(X), "dtypes") else X.schema.types  # pyarrow has the latter


def is_single(X):
    """Whether X is a table whose columns are all float32 which scikit-learn would make float64: it asks pandas' for
    their types, and no others'."""
    kinds = [] if not is_table(X) or hasattr(type(X), "iloc") else _types_of(X)
    return len(kinds) > 0 and all(str(kind) in ("Float32", "float") for kind in kinds)  # pyarrow's is float


def check_one_number_a_row(values, name):
    """Raises ValueError where an argument such as `sample_weight` holds dates, or a mask hides some of its values."""
    check_no_dates(values, name)
    if isinstance(values, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(values)):
        raise ValueError(f"{name} hides some of its values: leave these rows out, or fill the values in with .filled()")


def share_names(names):
    """Whether several columns have the same name; 1 and "1" are the same here, for scikit-learn wants names to be
    different strings."""
    return len(set(map(str, names))) < len(names)


def scikit_learn_refuses(names):
    """Whether a table with these names has to be read by place, as an array: scikit-learn wants different strings, or
    no strings at all."""
    return share_names(names) or 0 < sum(isinstance(name, str) for name in names) < len(names)


def feature_names(names):
    """An object array, as scikit-learn's feature_names_in_; None where there are none, some are no strings, or some are
    the same."""
    if names is None or not all(isinstance(name, str) for name in names) or share_names(names):
        return None
    return np.array(names, dtype=object)


def _comparable(name):
    """The name, with one NaN for all of them, which are not equal to each other; in tuples too."""
    if isinstance(name, tuple):
        return tuple(map(_comparable, name))
    return math.nan if isinstance(name, (float, np.floating)) and name != name else name


def same_names(one, other):
    """Whether two lists of names are equal; NaN is the same name as NaN."""
    return list(map(_comparable, one)) == list(map(_comparable, other))


class Names:
    """Names of columns, and where they are: looking one up takes no walk through all of them.

    Iterates over the names as the table has them: strings, numbers, dates, tuples; some may be the same.
    """

    def __init__(self, names):
        self._names, self._places = list(names), {}
        for place, name in enumerate(self._names):
            if isinstance(name, Hashable):
                self._places.setdefault(_comparable(name), []).append(place)

    def __len__(self):
        return len(self._names)

    def __getitem__(self, place):
        return self._names[place]

    def places_of(self, name):
        """The places of the columns of that name; 1, 1.0 and True are one name, as in a dict, and all NaN are."""
        if isinstance(name, Hashable):
            return self._places.get(_comparable(name), [])
        return [place for place, own in enumerate(self._names) if _is_same(own, name)]


def _is_same(one, other):
    """Whether two names are the same. What cannot be compared is not."""
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


class Table:
    """A table's columns by place, whatever they are called.

    Attributes
    ----------
    names : list
        Names of the columns as the table has them: strings, numbers, dates, tuples; some may be the same.
    """

    def __init__(self, X):
        try:
            import narwhals as nw
        except ImportError:
            raise ImportError("reading tables needs narwhals: install mixfast[tables], or pass an array") from None
        X = adopted(X)
        names = names_of(X)
        if names is None:
            raise TypeError(f"a {type(X).__name__} is no table: pass one of pandas, polars or pyarrow")
        self.names = names
        self._frame = nw.from_native(_with_plain_names(X, len(names)), eager_only=True)

    def __len__(self):
        return len(self._frame)

    @cached_property
    def series(self):
        """The columns, narwhals' series."""
        return list(self._frame.iter_columns())

    @cached_property
    def _known(self):
        return Names(self.names)

    def is_name(self, name):
        """Whether a column is called so."""
        return bool(self._known.places_of(name))

    def place_of(self, name):
        """The place of the column of that name; raises ValueError where none or several have it."""
        places = self._known.places_of(name)
        if not places:
            raise ValueError(f"there is no column {name!r}: the table has {self.names}")
        if len(places) > 1:
            raise ValueError(f"{len(places)} columns are called {name!r}: give each a name of its own")
        return places[0]

    def reals(self, place):
        """A column of numbers: float32 where it has that, else float64; nothing is NaN."""
        return as_reals(self.series[place], self.names[place])

    def columns_at(self, places, dtype=None):
        """A table of the same library with some of the columns, under their names; `dtype` is what values become."""
        import narwhals as nw

        frame = self._frame.select([self._frame.columns[place] for place in places])
        if dtype is not None:
            values = {name: frame[name].to_numpy().astype(dtype) for name in frame.columns}
            frame = nw.from_dict(values, backend=frame.implementation)
        return _with_names(frame.to_native(), [self.names[place] for place in places])

    def is_missing(self, place):
        """Where a column of any type has nothing, or NaN."""
        missing, values = self.series[place].is_null().to_numpy().astype(bool), self.series[place].to_numpy()
        return missing | np.isnan(values) if values.dtype.kind == "f" else missing


#: Libraries that tables are given back in.
LIBRARIES = ("pandas", "polars", "pyarrow")


def library_of(data):
    """That of a table, of those that tables are given back in, or None."""
    name = type(data).__module__.partition(".")[0]
    return name if name in LIBRARIES else None


def in_library(frame, library):
    """A pandas DataFrame as a table of that library; None is pandas."""
    if library in (None, "pandas"):
        return frame
    import narwhals as nw

    own = nw.from_native(frame, eager_only=True)
    return own.to_polars() if library == "polars" else own.to_arrow()


def _with_plain_names(X, n_columns):
    """The same table with names that every library can look up: numbers of the columns as strings."""
    return _with_names(X, [str(place) for place in range(n_columns)])


def _with_names(X, names):
    if hasattr(type(X), "rename_columns"):  # pyarrow, where two columns may have the same name
        return X.rename_columns(names)
    if hasattr(type(X), "set_axis"):  # pandas and its kin, where names may be anything
        return X.set_axis(names, axis="columns")
    return X  # polars: names are different strings, and stay


def as_reals(series, name):
    values = series.to_numpy()
    if series.dtype.is_temporal() or series.dtype.is_nested():
        raise ValueError(
            f"column {name!r} holds {series.dtype}, which is no number: leave it out, or make numbers of it"
        )
    if values.dtype.kind not in "fiub":
        nulls = series.is_null().to_list()
        values = _reals([np.nan if null else value for value, null in zip(series.to_list(), nulls, strict=True)])
        if values is None:
            raise ValueError(f"column {name!r} is not numeric: leave it out, or {NUMBER_THEM}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def declared_categories(series):
    """The categories of a polars Enum or a pandas categorical, in their order; None where the type has none."""
    categories = getattr(series.dtype, "categories", None)  # of an Enum, and of ordered ones of pandas
    if categories is None:
        categories = getattr(getattr(series.to_native(), "cat", None), "categories", None)
    return None if categories is None else as_values(list(categories))


def as_values(values):
    """An array of one dimension: of numbers where they are such, else of objects as they are."""
    array = np.asarray(values) if not any(np.ndim(value) for value in values) else np.empty(0)
    if array.ndim == 1 and len(array) == len(values) and array.dtype.kind in "biuf":
        return array
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _reals(values):
    """float64 of numbers of any type, decimals included; None where some are none, strings that look like them too."""
    if any(isinstance(value, NO_NUMBERS) for value in values):
        return None
    try:
        reals = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return reals if reals.ndim == 1 else None


def is_nothing(value):
    """None, NaN, or what pandas has for them."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def objects_as_reals(X):
    """An object array of numbers as float64, NaN where there is nothing; X itself where it holds anything else."""
    if not isinstance(X, np.ndarray) or X.dtype != object or X.ndim == 0:
        return X
    flat = _reals([np.nan if is_nothing(value) else value for value in X.ravel().tolist()])
    return X if flat is None else flat.reshape(X.shape)


def as_columns(X, name, reads=None):
    """An array of reals with two dimensions, or a sparse matrix in CSR form; a single dimension is one column.
    `reads(names)` is a mask of the columns of a table that somebody looks at: others may hold anything and are 0."""
    X = adopted(X)
    if is_table(X):
        try:
            looked_at = [True] if reads is None else reads(names_of(X))
            return table_of_reals(X) if all(looked_at) else columns_of_reals(Table(X), range(len(looked_at)), looked_at)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from None
    X = scipy.sparse.csr_matrix(X) if scipy.sparse.issparse(X) else objects_as_reals(np.asarray(X))
    if X.ndim in (1, 2) and X.dtype.kind in "OUS":
        try:
            check_numbers(X, "the mixture")
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} should be an array (n_samples, n_features) of numbers, got {X.dtype} {X.shape}"
            + (f": {NUMBER_THEM}" if X.ndim == 2 and X.dtype.kind in "OUS" else "")
        )
    return X


def canonical(X):
    """A sparse matrix in CSR form without zeros, the columns of each row in order; `X` itself where it is so."""
    if X.has_canonical_format and np.all(X.data):
        return X
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def table_of_reals(X):
    """A table of numbers as an array, as scikit-learn reads it: float32 or float64; nothing is NaN. Raises ValueError
    that names the column, or scikit-learn's, for what is no number."""
    if share_names(names_of(X)):  # which scikit-learn does not read
        table = Table(X)
        return np.column_stack([table.reals(place) for place in range(len(table.names))])
    dtype = np.float32 if is_single(X) else [np.float64, np.float32]
    try:
        array = check_array(X, dtype=dtype, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0)
    except (TypeError, ValueError):
        check_numbers(X, "the mixture")
        raise
    check_no_dates(X)
    return array


def columns_of_reals(table, places, looked_at):
    """Columns of a `Table` as an array; those that nobody looks at are 0."""
    zeros = np.zeros(len(table), dtype=np.float32)  # of a precision that makes no other column wider
    return np.column_stack([table.reals(j) if looked else zeros for j, looked in zip(places, looked_at, strict=True)])


def columns_of(data):
    """(names or None, arrays of reals)"""
    data = adopted(data)
    if not is_table(data):
        X = as_columns(data, "data")
        return None, [X[:, [j]].toarray().ravel() if scipy.sparse.issparse(X) else X[:, j] for j in range(X.shape[1])]
    table = Table(data)
    return table.names, [table.reals(place) for place in range(len(table.names))]


# ---- what is wrong with rows that were refused ----


def check_numbers(X, what):
    """Raises ValueError that names the first column of strings or dates of a table or an array that `what`, an
    estimator's name, refused; nothing where all columns are numbers."""
    for name, values in _columns_that_are_no_numbers(X):
        text = next((value for value in values if isinstance(value, str)), None)
        if text is None:
            continue
        raise ValueError(
            f"Column {name!r} of X holds strings such as {_shortened(text)!r}, and {what} wants numbers: "
            + (
                "count the words of texts first, as sklearn.feature_extraction.text.CountVectorizer does"
                if len(text.split()) > 3 or (not is_table(X) and np.ndim(X) == 1)
                else "leave it out, number its categories, or take ProductMixture or CategoricalMixture, which have a "
                "place for categories"
            )
        )


def _shortened(text):
    return text if len(text) <= 40 else text[:37] + "..."


def _columns_that_are_no_numbers(X):
    """(name or number, list of values) of each column of objects."""
    if scipy.sparse.issparse(X):
        return
    if is_table(X):
        table = Table(X)
        for name, series in zip(table.names, table.series, strict=True):
            if series.to_numpy().dtype.kind not in "fiub":
                yield name, series.to_list()
        return
    X = np.asarray(X, dtype=object)
    for j, column in enumerate(X.T if X.ndim == 2 else [X.ravel()]):
        yield j, column.tolist()


def check_no_missing(X, what, estimators):
    """Raises ValueError that names the first column in which something is missing, and what to do, where `what` has no
    place for it; nothing where all is there."""
    if scipy.sparse.issparse(X):
        entries = X.tocoo()
        wrong = np.flatnonzero(np.isnan(entries.data)) if entries.data.dtype.kind == "f" else []
        found = [(int(entries.col[place]), int(entries.row[place])) for place in wrong[:1]]
    elif is_table(X):
        table = Table(X)
        columns = ((name, table.reals(place)) for place, name in enumerate(table.names))
        found = [(name, int(np.argmax(np.isnan(own)))) for name, own in columns if np.any(np.isnan(own))]
    else:
        X = objects_as_reals(np.asarray(X))
        if X.ndim != 2 or X.dtype.kind != "f":
            return
        found = [(j, int(np.argmax(np.isnan(own)))) for j, own in enumerate(X.T) if np.any(np.isnan(own))]
    if found:
        name, row = found[0]
        raise ValueError(
            f"Input X contains NaN: column {name!r}, row {row}. {what} has no place for missing values: leave such "
            f"rows out, fill them in, or take {estimators}, which have"
        )
