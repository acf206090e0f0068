"""The scripts of docs/examples, which the site's gallery is made of, run, without a warning, and each draws."""

import runpy
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "docs" / "examples").rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_of_the_gallery_runs(script, monkeypatch):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    monkeypatch.chdir(script.parent)  # where its data are
    runpy.run_path(str(script))
    assert len(shown) == 1
    assert len(shown[0]) == 1


def test_every_script_is_for_the_gallery():
    """Which runs those whose names begin with plot_."""
    assert SCRIPTS
    assert all(script.name.startswith("plot_") for script in SCRIPTS)
