"""Where public names live: data alone, so that rooms on low floors know names and import nothing from above."""

from __future__ import annotations

#: The names of `mixfast`, and the modules that they are imported from when they are first used.
HOMES = {
    "BatchDisplay": "mixfast.plot",
    "BatchMap": "mixfast.maps",
    "BatchResult": "mixfast.batches.result",
    "BayesianGaussianMixture": "mixfast.estimators.bayesian_gaussian_mixture",
    "BernoulliMixture": "mixfast.estimators.bernoulli_mixture",
    "BootstrapInference": "mixfast.resampling",
    "BootstrapLRT": "mixfast.bootstrap",
    "CategoricalMixture": "mixfast.estimators.categorical_mixture",
    "Design": "mixfast.design",
    "DirichletMultinomialMixture": "mixfast.estimators.dirichlet_multinomial_mixture",
    "DirichletProcessMixture": "mixfast.estimators.dirichlet_process_mixture",
    "ExponentialMixture": "mixfast.estimators.gamma_mixture",
    "GSDMM": "mixfast.estimators.gsdmm",
    "GammaMixture": "mixfast.estimators.gamma_mixture",
    "GaussianMixture": "mixfast.estimators.gaussian_mixture",
    "Inference": "mixfast.inference",
    "MergeTree": "mixfast.merging",
    "MixtureClassifier": "mixfast.classifier",
    "MixtureDisplay": "mixfast.plot",
    "MixtureMap": "mixfast.maps",
    "MixtureOfExperts": "mixfast.estimators.mixture_of_experts",
    "MultinomialMixture": "mixfast.estimators.multinomial_mixture",
    "PoissonMixture": "mixfast.estimators.poisson_mixture",
    "ProductMixture": "mixfast.estimators.product_mixture",
    "Selection": "mixfast.selection",
    "SelectionDisplay": "mixfast.plot",
    "Statistics": "mixfast.statistics",
    "Status": "mixfast.status",
    "StudentTMixture": "mixfast.estimators.student_t_mixture",
    "Summary": "mixfast.reading",
    "TraceDisplay": "mixfast.plot",
    "VonMisesFisherMixture": "mixfast.estimators.von_mises_fisher_mixture",
    "blocks": "mixfast.row_blocks",
    "bootstrap_inference": "mixfast.resampling",
    "bootstrap_lrt": "mixfast.bootstrap",
    "fit_many": "mixfast.batches.fit_many",
    "fit_many_columns": "mixfast.batches.fit_many",
    "fit_many_groups": "mixfast.batches.fit_many",
    "get_include": "mixfast._config",
    "load": "mixfast.persistence",
    "match": "mixfast.matching",
    "merge_tree": "mixfast.merging",
    "patch_sklearn": "mixfast.patch",
    "plot_mixture": "mixfast.plot",
    "reduce": "mixfast.matching",
    "select": "mixfast.selection",
    "show_config": "mixfast._config",
    "top_words": "mixfast.reading",
    "unpatch_sklearn": "mixfast.patch",
}

#: The parts of product mixtures, which files may name as well.
PARTS = dict.fromkeys(
    ["Bernoulli", "Categorical", "Exponential", "Gamma", "Gaussian", "Poisson", "StudentT"], "mixfast.parts"
)

#: Module and name of the class that makes the object of a file of a kind; None where that is the class that the file
#: names.
KINDS = {
    "batch": ("mixfast.batches.result", "BatchResult"),
    "estimator": None,
    "estimators": ("mixfast.batches.one_by_one", "EstimatorsResult"),
}
