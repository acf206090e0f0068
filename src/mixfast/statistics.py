"""Sums over rows that an M-step can be made of, wherever the rows are: `Statistics`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mixfast import persistence
from mixfast.families.cells import places_in
from mixfast.read_only import frozen
from mixfast.status import Status

KIND = "statistics"

#: Bytes that stand for parameters.
DIGEST_SIZE = 16

#: The array of a design that names what the last axis of the sums is about; sums of other cells are joined.
INDEX = "cells"


class Seen(NamedTuple):
    """Rows, as far as numbers of them go: `weight` is the sum of their weights, `least` the smallest above zero."""

    n_rows: int
    n_impossible: int
    weight: float
    least: float


class Statistics:
    """What an M-step needs to know of some rows: sums over them, weighted by the responsibilities at given parameters.

    `estimator.statistics(X)` makes them, in one pass; `+` and `Statistics.sum` join those of parts, which may be of any
    size and on any machine; `estimator.update(statistics)` makes the M-step. They hold no rows, and of the parameters
    no more than a digest, by which statistics of others are refused.

    Attributes
    ----------
    log_likelihood : float
        Of the rows, weighted, at the parameters, in nats. -inf where a row is impossible. Of a posterior the logarithm
        of what the responsibilities are divided by, weights and densities by the expectations of their logarithms.
    entropy : float
        Of the responsibilities of a posterior, weighted, in nats, with those terms of the rows that no parameter
        enters: what the evidence lower bound has beside the log evidence of the sums. 0 for maximum likelihood.
    n_rows : int
        Number of rows of positive weight.
    weight : float
        The sum of their weights.
    counts : ndarray of shape (n_components,)
        Sums of the responsibilities.
    sums : dict of str to ndarray
        What the family adds up, by name; float64, the same layout on every machine.
    status : Status
        `IMPOSSIBLE_ROWS` where rows had density zero under every component; `OK` otherwise.
    dtype : dtype
        float32 or float64: the precision of the rows.
    parameters : bytes
        Digest of the parameters, 16 bytes.

    Notes
    -----
    `statistics * number` scales all sums, so that old ones can be forgotten: as if each row had that many times its
    weight. Arrays are read-only. Pickles hold `to_bytes`.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, Statistics
    >>> X = np.array([[0.0], [1.0], [2.0], [9.0], [10.0], [11.0]])
    >>> model = GaussianMixture(2, random_state=0, max_iter=0, canonical_order=True).fit(X)
    >>> total = Statistics.sum([model.statistics(X[:1]), model.statistics(X[1:])])
    >>> total.n_rows, total.counts.round(3)
    (6, array([3., 3.]))
    >>> model.update(total).means_.round(3)
    array([[ 1.],
           [10.]])
    """

    __slots__ = (
        "_counts",
        "_design",
        "_dtype",
        "_entropy",
        "_family",
        "_log_likelihood",
        "_parameters",
        "_seen",
        "_sums",
    )

    def __init__(self, *, family, dtype, parameters, design, seen, log_likelihood, counts, sums, entropy=0.0):
        """For estimators: raises ValueError where these are no statistics."""
        if type(family) is not str or dtype not in ("float32", "float64"):
            raise ValueError(f"family and dtype are {family!r} and {dtype!r}")
        if type(parameters) is not bytes or len(parameters) != DIGEST_SIZE:
            raise ValueError(f"the digest of the parameters should have {DIGEST_SIZE} bytes, got {parameters!r}")
        n_rows, n_impossible, weight, least = seen
        if type(n_rows) is not int or type(n_impossible) is not int or not 0 <= n_impossible <= n_rows:
            raise ValueError(f"there are {n_rows!r} rows, of which {n_impossible!r} are impossible")
        if type(weight) is not float or type(least) is not float or not (0 <= weight < math.inf and least > 0):
            raise ValueError(f"rows have the weight {weight!r}, the smallest {least!r}: scale sample_weight")
        if type(log_likelihood) is not float or not log_likelihood < math.inf:
            raise ValueError(
                f"the log-likelihood is {log_likelihood!r}: sums over the rows overflowed. Scale the columns of X to "
                "moderate size."
            )
        if type(entropy) is not float or not math.isfinite(entropy):
            raise ValueError(f"the entropy is {entropy!r}, and should be a finite number")
        self._family, self._dtype, self._parameters = family, dtype, parameters
        self._seen, self._log_likelihood, self._entropy = Seen(*seen), log_likelihood, entropy
        self._counts = _numbers("counts", counts)
        if self._counts.ndim != 1 or not len(self._counts) or not np.all(self._counts >= 0):
            raise ValueError(f"counts should be one number of at least 0 for each component, got {counts!r}")
        self._sums = {_name(name): _numbers(name, array) for name, array in sums.items()}
        self._design = {_name(name): frozen(np.asarray(array)) for name, array in design.items()}
        self._check_index()

    def _check_index(self):
        """Cells are named in order, once each, and sums have one column for each."""
        cells = self._design.get(INDEX)
        if cells is None:
            return
        if cells.dtype != np.int64 or cells.ndim != 2 or cells.shape[1] != 2 or not len(cells):
            raise ValueError(f"{INDEX} should be an int64 array (n, 2), got {cells.dtype} {cells.shape}")
        step = cells[1:] > cells[:-1]
        if not np.all(step[:, 0] | ((cells[1:, 0] == cells[:-1, 0]) & step[:, 1])):
            raise ValueError(f"{INDEX} are not in order, once each")
        if any(array.shape[-1:] != (len(cells),) for array in self._sums.values()):
            raise ValueError(f"there are {len(cells)} {INDEX}, and sums of another number")

    # ---- what they say ----

    @property
    def log_likelihood(self) -> float:
        return self._log_likelihood

    @property
    def entropy(self) -> float:
        return self._entropy

    @property
    def n_rows(self) -> int:
        return self._seen.n_rows

    @property
    def weight(self) -> float:
        return self._seen.weight

    @property
    def counts(self) -> NDArray[np.float64]:
        return self._counts

    @property
    def sums(self) -> dict[str, Any]:
        return dict(self._sums)

    @property
    def status(self) -> Status:
        return Status.IMPOSSIBLE_ROWS if self._seen.n_impossible else Status.OK

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._dtype)

    @property
    def parameters(self) -> bytes:
        return self._parameters

    def __repr__(self):
        return (
            f"<Statistics of {self.n_rows} rows for {len(self._counts)} components, {self._family}, {self._dtype}, "
            f"log-likelihood {self._log_likelihood:.6g}>"
        )

    # ---- adding and scaling ----

    def __add__(self, other):
        """The statistics of the rows of both.

        Raises
        ------
        ValueError
            For statistics of other parameters, of another family or precision, or of rows that were encoded otherwise.
        """
        if not isinstance(other, Statistics):
            return NotImplemented
        self._check_addable(other)
        one, other = _with_one_index(self, other)
        seen, more = one._seen, other._seen
        weight = seen.weight + more.weight
        # where older sums are forgotten step by step, their lightest row ends as nothing beside the others
        least = max(min(seen.least, more.least), sys.float_info.epsilon * weight)
        return one._replaced(
            seen=Seen(
                seen.n_rows + more.n_rows,
                seen.n_impossible + more.n_impossible,
                weight,
                least if weight else math.inf,
            ),
            log_likelihood=one._log_likelihood + other._log_likelihood,
            entropy=one._entropy + other._entropy,
            counts=one._counts + other._counts,
            sums={name: array + other._sums[name] for name, array in one._sums.items()},
        )

    def _check_addable(self, other):
        if self._family != other._family:
            raise ValueError(
                f"statistics of family {self._family} and {other._family} cannot be added: make both of rows of one "
                "kind"
            )
        if self._dtype != other._dtype:
            raise ValueError(
                f"statistics of dtype {self._dtype} and {other._dtype} cannot be added: convert the rows of one of "
                "them, as X.astype(numpy.float64), or make both with the design of all rows"
            )
        if self._parameters != other._parameters:
            raise ValueError(
                "statistics of different parameters cannot be added: make both by models with the same parameters, or "
                "move one of them with the method recentre of the model that made it"
            )
        own, its = ({k: v for k, v in who._design.items() if k != INDEX} for who in (self, other))
        if own.keys() != its.keys() or not all(np.array_equal(array, its[name]) for name, array in own.items()):
            raise ValueError(
                "statistics of rows that were encoded differently cannot be added: make a design of each part, add "
                "these, and make all statistics with the sum, as statistics(X, design=design)"
            )
        own, its = _shapes(self), _shapes(other)
        if own != its:
            raise ValueError(f"statistics have the shapes {own} and {its}: they cannot be added")

    @classmethod
    def sum(cls, statistics: Iterable[Statistics]) -> Statistics:
        """The statistics of the rows of all: the first half and the second, and so on within each.

        Parameters
        ----------
        statistics : iterable of Statistics
            The result's last bits depend on their order, and on nothing else.

        Returns
        -------
        total : Statistics
            Those of all rows together.

        Raises
        ------
        ValueError
            Where there are none, and as `+` does.
        """
        parts = list(statistics)
        for part in parts:
            if not isinstance(part, cls):
                raise TypeError(f"sum is of Statistics, got {type(part).__name__}")
        if not parts:
            raise ValueError("there are no statistics to add")
        while len(parts) > 1:
            pairs = [one + other for one, other in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[2 * len(pairs) :]
        return parts[0]

    def __mul__(self, number):
        """All sums times a number of at least 0: as if each row had that many times its weight."""
        if not isinstance(number, Real) or isinstance(number, bool):
            return NotImplemented
        number = float(number)
        if not 0 <= number < math.inf:
            raise ValueError(f"statistics are scaled by finite numbers of at least 0, got {number}")
        weight, least = self._seen.weight * number, (self._seen.least * number if number else math.inf)
        return self._replaced(
            seen=self._seen._replace(weight=weight, least=least or math.inf),
            log_likelihood=self._log_likelihood * number if number else 0.0,
            entropy=self._entropy * number,
            counts=self._counts * number,
            sums={name: array * number for name, array in self._sums.items()},
        )

    __rmul__ = __mul__

    def _replaced(self, **fields):
        return Statistics(**{**self._fields(), **fields})

    def _with_index(self, cells):
        """With more cells."""
        place, sums = places_in(cells, self._design[INDEX]), {}
        for name, array in self._sums.items():
            sums[name] = np.zeros((*array.shape[:-1], len(cells)))
            sums[name][..., place] = array
        return self._replaced(sums=sums, design={**self._design, INDEX: cells})

    def _fields(self):
        return {
            "family": self._family,
            "dtype": self._dtype,
            "parameters": self._parameters,
            "design": self._design,
            "seen": self._seen,
            "log_likelihood": self._log_likelihood,
            "entropy": self._entropy,
            "counts": self._counts,
            "sums": self._sums,
        }

    # ---- bytes ----

    def to_bytes(self) -> bytes:
        """All of them, without pickle; the layout is that of the project's docs/files.md.

        Returns
        -------
        data : bytes
            What `from_bytes` reads on any machine.
        """
        fields = self._fields()
        sums, design = fields.pop("sums"), fields.pop("design")
        fields["parameters"], fields["seen"] = self._parameters.hex(), self._seen._asdict()
        contents = {KIND: fields, "sums": sums, "design": design}
        return persistence.to_bytes(persistence.Contents(KIND, "Statistics", contents))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Statistics from what `to_bytes` made.

        Parameters
        ----------
        data : bytes
            From anybody: nothing in it is run.

        Returns
        -------
        statistics : Statistics
            Sums over the rows, as large as the model whatever the number of rows.

        Raises
        ------
        ValueError
            For other bytes.
        """

        def made(sections):
            fields = sections.pop(KIND)
            fields["parameters"], fields["seen"] = bytes.fromhex(fields["parameters"]), Seen(**fields["seen"])
            return cls(**fields, **sections)

        return persistence.from_bytes(data, KIND, made)

    def __reduce__(self):
        return Statistics.from_bytes, (self.to_bytes(),)


def _name(name):
    if type(name) is not str:
        raise ValueError(f"{name!r} is no name of an array")
    return name


def _numbers(name, array):
    """Finite float64, read-only."""
    array = np.asarray(array)
    if array.dtype != np.float64:
        raise ValueError(f"{name} should be float64, got {array.dtype}")
    if not np.all(np.isfinite(array)):
        raise ValueError(
            f"sums over the rows of X overflowed, {name} are not finite: scale the columns of X to moderate size."
        )
    return frozen(array)


def _shapes(statistics):
    """Of counts and sums; where cells are named there may be any number of these."""
    named = INDEX in statistics._design
    shapes = {name: array.shape[:-1] if named else array.shape for name, array in statistics._sums.items()}
    return {"counts": statistics._counts.shape, **shapes}


def _with_one_index(one, other):
    """Both with the cells of either."""
    own, its = one._design.get(INDEX), other._design.get(INDEX)
    if own is None or np.array_equal(own, its):
        return one, other
    cells = np.unique(np.concatenate([own, its]), axis=0)
    return one._with_index(cells), other._with_index(cells)
