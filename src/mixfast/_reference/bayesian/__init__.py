"""NumPy twins of Bayesian mixtures: conjugate priors, proportions, partitions, variational Bayes and its moves.

A *prior* here is one of a component's parameters. All priors have the same methods, so that what is built on them asks
for no family: `rows`, `statistics`, `add`, `posterior`, `log_evidence`, `expected_log_density`, `kl`, `log_predictive`,
`log_predictive_of_new`, `draw` and `log_density`. `gaussian.py` and `priors.py` hold them.

Proportions have `posterior`, `expected_log_weights`, `expected_weights`, `remaining`, `kl`, `log_evidence` and
`order` and `updated`; see `proportions.py`.
"""
