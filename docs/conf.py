"""Sphinx configuration of the documentation site: `make site`."""

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
