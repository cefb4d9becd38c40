"""Writes docs/cli.md and the manual page from the commands; with --check, says whether they are up to date."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hybridstore.cli.app import app

PAGE = Path(__file__).with_name("cli.md")

INTRODUCTION = """\
# The command line

<!-- Written by docs/generate_cli.py from the commands; change them, then run it again. -->

`hybridstore [--db FILE] COMMAND`. The store is `--db FILE`, else `$HYBRIDSTORE_DB`, else `./hybridstore.db`.

- Data goes to standard output, talk and progress to standard error. `--json` prints JSON for programs.
- Exit codes: 0 it worked, 1 it could not (a sentence says why and what to do), 2 the command was written wrongly,
  130 it was stopped by Ctrl-C (a sentence says what was kept).
- `--where` takes `year>=2020`, `lang=en`, `lang!=en`, `tags~word` (contains), `path^=/home` (begins with),
  `draft?` (is there) or a JSON filter such as `{"$or": [{"year": 2020}, {"lang": "en"}]}`.
- `HYBRIDSTORE_EMBEDDER` names the embedder of stores whose model is neither in the catalog nor known on this machine.
- `--durability full`, `HYBRIDSTORE_DURABILITY` or `durability` in `hybridstore.toml`: what a command has written
  survives a power cut, too, as each commit waits for the disk.
- `HYBRIDSTORE_KEY` is the key of an encrypted store; it is never an option, which other programs could read.
- Completion: `eval "$(_HYBRIDSTORE_COMPLETE=bash_source hybridstore)"`, or `zsh_source`, `fish_source`.
"""

_NOUNS: dict[type, str] = {click.IntRange: "N", click.types.IntParamType: "N"}

# Commands whose own help holds no example.
EXAMPLES = {
    "evaluate": [
        "hybridstore evaluate scifact --split test",
        "hybridstore evaluate scifact --run-out runs --json",
    ],
    "compare": ["hybridstore compare runs/a.run runs/b.run --qrels scifact/qrels/test.tsv"],
}


def page() -> str:
    """Give the whole page."""
    context = click.Context(app, info_name="hybridstore")
    lines = [INTRODUCTION]
    for name, command in commands(context):
        lines += _section(name, command, context)
    return "\n".join(lines).rstrip() + "\n"


def commands(context: click.Context, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its whole name."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        if isinstance(command, click.Group):
            yield from commands(click.Context(command, info_name=name, parent=context), f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(name: str, command: click.Command, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", f"`hybridstore {name} {usage}`", "", inspect.cleandoc(command.help or ""), ""]
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if options:
        lines += ["| option | meaning | default |", "|---|---|---|"]
        lines += [_row(option, context) for option in options]
        lines.append("")
    examples = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    examples = examples or EXAMPLES[name]
    return [*lines, "```console", *(f"$ {line}" for line in examples), "```", ""]


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    names = f"{names} {choices_and_values(option)}".rstrip()
    default = option.get_default(context)
    shown = (
        ""
        if default is None or default is False or default == () or callable(default) or "UNSET" in repr(default)
        else f"{default}"
    )
    meaning = (option.help or "").replace("|", "\\|")
    return f"| {names} | {meaning} | {shown} |"


def choices_and_values(option: click.Option) -> str:
    """Return what follows an option's name: its choices, or what its value is; "" for a flag."""
    if isinstance(option.type, click.Choice):
        return ", ".join(option.type.choices)
    return "" if option.is_flag else option.metavar or _NOUNS.get(type(option.type), option.type.name.upper())


def main() -> int:
    """Write the pages, or with --check say which are stale."""
    import generate_man  # which imports this

    stale = 0
    for file, text in ((PAGE, page()), (generate_man.PAGE, generate_man.page())):
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            print(f"{file} is stale: run python docs/generate_cli.py", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
