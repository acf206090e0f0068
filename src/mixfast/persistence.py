"""Models in files: a header in JSON and arrays, never a pickle. The project's docs/files.md has the format.

A file holds a kind of content, the name of a class, and sections of named values. Classes say themselves how they are
taken apart and made again: `_contents` and `_from_contents` of what is saved by itself, `Storable` of what may also be
a value of another. This room knows them by the names that a file may have, and imports one when a file has its name:
scikit-learn takes 125 MB (with pandas beside it), which a file that is refused has no claim to.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from mixfast import archive
from mixfast._names import HOMES, KINDS, PARTS
from mixfast._typing import PathLike
from mixfast._version import __version__
from mixfast.scalars import SCALARS, class_name_of, form_of
from mixfast.status import Status

FORMAT = "mixfast"
#: Goes up when a file can no longer be read by what wrote the files before.
VERSION = 1

#: Types that JSON gives back as they were.
PLAIN = (bool, int, float, str, type(None))

#: Numbers that JSON has no name for, by that which Python gives them.
NOT_FINITE = {repr(value): value for value in (math.nan, math.inf, -math.inf)}


class Contents(NamedTuple):
    """What a file holds: `sections` are dicts of values by name, in a dict by name. `classes` are those, by name, that
    may be made beside mixfast's own."""

    kind: str
    class_name: str
    sections: dict
    classes: dict = {}  # never changed


# ---- values ---------------------------------------------------------------------------------------------------------


def _list_of(array):
    if array.ndim != 1:
        raise ValueError(f"an array of {array.ndim} dimensions is no list")
    return list(array) if array.dtype.kind == "f" else array.tolist()  # bounds are NumPy's numbers, columns Python's


def _strings(values):
    if type(values) is not list or not all(type(value) is str for value in values):
        raise ValueError(f"{values!r} is no list of strings")
    return np.array(values, dtype=object)


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _interval(parts):
    import pandas as pd

    return pd.Interval(*parts)


def _status(value):
    known = sum(Status)
    if type(value) is not int or value & ~known:
        raise ValueError(f"mixfast {__version__} has no status {value!r}: update mixfast")
    return Status(value)


#: How what is no plain value is made again, by where it is in the file and the form that the header names; "object" is
#: left to `object_of`.
DECODERS = {
    "entry": {
        "array": lambda array: array[()],  # a NumPy scalar where there are no dimensions
        "list": _list_of,
    },
    "items": {
        "items": list,
        "tuple": tuple,
        "dict": lambda parts: dict(zip(parts[0], parts[1:], strict=True)),
        "objects": _objects,
        "interval": _interval,
    },
    "value": {"strings": _strings, "status": _status, "float": NOT_FINITE.__getitem__, **SCALARS},
}


def _is_plain_list(value):
    """Whether all items are numbers, or lists of numbers of one length: what is an array in the file. An array of
    nothing would not say that it was a tuple."""
    if value == ():
        return False
    try:
        return np.asarray(value).dtype.kind in "biuf" and not any(isinstance(item, np.ndarray) for item in value)
    except ValueError:  # of different lengths
        return False


def _parts(value):
    """(form, values that `value` is made of), None where it is none of several."""
    if isinstance(value, (list, tuple)) and not _is_plain_list(value):
        return ("tuple" if isinstance(value, tuple) else "items"), list(value)
    if isinstance(value, dict):
        return "dict", [list(value), *value.values()]
    if isinstance(value, Storable):
        check_name(value)
        return "object", [type(value).__name__, *value._sections().values()]
    if class_name_of(value) == ("pandas", "Interval"):
        return "interval", [value.left, value.right, value.closed]
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1 and not _are_strings(value):
        return "objects", list(value)
    return None


def _are_strings(values):
    return all(type(value) is str for value in values)


def _encode(value, name, arrays):
    """`value` for the header; what is an array in the file is put in `arrays`."""
    parts = _parts(value)
    if parts is not None:
        form, items = parts
        return {"form": form, "items": [_encode(item, f"{name}.{i}", arrays) for i, item in enumerate(items)]}
    if type(value) is float and not math.isfinite(value):  # JSON has no name for it
        return {"form": "float", "value": repr(value)}
    if type(value) in PLAIN:
        return value
    if isinstance(value, Status):
        return {"form": "status", "value": int(value)}
    if (form := form_of(value)) is not None:
        return form
    array = np.asarray(value)
    if array.ndim == 1 and array.dtype == object and _are_strings(array):
        return {"form": "strings", "value": array.tolist()}
    if array.dtype.kind not in archive.KINDS:
        raise TypeError(
            f"{name} is {value!r}, which a file without pickles cannot hold: before saving, set it to a number, a "
            "string, None or an array of these (random_state: to an int or None)"
        )
    arrays[name] = array
    return {"form": "list" if isinstance(value, list) and array.ndim == 1 else "array", "entry": name}


def can_hold(value):
    """Whether a file can hold a value."""
    try:
        _encode(value, "", {})
    except TypeError:
        return False
    return True


def _entries_of(item, name):
    """Names of the arrays that a value of the header is made of: those that `_encode` gave them."""
    if not isinstance(item, dict):
        return []
    if item.keys() == {"form", "items"}:
        return [entry for i, own in enumerate(item["items"]) for entry in _entries_of(own, f"{name}.{i}")]
    return [name] if item.keys() == {"form", "entry"} and item["entry"] == name else []


def _decode(item, name, arrays, decoders):
    if type(item) in PLAIN:
        return item
    form, place = item["form"], (item.keys() - {"form"}).pop()
    if len(item) != 2:
        raise ValueError(f"{name} is {item!r}, which is no value")
    value = item[place]
    if place == "entry":
        if value != name:
            raise ValueError(f"{name} should have the entry of its name, not {value!r}")
        value = arrays[name]
    elif place == "items":
        value = [_decode(own, f"{name}.{i}", arrays, decoders) for i, own in enumerate(value)]
    return decoders[place][form](value)


# ---- files ----------------------------------------------------------------------------------------------------------


def write(path, contents):
    """Write `Contents` to a file, which is replaced where there is one.

    Parameters
    ----------
    path : str or path-like
        Taken as it is: no suffix is added.
    contents : Contents
        Values are numbers, strings, None, dates, durations, periods, intervals, `Status`, arrays without objects,
        estimators and parts, and lists, object arrays, tuples and dicts of these.

    Raises
    ------
    TypeError
        For other values. Nothing has been written then.
    ValueError
        For an estimator of another's making that has the name of one of mixfast's. Nothing has been written then.
    OSError
        Where the file cannot be written whole. What was there before stays.
    """
    archive.write(path, *_laid_out(contents))


def _laid_out(contents):
    """The header and the arrays."""
    arrays = {}
    sections = {
        section: {name: _encode(value, f"{section}.{name}", arrays) for name, value in values.items()}
        for section, values in contents.sections.items()
    }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "mixfast": __version__,
        "kind": contents.kind,
        "class": contents.class_name,
        "sections": sections,
    }
    return json.dumps(header, allow_nan=False, indent=1), arrays


def _check_header(path, header):
    if header["format"] != FORMAT:
        raise _unreadable(path, f"its format is {header['format']!r}")
    version = header["version"]
    if type(version) is not int or version < 1:
        raise _unreadable(path, f"its version is {version!r}")
    if version > VERSION:
        raise RefusedFileError(
            f"'{path}' is in version {version} of the format, this mixfast {__version__} reads up to "
            f"{VERSION}: load it with mixfast {header.get('mixfast')} or a later one"
        )
    types = {"format": str, "version": int, "mixfast": str, "kind": str, "class": str, "sections": dict}
    if {name: type(value) for name, value in header.items()} != types:
        raise _unreadable(path, f"its header should have {', '.join(types)}")


def read(path, classes=()):
    """The `Contents` of a file, whose objects are of mixfast's own classes and of `classes`.

    Raises
    ------
    OSError
        Where there is no such file, or it may not be read.
    ValueError
        For a file that mixfast did not write, that is damaged, or that is in a newer version of the format.
    """
    known = {cls.__name__: cls for cls in classes}
    with open(os.fspath(path), "rb") as file, _promised(path):  # a number would be a descriptor
        header, decoded = _sections_in(file, path, _decoders_with(known))
        return Contents(header["kind"], header["class"], decoded, known)


def _decoders_with(classes):
    """Those of objects of mixfast's own classes, and of `classes`, by name, too."""
    return DECODERS | {"items": DECODERS["items"] | {"object": lambda parts: object_of(*parts, classes)}}


def _sections_in(file, path, decoders):
    """(the header, the sections of values) of an open file."""
    entries = archive.Archive(file)
    header = json.loads(entries.header())
    _check_header(path, header)
    sections = header["sections"]
    arrays = entries.arrays(
        [
            entry
            for section, values in sections.items()
            for name, item in values.items()
            for entry in _entries_of(item, f"{section}.{name}")
        ]
    )
    decoded = {
        section: {name: _decode(item, f"{section}.{name}", arrays, decoders) for name, item in values.items()}
        for section, values in sections.items()
    }
    return header, decoded


# ---- bytes ----------------------------------------------------------------------------------------------------------


def to_bytes(contents):
    """What `write` would put in a file."""
    file = io.BytesIO()
    archive.write_to(file, *_laid_out(contents))
    return file.getvalue()


def from_bytes(data, kind, make):
    """The object of a kind that `make` makes of its sections; whatever is wrong with the bytes is a ValueError."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected bytes, got {type(data).__name__}")
    try:
        header, sections = _sections_in(io.BytesIO(data), "bytes", _decoders_with({}))
        if header["kind"] != kind:
            raise ValueError(f"they are of the kind {header['kind']!r}")
        return make(sections)
    except Exception as error:
        raise ValueError(
            f"these are no bytes of {kind} that mixfast made, or they are damaged ({error}): make them again, with "
            "the method to_bytes"
        ) from error


class RefusedFileError(ValueError):
    """Says in full why a file is not loaded, and what to do."""


@contextmanager
def _promised(path):
    """Whatever a damaged or changed file breaks, in the readers of zip, JSON and arrays or in what is made of them, is
    the ValueError that `load` promises."""
    try:
        yield
    except RefusedFileError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path, reason):
    return RefusedFileError(
        f"'{path}' is no file that mixfast saved, or it is damaged ({reason}): save the model again, with its method "
        "save"
    )


# ---- objects --------------------------------------------------------------------------------------------------------


class Storable:
    """Base of estimators and of their parts, which files hold as the parameters of their constructor and, once fitted,
    their fitted attributes."""

    def _sections(self):
        """Parameters and fitted attributes."""
        attributes = {name: value for name, value in vars(self).items() if is_fitted_attribute(name)}
        return {"params": self.get_params(deep=False), "attributes": attributes}

    @classmethod
    def _from_sections(cls, params, attributes):
        """What `_sections` took apart; ValueError for what no object of the class has."""
        unknown = [
            *(params.keys() - set(cls._get_param_names())),
            *(name for name in attributes if not is_fitted_attribute(name) or hasattr(cls, name)),  # computed ones
        ]
        if unknown:
            raise ValueError(f"mixfast {__version__} has no {unknown} in {cls.__name__}: update mixfast")
        made = cls(**params)
        if attributes:
            made.__setstate__(attributes)
            made._check_state()
        else:
            made._validate_params()
        return made


def is_fitted_attribute(name):
    """scikit-learn's convention; n_features_in_ and feature_names_in_ belong to it."""
    return name.endswith("_") and not name.startswith("_")


def public_class(name):
    """A class by its public name, None where mixfast has none; nothing else is ever imported."""
    home = HOMES.get(name) or PARTS.get(name)
    found = home and getattr(import_module(home), name)
    return found if isinstance(found, type) else None


def class_of(name, classes):
    """A class of mixfast's own, or one of `classes`, by name, whose objects a file may hold."""
    cls = public_class(name) or classes.get(name)
    if not _is_storable(cls):
        raise unknown_class(name)
    return cls


def object_of(class_name, params, attributes, classes):
    """An estimator or a part, of a class of mixfast's own or one of `classes`, by name."""
    return class_of(class_name, classes)._from_sections(params, attributes)


def _is_storable(cls):
    return isinstance(cls, type) and issubclass(cls, Storable)


def unknown_class(name):
    return RefusedFileError(
        f"mixfast {__version__} has no estimator {name!r}: update mixfast or, where {name} is a class of your own, "
        f"give it, mixfast.load(path, classes=[{name}])"
    )


def check_name(estimator):
    """Raise ValueError where `load` would make another of mixfast's classes of it."""
    name = type(estimator).__name__
    if public_class(name) not in (None, type(estimator)):
        raise ValueError(f"{type(estimator)} has the name of mixfast's own {name}: give your class another to save it")


def load(path: PathLike, classes: Sequence[type] = ()) -> Any:
    """Load what a method `save` has written.

    Parameters
    ----------
    path : str or path-like
        The file, as `save` wrote it.
    classes : sequence of type, default=()
        Estimators of your own that the file may hold, by the names of their classes. A file makes objects of these and
        of mixfast's own classes; it never says what is imported.

    Returns
    -------
    model : object
        Of the class that was saved: the same parameters, and fitted attributes with the same bits and dtypes.

    Raises
    ------
    OSError
        Where there is no such file, or it may not be read.
    ValueError
        For a file that mixfast did not write, that is damaged, or that is of a later mixfast, and for a class that is
        neither mixfast's own nor among `classes`, or that is but has the name of one of mixfast's.

    Examples
    --------
    >>> import os, tempfile
    >>> import mixfast
    >>> model = mixfast.GaussianMixture().fit([[0.0], [1.0], [5.0]])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.mixfast")
    >>> model.save(path)
    >>> mixfast.load(path).means_
    array([[2.]])
    """
    for cls in classes:
        if not _is_storable(cls):
            raise TypeError(f"classes should be estimators' classes, got {cls!r}")
        if public_class(cls.__name__) not in (None, cls):
            raise ValueError(f"{cls} in classes has the name of mixfast's own {cls.__name__}: give it another")
    contents = read(path, classes)
    if contents.kind not in KINDS:
        raise RefusedFileError(
            f"'{path}' holds the kind {contents.kind!r}, mixfast {__version__} knows {sorted(KINDS)}: update mixfast"
        )
    with _promised(path):
        maker = KINDS[contents.kind]
        cls = class_of(contents.class_name, contents.classes)
        if maker is not None:
            home, name = maker
            cls = getattr(import_module(home), name)
        if not hasattr(cls, "_from_contents"):  # a part is saved in its mixture alone
            raise unknown_class(contents.class_name)
        return cls._from_contents(contents)
