"""Warnings that point at the line of the user's that the call came from."""

from __future__ import annotations

import sys
import warnings
from contextvars import ContextVar
from pathlib import Path

import joblib
import sklearn

#: Code in these folders is not the user's: scikit-learn wraps `fit`, and its pipelines and searches call it.
FOLDERS = tuple(f"{Path(file).parent.as_posix()}/" for file in (__file__, sklearn.__file__, joblib.__file__))

#: Where `keep_in` said that this context's warnings go, rather than to the user.
_KEPT: ContextVar[list | None] = ContextVar("kept warnings", default=None)


def keep_in(kept):
    """From now on `warn` appends (message, category) to a list in this context: of a thread that the user's line is not
    below. Who has that line below it warns of them again."""
    _KEPT.set(kept)


def warn(message, category):
    """`warnings.warn` of the first line outside these folders, however deep the call is."""
    kept = _KEPT.get()
    if kept is not None:
        kept.append((message, category))
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_ours(frame):
    return frame.f_code.co_filename.replace("\\", "/").startswith(FOLDERS)
