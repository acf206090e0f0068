"""Fitted attributes: arrays that nobody changes in place, and attributes that follow others.

A fitted attribute may be assigned, and every method uses what was assigned last: an array of which something else has
been made, such as a factor of a covariance, must not change behind its back. So arrays are read-only, and what is made
of an attribute is dropped when that is assigned, and made again when it is asked for.
"""

from __future__ import annotations

from operator import is_

import numpy as np

from mixfast.persistence import is_fitted_attribute
from mixfast.read_only import frozen

#: An attribute that notes that fitted attributes were found to be in their domains; a copy without a fit has it not.
CHECKED = "_fitted_in_domain"

#: The `Kept` of a fitted object; a copy without a fit has it not.
KEPT = "_fitted_kept"

#: Attributes that may change unseen, and that nothing is made of that is kept.
UNSEEN = frozenset({"lower_bounds_", "random_state", "_fitted_structure", "_fitted_with", CHECKED, KEPT})

#: What holds arrays. Asked first: a fit of 200 rows sets nine attributes, and takes 0.4 ms.
ARRAYS = (np.ndarray, list, tuple, dict)


def is_steady(name, value):
    """Whether an attribute is immutable, so that it changes only by assigning another object."""
    if isinstance(value, np.ndarray):
        return is_fitted_attribute(name) and not value.flags.writeable
    return value is None or isinstance(value, (bool, int, float, str, np.generic)) or name in UNSEEN


class Kept:
    """What was made of all attributes of an object, for as long as each of them is the object that it was.

    Nothing is kept where one may change unseen: a list, an array that can be written to, an object with attributes of
    its own. What is found here is replaced as a whole, so threads need no lock; copies and pickles begin with nothing.
    """

    __slots__ = ("_found",)

    def __init__(self):
        self._found = None

    def __eq__(self, other):  # no part of what an object is
        return isinstance(other, Kept) or NotImplemented

    def __hash__(self):
        return hash(Kept)

    def __reduce__(self):
        return Kept, ()

    def find(self, attributes):
        """The cached result for a dict of attributes; None if there is none, or it is for other objects."""
        found = self._found
        if found is None:
            return None
        names, values, arrays, made = found
        # values first: they are compared without a call in Python
        if len(attributes) != len(names) or not all(map(is_, attributes.values(), values)):
            return None
        return made if list(attributes) == names and not any(own.flags.writeable for own in arrays) else None

    def keep(self, attributes, made):
        """Cache the result for these attributes, if all of them are immutable."""
        names, values = list(attributes), list(attributes.values())
        if all(map(is_steady, names, values)):
            arrays = [own for own in values if isinstance(own, np.ndarray)]
            self._found = names, values, arrays, made


class PublishedArrays:
    """Base of objects whose attributes with names that end in an underscore are published so."""

    #: name -> names of the attributes that follow it when it is assigned
    _followers: dict = {}

    def _follow(self, name):
        """A derived fitted attribute, computed from assigned ones; AttributeError before `fit`."""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name, value):
        if name[-1] == "_" and is_fitted_attribute(name):  # a constructor sets two dozen others
            self._check_may_be_assigned(name)
            vars(self).pop(CHECKED, None)
            if isinstance(value, ARRAYS):
                value = frozen(np.array(value) if name in self._followers else value)
                for follower in self._followers.get(name, ()):
                    vars(self).pop(follower, None)
        object.__setattr__(self, name, value)

    def _check_may_be_assigned(self, name):
        """Raise AttributeError for derived fitted attributes, which cannot be assigned."""

    def __getattr__(self, name):  # asked for what vars(self) has not
        value = frozen(self._follow(name), copy=False)
        vars(self)[name] = value
        return value

    def _margins(self):
        """Objects with published arrays of their own that this one is made of, by name."""
        return {}

    def _check_domains(self):
        """Raises ValueError for the first fitted attribute that is outside its domain."""

    def _check_assigned(self):
        """`_check_domains`, where an attribute was assigned since the last time: 0.1 us where none was."""
        if CHECKED not in vars(self):
            self._check_domains()
            vars(self)[CHECKED] = True
        for name, own in self._margins().items():
            try:
                own._check_assigned()
            except ValueError as error:
                raise ValueError(f"Part {name!r}: {error}") from None

    def _note_checked(self):
        """What a fit has published is in its domain, and that of its margins."""
        vars(self)[CHECKED] = True
        vars(self)[KEPT] = Kept()
        for own in self._margins().values():
            own._note_checked()

    def _publish_together(self, **arrays):
        """Set attributes that belong together and were made for this object: none is copied, none dropped."""
        vars(self).update((name, frozen(array, copy=False)) for name, array in arrays.items())

    def __setstate__(self, state):
        """Of pickles, copies and files: these do not keep that an array is read-only."""
        super().__setstate__(
            {name: frozen(value, copy=False) if is_fitted_attribute(name) else value for name, value in state.items()}
        )
        if KEPT in state or any(map(is_fitted_attribute, state)):
            vars(self)[KEPT] = Kept()  # its own: copies share what the state holds
