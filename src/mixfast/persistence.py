"""Models in files: NumPy's npz with a header in JSON, never a pickle. docs/files.md has the format.

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
    """What a file holds: `sections` are dicts of values by name, in a dict by name."""

    kind: str
    class_name: str
    sections: dict


# ---- values ---------------------------------------------------------------------------------------------------------

#: How what is no plain value is made again, by the form that the header names.
DECODERS = {
    "array": lambda array: array[()],  # a NumPy scalar where there are no dimensions
    "list": list,
    "items": list,
    "tuple": tuple,
    "dict": lambda parts: dict(zip(parts[0], parts[1:], strict=True)),
    "object": lambda parts: make_object(*parts),
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
        check_class(value)
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


def _decode(item, arrays):
    if not isinstance(item, dict):
        return item
    if "items" in item:
        value = [_decode(own, arrays) for own in item["items"]]
    else:
        value = arrays[item["entry"]] if "entry" in item else item["value"]
    return DECODERS[item["form"]](value)


# ---- files ----------------------------------------------------------------------------------------------------------


def write(path, contents):
    """Write `Contents` to a file, which is replaced where there is one.

    Parameters
    ----------
    path : str or path-like
        Taken as it is: no suffix is added.
    contents : Contents
        Values are numbers, strings, None, `Status`, arrays without objects, object arrays of strings, estimators and
        parts of mixfast's own, and lists, tuples and dicts of these.

    Raises
    ------
    TypeError
        For other values. Nothing has been written then.
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


def read(path):
    """The `Contents` of a file.

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
    try:
        return Contents(
            header["kind"],
            header["class"],
            {
                section: {name: _decode(item, arrays) for name, item in values.items()}
                for section, values in header["sections"].items()
            },
        )
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
    check_class(estimator)
    write(path, Contents("estimator", type(estimator).__name__, sections_of(estimator)))


def sections_of(estimator):
    """Parameters and fitted attributes."""
    attributes = {name: value for name, value in vars(estimator).items() if _is_fitted_attribute(name)}
    return {"params": estimator.get_params(deep=False), "attributes": attributes}


def check_class(estimator):
    """Only mixfast's own estimators can be loaded again."""
    name = type(estimator).__name__
    if public_class(name) is not type(estimator):
        raise TypeError(f"{name} is no class of mixfast, and load makes no other: use pickle or joblib for your own")


def _load_estimator(contents):
    if not contents.sections.keys() >= {"params", "attributes"}:
        raise ValueError(f"An estimator's file has sections params and attributes, this one {list(contents.sections)}")
    estimator = make_object(contents.class_name, contents.sections["params"], contents.sections["attributes"])
    if not hasattr(estimator, "save"):
        raise ValueError(f"mixfast {mixfast.__version__} has no estimator {contents.class_name!r}: update mixfast")
    return estimator


def make_object(class_name, params, attributes):
    """What `sections_of` took apart."""
    cls = public_class(class_name)
    if cls is None or not issubclass(cls, BaseEstimator):
        raise ValueError(f"mixfast {mixfast.__version__} has no estimator {class_name!r}: update mixfast")
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


def _is_fitted_attribute(name):
    """scikit-learn's convention; n_features_in_ and feature_names_in_ belong to it."""
    return name.endswith("_") and not name.startswith("_")


def _load_batch(contents):
    from mixfast.batch_result import load_batch  # which saves by this module

    return load_batch(contents)


#: What makes an object of `Contents`, by their kind.
LOADERS = {"batch": _load_batch, "estimator": _load_estimator}


def load(path):
    """Load what a method `save` has written.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    model : object
        Of the class that was saved: the same parameters, and fitted attributes with the same bits and dtypes.

    Raises
    ------
    OSError
        Where there is no such file, or it may not be read.
    ValueError
        For a file that mixfast did not write, that is damaged, or that is of a later mixfast.

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
    contents = read(path)
    if contents.kind not in LOADERS:
        raise ValueError(
            f"'{path}' holds the kind {contents.kind!r}, mixfast {mixfast.__version__} knows {sorted(LOADERS)}: "
            "update mixfast"
        )
    return LOADERS[contents.kind](contents)
