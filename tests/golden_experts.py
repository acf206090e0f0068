"""The problems of `data/golden_experts.json`: mixtures of experts about which flexmix 2.3.18, mixtools 2.0.0 and a
NumPy program written apart agree. The file's `conventions` say what its fields mean.

npreg, betablocker: flexmix; co2data, tonedata: mixtools; experts: simulated.
"""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixfast import MixtureOfExperts
from mixfast._reference.experts.groups import number

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden_experts.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}

NAMES = {"golden_moe_sim": "experts"}


def read(name):
    """The columns of a table; numbers where all of a column are."""
    with open(DATA / f"{NAMES.get(name, name)}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for column in rows[0]:
        values = [row[column] for row in rows]
        try:
            columns[column] = np.array(values, dtype=float)
        except ValueError:
            columns[column] = np.array(values)
    return columns


class Response(NamedTuple):
    """`X`: without the column of 1. `shared`: columns whose coefficients components have in common."""

    expert: str
    y: np.ndarray
    X: np.ndarray
    shared: np.ndarray | None
    offset: np.ndarray | float
    common: bool
    is_inflated: bool  # flexmix's variances, times n / (n - p)


class Problem(NamedTuple):
    responses: list
    labels: np.ndarray  # of groups, in the order of their first rows, where there are groups
    groups: np.ndarray | None
    gate: np.ndarray | None
    gate_penalty: float
    sample_weight: np.ndarray | None


def ranked(values, n_components):
    rank = np.empty(len(values), dtype=int)
    rank[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return np.ceil(rank / len(values) * n_components).astype(int) - 1


def _design(case, table):
    if case["data"] == "betablocker":
        treated = (table["Treatment"] != "Control").astype(float)[:, np.newaxis]
        return (np.empty((len(treated), 0)), treated) if "fixed" in case else (treated, None)
    if case["data"] == "golden_moe_sim":
        x1, x2 = table["x1"][:, np.newaxis], table["x2"][:, np.newaxis]
        return (x1, x2) if "fixed" in case else (np.hstack([x1, x2]), None)
    terms = {"x": lambda: table["x"], "x^2": lambda: table["x"] ** 2}
    names = case["X"].split(" + ")[1:]
    return np.column_stack([terms.get(name, lambda name=name: table[name])() for name in names]), None


def _response(case, table):
    wanted = case["y"].split(" of ")
    if len(wanted) == 2:
        return np.column_stack([table[wanted[0]], table[wanted[1]] - table[wanted[0]]])
    return table[wanted[0]]


def _labels(case, table):
    start, K = case["start"], case["K"]
    if start == "class - 1":
        return table["class"].astype(int) - 1
    if start == "column start":
        return table["start"].astype(int)
    if start.startswith("1 where"):
        tuned, ratio = table["tuned"], table["stretchratio"]
        return (np.abs(tuned - ratio) < np.abs(tuned - 2)).astype(int)
    if case["data"] == "betablocker":
        centers = np.unique(table["Center"])
        share = [
            table["Deaths"][table["Center"] == c].sum() / table["Total"][table["Center"] == c].sum() for c in centers
        ]
        return ranked(np.array(share), K)[np.searchsorted(centers, table["Center"])]
    return ranked(table[start.removeprefix("rank of ")], K)


def problem(name):
    case = CASES[name]
    table = read(case["data"])
    inflated = "n/(n-p)" in case["expert"]
    if name.startswith("npreg-joint"):
        x = table["x"]
        responses = [
            Response("gaussian", table["yn"], np.column_stack([x, x**2]), None, 0.0, False, inflated),
            Response("poisson", table["yp"], x[:, np.newaxis], None, 0.0, False, False),
        ]
    else:
        X, shared = _design(case, table)
        offset = np.log(table["exposure"]) if "offset" in case else 0.0
        expert, common = case["expert"].split(",")[0].split()[0], "common" in case["expert"]
        responses = [Response(expert, _response(case, table), X, shared, offset, common, inflated)]
    labels, groups = _labels(case, table), None
    if "groups" in case:
        groups = table[case["groups"]]
        firsts = np.sort(np.unique(groups, return_index=True)[1])
        labels = labels[firsts]
    gate = table[case["gate"].removeprefix("1 + ")][:, np.newaxis] if "gate" in case else None
    weights = table[case["sample_weight"]] if "sample_weight" in case else None
    return Problem(responses, labels, groups, gate, case.get("gate_penalty", 0.0), weights)


#: What the cases call experts.
EXPERT_NAMES = {"student": "student_t"}


def fitted(name, **options):
    """(the model of a case, fitted from the start of the case; X, y and what rows have beside these; the case)"""
    given = problem(name)
    response = max(given.responses, key=lambda own: own.X.shape[1])
    columns = [response.X] if response.shared is None else [response.X, response.shared]
    X, data, labels = np.column_stack(columns), {}, given.labels
    experts, ys = (
        [EXPERT_NAMES.get(own.expert, own.expert) for own in given.responses],
        [own.y for own in given.responses],
    )
    several = len(experts) > 1
    if given.gate is not None:
        data["gate_X"] = given.gate
    if given.groups is not None:
        data["groups"], labels = given.groups, labels[number(given.groups)[0]]
    model = MixtureOfExperts(
        CASES[name]["K"],
        expert=experts if several else experts[0],
        columns=[list(range(own.X.shape[1])) for own in given.responses] if several else None,
        variance="common" if response.common else "own",
        fixed=None if response.shared is None else list(range(response.X.shape[1], X.shape[1])),
        sigma_df="n-p" if response.is_inflated else 0,
        init_params=labels,
        gate=None if given.gate is None else "gate_X",
        gate_alpha=given.gate_penalty,
        n_init=1,
        **{"tol": 0.0, "max_iter": 20, **options},
    )
    if np.ndim(response.offset):
        data["offset"] = response.offset
    y = ys if several else ys[0]
    return model.fit(X, y, given.sample_weight, **data), X, y, data, CASES[name]
