"""NumPy twins of mixtures of experts: what a row says of a linear predictor, gates, EM, and how sure the result is.

An *expert* is a conditional distribution f(y | eta, dispersion) of linear predictors eta (n, m), with m = 1 but for the
multinomial. Experts of `experts.py` have the same methods, so that what is built on them asks for no family: `start`,
`log_density`, `derivatives` and `dispersion`. Log densities take complex arguments, so that derivatives can be checked.
"""
