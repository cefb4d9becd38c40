"""Templates: those of the package, in which every value is escaped unless it is Markup already."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hybridstore.views.html_page import fit

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hybridstore.views", "templates"),
        autoescape=True,
        finalize=_fitting,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the order of fields is what is shown first
    return environment


def render(template: str, /, **values: Any) -> Markup:
    """Return a template of the package with these values in it."""
    return Markup(_environment().get_template(template).render(values))


def _fitting(value: object) -> object:
    return fit(value) if isinstance(value, str) and not isinstance(value, Markup) else value
