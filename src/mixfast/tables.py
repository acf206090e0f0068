"""Reading of tables and arrays of every form, column by column.

A table is a data frame of pandas, polars, pyarrow or any library that narwhals knows. Names of columns may be of any
type, numbers and dates included, and may repeat. Columns are therefore read by their position, and a name is looked up
in the list of names by `Names`, in the same way everywhere.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable
from functools import cached_property

import numpy as np
import scipy.sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from mixfast.in_messages import among, one_name

#: Advice in messages about columns of strings.
NUMBER_THEM = (
    "number categories first, as sklearn.preprocessing.OrdinalEncoder does, fitted to all rows together: "
    "ProductMixture and CategoricalMixture take these numbers for categories"
)

#: Types of dates and durations, which NumPy would silently convert to numbers.
NO_NUMBERS = (str, bytes, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)

#: How the names of types of dates and durations begin, in NumPy, pandas, polars and pyarrow.
DATES = ("date", "time", "duration", "period")


def check_eager(X):
    """Raises TypeError for a lazy table, such as a polars LazyFrame."""
    if hasattr(type(X), "collect"):
        raise TypeError(f"a {type(X).__name__} has no rows yet: pass its .collect()")


def names_of(X):
    """Names of the columns of a table, a list; None for what is no table."""
    check_eager(X)
    # attributes of the type, since a column may be called 'columns'; `columns` of a pyarrow table are not names
    for attribute in ("column_names", "columns"):
        if hasattr(type(X), attribute):
            return list(getattr(X, attribute))
    return None


def is_table(X):
    return names_of(X) is not None


def adopted(X):
    """X in a form that the rest of the package reads: masked values of a masked array become NaN, or None in object
    arrays; an object that only has the Arrow PyCapsule interface becomes a table."""
    check_eager(X)
    if isinstance(X, np.ma.MaskedArray):
        return _unmasked(X)
    speaks_arrow = [hasattr(type(X), f"__arrow_c_{form}__") for form in ("stream", "array")]
    is_batch = speaks_arrow[1] and hasattr(type(X), "column_names")  # pyarrow's, which narwhals does not read
    if not any(speaks_arrow) or (hasattr(X, "__array__") and not is_batch):  # tables have the interface too
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
    """Raises ValueError if a column of a table, or an array (named `what` in the message), holds dates or durations.
    Converted to numbers they would be nanoseconds, and missing ones -9e18."""
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
    """The types of the columns of a table, those of its library."""
    return X.dtypes if hasattr(type(X), "dtypes") else X.schema.types  # pyarrow has the latter


def is_single(X):
    """Whether X is a table of float32 columns that scikit-learn would convert to float64, since it looks at the types
    of NumPy and pandas columns only."""
    kinds = [] if not is_table(X) or hasattr(type(X), "iloc") else _types_of(X)
    return len(kinds) > 0 and all(str(kind) in ("Float32", "float") for kind in kinds)  # pyarrow's is float


def check_one_number_a_row(values, name):
    """Raises ValueError if an argument with a number for each row, such as `sample_weight`, holds dates or masked
    values."""
    check_no_dates(values, name)
    if isinstance(values, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(values)):
        raise ValueError(f"{name} hides some of its values: leave these rows out, or fill the values in with .filled()")


def check_no_words(values, name):
    """Raises ValueError if an argument with a number for each row holds a string that is no number, or is one."""
    text = next((value for value in _objects_of(values) if isinstance(value, str) and not _is_number(value)), None)
    if text is not None:
        raise ValueError(f"{name} should have a number for each row, got {one_name(text)}")


def _objects_of(values):
    """The values of what may hold strings: a string itself, a list or an array of objects or strings; else nothing."""
    if isinstance(values, str):
        return [values]
    if isinstance(values, list | tuple):
        return values
    kind = getattr(getattr(values, "dtype", None), "kind", "")  # types of polars and pyarrow have none
    return np.ravel(np.asarray(values)).tolist() if kind in ("O", "U", "S") else []


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def share_names(names):
    """Whether names repeat when they are converted to strings, as scikit-learn would do: 1 and "1" are the same."""
    return len(set(map(str, names))) < len(names)


def scikit_learn_refuses(names):
    """Whether scikit-learn refuses a table with these names: it wants distinct strings, or no strings at all."""
    return share_names(names) or 0 < sum(isinstance(name, str) for name in names) < len(names)


def feature_names(names):
    """Names as scikit-learn's feature_names_in_, an object array; None unless all are distinct strings."""
    if names is None or not all(isinstance(name, str) for name in names) or share_names(names):
        return None
    return np.array(names, dtype=object)


def _comparable(name):
    """A key that is equal for equal names: every NaN, in tuples too, is replaced by the same one."""
    if isinstance(name, tuple):
        return tuple(map(_comparable, name))
    return math.nan if isinstance(name, (float, np.floating)) and name != name else name


def same_names(one, other):
    """Whether two lists of names are equal; NaN is the same name as NaN."""
    return list(map(_comparable, one)) == list(map(_comparable, other))


class Names:
    """Names of columns, with a lookup of their positions by hashing.

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
        """Positions of the columns of that name, a list. 1, 1.0 and True are one name, as in a dict; so are all NaN."""
        if isinstance(name, Hashable):
            return self._places.get(_comparable(name), [])
        return [place for place, own in enumerate(self._names) if _is_same(own, name)]

    def place_of(self, name):
        """The position of the column of that name. Raises ValueError where none or several have it."""
        places = self.places_of(name)
        if not places:
            raise ValueError(f"there is no column {one_name(name)}: {among(name, self._names)}")
        if len(places) > 1:
            raise ValueError(f"{len(places)} columns are called {one_name(name)}: give each a name of its own")
        return places[0]


def _is_same(one, other):
    """Whether two names are equal; False where they cannot be compared."""
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


class Table:
    """A table whose columns are read by position.

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
        """The columns as narwhals Series, a list."""
        return list(self._frame.iter_columns())

    @cached_property
    def _known(self):
        return Names(self.names)

    def is_name(self, name):
        """Whether a column has that name."""
        return bool(self._known.places_of(name))

    def place_of(self, name):
        """The position of the column of that name. Raises ValueError where none or several have it."""
        return self._known.place_of(name)

    def reals(self, place):
        """A column of numbers, float32 if that is its type, else float64; missing values are NaN. Raises ValueError,
        with the column's name, where it does not hold numbers."""
        return as_reals(self.series[place], self.names[place])

    def all_reals(self):
        """Each column as `reals` has it, a list. Where all are of one type of real numbers they are cut from one array:
        5 us a column, and 40 one by one."""
        types = set(self._frame.schema.values())
        if len(types) == 1 and types.pop().is_float():
            values = self._frame.to_numpy()
            if values.dtype in (np.float32, np.float64):
                return list(values.T)
        return [self.reals(place) for place in range(len(self.names))]

    def labels(self, place):
        """A column of strings as an array of objects, of numbers as `reals` has it."""
        if not self.series[place].dtype.is_numeric():
            values = as_values(self.series[place].to_list())
            if hold_words(values):
                return values
        return self.reals(place)

    def columns_at(self, places, dtype=None):
        """A table of the same library with the columns at `places`, under their names; values are converted to `dtype`
        unless that is None."""
        import narwhals as nw

        frame = self._frame.select([self._frame.columns[place] for place in places])
        if dtype is not None:
            values = {name: frame[name].to_numpy().astype(dtype) for name in frame.columns}
            frame = nw.from_dict(values, backend=frame.implementation)
        return _with_names(frame.to_native(), [self.names[place] for place in places])

    def is_missing(self, place):
        """Mask (n_rows,) of missing values, nulls and NaN, of a column of any type."""
        levels = levels_of(self.series[place])
        if levels is not None:
            return np.array([*map(is_nothing, levels[0]), True])[levels[1]]
        missing, values = self.series[place].is_null().to_numpy().astype(bool), self.series[place].to_numpy()
        return missing | np.isnan(values) if values.dtype.kind == "f" else missing


#: Libraries that `in_library` can return tables of.
LIBRARIES = ("pandas", "polars", "pyarrow")


def library_of(data):
    """The library of a table, one of `LIBRARIES`; None for others and for what is no table."""
    name = type(data).__module__.partition(".")[0]
    return name if name in LIBRARIES else None


def in_library(frame, library):
    """Convert a pandas DataFrame to a table of `library`; None is pandas."""
    if library in (None, "pandas"):
        return frame
    import narwhals as nw

    own = nw.from_native(frame, eager_only=True)
    return own.to_polars() if library == "polars" else own.to_arrow()


def _with_plain_names(X, n_columns):
    """The table with its columns renamed "0", "1", ..., names that every library can look up."""
    return _with_names(X, [str(place) for place in range(n_columns)])


def _with_names(X, names):
    if hasattr(type(X), "rename_columns"):  # pyarrow, where two columns may have the same name
        return X.rename_columns(names)
    if hasattr(type(X), "set_axis"):  # pandas and its kin, where names may be anything
        return X.set_axis(names, axis="columns")
    return X  # polars: names are different strings, and stay


def as_reals(series, name):
    values = series.to_numpy()
    if values.dtype.kind not in "fiub" or values.ndim != 1:  # the type itself takes 20 us of each column to ask for
        if series.dtype.is_temporal() or series.dtype.is_nested():
            raise ValueError(
                f"column {name!r} holds {series.dtype}, which is no number: leave it out, or make numbers of it"
            )
        nulls = series.is_null().to_list()
        values = _reals([np.nan if null else value for value, null in zip(series.to_list(), nulls, strict=True)])
        if values is None:
            raise ValueError(f"column {name!r} is not numeric: leave it out, or {NUMBER_THEM}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def declared_categories(series):
    """The categories of a column of type polars Enum or pandas categorical, in their order; None for other types."""
    categories = getattr(series.dtype, "categories", None)  # of an Enum, and of ordered ones of pandas
    if categories is None:
        categories = getattr(getattr(series.to_native(), "cat", None), "categories", None)
    return None if categories is None else as_values(list(categories))


def levels_of(series):
    """(levels, number of the level of each row, -1 where it is missing) of a column whose type keeps distinct values
    once: pandas categoricals, Enum and Categorical of polars, dictionaries of pyarrow, and its strings, which pyarrow
    numbers in a tenth of the time that Python takes. Levels are a list; some may be missing, equal, or in no row. None
    for other types."""
    import narwhals as nw

    native = series.to_native()
    if hasattr(native, "dictionary_encode"):
        return _levels_of_arrow(native)
    codes = getattr(getattr(native, "cat", None), "codes", None)
    if codes is not None:
        return list(native.cat.categories), codes.to_numpy().astype(np.intp)
    if series.dtype in (nw.Categorical, nw.Enum) and hasattr(native, "to_physical"):
        levels = native.unique().drop_nulls()
        numbers, rows = levels.to_physical().to_numpy(), native.to_physical()
        place = np.full(int(numbers.max(initial=0)) + 1, -1, dtype=np.intp)
        place[numbers] = np.arange(len(numbers))
        return levels.to_list(), np.where(rows.is_null().to_numpy(), -1, place[rows.fill_null(0).to_numpy()])
    return None


def _levels_of_arrow(column):
    """`levels_of` of a column of pyarrow."""
    import pyarrow
    from pyarrow import types

    if types.is_string(column.type) or types.is_large_string(column.type):
        column = column.dictionary_encode()
    elif not types.is_dictionary(column.type):
        return None
    levels, codes, last, first = [], [np.empty(0, dtype=np.intp)], None, 0
    for chunk in column.chunks:
        if last is None or not chunk.dictionary.equals(last):
            last, first = chunk.dictionary, len(levels)
            levels += last.to_pylist()
        own = chunk.indices.cast(pyarrow.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        codes.append(np.where(own < 0, -1, own + first))
    return levels, np.concatenate(codes).astype(np.intp, copy=False)


def as_values(values):
    """A one-dimensional array of the values: numeric where all are numbers, else of objects."""
    array = np.asarray(values) if not any(np.ndim(value) for value in values) else np.empty(0)
    if array.ndim == 1 and len(array) == len(values) and array.dtype.kind in "biuf":
        return array
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def hold_words(values):
    """Whether an array has strings."""
    return values.dtype.kind in "US" or (
        values.dtype == object and any(isinstance(own, str) for own in values.ravel().tolist())
    )


def _reals(values):
    """Numbers of any type, decimals included, as float64; None if some value is no number, or a string, even "1.5"."""
    if any(isinstance(value, NO_NUMBERS) for value in values):
        return None
    try:
        reals = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return reals if reals.ndim == 1 else None


def is_nothing(value):
    """Whether a value is missing: None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def objects_as_reals(X):
    """An object array of numbers as float64, missing values as NaN; X itself if it holds anything else."""
    if not isinstance(X, np.ndarray) or X.dtype != object or X.ndim == 0:
        return X
    flat = _reals([np.nan if is_nothing(value) else value for value in X.ravel().tolist()])
    return X if flat is None else flat.reshape(X.shape)


def without_entries(X, places=None):
    """Mask (n_rows,) of rows that have no entry in the columns at `places`, or in any: all are NaN, None or null. What
    is wrong with rows is said where they are read: rows of anything else have entries."""
    X = adopted(X)
    if is_table(X):
        table = Table(X)
        masks = [table.is_missing(place) for place in (range(len(table.names)) if places is None else places)]
        return np.all(masks, axis=0) if masks else np.zeros(len(table), dtype=bool)
    if scipy.sparse.issparse(X):
        X = X.tocsr() if places is None else X.tocsc()[:, places].tocsr()
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[np.isnan(X.data)]
        return np.bincount(rows, minlength=X.shape[0]) == X.shape[1]
    try:
        X = objects_as_reals(np.asarray(X))
    except ValueError:  # lists of several lengths
        return np.zeros(_num_samples(X), dtype=bool)
    if X.ndim not in (1, 2):
        return np.zeros(len(X) if X.ndim else 1, dtype=bool)
    X = X[:, np.newaxis] if X.ndim == 1 else X
    X = X if places is None else X[:, places]
    if X.dtype.kind == "O":
        missing = np.array([is_nothing(value) for value in X.flat], dtype=bool).reshape(X.shape)
    else:
        missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, dtype=bool)
    return missing.all(axis=1) if X.shape[1] else np.zeros(len(X), dtype=bool)


def as_columns(X, name, reads=None):
    """X as a float array (n_rows, n_columns) or a sparse matrix in CSR form; one-dimensional X is a single column.

    name : of X in messages
    reads : function (list of names) -> mask of the columns of a table that are needed, or None for all. Others may hold
        anything, and are 0
    Raises ValueError or TypeError, with the column's name, for what does not hold numbers.
    """
    X = adopted(X)
    if names_of(X) == []:  # what to do about it depends on the estimator, and is said where that is known
        return np.empty((_num_samples(X), 0))
    if is_table(X):
        try:
            looked_at = [True] if reads is None else reads(names_of(X))
            return table_of_reals(X) if all(looked_at) else columns_of_reals(Table(X), range(len(looked_at)), looked_at)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from None
    X = scipy.sparse.csr_matrix(X) if scipy.sparse.issparse(X) else objects_as_reals(np.asarray(X))
    if X.ndim in (1, 2) and X.dtype.kind in "OUS":
        try:
            check_numbers(X, "a batch", f"leave it out, or {NUMBER_THEM}")
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
    """A sparse matrix in CSR form without explicit zeros and with sorted column indices; X itself if it has that
    form."""
    if X.has_canonical_format and np.all(X.data):
        return X
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def table_of_reals(X):
    """A table of numbers as an array, float32 or float64 as scikit-learn would choose; missing values are NaN. Raises
    ValueError, ours with the column's name or scikit-learn's, where a column does not hold numbers."""
    if share_names(names_of(X)):  # scikit-learn refuses such tables
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
    """Columns of a `Table`, at `places`, as an array (n_rows, n_places); those where the mask `looked_at` is False are
    not read, and 0."""
    zeros = np.zeros(
        len(table), dtype=np.float32
    )  # float32, so that the common type is that of the columns that are read
    return np.column_stack([table.reals(j) if looked else zeros for j, looked in zip(places, looked_at, strict=True)])


def columns_of(data):
    """(names of the columns or None, list of float arrays (n_rows,)) of a table or a two-dimensional array."""
    data = adopted(data)
    if not is_table(data):
        X = as_columns(data, "data")
        return None, [X[:, [j]].toarray().ravel() if scipy.sparse.issparse(X) else X[:, j] for j in range(X.shape[1])]
    table = Table(data)
    return table.names, table.all_reals()


# ---- what is wrong with rows that were refused ----


#: What may be done about a column of strings in the rows of a single fit.
TAKE_ANOTHER = (
    "leave it out, number its categories, or take ProductMixture or CategoricalMixture, which have a place for "
    "categories"
)


def check_numbers(X, what, advice=TAKE_ANOTHER):
    """Explain why X was refused: raises ValueError with the first column of strings or dates; returns None where all
    columns are numbers. `what` is who wants these, the name of the estimator perhaps."""
    for name, values in _columns_that_are_no_numbers(X):
        text = next((value for value in values if isinstance(value, str)), None)
        if text is None:
            continue
        raise ValueError(
            f"Column {name!r} of X holds strings such as {_shortened(text)!r}, and {what} wants numbers: "
            + (
                "count the words of texts first, as sklearn.feature_extraction.text.CountVectorizer does"
                if len(text.split()) > 3 or (not is_table(X) and np.ndim(X) == 1)
                else advice
            )
        )


def _shortened(text):
    return text if len(text) <= 40 else text[:37] + "..."


def _columns_that_are_no_numbers(X):
    """(name or position, list of values) of each column of objects, an iterator."""
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


def check_no_infinity(X, called="X", said=None):
    """Raises ValueError with the first column, by its name or place, and the row of an infinite number; `called` is the
    name of the argument, `said` how the message begins, scikit-learn's words where it has looked at X."""
    found = _first_entry(X, np.isinf)
    if found is not None:
        raise ValueError(
            f"{said or f'Input {called} contains infinity.'} It is in {found}: leave such rows out, or put finite "
            "numbers there (the logarithm of 0 is infinite)"
        )


def check_no_missing(X, what, estimators=None, called="X"):
    """Raises ValueError with the first column that has missing values, and with the names of `estimators` that accept
    them, None where there are none of its kind; returns None where nothing is missing. `what` is the name of the
    estimator, `called` that of the argument."""
    found = _first_entry(X, np.isnan)
    if found is not None:
        remedy = "or fill them in" if estimators is None else f"fill them in, or take {estimators}, which have"
        raise ValueError(
            f"Input {called} contains NaN: {found}. {what} has no place for missing values: leave such rows out, "
            f"{remedy}"
        )


def _first_entry(X, is_it):
    """Where the first entry is, column by column, of which `is_it` is true, as messages say it: ``column 'a', row 3``,
    of one dimension ``row 3``. None where there is none, and where X is no array of numbers."""
    if scipy.sparse.issparse(X):
        entries = X.tocoo()
        wrong = np.flatnonzero(is_it(entries.data)) if entries.data.dtype.kind == "f" else []
        return f"column {entries.col[wrong[0]]}, row {entries.row[wrong[0]]}" if len(wrong) else None
    if is_table(X):
        table = Table(X)
        columns = ((f"column {one_name(name)}, ", table.reals(place)) for place, name in enumerate(table.names))
    else:
        X = objects_as_reals(np.asarray(X))
        if X.ndim not in (1, 2) or X.dtype.kind != "f":
            return None
        columns = [("", X)] if X.ndim == 1 else ((f"column {place}, ", own) for place, own in enumerate(X.T))
    return next((f"{column}row {np.argmax(is_it(own))}" for column, own in columns if np.any(is_it(own))), None)
