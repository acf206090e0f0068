"""A program that uses the public interface, for `mypy --strict` to read with the installed package; it is never run.

Names with types are what mixfast says of its results; what is passed is what it says of its arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import mixfast
from mixfast import (
    GSDMM,
    BatchDisplay,
    BatchMap,
    BatchResult,
    BayesianGaussianMixture,
    BernoulliMixture,
    BootstrapLRT,
    CategoricalMixture,
    Design,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    Inference,
    MergeTree,
    MixtureDisplay,
    MixtureMap,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Selection,
    SelectionDisplay,
    Statistics,
    Status,
    StudentTMixture,
    Summary,
    TraceDisplay,
    VonMisesFisherMixture,
    blocks,
    bootstrap_lrt,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
    match,
    merge_tree,
    plot_mixture,
    reduce,
    select,
    top_words,
)
from mixfast.parts import Bernoulli, Categorical, Gaussian

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]


def gaussian(X: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], path: Path) -> None:
    model: GaussianMixture = GaussianMixture(3, covariance_type="tied", n_init=5, random_state=0, accelerate="auto")
    model = model.fit(X, sample_weight=weights)
    labels: Integers = model.fit_predict(X)
    labels = model.predict(X.tolist())
    resp: Floats = model.predict_proba(X)
    density: Floats = model.score_samples(X)
    density = model.component_log_density(X)
    criteria: list[float] = [model.bic(X, n_effective="kish"), model.aic(X), model.icl(X, n_effective=20.5)]
    criteria.append(model.score(X))
    matrices: Floats = model.covariance_matrices()
    rows, components = model.sample(5, random_state=np.random.RandomState(0))
    summary: Summary = model.summary(X)
    summed: Statistics = Statistics.sum([model.statistics(X), model.statistics(X)])
    data: bytes = summed.to_bytes()
    model = model.update(Statistics.from_bytes(data))
    model.save(path)
    found: GaussianMixture = load(str(path))
    known = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [1.0]], covariances=[[1.0], [1.0]])
    known = known.fit(X)
    print(labels, resp, density, criteria, matrices, rows.shape, components, summary, found, model.to_frame())


def others(X: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> None:
    student = StudentTMixture(2, degrees_of_freedom="shared", regularization="relative").fit(X)
    bayesian = BayesianGaussianMixture(5, weight_concentration_prior_type="dirichlet_distribution", prune=True).fit(X)
    process = DirichletProcessMixture("poisson", concentration=(1.0, 1.0), algorithm="sampler", n_draws=10).fit(counts)
    number: int = process.n_clusters_
    bernoulli = BernoulliMixture(2, alpha=0.5, binarize=None).fit(counts > 0)
    answers: list[list[str | None]] = [["a", "b"], ["a", None]]
    categorical = CategoricalMixture(2, unseen="missing").fit(answers)
    multinomial = MultinomialMixture(2, init_params="random").fit(counts)
    dirichlet = DirichletMultinomialMixture(2, concentration="symmetric").fit(counts)
    evidence: float = dirichlet.laplace(counts)
    poisson = PoissonMixture(2, weights=[0.5, 0.5]).fit(counts, exposure=np.ones(len(counts)))
    densities(poisson, counts, np.ones(len(counts)))
    gamma, exponential = GammaMixture(2).fit(X), ExponentialMixture(2, n_init_policy="halving").fit(X)
    directions = VonMisesFisherMixture(2, concentration_type="shared", normalize=True).fit(X)
    product = ProductMixture([(0, Gaussian()), (1, Categorical()), ([2, 3], Bernoulli())], 2).fit(X)
    texts = GSDMM(20, beta=0.2).fit(counts)
    words: list[list[str]] = top_words(texts, ["a", "b"], n=3, by="lift")
    design: Design = categorical.design([["a", "b"]])
    categorical = categorical.with_design(design)
    print(student, bayesian, number, bernoulli, multinomial, evidence, poisson, gamma, exponential, directions, product)
    print(words, bool(student.status_ & Status.CONVERGED))


def densities(model: PoissonMixture, counts: npt.NDArray[np.int64], exposure: npt.NDArray[np.float64]) -> None:
    one: PoissonMixture = model.marginal([0])
    other: PoissonMixture = model.condition([0], [3], exposure=2.0)
    reals: npt.NDArray[np.float64] = model.conditional_mean(counts[:, :1], [0], exposure=exposure)
    reals = one.cdf(counts[:, :1], exposure=exposure)
    reals = one.ppf([0.1, 0.9], exposure=2.0)
    level: float = model.log_density_level(0.95, exposure=2.0)
    outliers: npt.NDArray[np.bool_] = model.is_outlier(counts, contamination=0.05, exposure=exposure)
    mapped: MixtureMap = MixtureMap.from_estimator(model, counts, exposure=exposure)
    matched: Integers = match(model, model, counts, exposure=exposure)
    print(other, reals, level, outliers, mapped, matched)


def regressions(X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
    model = MixtureOfExperts(2, expert="poisson", gate="same", fixed=[0], variance="common").fit(X, y, exposure=y)
    mean: npt.NDArray[np.float64] = model.predict(X)
    mean = model.predict_components(X)
    limits: npt.NDArray[np.float64] = model.predict_interval(X, level=0.8)
    posterior: Floats = model.posterior(X, y)
    labels: Integers = model.labels(X, y)
    found: Inference = model.inference(X, y, robust=True)
    errors: npt.NDArray[np.float64] = found.standard_errors
    by_formula = MixtureOfExperts(2).from_formula("y ~ x", {"x": [1.0, 2.0], "y": [1.0, 2.0]})
    binomial = MixtureOfExperts(2, expert="binomial").fit(X, np.column_stack([y, y + 1]))
    spreads: npt.NDArray[np.float64] = binomial.predict_std(X, trials=y)
    spreads = binomial.predict_quantile(X, [0.1, 0.9], trials=y)
    spreads = binomial.predict_interval(X, trials=y)
    drawn, components = binomial.sample(X, 0, trials=y)
    drawn_labels: Integers = components
    print(mean, limits, posterior, labels, errors, by_formula.bic(X, y), spreads, drawn, drawn_labels)


def choices(X: npt.NDArray[np.float64]) -> None:
    chosen: Selection = select(
        X, GaussianMixture(), n_components=range(1, 5), criterion="icl", covariance_type=["full"]
    )
    labels: Integers = chosen.predict(X)
    best: GaussianMixture = chosen.best_
    test: BootstrapLRT = bootstrap_lrt(X, GaussianMixture(), 2, n_bootstrap=19, random_state=0)
    p: float = test.p_value
    found: MixtureMap = MixtureMap.from_estimator(best, X)
    tree: MergeTree = merge_tree(best, X, criterion="icl")
    partners: Integers = match(best, reduce(best, 2), X)
    axes = plot_mixture(best, X, features=(0, 1))
    display: MixtureDisplay = MixtureDisplay.from_estimator(best, X, features=[0, 1], kind="contours")
    displays = SelectionDisplay.from_selection(chosen), TraceDisplay.from_estimator(best)
    print(labels, p, found.overlap, tree.linkage, partners, axes, display.plot(), displays)


def elsewhere(path: Path) -> None:
    X = blocks(path, columns=["a", "b"], weight="w", exposure="hours")
    model: PoissonMixture = PoissonMixture(2).fit(X)
    criteria: list[float] = [model.score(X), model.bic(X, n_effective="kish"), model.aic(X), model.icl(X)]
    chosen: Selection = select(X, PoissonMixture(), n_components=[1, 2], n_effective="sum", random_state=0)
    regression = MixtureOfExperts(2).fit(blocks(path, columns=["a"], y="b"))
    criteria.append(regression.bic(blocks(path, columns=["a"], y="b")))
    print(criteria, chosen.best_params_)


def batches(problems: list[npt.NDArray[np.float64]], table: Any) -> None:
    result: BatchResult = fit_many(problems, GaussianMixture(), n_components=range(1, 4), keep="all", n_threads=2)
    result = fit_many_columns(table, GaussianMixture())
    result = fit_many_groups(table, PoissonMixture(2), by="sensor", columns=["a", "b"], exposure="hours")
    of_sensor: PoissonMixture = result.by_name("sensor 3")
    labels: list[Integers] = result.predict(problems)
    numbers: Integers = result.n_components
    whole: BatchResult = BatchResult.concatenate([result, result])
    order: Integers = whole.align(problems=problems)
    drawn: BatchMap = BatchMap.from_result(result)
    frame = result.to_frame("components")
    display: BatchDisplay = BatchDisplay.from_result(result)
    mixfast.show_config()
    directory: str = mixfast.get_include()
    print(of_sensor, labels, numbers, order, drawn, frame, display, directory)
