"""Products of families: each group of columns has a family; groups are independent within a component."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from itertools import chain, pairwise

import numpy as np
import scipy.sparse

from mixfast.engine._capsule import BoundFamily
from mixfast.families._product import bind_product
from mixfast.families.family import Encoded, Family, is_sparse
from mixfast.families.seeds import standardised


@cache
def _record(name, fields_of_parts):
    """A named tuple with the fields of all parts. To make its class takes 0.3 ms, a third of what `predict` of a few
    rows took."""
    return namedtuple(name, [f"{field}_{i}" for i, fields in enumerate(fields_of_parts) for field in fields])


class Product(Family):
    """log p(x | k) = the sum over the parts of their log densities of their columns.

    Parameters and statistics are the arrays of the parts, one after the other, with the number of the part in the name.

    Parameters
    ----------
    families : list of Family
    widths : list of int
        The number of columns of each; the columns of a part lie side by side.
    encoded_widths : list of int, default None
        The same for encoded rows, None where they are not encoded.
    """

    def __init__(self, families, widths, encoded_widths=None):
        self.families, self.widths = families, widths
        self.encoded_widths = widths if encoded_widths is None else encoded_widths
        self.batches = all(family.batches for family in families)
        self.dtypes = tuple(dtype for dtype in Family.dtypes if all(dtype in family.dtypes for family in families))
        self.domains = {f"{name}_{i}": own for i, family in enumerate(families) for name, own in family.domains.items()}
        self.Params, self.Stats = (
            _record(name, tuple(getattr(family, name)._fields for family in families)) for name in ("Params", "Stats")
        )

    def _parts(self):
        return zip(self.families, self.widths, strict=True)

    def range_of_columns(self, n_features):
        return None  # each part has its own

    def param_shapes(self, n_components, n_features):
        return tuple(chain(*(family.param_shapes(n_components, width) for family, width in self._parts())))

    def stat_shapes(self, n_components, n_features):
        return tuple(chain(*(family.stat_shapes(n_components, width) for family, width in self._parts())))

    def n_parameters(self, n_components, n_features):
        return sum(family.n_parameters(n_components, width) for family, width in self._parts())

    def n_rows_needed(self, n_features):
        """Rows count as distinct if they differ in any column. Parts are not checked separately, except by the status
        flags of their M-steps."""
        return max(family.n_rows_needed(width) for family, width in self._parts())

    def split(self, params):
        """Split `Params` of the product into a list of the parts' `Params`."""
        arrays = iter(params)
        return [family.Params(*(next(arrays) for _ in family.Params._fields)) for family in self.families]

    def join(self, records):
        """The inverse of `split`."""
        return self.Params(*chain(*records))

    def predictive(self, params):
        """(family, parameters) of the posterior predictive densities, of parts that are posteriors."""
        return self._of_parts("predictive", params)

    def _of_parts(self, method, params):
        parts = zip(self.families, self.split(params), strict=True)
        made = [getattr(family, method)(own) for family, own in parts]
        family = Product([family for family, _ in made], self.widths)
        return family, family.join([own for _, own in made])

    def described(self, params):
        starts = np.cumsum([0, *self.widths[:-1]])
        return [
            own._replace(columns=own.columns + start)
            for family, record, start in zip(self.families, self.split(params), starts, strict=True)
            for own in family.described(record)
        ]

    def column_kinds(self, n_features):
        return list(chain(*(family.column_kinds(width) for family, width in self._parts())))

    @property
    def margin(self):
        return self._margin if all(family.margin is not None for family in self.families) else None

    def _margin(self, params, columns):
        families, records, widths, start = [], [], [], 0
        for family, record, width in zip(self.families, self.split(params), self.widths, strict=True):
            own = [j - start for j in columns if start <= j < start + width]
            start += width
            if own:
                of_part, numbers = family.margin(record, own)
                families, records, widths = [*families, of_part], [*records, numbers], [*widths, len(own)]
        if len(families) == 1:
            return families[0], records[0]
        family = Product(families, widths)
        return family, family.join(records)

    def kind(self):
        return [family.kind() for family in self.families], self.widths

    def seeds_by_row(self):
        return False  # columns are scaled

    def plain(self, params):
        return self._of_parts("plain", params)

    def apart(self, params):
        return self._of_parts("apart", params)

    # ---- parameters that are held: the parts' own, with the number of the part in the name ----

    @property
    def holdings(self):
        return {
            f"{name}_{i}": own._replace(needs=tuple(f"{other}_{i}" for other in own.needs))
            for i, family in enumerate(self.families)
            for name, own in family.holdings.items()
        }

    def held_fields(self, name, values):
        own, i = _of_part(name)
        return {f"{field}_{i}": array for field, array in self.families[i].held_fields(own, values).items()}

    def n_held(self, name, held, n_features):
        own, i = _of_part(name)
        return self.families[i].n_held(own, held, self.widths[i])

    def held_moments(self, held, n_components, n_columns, dtype):
        places, start = [np.zeros(0, dtype=np.int64)], 0
        for i, (family, width) in enumerate(zip(self.families, self.encoded_widths, strict=True)):
            own = {_of_part(name)[0]: mask for name, mask in held.items() if _of_part(name)[1] == i}
            places.append(start + family.held_moments(own, n_components, width, dtype))
            start += BoundFamily(family.bind(n_components, width, dtype)).n_stats
        return np.concatenate(places)

    def held_centres(self, found, n_components, n_features):
        centres = []
        for i, (family, width) in enumerate(self._parts()):
            own = {_of_part(name)[0]: value for name, value in found.items() if _of_part(name)[1] == i}
            centres.append(family.held_centres(own, n_components, width))
        return np.concatenate(centres, axis=1)

    def judging(self):
        return [f"{name}_{i}" for i, family in enumerate(self.families) for name in family.judging()]

    def _sum_over_parts(self, closed_form):
        """A closed form for pairs that is the sum of the parts' closed forms; None unless all parts have one."""
        forms = [getattr(family, closed_form) for family in self.families]
        if not all(forms):
            return None
        return lambda p, q: sum(
            form(one, other) for form, one, other in zip(forms, self.split(p), self.split(q), strict=True)
        )

    @property
    def log_affinity(self):
        return self._sum_over_parts("log_affinity")

    @property
    def divergence(self):
        return self._sum_over_parts("divergence")

    @property
    def merged(self):
        forms = [family.merged for family in self.families]
        if not all(forms):
            return None
        return lambda p, q, share: self.join(
            [form(one, other, share) for form, one, other in zip(forms, self.split(p), self.split(q), strict=True)]
        )

    def canonical_order(self, params):
        """That of the first part."""
        return self.families[0].canonical_order(self.split(params)[0])

    def rounded(self, params, dtype):
        return self.join(
            [family.rounded(own, dtype) for family, own in zip(self.families, self.split(params), strict=True)]
        )

    def columns(self, X):
        """The columns of each part."""
        ends = np.cumsum([0, *self.widths])
        return [X[:, first:last] for first, last in pairwise(ends)]

    def encode(self, X):
        parts = [family.encode(own) for family, own in zip(self.families, self.columns(X), strict=True)]
        if any(is_sparse(part.rows) for part in parts):
            raise ValueError("a part of a product has sparse rows: its columns should be dense")
        bases = [part.base for part in parts if part.base is not None]
        return Encoded(
            Product([part.family for part in parts], self.widths, [part.rows.shape[1] for part in parts]),
            np.concatenate([part.rows for part in parts], axis=1),
            sum(bases) if bases else None,
            lambda offsets: join_seeds(parts, offsets),
            next((part.runs for part in parts if part.runs is not None), None),
        )

    def design(self):
        """The sets of all parts; the part's number is put before each name."""
        return {
            f"{i}.{name}": array for i, family in enumerate(self.families) for name, array in family.design().items()
        }

    def _split_design(self, design):
        """A list of designs, one for each part."""
        parts = [{} for _ in self.families]
        for name, array in design.items():
            place, _, own = name.partition(".")
            if not place.isdecimal() or not int(place) < len(parts):
                raise ValueError(f"a design of {len(parts)} parts has {name!r}")
            parts[int(place)][own] = array
        return parts

    def with_design(self, design):
        parts = zip(self.families, self._split_design(design), strict=True)
        return Product([family.with_design(own) for family, own in parts], self.widths)

    def blank(self, n_components, n_features):
        return np.concatenate([family.blank(n_components, width) for family, width in self._parts()])

    def bind(self, n_components, n_features, dtype, isa=None):
        parts = zip(self.families, self.encoded_widths, strict=True)
        return bind_product([family.bind(n_components, width, dtype, isa) for family, width in parts])

    def sample(self, params, labels, rng):
        parts = zip(self.families, self.split(params), strict=True)
        return np.concatenate([family.sample(own, labels, rng) for family, own in parts], axis=1)


def _of_part(name):
    """(name of a parameter in its part, number of the part)"""
    own, _, number = name.rpartition("_")
    return own, int(number)


def join_seeds(parts, offsets):
    """Rows for k-means, (n_samples, any number): each part's own `seeds`, or else its columns scaled to variance 1.

    Two rows then differ by 2 on average in the square of a standardised column, and by 2 in that of a category.
    """
    seeds = [part.make_seeds(offsets) for part in parts]
    seeds = [standardised(part.rows, offsets) if own is None else own for part, own in zip(parts, seeds, strict=True)]
    if any(is_sparse(own) for own in seeds):
        return scipy.sparse.hstack([scipy.sparse.csr_matrix(own) for own in seeds], format="csr")
    return np.concatenate(seeds, axis=1)
