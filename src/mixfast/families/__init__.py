"""Families of component distributions: for each a Python class, and its compiled verbs in `_name.pyx`.

Floor 4. They import the contracts and tools of the engine, `units` and `weights`; nothing that fits them.
`docs/extending.md` shows how to add one.
"""
