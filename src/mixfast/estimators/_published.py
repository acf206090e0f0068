"""Fitted attributes: arrays that nobody changes in place, and attributes that follow others.

A fitted attribute may be assigned, and every method uses what was assigned last: an array of which something else has
been made, such as a factor of a covariance, must not change behind its back. So arrays are read-only, and what is made
of an attribute is dropped when that is assigned, and made again when it is asked for.
"""

from __future__ import annotations

import numpy as np

from mixfast.persistence import is_fitted_attribute
from mixfast.read_only import frozen

#: An attribute that notes that fitted attributes were found to be in their domains; a copy without a fit has it not.
CHECKED = "_fitted_in_domain"

#: What holds arrays. Asked first: a fit of 200 rows sets nine attributes, and takes 0.4 ms.
ARRAYS = (np.ndarray, list, tuple, dict)


class PublishedArrays:
    """Base of objects whose attributes with names that end in an underscore are published so."""

    #: name -> names of the attributes that follow it when it is assigned
    _followers: dict = {}

    def _follow(self, name):
        """The attribute of that name, made of those that were assigned; AttributeError where these are not there."""
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
        """Raises AttributeError for a fitted attribute that is made of others and nothing else."""

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
