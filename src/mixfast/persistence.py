"""Models in files: NumPy's npz with a header in JSON, never a pickle. The project's docs/files.md has the format.

A file holds a kind of content, the name of its class, and sections of named values. Another kind of content is a
function that makes the object of what `read` gives, and its line in `LOADERS`.
"""

from __future__ import annotations

import json
import math
import zipfile
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import mixfast
from mixfast.convergence import Status

FORMAT = "mixfast"
HEADER = "header.json"
#: Goes up when a file can no longer be read by what wrote the files before.
VERSION = 1

#: Types that JSON gives back as they were.
PLAIN = (bool, int, float, str, type(None))


class Contents(NamedTuple):
    """What a file holds: `sections` are dicts of values by name, in a dict by name. `classes` are those, by name, that
    may be made beside mixfast's own."""

    kind: str
    class_name: str
    sections: dict
    classes: dict = {}  # never changed


# ---- values ---------------------------------------------------------------------------------------------------------

#: How what is no plain value is made again, by the form that the header names; "object" is left to `make_object`.
DECODERS = {
    "array": lambda array: array[()],  # a NumPy scalar where there are no dimensions
    "list": list,
    "items": list,
    "tuple": tuple,
    "dict": lambda parts: dict(zip(parts[0], parts[1:], strict=True)),
    "strings": lambda strings: np.array(strings, dtype=object),
    "status": Status,
    "float": float,
}


def _is_plain_list(value):
    """Whether all items are numbers, or lists of numbers of one length: what is an array in the file."""
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
    if isinstance(value, BaseEstimator):
        check_name(value)
        return "object", [type(value).__name__, *sections_of(value).values()]
    return None


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
    array = np.asarray(value)
    if array.ndim == 1 and array.dtype == object and all(type(item) is str for item in array):
        return {"form": "strings", "value": array.tolist()}
    if array.dtype.hasobject:
        raise TypeError(
            f"{name} is {value!r}, which a file without pickles cannot hold: before saving, set it to a number, a "
            "string, None or an array of these (random_state: to an int or None)"
        )
    arrays[name] = array
    return {"form": "list" if isinstance(value, list) and array.ndim == 1 else "array", "entry": name}


def _decode(item, arrays, decoders):
    if not isinstance(item, dict):
        return item
    if "items" in item:
        value = [_decode(own, arrays, decoders) for own in item["items"]]
    else:
        value = arrays[item["entry"]] if "entry" in item else item["value"]
    return decoders[item["form"]](value)


# ---- files ----------------------------------------------------------------------------------------------------------


def write(path, contents):
    """Write `Contents` to a file, which is replaced where there is one.

    Parameters
    ----------
    path : str or path-like
        Taken as it is: no suffix is added.
    contents : Contents
        Values are numbers, strings, None, `Status`, arrays without objects, object arrays of strings, estimators and
        parts, and lists, tuples and dicts of these.

    Raises
    ------
    TypeError
        For other values. Nothing has been written then.
    ValueError
        For an estimator of another's making that has the name of one of mixfast's. Nothing has been written then.
    """
    arrays = {}
    sections = {
        section: {name: _encode(value, f"{section}.{name}", arrays) for name, value in values.items()}
        for section, values in contents.sections.items()
    }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "mixfast": mixfast.__version__,
        "kind": contents.kind,
        "class": contents.class_name,
        "sections": sections,
    }
    text = json.dumps(header, allow_nan=False, indent=1)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo(HEADER), text)  # ZipInfo knows no clock: the same model makes the same bytes
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read(path, classes=()):
    """The `Contents` of a file, whose objects are of mixfast's own classes and of `classes`.

    Raises
    ------
    OSError
        Where there is no such file, or it may not be read.
    ValueError
        For a file that mixfast did not write, that is damaged, or that is in a newer version of the format.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):  # NumPy would advise to allow pickles
            raise _unreadable(path, "it is no zip archive, or a part of one")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as entries:
                arrays = {name: entries[name] for name in entries.files}
            header = json.loads(arrays.pop(HEADER))
            is_ours, version = header["format"] == FORMAT, int(header["version"])
        except Exception as error:  # a damaged file can break NumPy's readers of zip and of arrays in many ways
            raise _unreadable(path, error) from error
    if not is_ours:
        raise _unreadable(path, f"its format is {header['format']!r}")
    if version > VERSION:
        raise ValueError(
            f"'{path}' is in version {version} of the format, this mixfast {mixfast.__version__} reads up to "
            f"{VERSION}: load it with mixfast {header.get('mixfast')} or a later one"
        )
    known = {cls.__name__: cls for cls in classes}
    decoders = DECODERS | {"object": lambda parts: make_object(*parts, known)}
    try:
        sections = {
            section: {name: _decode(item, arrays, decoders) for name, item in values.items()}
            for section, values in header["sections"].items()
        }
        return Contents(header["kind"], header["class"], sections, known)
    except UnknownClassError:
        raise
    except Exception as error:  # a header that is JSON, but not as it was written
        raise _unreadable(path, error) from error


def _unreadable(path, reason):
    return ValueError(
        f"'{path}' is no file that mixfast saved, or it is damaged ({reason}): save the model again, with its method "
        "save"
    )


# ---- kinds ----------------------------------------------------------------------------------------------------------


def save_estimator(estimator, path):
    """What `DensityEstimator.save` does."""
    check_is_fitted(estimator)
    check_name(estimator)
    write(path, Contents("estimator", type(estimator).__name__, sections_of(estimator)))


def sections_of(estimator):
    """Parameters and fitted attributes."""
    attributes = {name: value for name, value in vars(estimator).items() if _is_fitted_attribute(name)}
    return {"params": estimator.get_params(deep=False), "attributes": attributes}


class UnknownClassError(ValueError):
    """A class that neither mixfast nor the caller of `load` knows."""


def unknown_class(name):
    return UnknownClassError(
        f"mixfast {mixfast.__version__} has no estimator {name!r}: update mixfast or, where {name} is a class of your "
        f"own, give it, mixfast.load(path, classes=[{name}])"
    )


def check_name(estimator):
    """Raise ValueError where `load` would make another of mixfast's classes of it."""
    name = type(estimator).__name__
    if public_class(name) not in (None, type(estimator)):
        raise ValueError(f"{type(estimator)} has the name of mixfast's own {name}: give your class another to save it")


def _load_estimator(contents):
    if not contents.sections.keys() >= {"params", "attributes"}:
        raise ValueError(f"An estimator's file has sections params and attributes, this one {list(contents.sections)}")
    sections = contents.sections
    estimator = make_object(contents.class_name, sections["params"], sections["attributes"], contents.classes)
    if not hasattr(estimator, "save"):
        raise unknown_class(contents.class_name)
    return estimator


def make_object(class_name, params, attributes, classes):
    """What `sections_of` took apart, of a class of mixfast's own or one of `classes`, by name."""
    cls = class_of(class_name, classes)
    unknown = [
        *(params.keys() - set(cls._get_param_names())),
        *(name for name in attributes if not _is_fitted_attribute(name)),
    ]
    if unknown:
        raise ValueError(f"mixfast {mixfast.__version__} has no {unknown} in {class_name}: update mixfast")
    estimator = cls(**params)
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


def public_class(name):
    """A class by its public name, None where mixfast has none; nothing else is ever imported."""
    from mixfast.parts import PARTS  # whose mixtures save by this module

    found = getattr(mixfast, name) if name in mixfast.__all__ else PARTS.get(name)
    return found if isinstance(found, type) else None


def class_of(name, classes):
    """A class of mixfast's own, or one of `classes`, by name, whose objects `make_object` may make."""
    cls = public_class(name) or classes.get(name)
    if cls is None or not issubclass(cls, BaseEstimator):
        raise unknown_class(name)
    return cls


def _is_fitted_attribute(name):
    """scikit-learn's convention; n_features_in_ and feature_names_in_ belong to it."""
    return name.endswith("_") and not name.startswith("_")


def _load_batch(contents):
    from mixfast.batch_result import load_batch  # which saves by this module

    return load_batch(contents)


#: What makes an object of `Contents`, by their kind.
LOADERS = {"batch": _load_batch, "estimator": _load_estimator}


def load(path, classes=()):
    """Load what a method `save` has written.

    Parameters
    ----------
    path : str or path-like
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
        if not (isinstance(cls, type) and issubclass(cls, BaseEstimator)):
            raise TypeError(f"classes should be estimators' classes, got {cls!r}")
        if public_class(cls.__name__) not in (None, cls):
            raise ValueError(f"{cls} in classes has the name of mixfast's own {cls.__name__}: give it another")
    contents = read(path, classes)
    if contents.kind not in LOADERS:
        raise ValueError(
            f"'{path}' holds the kind {contents.kind!r}, mixfast {mixfast.__version__} knows {sorted(LOADERS)}: "
            "update mixfast"
        )
    return LOADERS[contents.kind](contents)
