"""The site: today's pages and the reference of the public names. `make docs` builds it."""

import mixfast

project = "mixfast"
author = "The mixfast developers"
copyright = author
release = version = mixfast.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["build", "examples"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"mixfast {release}"

default_role = "code"  # `name` in docstrings
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# links to files of the repository that are no pages; the tests see to it that every link leads somewhere
suppress_warnings = ["myst.xref_missing"]

autosummary_generate = True
# the scripts of examples/, run, with their pictures
sphinx_gallery_conf = {"examples_dirs": "examples", "gallery_dirs": "gallery", "show_memory": False}
# an estimator's page lists its methods; inherited ones are most of them
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False


def skip_machinery(app, what, name, obj, skip, options):
    """Leave out what every scikit-learn estimator has from its base."""
    return skip or name.endswith("_request") or name in ("get_metadata_routing", "get_params", "set_params") or None


def setup(app):
    app.connect("autodoc-skip-member", skip_machinery)
