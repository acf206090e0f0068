"""The compiled engine: passes over rows, EM's loops, seeding, random numbers, linear algebra.

`_family` and `_pass` are the contracts. Imports `mixfast._em`, the loop that it serves, and nothing above it.
"""
