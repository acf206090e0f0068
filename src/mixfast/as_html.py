"""Tables as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

#: Numbers stand under each other, and nothing is said of colours, so that dark pages can be read too.
STYLE = "border-collapse: collapse; font-size: 0.9em; margin: 0.4em 0"
CELL = "padding: 0.15em 0.7em; text-align: right"


def html_table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    marked: Iterable[tuple[int, int]] = (),
    colours: Sequence[tuple[float, float, float]] = (),
) -> str:
    """A table; all texts are escaped.

    Parameters
    ----------
    caption : str
        Above the table.
    header : sequence of str
        Of the columns.
    rows : iterable of sequences of str
        As long as the header.
    marked : iterable of (row, column)
        Cells in bold.
    colours : sequence of (red, green, blue)
        From 0 to 1, for each row, beside its first cell; none where it is empty.
    """
    marked = set(marked)
    lines = [
        f'<table style="{STYLE}"><caption style="text-align: left; padding-bottom: 0.3em">{escape(caption)}</caption>'
    ]
    if any(header):
        names = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in header)
        lines.append(f"<thead><tr>{names}</tr></thead>")
    lines.append("<tbody>")
    for i, row in enumerate(rows):
        cells = []
        for j, text in enumerate(row):
            shown = f"<b>{escape(text)}</b>" if (i, j) in marked else escape(text)
            if j == 0 and i < len(colours):
                red, green, blue = (round(255 * part) for part in colours[i])
                square = f"display: inline-block; width: 0.7em; height: 0.7em; background: rgb({red}, {green}, {blue})"
                shown = f'<span style="{square}"></span> {shown}'
            cells.append(f'<td style="{CELL}">{shown}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*lines, "</tbody></table>"])


def beside(*parts: str) -> str:
    """Some HTML side by side where there is room."""
    inner = "".join(f"<div>{part}</div>" for part in parts)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">{inner}</div>'
