"""Files of how far a long fit has come, from which it goes on where it stopped."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mixfast import archive
from mixfast._version import __version__

KIND = "checkpoint"
#: What a header says of a `Course`.
NUMBERS = "status", "n_passes", "converged", "n_impossible"


NOTHING = np.empty(0)


class Course(NamedTuple):
    """How far a fit has come.

    weights, params : ndarray, float64, in the units that rows are summed in
    bounds : list of float, the objective of each iteration
    guard : ndarray, float64, the state of the last pass, where M-steps may overshoot and go back to it; else empty
    status : int
    n_passes : int, those of steps back where one overshot left out, as `max_iter` counts them
    converged : bool
    n_impossible : int, rows of density zero in the last pass
    """

    weights: np.ndarray
    params: np.ndarray
    bounds: list[float]
    guard: np.ndarray = NOTHING
    status: int = 0
    n_passes: int = 0
    converged: bool = False
    n_impossible: int = 0

    def is_over(self, tol):
        """Whether nothing is left to do, at a tolerance that may be another one than before."""
        return self.converged and len(self.bounds) > 1 and abs(self.bounds[-1] - self.bounds[-2]) < tol


@dataclass(frozen=True)
class Checkpoints:
    """Where a fit writes how far it has come, and where it begins.

    path : path-like or None
    every : int, iterations between two writes
    resume : path-like or None
    """

    path: Any = None
    every: int = 10
    resume: Any = None

    def __post_init__(self):
        for name, path in (("checkpoint", self.path), ("resume", self.resume)):
            if path is not None and not isinstance(path, str | os.PathLike):  # open(True) is the standard output
                raise TypeError(f"{name}={path!r} should be the path of a file, or None")

    def steps(self, n_left):
        """How many iterations follow each other before the next write, or where it was in the fit that is gone on with:
        accelerated ones extrapolate within them."""
        return n_left if self.path is None and self.resume is None else min(self.every, n_left)

    def write(self, course, problem):
        """Replace the checkpoint atomically. `problem` identifies the fit, so that another fit does not resume it."""
        if self.path is None:
            return
        numbers = {name: getattr(course, name) for name in NUMBERS}
        header = {"kind": KIND, "mixfast": __version__, "problem": problem, **numbers}
        arrays = {"weights": course.weights, "params": course.params, "guard": course.guard}
        arrays["bounds"] = np.asarray(course.bounds, dtype=float)
        archive.write(self.path, json.dumps(header), arrays)

    def begun(self, problem, first):
        """The course to go on with, `first` where there is none; ValueError where the file is of another fit."""
        if self.resume is None:
            return first
        with open(self.resume, "rb") as file:
            try:
                found = archive.Archive(file)
                header = json.loads(found.header())
                if header["kind"] != KIND:
                    raise ValueError("it is of another kind")
                arrays = found.arrays(["weights", "params", "bounds", "guard"])
                numbers = {name: header[name] for name in NUMBERS}
                arrays["bounds"] = arrays["bounds"].tolist()
                course = Course(**arrays, **numbers)
            except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                raise ValueError(f"resume={self.resume!r} is no checkpoint of a fit: {error}") from None
        other = [name for name, value in problem.items() if header["problem"].get(name) != value]
        if other:
            raise ValueError(
                f"resume={self.resume!r} is the checkpoint of another fit: {', '.join(other)} was "
                f"{', '.join(str(header['problem'].get(name)) for name in other)} and is "
                f"{', '.join(str(problem[name]) for name in other)}. Give it the same estimator and the same rows, cut "
                "into the same partitions, or leave resume out"
            )
        return course


NOWHERE = Checkpoints()
