"""Families of component distributions: a file each. `docs/extending.md` shows how to add one."""
