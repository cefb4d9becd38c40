"""Sphinx configuration of the documentation site: `make site`."""

from typing import Any

from hybridstore import __version__

project = "hybridstore"
release = __version__
copyright = "the hybridstore authors"  # noqa: A001 - Sphinx reads this name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["*.py"]
html_theme = "furo"
html_title = "hybridstore"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
default_role = "code"  # docstrings write `name` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
suppress_warnings = ["autodoc.import_cycle"]


# The benchmarks' pages lie beside their code; here each is a page of its own that includes it.
PAGES_ELSEWHERE = {"../benchmarks/README.md": "benchmarks.md", "../benchmarks/memory/README.md": "benchmarks-memory.md"}


def setup(app: Any) -> None:
    """Point links to pages outside this folder at the pages that include them."""

    def redirect(_app: Any, _name: str, source: list[str]) -> None:
        for path, page in PAGES_ELSEWHERE.items():
            source[0] = source[0].replace(f"]({path}", f"]({page}")

    app.connect("source-read", redirect)
