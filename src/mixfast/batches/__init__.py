"""Many fits at once: the calls, the problems they are given, the models, what they found, the compiled loop over them.

Floor 7. They import estimators and all below; only `bootstrap` and the public names are above.
"""
