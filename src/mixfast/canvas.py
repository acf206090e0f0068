"""What all pictures share: their Axes, the colours of components, and which rows are shown. matplotlib is imported when
something is drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Six of Okabe & Ito's colours and two of Tol's, which people who are colour-blind tell apart too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#882255", "#999933")
#: How the next eight differ: towards white (above 0) or black, and the pattern of lines.
SHADES = (0.0, 0.4, -0.35, 0.6)
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.5, 1, 1.5)))
#: Of what is no component.
NONE = "0.6"


def axes_of(ax: Axes | None, **options: Any) -> Axes:
    """The Axes given, or those of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **options)[1] if ax is None else ax


def colour_of(k: int) -> tuple[float, float, float]:
    """The colour of component k, the same in every picture. Colours repeat after 32, so pictures show numbers too."""
    code, shade = COLOURS[k % len(COLOURS)], SHADES[k // len(COLOURS) % len(SHADES)]
    colour = np.array([int(code[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    red, green, blue = colour + shade * (1 - colour) if shade >= 0 else colour * (1 + shade)
    return float(red), float(green), float(blue)


def dashes_of(k: int) -> Any:
    """How lines of component k are drawn."""
    return DASHES[k // len(COLOURS) % len(DASHES)]


def is_dark(colour: Any) -> bool:
    """Whether white is read on it."""
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114))) < 0.6


def greys() -> Any:
    """From a grey that can be seen to black: the more uncertain a row, the darker."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("uncertainty", ["0.75", "0.0"])


def some_rows(n_rows: int, most: int) -> NDArray[np.intp]:
    """Numbers of rows to show, in order, always the same. Every second row, or every third, would miss what
    alternates."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def rows_of_labels(labels: NDArray, most: int, weights: ArrayLike | None = None) -> NDArray[np.intp]:
    """The same within labels: of each as many as it has a share of the rows, and one at least."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    names, places = np.unique(labels, return_inverse=True)
    shares = np.bincount(places, weights=weights)
    shares = most * shares / shares.sum()
    numbers = np.maximum(np.floor(shares), 1).astype(int)
    left = most - numbers.sum()
    if left > 0:  # to the largest remainders
        numbers[np.argsort(numbers - shares, kind="stable")[:left]] += 1
    found = []
    for k in range(len(names)):
        own = np.flatnonzero(places == k)
        of_own = weights[own] / weights[own].sum()
        found.append(rng.choice(own, min(numbers[k], len(own)), replace=False, p=of_own))
    return np.sort(np.concatenate(found))


def folded(text: str, width: int) -> str:
    """The text in lines of so many characters at most, where it can be broken: after spaces and signs between words."""
    lines = [""]
    for word in re.findall(r".+?(?:[\s_/.\-]+|$)", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def limits_of(values: NDArray, centres: ArrayLike = (), edges: ArrayLike = ()) -> tuple[float, float]:
    """Limits of an axis: the extreme values, except for at most a hundredth of them, or three of a few, that are far
    beyond all others; the centres of components are inside, and edges of their contours that are not far beyond."""
    values, centres, edges = np.sort(_finite(values)), _finite(centres), _finite(edges)
    if not len(values):
        values = np.sort(centres) if len(centres) else np.zeros(1)
    n_far = max(-(-len(values) // 100), min(3, len(values) // 10))
    core = values[n_far : len(values) - n_far] if len(values) > 2 * n_far else values
    low, high = min([core[0], *centres]), max([core[-1], *centres])
    if high > low:
        low = _reaching(low, values[:n_far][::-1], low - high)
        high = _reaching(high, values[len(values) - n_far :], high - low)
    else:
        low, high = values[0], values[-1]
    reach = 0.3 * (high - low)
    low, high = max(low - reach, min([low, *edges])), min(high + reach, max([high, *edges]))
    width = high - low or max(abs(high), 1.0)
    return float(low - 0.05 * width), float(high + 0.05 * width)


def _reaching(end, beyond, width):
    """The end moved to the last of the values beyond it before a gap of half the width."""
    for value in beyond:
        if (value - end) / width > 0.5:
            break
        end = max(value, end) if width > 0 else min(value, end)
    return end


def _finite(values):
    values = np.asarray(values, dtype=np.float64)
    return values[np.isfinite(values)]
