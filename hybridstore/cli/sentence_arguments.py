"""Commands whose arguments are words of a sentence: what looks like a short option belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

# `-word` leaves a word out, so what looks like short options is part of the query and there are none, not even -h.
AS_WORDS: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


class QueryCommand(click.Command):
    """A command whose arguments are a query: `-word` belongs to it, an unknown `--option` is still a mistake."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse unknown long options before click takes them for words; after a lone `--` all are words."""
        if args == ["-h"]:
            args = ["--help"]
        known = [name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        for arg in args:
            if arg == "--":
                break
            name = arg.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in known:
                raise click.NoSuchOption(name, possibilities=_near(name, known), ctx=ctx)
        return super().parse_args(ctx, args)


def _near(name: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, known)
