"""An iteration on one thread and on two, in turn, for the cases A to E: `python benchmarks/threads.py`.

`--write docs/performance.md` puts the table there.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import numpy as np
from data import CASES, generate
from document import heading, replace_table

N_ITER = 15


def engine(problem, n_threads):
    from mixfast._em import EM
    from mixfast.engine._rows import Rows
    from mixfast.families.gaussian import STRUCTURES

    case = problem.case
    family = STRUCTURES[case.family]()
    layout = family.params_layout(case.n_components, case.n_features)
    factors = family.factor_covariances(problem.covariances)
    em = EM(family.bind(case.n_components, case.n_features, problem.X.dtype), Rows(problem.X), n_threads)
    em.set_state(problem.weights, layout.pack((problem.locations, problem.covariances, factors)))
    return em


def lines():
    yield "| case | one thread | two threads | ratio |"
    yield "|---|---|---|---|"
    for letter in ("A", "A32", "B", "C", "D", "E"):
        problem = generate(CASES[letter])
        seconds = {n_threads: [] for n_threads in (1, 2)}
        engines = {n_threads: engine(problem, n_threads) for n_threads in seconds}
        for _ in range(N_ITER):
            objectives = set()
            for n_threads, em in engines.items():
                begin = perf_counter()
                objectives.add(em.step())
                seconds[n_threads].append(perf_counter() - begin)
            assert len(objectives) == 1, "threads changed the result"
        # an iteration beside itself: in C, later ones are shorter because more is left out
        ratio = median(np.divide(*seconds.values()))
        one, two = (median(values) for values in seconds.values())
        yield f"| {letter} | {one:.4f} | {two:.4f} | {ratio:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", help="the document whose table `threads` is replaced")
    options = parser.parse_args()
    table = [heading("python benchmarks/threads.py" + (f" --write {options.write}" if options.write else "")), ""]
    for line in lines():
        print(line, flush=True)
        table.append(line)
    if options.write:
        replace_table(options.write, "threads", table)


if __name__ == "__main__":
    main()
