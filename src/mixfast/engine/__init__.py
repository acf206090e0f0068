"""The compiled engine: passes over rows, EM's loops, seeding, whole fits, random numbers, linear algebra.

Floors 2 and 3. `_family` and `_pass`, the contracts, and the tools import each other and `proportions`; what works on
passes is on the floor of `mixfast._em`, the loop, and imports it too. Nothing here knows a family.
"""
