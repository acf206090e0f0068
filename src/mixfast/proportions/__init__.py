"""Proportions: how likely each component is before a row is seen. A file for each kind; `_proportions` is the contract.

Floor 2. They import that contract and special functions of the engine, and nothing else of mixfast.
"""
