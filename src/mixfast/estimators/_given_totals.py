"""What mixtures of rows of counts share that say nothing of the totals of the rows, fitted by EM or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from mixfast._docstrings import described
from mixfast._typing import Integers, Seed
from mixfast.estimators._domain import check_counts
from mixfast.estimators._given import numbers
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.counts import row_totals
from mixfast.families.domains import COUNT, DISTRIBUTION, check_domain
from mixfast.whole import check_whole


def check_totals(totals, total_shares):
    """The attributes that `sample` draws totals by, without underscore: none where None is given for both."""
    if totals is None and total_shares is None:
        return {}
    if totals is None or total_shares is None:
        raise ValueError(f"totals={totals!r} and total_shares={total_shares!r}: give both, or leave both out")
    totals, shares = numbers("totals", totals, 1), numbers("total_shares", total_shares, 1)
    if totals.shape != shares.shape:
        raise ValueError(f"totals and total_shares should have one shape, got {totals.shape} and {shares.shape}")
    check_domain("totals", totals, [COUNT])
    check_domain("total_shares", shares, DISTRIBUTION)
    return {"totals": totals, "total_shares": shares / shares.sum()}


#: Rows are drawn with sums that int64 holds.
END_OF_TOTALS = 2.0**63


def total_of_rows(model, total):
    """The sum of rows that components are compared by: None is the mean of those in `fit`, rounded."""
    if total is not None:
        return check_whole("total", total, 1, END_OF_TOTALS - 1)
    if not hasattr(model, "totals_"):
        raise ValueError(
            "This model does not know the totals of the rows that it was fitted to, and how much components overlap "
            "depends on these: pass total, a typical one"
        )
    model._check_assigned()
    return max(1, round(float(model.totals_ @ model.total_shares_)))


@described
class GivenTotals:
    """Mixtures of counts given the total of each row; `sample` draws totals from those of the rows in `fit`."""

    #: Whether components can be compared whatever the total is.
    _compares_without_totals = True
    _of_rows: tuple[str, ...] = ("totals_", "total_shares_")
    _any_rows: dict = {"total": 1}

    def _prepare_rows(self, X):
        check_counts(X)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check_state(self):
        super()._check_state()
        if hasattr(self, "totals_"):  # models of given parameters may have none
            totals, shares = (np.asarray(own, dtype=np.float64) for own in (self.totals_, self.total_shares_))
            if totals.ndim != 1 or totals.shape != shares.shape:
                raise ValueError(f"totals_ and total_shares_ have shapes {totals.shape} and {shares.shape}")

    def _check_domains(self):
        super()._check_domains()
        if hasattr(self, "totals_"):
            check_domain("totals_", np.asarray(self.totals_), [COUNT])
            check_domain("total_shares_", np.asarray(self.total_shares_), DISTRIBUTION)

    def _design_of_rows(self, X, sample_weight):
        totals, place = np.unique(row_totals(X), return_inverse=True)
        share = np.bincount(place, weights=sample_weight)
        return {"totals_": totals, "total_shares_": share / share.sum()}

    def _learn_design(self, X, sample_weight):
        self._publish_together(**self._design_of_rows(X, sample_weight))

    def sample(
        self,
        n_samples: int = 1,
        random_state: Seed = None,
        totals: int | ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[Any, Integers]:
        """Draw rows from the fitted model.

        Parameters
        ----------
        <n_samples, drawing random_state>
        totals : int or array-like of shape (n_samples,), default=None
            Sums of the rows, below 2**63, which the model says nothing of. None draws them from those of the rows in
            `fit`.
        <as_frame>

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component.
        y : ndarray of shape (n_samples,), int64
            The component of each row.
        """
        rng = self._rng_of_sample(n_samples, random_state)
        X, labels = self._draw(n_samples, rng, totals)
        return self._framed(X, as_frame), labels

    def _draw(self, n_samples, rng, totals=None):
        return super()._draw(n_samples, rng, totals=self._totals_of_sample(n_samples, rng, totals))

    def _totals_of_sample(self, n_samples, rng, totals):
        if totals is None:
            if not hasattr(self, "totals_"):
                raise ValueError("This model does not know the totals of the rows that it was fitted to: pass totals")
            self._check_assigned()
            totals = rng.choice(self.totals_, size=n_samples, p=self.total_shares_)
            if np.max(totals) >= END_OF_TOTALS:
                raise ValueError(
                    f"Rows of fit have a sum of {np.max(totals)}, and rows are drawn with sums below 2**63 only: pass "
                    "totals"
                )
            return totals.astype(np.int64)
        totals = np.broadcast_to(
            check_array(np.atleast_1d(totals), ensure_2d=False, input_name="totals", dtype=np.float64), n_samples
        )
        if np.any((totals < 0) | (totals != np.floor(totals)) | (totals >= END_OF_TOTALS)):
            raise ValueError(f"totals should be whole numbers of at least 0 and below 2**63, got {totals}")
        return totals.astype(np.int64)


class GivenTotalsMixture(GivenTotals, LikelihoodMixture):
    """Base of mixtures given totals that are fitted by EM."""

    _accepts_sparse = "csr"

    def _components(self, total=None):
        return self._components_of_rows(totals=total_of_rows(self, total))
