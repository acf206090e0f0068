"""scikit-learn estimators: thin, one explicit `__init__` each; what they share is in the modules with an underscore.

Floor 6. They import families, `fitting`, `persistence` and all below; neither kernels nor batches.
"""
