"""Each compiled family beside its NumPy twin, with data and parameters to try them on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse

from mixfast._em import EM
from mixfast._reference import bernoulli as bernoulli_twin
from mixfast._reference import categorical as categorical_twin
from mixfast._reference import dirichlet_multinomial as dirichlet_multinomial_twin
from mixfast._reference import factors as factors_twin
from mixfast._reference import gamma as gamma_twin
from mixfast._reference import gaussian as gaussian_twin
from mixfast._reference import missing as missing_twin
from mixfast._reference import multinomial as multinomial_twin
from mixfast._reference import noise as noise_twin
from mixfast._reference import poisson as poisson_twin
from mixfast._reference import product as product_twin
from mixfast._reference import shapes as shapes_twin
from mixfast._reference import student_t as student_t_twin
from mixfast._reference import von_mises_fisher as von_mises_fisher_twin
from mixfast.engine._isa import available_isas
from mixfast.engine._rows import Rows
from mixfast.families._shapes import nearest
from mixfast.families.bernoulli import Bernoulli, BernoulliParams
from mixfast.families.categorical import Categorical, CategoricalParams
from mixfast.families.covariances import SHAPES
from mixfast.families.dirichlet_multinomial import (
    DirichletMultinomial,
    DirichletMultinomialParams,
    FixedDirichletMultinomial,
    SymmetricDirichletMultinomial,
)
from mixfast.families.factors import NOISES, FactorGaussian, FactorParams
from mixfast.families.gamma import Exponential, ExponentialParams, Gamma, GammaParams
from mixfast.families.gaussian import (
    DiagonalGaussian,
    FullGaussian,
    GaussianParams,
    ShapedGaussian,
    SphericalGaussian,
    TiedGaussian,
)
from mixfast.families.multinomial import Multinomial, MultinomialParams
from mixfast.families.noise import Region, WithNoise
from mixfast.families.poisson import Poisson, PoissonParams
from mixfast.families.product import Product
from mixfast.families.student_t import (
    DiagonalStudentT,
    FullStudentT,
    GivenDegrees,
    OwnDegrees,
    ShapedStudentT,
    SharedDegrees,
    SphericalStudentT,
    StudentTParams,
    TiedStudentT,
)
from mixfast.families.von_mises_fisher import SharedVonMisesFisher, VonMisesFisher, VonMisesFisherParams

ISAS = available_isas()
DTYPES = (np.float64, np.float32)


#: Numbers of columns, about the lengths of vectors and strips.
WIDTHS = (1, 2, 3, 5, 16, 67)


class Twins(NamedTuple):
    """A compiled family, its twin, and makers of rows and of parameters.

    widths : the numbers of columns to try
    numbers : the numbers of components to try
    takes_sparse : whether rows may be in CSR form
    step_rtol : by dtype, how far the parameters after a step may be off, where a step moves by more than its sums
    dtypes : the precisions to try, of those that the family has verbs for
    """

    compiled: object
    reference: object
    make_rows: callable
    make_params: callable
    widths: tuple = WIDTHS
    numbers: tuple = (1, 2, 7, 33)
    takes_sparse: bool = False
    step_rtol: dict | None = None
    dtypes: tuple = DTYPES

    def forms(self):
        """name -> function that puts rows in memory so."""
        dense = {"rows": np.ascontiguousarray, "columns": np.asfortranarray}
        return dense | ({"csr": scipy.sparse.csr_matrix} if self.takes_sparse else {})

    def is_shared(self):
        """For each array of parameters, whether all components have it in common."""
        width = self.widths[0]
        one, two = (self.compiled.param_shapes(n_components, width) for n_components in (1001, 1002))
        return [a == b for a, b in zip(one, two, strict=True)]

    def are_matrices(self):
        """For each array of parameters, whether it is of square matrices."""
        return [
            len(shape) > 1 and shape[-1] == shape[-2] for shape in self.compiled.param_shapes(1001, self.widths[-1])
        ]


def gaussian_rows(rng, n_rows, n_features):
    """Three groups away from the origin, columns of different scales."""
    centres = 5 + 2 * rng.standard_normal((3, n_features))
    rows = centres[rng.integers(3, size=n_rows)] + rng.standard_normal((n_rows, n_features))
    return rows * np.linspace(0.5, 2, n_features)


def _means(rng, n_components, n_features):
    return (5 + 2 * rng.standard_normal((n_components, n_features))) * np.linspace(0.5, 2, n_features)


def _covariance(rng, n_features):
    factor = rng.standard_normal((n_features, 2 * n_features + 3))
    return 3 * factor @ factor.T / factor.shape[1] + 0.5 * np.eye(n_features)


def full_params(rng, n_components, n_features):
    covariances = np.array([_covariance(rng, n_features) for _ in range(n_components)])
    factors = np.array([gaussian_twin.precision_factor(covariance) for covariance in covariances])
    return GaussianParams(_means(rng, n_components, n_features), covariances, factors)


def tied_params(rng, n_components, n_features):
    covariance = _covariance(rng, n_features)
    return GaussianParams(_means(rng, n_components, n_features), covariance, gaussian_twin.precision_factor(covariance))


def diagonal_params(rng, n_components, n_features):
    variances = rng.uniform(1, 4, (n_components, n_features))
    return GaussianParams(_means(rng, n_components, n_features), variances, 1 / np.sqrt(variances))


def spherical_params(rng, n_components, n_features):
    variances = rng.uniform(1, 4, n_components)
    return GaussianParams(_means(rng, n_components, n_features), variances, 1 / np.sqrt(variances))


#: Of noise beside components, whatever the number of columns: about as dense as these.
NOISE = Region(4.0, None)


def beside_noise(make_params):
    """Parameters of one component less: noise has none."""
    return lambda rng, n_components, n_features: make_params(rng, n_components - 1, n_features)


def factor_params(n_factors, noise):
    """Parameters of a mixture of factor analysers; noise of columns and components as that says."""
    is_tied, is_spherical = NOISES[noise]

    def make(rng, n_components, n_features):
        noises = rng.uniform(0.5, 2, (n_components, n_features))
        noises[:] = noises[: 1 if is_tied else None, : 1 if is_spherical else None]
        return FactorParams(
            _means(rng, n_components, n_features), rng.normal(size=(n_components, n_features, n_factors)), noises
        )

    return make


def shaped_params(name):
    """Parameters of a shape: the nearest to those of any."""

    def make(rng, n_components, n_features):
        means, matrices, _ = full_params(rng, n_components, n_features)
        covariances = nearest(name, matrices, np.full(n_components, 1 / n_components))
        return GaussianParams(
            means, covariances, np.array([gaussian_twin.precision_factor(own) for own in covariances])
        )

    return make


def heavy_tailed_rows(rng, n_rows, n_features):
    """Three groups, each with outliers of its own."""
    centres = 5 + 2 * rng.standard_normal((3, n_features))
    tails = np.sqrt(3 / rng.chisquare(3, (n_rows, 1)))
    rows = centres[rng.integers(3, size=n_rows)] + rng.standard_normal((n_rows, n_features)) * tails
    return rows * np.linspace(0.5, 2, n_features)


def with_degrees(make_params, n_groups):
    """Parameters of a Student-t family; components of a group share their degrees of freedom, no group has eight."""

    def make(rng, n_components, n_features):
        located = make_params(rng, n_components, n_features)
        groups = n_groups(n_components)
        degrees = (
            np.repeat(rng.uniform(2, 12, groups), n_components // groups) if groups else np.full(n_components, 8.0)
        )
        return StudentTParams(*located, degrees)

    return make


def binary_rows(rng, n_rows, n_features):
    """Three groups with probabilities of their own."""
    probabilities = rng.uniform(size=(3, n_features))[rng.integers(3, size=n_rows)]
    return (rng.uniform(size=(n_rows, n_features)) < probabilities).astype(float)


def bernoulli_params(rng, n_components, n_features):
    return BernoulliParams(rng.uniform(0.05, 0.95, (n_components, n_features)))


OWN, SHARED, GIVEN = OwnDegrees().n_groups, SharedDegrees().n_groups, GivenDegrees(8).n_groups


def count_rows(rng, n_rows, n_features):
    """Three groups with rates of their own, and rows without counts."""
    rates = rng.gamma(1, 3, size=(3, n_features))[rng.integers(3, size=n_rows)]
    return rng.poisson(rates * rng.integers(3, size=(n_rows, 1))).astype(float)


def multinomial_params(rng, n_components, n_features):
    return MultinomialParams(rng.dirichlet(np.full(n_features, 2.0), size=n_components))


def poisson_params(rng, n_components, n_features):
    return PoissonParams(rng.gamma(2, 2, size=(n_components, n_features)))


def unit_vectors(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def directions(rng, n_rows, n_features):
    """Three groups about directions of their own."""
    centres = unit_vectors(rng.standard_normal((3, n_features)))
    noise = rng.standard_normal((n_rows, n_features)) / np.sqrt(n_features)
    return unit_vectors(centres[rng.integers(3, size=n_rows)] + 0.8 * noise)


def von_mises_fisher_params(rng, n_components, n_features):
    concentrations = n_features * rng.uniform(0.5, 4, n_components)
    return VonMisesFisherParams(unit_vectors(rng.standard_normal((n_components, n_features))), concentrations)


def shared_von_mises_fisher_params(rng, n_components, n_features):
    params = von_mises_fisher_params(rng, n_components, n_features)
    return params._replace(concentrations=np.full(n_components, params.concentrations[0]))


def positive_rows(rng, n_rows, n_features):
    """Three groups of times, with means and spreads of their own."""
    labels = rng.integers(3, size=n_rows)
    shapes, scales = rng.uniform(0.5, 6, (3, n_features)), rng.uniform(0.3, 3, (3, n_features))
    return rng.gamma(shapes[labels], scales[labels])


def gamma_params(rng, n_components, n_features):
    shape = (n_components, n_features)
    return GammaParams(rng.uniform(0.5, 6, shape), rng.uniform(0.3, 3, shape))


def exponential_params(rng, n_components, n_features):
    return ExponentialParams(rng.uniform(0.1, 2, (n_components, n_features)))


def answers(rng, n_rows, n_features):
    """Codes of three categories, or 3 for a missing answer; three groups with probabilities of their own."""
    ladders = np.cumsum(rng.dirichlet(np.ones(4), (3, n_features)), axis=2)[rng.integers(3, size=n_rows)]
    return np.sum(rng.uniform(size=(n_rows, n_features, 1)) > ladders[:, :, :3], axis=2).astype(float)


def categorical_params(rng, n_components, n_features):
    probabilities = rng.dirichlet(np.full(3, 2.0), (n_components, n_features))
    return CategoricalParams(probabilities.reshape(n_components, -1))


def overdispersed_rows(rng, n_rows, n_features):
    """Three groups with proportions that vary from row to row, small totals and large ones, and rows without counts."""
    return _rows_of_shares(rng, rng.gamma(1, 3, size=(3, n_features))[rng.integers(3, size=n_rows)] + 0.05)


def unequal_rows(rng, n_rows, n_features):
    """Three groups, in which the proportions of a row are more or less equal."""
    return _rows_of_shares(rng, rng.choice([0.1, 1, 20], size=(n_rows, 1)) + np.zeros(n_features))


def _rows_of_shares(rng, concentrations):
    n_rows = len(concentrations)
    shares = rng.standard_gamma(concentrations) + 1e-9
    totals = rng.choice([0, 3, 20, 200], size=n_rows)
    return rng.multinomial(totals, shares / shares.sum(axis=1, keepdims=True)).astype(float)


def dirichlet_multinomial_params(rng, n_components, n_features):
    return DirichletMultinomialParams(rng.gamma(1, 3, size=(n_components, n_features)) + 0.01)


def symmetric_params(rng, n_components, n_features):
    return DirichletMultinomialParams(rng.gamma(1, 3, size=(n_components, 1)) + np.full(n_features, 0.01))


def fixed_params(rng, n_components, n_features):
    return DirichletMultinomialParams(12 * rng.dirichlet(np.full(n_features, 2.0), size=n_components))


#: Common axes are found in the twin by trying angles, which takes long.
COMMON_AXES = {"widths": (1, 2, 3), "numbers": (1, 2)}

SHAPED = {
    f"shape {name}": Twins(
        ShapedGaussian(name, 1e-6),
        shapes_twin.Shaped(name, 1e-6),
        gaussian_rows,
        shaped_params(name),
        **(COMMON_AXES if name in ("EVE", "VVE") else {"widths": (1, 2, 5, 16), "numbers": (1, 2, 7)}),
    )
    for name in SHAPES
}

FACTORS = {
    f"{n_factors} factors, {noise}": Twins(
        FactorGaussian(n_factors, noise, 1e-6),
        factors_twin.Factors(noise, 1e-6),
        gaussian_rows,
        factor_params(n_factors, noise),
        widths=widths,
        numbers=(1, 2, 7),
    )
    for n_factors, noise, widths in (
        (1, "diag", (2, 3, 16)),
        (2, "spherical", (3, 5, 16)),
        (2, "tied_diag", (3, 5, 16)),
        (2, "tied_spherical", (3, 5, 16)),
    )
}

FAMILIES = SHAPED | {
    **FACTORS,
    "full": Twins(FullGaussian(1e-6), gaussian_twin.FullGaussian(1e-6), gaussian_rows, full_params),
    "tied": Twins(TiedGaussian(1e-6), gaussian_twin.TiedGaussian(1e-6), gaussian_rows, tied_params),
    "diagonal": Twins(DiagonalGaussian(1e-6), gaussian_twin.DiagonalGaussian(1e-6), gaussian_rows, diagonal_params),
    "spherical": Twins(SphericalGaussian(1e-6), gaussian_twin.SphericalGaussian(1e-6), gaussian_rows, spherical_params),
    "heavy full": Twins(
        FullStudentT(1e-6, OwnDegrees()),
        student_t_twin.StudentT(gaussian_twin.FullGaussian(1e-6), OWN, 8.0),
        heavy_tailed_rows,
        with_degrees(full_params, OWN),
    ),
    "heavy tied": Twins(
        TiedStudentT(1e-6, OwnDegrees()),
        student_t_twin.TiedStudentT(1e-6, OWN, 8.0),
        heavy_tailed_rows,
        with_degrees(tied_params, OWN),
    ),
    "heavy diagonal": Twins(
        DiagonalStudentT(1e-6, SharedDegrees()),
        student_t_twin.StudentT(gaussian_twin.DiagonalGaussian(1e-6), SHARED, 8.0),
        heavy_tailed_rows,
        with_degrees(diagonal_params, SHARED),
    ),
    "heavy spherical": Twins(
        SphericalStudentT(1e-6, GivenDegrees(8)),
        student_t_twin.StudentT(gaussian_twin.SphericalGaussian(1e-6), GIVEN, 8.0),
        heavy_tailed_rows,
        with_degrees(spherical_params, GIVEN),
    ),
    "heavy VEI": Twins(
        ShapedStudentT("VEI", 1e-6, SharedDegrees()),
        student_t_twin.StudentT(shapes_twin.Shaped("VEI", 1e-6), SHARED, 8.0),
        heavy_tailed_rows,
        with_degrees(shaped_params("VEI"), SHARED),
        widths=(1, 2, 5, 16),
        numbers=(1, 2, 7),
    ),
    "heavy EVV": Twins(
        ShapedStudentT("EVV", 1e-6, OwnDegrees()),
        shapes_twin.EqualVolumesStudentT(shapes_twin.Shaped("EVV", 1e-6), OWN, 8.0),
        heavy_tailed_rows,
        with_degrees(shaped_params("EVV"), OWN),
        widths=(1, 2, 5, 16),
        numbers=(1, 2, 7),
    ),
    "heavy EEI": Twins(
        ShapedStudentT("EEI", 1e-6, GivenDegrees(8)),
        shapes_twin.EqualVolumesStudentT(shapes_twin.Shaped("EEI", 1e-6), GIVEN, 8.0),
        heavy_tailed_rows,
        with_degrees(shaped_params("EEI"), GIVEN),
        widths=(1, 2, 5, 16),
        numbers=(1, 2, 7),
    ),
    "bernoulli": Twins(Bernoulli(0.5), bernoulli_twin.Bernoulli(0.5), binary_rows, bernoulli_params, takes_sparse=True),
    "multinomial": Twins(
        Multinomial(0.5), multinomial_twin.Multinomial(0.5), count_rows, multinomial_params, takes_sparse=True
    ),
    "poisson": Twins(Poisson(0.5, 0.2), poisson_twin.Poisson(0.5, 0.2), count_rows, poisson_params, takes_sparse=True),
    "von_mises_fisher": Twins(
        VonMisesFisher(), von_mises_fisher_twin.VonMisesFisher(), directions, von_mises_fisher_params, takes_sparse=True
    ),
    "shared_von_mises_fisher": Twins(
        SharedVonMisesFisher(),
        von_mises_fisher_twin.SharedVonMisesFisher(),
        directions,
        shared_von_mises_fisher_params,
        takes_sparse=True,
    ),
    "gamma": Twins(Gamma(), gamma_twin.Gamma(), positive_rows, gamma_params),
    "exponential": Twins(Exponential(), gamma_twin.Exponential(), positive_rows, exponential_params),
    "categorical": Twins(Categorical(3, 0.5), categorical_twin.Categorical(3, 0.5), answers, categorical_params),
}

#: A step goes where surrogates meet, which moves by more than they do.
CELLS = {"widths": (1, 2, 5, 16), "numbers": (1, 2, 7), "step_rtol": {np.float64: 1e-9, np.float32: 1e-2}}

#: Families whose statistics are laid out by the rows that are encoded: those of other rows are other sums.
CELL_FAMILIES = {
    "dirichlet_multinomial": Twins(
        DirichletMultinomial(0.1, 0.1),
        dirichlet_multinomial_twin.DirichletMultinomial(0.1, 0.1),
        overdispersed_rows,
        dirichlet_multinomial_params,
        **CELLS,
    ),
    "symmetric_dirichlet_multinomial": Twins(
        SymmetricDirichletMultinomial(0.3, 0.2),
        dirichlet_multinomial_twin.SymmetricDirichletMultinomial(0.3, 0.2),
        unequal_rows,
        symmetric_params,
        **CELLS,
    ),
    "fixed_dirichlet_multinomial": Twins(
        FixedDirichletMultinomial(12.0, 0.1),
        dirichlet_multinomial_twin.FixedDirichletMultinomial(12.0, 0.1),
        overdispersed_rows,
        fixed_params,
        **CELLS,
    ),
}


#: Noise beside components, which has no parameters.
NOISY = {
    "full with noise": Twins(
        WithNoise(FullGaussian(1e-6), NOISE),
        noise_twin.WithNoise(gaussian_twin.FullGaussian(1e-6), np.exp(NOISE.log_volume)),
        gaussian_rows,
        beside_noise(full_params),
        numbers=(2, 3, 8),
        widths=(1, 2, 5, 16),
    ),
    "heavy diagonal with noise": Twins(
        WithNoise(DiagonalStudentT(1e-6, OwnDegrees()), NOISE),
        noise_twin.WithNoise(
            student_t_twin.StudentT(gaussian_twin.DiagonalGaussian(1e-6), OWN, 8.0), np.exp(NOISE.log_volume)
        ),
        heavy_tailed_rows,
        beside_noise(with_degrees(diagonal_params, OWN)),
        numbers=(2, 3, 8),
        widths=(1, 2, 5, 16),
    ),
}


def holed(make_rows):
    """Rows of which a third of the entries are missing; the first is complete, the second has none."""

    def make(rng, n_rows, n_features):
        X = make_rows(rng, n_rows, n_features)
        X[rng.random(X.shape) < 1 / 3] = np.nan
        X[1:2] = np.nan
        X[:1] = make_rows(rng, min(n_rows, 1), n_features)
        return X

    return make


#: Rows with missing entries, which are computed in double precision.
HOLED = {
    f"{name} with missing entries": FAMILIES[name]._replace(
        reference=twin(FAMILIES[name].reference, matrices),
        make_rows=holed(FAMILIES[name].make_rows),
        widths=FAMILIES[name].widths if name in FACTORS else (1, 2, 5, 9),
        numbers=(1, 3),
        dtypes=(np.float64,),
    )
    for twin, matrices, names in (
        (missing_twin.WithMissing, missing_twin.of_matrices, ("full", "shape VEV", "shape EVI")),
        (missing_twin.WithMissing, missing_twin.of_shared_matrix, ("tied",)),
        (missing_twin.WithMissing, missing_twin.of_columns, ("diagonal",)),
        (missing_twin.WithMissing, missing_twin.of_numbers, ("spherical",)),
        (missing_twin.FactorsWithMissing, missing_twin.of_factors, tuple(FACTORS)),
        (
            missing_twin.StudentTWithMissing,
            missing_twin.of_matrices,
            ("heavy full", "heavy VEI", "heavy EVV", "heavy EEI"),
        ),
        (missing_twin.StudentTWithMissing, missing_twin.of_shared_matrix, ("heavy tied",)),
        (missing_twin.StudentTWithMissing, missing_twin.of_columns, ("heavy diagonal",)),
        (missing_twin.StudentTWithMissing, missing_twin.of_numbers, ("heavy spherical",)),
    )
    for name in names
}


#: The sides of a box of noise, of three columns.
SIDES = np.array([1.5, 2.0, 9.0])
BOX = Region.of_box(np.vstack([np.zeros(3), np.diag(SIDES)]))

HOLED |= {
    f"{name} with noise and missing entries": HOLED[f"{name} with missing entries"]._replace(
        compiled=WithNoise(FAMILIES[name].compiled, BOX),
        reference=noise_twin.WithNoise(HOLED[f"{name} with missing entries"].reference, SIDES),
        make_params=beside_noise(FAMILIES[name].make_params),
        widths=(3,),
        numbers=(2, 4),
    )
    for name in ("full", "heavy diagonal")
}


def product_of(names, widths):
    """Columns of several families, side by side."""
    parts = [FAMILIES[name] for name in names]
    counts = [[len(getattr(part.compiled, kind)._fields) for part in parts] for kind in ("Params", "Stats")]
    compiled = Product([part.compiled for part in parts], widths)

    def make_rows(rng, n_rows, n_features):
        return np.concatenate(
            [part.make_rows(rng, n_rows, width) for part, width in zip(parts, widths, strict=True)], axis=1
        )

    def make_params(rng, n_components, n_features):
        return compiled.join(
            [part.make_params(rng, n_components, width) for part, width in zip(parts, widths, strict=True)]
        )

    reference = product_twin.Product([part.reference for part in parts], widths, *counts)
    return Twins(compiled, reference, make_rows, make_params, widths=(sum(widths),), numbers=(1, 4, 7))


#: Tied Gaussians have terms that all components have in common.
PRODUCTS = {
    "gaussian, binary, categories": product_of(("full", "bernoulli", "categorical"), (3, 2, 4)),
    "categories, tied, diagonal, tied": product_of(("categorical", "tied", "diagonal", "tied"), (2, 3, 6, 1)),
    "one": product_of(("spherical",), (2,)),
}


def unequal_answers(rng, n_rows, n_features):
    """Codes of as many categories as UNEQUAL says, or one more for a missing answer."""
    return np.column_stack([rng.integers(0, number + 1, n_rows) for number in UNEQUAL]).astype(float)


def unequal_answer_params(rng, n_components, n_features):
    own = [rng.dirichlet(np.full(number, 2.0), n_components) for number in UNEQUAL]
    return CategoricalParams(np.concatenate(own, axis=1))


#: Numbers of categories of the columns of one table.
UNEQUAL = (2, 5, 1, 3)

#: What other tests cannot use: columns of their own.
FIXED_COLUMNS = {
    "5 factors": Twins(
        FactorGaussian(5, "diag", 1e-6),
        factors_twin.Factors("diag", 1e-6),
        gaussian_rows,
        factor_params(5, "diag"),
        widths=(7, 67),
        numbers=(1, 3),
    ),
    "categorical of unequal columns": Twins(
        Categorical(UNEQUAL, 0.3),
        categorical_twin.Categorical(UNEQUAL, 0.3),
        unequal_answers,
        unequal_answer_params,
        widths=(4,),
        numbers=(1, 3, 4, 5, 17, 40),
    ),
    "categorical of unequal columns, maximum likelihood": Twins(
        Categorical(UNEQUAL, 0.0),
        categorical_twin.Categorical(UNEQUAL, 0.0),
        unequal_answers,
        unequal_answer_params,
        widths=(4,),
        numbers=(1, 3, 4, 5, 17, 40),
    ),
}

EVERY_FAMILY = FAMILIES | CELL_FAMILIES | PRODUCTS


def precisions_of(families):
    """(name, dtype) for each of a table of families, and each precision that it has verbs for."""
    return [
        (name, dtype) for name, twins in families.items() for dtype in twins.dtypes if dtype in twins.compiled.dtypes
    ]


def random_weights(rng, n_components):
    weights = rng.uniform(0.5, 2, n_components)
    return weights / weights.sum()


def make_em(twins, X, weights, params, sample_weight=None, n_threads=1, chunk_rows=None, isa=None, proportions=None):
    """The compiled engine at the given parameters."""
    encoded = twins.compiled.encode(X)
    capsule = encoded.bind(len(weights), X.dtype, isa)
    em = EM(capsule, Rows(encoded.rows, sample_weight, encoded.base), n_threads, chunk_rows, proportions)
    em.set_state(weights, twins.compiled.params_layout(len(weights), X.shape[1]).pack(params))
    return em


def flat(arrays):
    """A tuple of arrays as one buffer."""
    return np.concatenate([np.ravel(array) for array in arrays])
