"""scikit-learn estimators: thin, one explicit `__init__` each. They know families, not kernels."""
