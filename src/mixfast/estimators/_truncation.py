"""Truncated posteriors: each row keeps its best components alone."""

from __future__ import annotations

from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._constraints import WholeNumber
from mixfast.families.presence import have_gaps

#: What does not go with it, by the name of the parameter: what it has to be, and why.
ALONE = {
    "noise": (None, "noise is a component of every row"),
    "hold": (None, "it has not been tried with parameters that are held"),
    "trim": (None, "the trimmed likelihood is of all components"),
    "accelerate": (None, "what rows keep is of the last parameters, and extrapolated ones may be given up"),
    "n_init_policy": ("all", "what rows keep is of one start at a time"),
}

#: What else a row may have and a truncated fit does not take, with what is wrong with it.
UNKNOWN_TO_IT = ("known_labels", "groups")


class TruncatedMixture(MixtureByEM):
    """Base of the estimators whose fits may be of truncated posteriors."""

    _parameter_constraints: dict = {**MixtureByEM._parameter_constraints, "max_active": [WholeNumber(1), None]}

    #: The structures, values of `covariance_type`, of which a few components alone cost little, whatever their number.
    _truncates: frozenset[str] = frozenset()

    max_active = None

    def _n_active(self):
        return 0 if self.max_active is None or self.max_active >= self.n_components else self.max_active

    @property
    def _fits_alone(self):
        return self._n_active() > 0 or super()._fits_alone

    def _check_truncates(self):
        if self.max_active is None:
            return
        if self.covariance_type not in self._truncates:
            raise ValueError(
                f"max_active={self.max_active} with covariance_type={self.covariance_type!r}: it is for "
                f"{', '.join(map(repr, sorted(self._truncates)))}. Take one of these, or set it to None"
            )
        for name, (wanted, reason) in ALONE.items():
            if getattr(self, name) != wanted:
                raise ValueError(
                    f"max_active={self.max_active} with {name}={getattr(self, name)!r}: {reason}. Set {name} to "
                    f"{wanted!r}, or max_active to None"
                )

    def _check_sees_all_rows(self):
        super()._check_sees_all_rows()
        if self._n_active():
            raise ValueError(
                f"max_active={self.max_active} keeps components of each row, which have to be here, in one array: fit "
                "them, or set it to None"
            )

    def _family_of_rows(self, rows, sample_weight):
        self._check_truncates()
        if self._n_active() and have_gaps(rows):
            raise ValueError(
                f"max_active={self.max_active} is for rows that have all entries, and some are missing, NaN: fill them "
                "in, or set it to None"
            )
        return super()._family_of_rows(rows, sample_weight)

    def _check_components(self, data, sample_weight, init_params):
        super()._check_components(data, sample_weight, init_params)
        for name in UNKNOWN_TO_IT:
            if self._n_active() and name in data:
                raise ValueError(
                    f"max_active={self.max_active} leaves components out that {name} may ask for: set max_active to "
                    f"None, or fit without {name}"
                )
