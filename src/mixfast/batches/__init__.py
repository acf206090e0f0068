"""Many fits at once: the public calls, problems, plans, the compiled loop over problems, results.

Floor 7. They import estimators and all below; only `bootstrap` and the public names are above.
"""
