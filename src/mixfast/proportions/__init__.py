"""Proportions: how likely each component is before a row is seen.

A file for each kind; `_proportions` is the contract. Imports nothing of mixfast.
"""
