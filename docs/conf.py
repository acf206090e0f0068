"""The site: pages, a gallery of scripts that are run, and the reference of the public names. `make docs` builds it."""

from docutils import nodes

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
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["build", "examples"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = f"mixfast {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}  # light or dark, as the visitor has it
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
# pages without pages below them need no bar on the left
html_sidebars = {name: [] for name in ("index", "install", "choose", "dictionary", "not_there_yet")}

default_role = "code"  # `name` in docstrings
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# links to files of the repository that are no pages: `unlink_files`; the tests see to it that they are there
suppress_warnings = ["myst.xref_missing"]

autosummary_generate = True
autodoc_mock_imports = ["pyspark"]  # 450 MB, for the signatures of five names
# prompts are no code
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# The scripts of examples/, run, with their pictures. A script that fails stops the build.
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "show_memory": False,
    "subsection_order": ["examples/guide", "examples/experts"],
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "min_reported_time": 60,
}
# an estimator's page lists its methods; inherited ones are most of them
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False


def skip_machinery(app, what, name, obj, skip, options):
    """Leave out what estimators have from scikit-learn, whose pages describe it."""
    return skip or (getattr(obj, "__module__", None) or "").startswith("sklearn") or None


def unlink_files(app, doctree, docname):
    """Links to files of the repository lead somewhere in a clone, and nowhere on the site: their text stays."""
    for link in list(doctree.findall(nodes.reference)):
        target = link.get("refuri", "") or "#" + link.get("refid", "")
        if target.startswith("#") and "/" in target:
            link.replace_self(link.children)


def setup(app):
    app.connect("doctree-resolved", unlink_files)
    app.connect("autodoc-skip-member", skip_machinery)
