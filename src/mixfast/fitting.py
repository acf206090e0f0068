"""What a compiled fit is made of: a model bound to its rows, and the plan that an estimator's parameters say.

Both are the same for one fit and for a batch.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from mixfast import seeding
from mixfast.engine._fit import Model, Plan
from mixfast.engine._many import n_seeds_of
from mixfast.engine._rows import is_mapped
from mixfast.families.family import is_sparse
from mixfast.families.gaussian import SphericalGaussian

#: Rows that are made contiguous at a time.
BLOCK = 65536


def bind_model(
    encoded, seeding_rows, n_components, n_features, dtype, proportions, given, n_free=0.0, held=None, n_active=0
):
    """The `Model` of the family that knows the encoded rows.

    Parameters
    ----------
    encoded : Encoded
    seeding_rows : ndarray or sparse matrix, the rows that k-means runs on
    n_components, n_features : int, columns of the user's rows
    dtype : float32 or float64, the precision that rows are computed in
    proportions : Proportions
    given : (weights (n_components,), packed parameters), NaN where a start has to find them, or None for nothing
    n_free : float, parameters that a criterion counts
    held : Held or None
    n_active : int, components that each row keeps; 0 for all
    """
    family = encoded.family
    capsule = encoded.bind(n_components, dtype)
    encoded.check_layout(capsule, n_components, n_features)
    n_clusters = family.n_begun(n_components)
    located, places = None, None
    if held is None:  # centres of clusters are not what is held
        located = family.located(np.full((n_clusters, seeding_rows.shape[1]), np.nan))
    if located is not None:
        places = np.isnan(located).nonzero()[0].astype(np.int64, copy=False)
    blank = np.array(family.blank(n_components, n_features))  # a fit may overwrite it
    if places is not None and len(places):
        # starts without centres begin with these means: of missing entries they are what the first pass expects
        located[places] = blank[places]
        blank = located
    return Model(
        capsule,
        proportions,
        seeding.bind_centres_to(seeding_rows, n_clusters),
        seeding.bind_centres_to(seeding_rows, 1 + seeding.n_kmeans_plusplus_candidates(n_clusters)),
        blank,
        places,
        given,
        n_free,
        family.n_rows_needed(n_features),
        held,
        components_alike(n_components, seeding_rows, dtype) if n_active else None,
    )


def components_alike(n_components, X, dtype):
    """(capsule, parameters) of the family that finds clusters for truncated posteriors: n_seeds components that are
    equal but for their means."""
    n_seeds, family = n_seeds_of(n_components, X.shape[0]), SphericalGaussian()
    return family.bind(n_seeds, X.shape[1], dtype), family.blank(n_seeds, X.shape[1])


def plan_of(estimator, init_params, rows, **options):
    """The `Plan` of an estimator's parameters for these rows; `options` are the plan's."""
    options = {
        "n_init": estimator.n_init,
        "policy": getattr(estimator, "n_init_policy", "all"),
        **options,
    }
    return Plan(
        init_params,
        max_iter=min(estimator.max_iter, 2**62),
        tol=estimator.tol,
        stop_on=int(estimator._raises_on()),
        accelerates=estimator.accelerate is not None,
        prunes=not is_mapped(rows),  # rows on disk are read as they lie: in another order each would be a seek
        lloyd_tol=seeding.LLOYD_TOL,
        lloyd_max_iter=estimator._n_lloyd_steps(),
        n_active=estimator._n_active(),
        **options,
    )


def fingerprint(rows, sample_weight):
    """A number that tells encoded rows and their weights from others: CRC-32 of their bytes, whatever their layout."""
    parts = (rows.indptr, rows.indices, rows.data) if is_sparse(rows) else (rows,)
    found = 0
    for part in (*parts, *(() if sample_weight is None else (sample_weight,))):
        for first in range(0, len(part), BLOCK):
            found = crc32(np.ascontiguousarray(part[first : first + BLOCK]), found)
    return found
