"""Many fits at once: the public calls, the problems they are given, what they found, and the compiled loop over them.

Imports estimators and everything below them; nothing but `selection` and `bootstrap` imports it.
"""
