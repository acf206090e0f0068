"""NumPy twins of the compiled kernels, for tests to compare with.

They are written from the formulas, one whole array at a time, and import nothing compiled: a twin that shared code with
its kernel would agree with its mistakes.
"""
