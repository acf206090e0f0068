"""Twin of truncated posteriors (`engine/_truncated.pyx`): each row keeps some of its candidates, and no others have a
part of it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from mixfast._reference.em import share_softly


def as_mask(active, n_components):
    """(n, K), bool: which components rows keep, of their numbers (n, n_active), -1 where there are fewer."""
    mask = np.zeros((len(active), n_components), dtype=bool)
    rows, places = np.nonzero(active >= 0)
    mask[rows, active[rows, places]] = True
    return mask


def best_of(log_prob, candidates, n_active):
    """(n, n_active) numbers of the best of each row's candidates (n, K), the best first, -1 where there are fewer."""
    values = np.where(candidates, log_prob, -np.inf)
    order = np.argsort(-values, axis=1, kind="stable")[:, :n_active]
    return np.where(np.take_along_axis(values, order, axis=1) > -np.inf, order, -1)


def share_among(active, n_components):
    """The E-step among what rows keep, for `gather` and `fit` of `em.py`."""
    return partial(share_softly, allowed=as_mask(active, n_components))
