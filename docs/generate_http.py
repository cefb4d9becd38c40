"""Writes docs/http.md from the server's OpenAPI description; with --check, says whether it is up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hybridstore as hs
from hybridstore.memory import Memory
from hybridstore.serving.http import PORT, Context, create_app
from hybridstore.serving.http_access import Names

PAGE = Path(__file__).with_name("http.md")

INTRODUCTION = """\
# The page and the API over HTTP

<!-- Written by docs/generate_http.py from the routes; change them, then run it again. -->

```console
$ pip install 'hybridstore[cpu,files,serve]'
$ hybridstore --db ~/notes.db serve
```

The printed address opens the page. Programs use the API:

```console
$ curl 'http://127.0.0.1:8766/api/search?q=rotate+signing+keys&limit=3'
$ curl -H 'Content-Type: application/json' -d '{"text": "The keys rotate on Mondays."}' http://127.0.0.1:8766/api/documents
$ curl -F files=@manual.pdf http://127.0.0.1:8766/api/ingest
```

- **Who may connect.** Programs and pages of this machine, by its own names; requests that a browser sends for other
  pages are rejected. `--token`, or `HYBRIDSTORE_TOKEN`, asks for a token: `Authorization: Bearer TOKEN`, or once
  `?token=TOKEN` in the address of a page, which sets a cookie. With `--host` other machines reach the server, by the
  names given with `--allow-host`, and a token is made if none is given. The connection is not encrypted; a proxy can
  do that.
- **What is visible.** The documents, and the notes of one namespace (`--namespace`). `--read-only` changes nothing.
- **Errors** are problem details (RFC 9457) with `detail`, what is wrong, and `remedy`, what to do. 422: the request
  cannot be used; 404: the id is unknown, or not visible here; 503: try again; 401, 403, 421: who may connect.
- **Nothing new.** `ETag` stands for the store's revision; `If-None-Match` is answered with 304 until the next write.
  `HEAD` is answered like `GET`, without the body.
- **Streams** are server-sent events: `/api/events` says when the store has changed, `/api/ingest/stream` how far
  reading files has come.
- **Limits.** A request has at most 4 MiB, one with files 1 GiB; headers must arrive within ten seconds, a body within
  thirty and one more for each MiB. Searches run side by side; none waits for a write.
- **A warm command line.** `hybridstore search` for the same file is answered by the server, through a socket beside the
  file that only its owner can use: in 0.3 s of processor time instead of 2.0 s, with 50,000 passages. Without a server
  it works as ever; so do `--log`, `--rerank` and encrypted stores.
- **OpenAI's client** searches the store with `base_url="http://127.0.0.1:8766/api/v1"`.

`/api/openapi.json` describes everything below for programs.
"""


def description() -> dict[str, Any]:
    """Return the OpenAPI description of the server."""
    with hs.open(":memory:", embedder="none") as store:
        return create_app(Context(Memory(store)), Names.of("127.0.0.1", PORT)).openapi()


def page(api: dict[str, Any]) -> str:
    """Return the whole page."""
    by_tag: dict[str, list[str]] = {}
    seen: dict[tuple[str, ...], str] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            lines = [f"### `{method.upper()} {path}`", "", operation["description"], ""]
            named = tuple(each["name"] for each in operation.get("parameters", ()))
            like = next((first for first in seen if len(first) > 5 and set(first) <= set(named)), None)
            new = [each for each in operation.get("parameters", ()) if like is None or each["name"] not in like]
            lines += [] if like is None else [f"The parameters of `{seen[like]}`{', and:' if new else '.'}", ""]
            seen.setdefault(named, path)
            lines += _table([(each["name"], each["schema"], each.get("required", False), each) for each in new], api)
            by_tag.setdefault(operation["tags"][0], []).extend([*lines, *_body(operation, api)])
    parts = [f"## {tag.capitalize()}\n\n" + "\n".join(lines) for tag, lines in by_tag.items()]
    return "\n".join([INTRODUCTION, *parts]).rstrip() + "\n"


def _body(operation: dict[str, Any], api: dict[str, Any]) -> Iterator[str]:
    for form, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], api)
        schema = _resolved(schema["oneOf"][0], api) if "oneOf" in schema else schema
        yield "The form has:" if "form" in form else "The body has:"
        yield ""
        required = schema.get("required", ())
        yield from _table([(name, each, name in required, each) for name, each in schema["properties"].items()], api)


def _table(rows: list[tuple[str, dict[str, Any], bool, dict[str, Any]]], api: dict[str, Any]) -> list[str]:
    if not rows:
        return []
    lines = ["| name | type | meaning |", "|---|---|---|"]
    for name, schema, required, described in rows:
        default = schema.get("default")
        shown = "" if required or default in (None, "", [], {}) else f" Default: {str(default).lower()}."
        meaning = f"{described.get('description') or schema.get('description', '')}{shown}".replace("|", "\\|").strip()
        lines.append(f"| `{name}`{' *' if required else ''} | {_type(schema, api)} | {meaning} |")
    return [*lines, ""]


def _type(schema: dict[str, Any], api: dict[str, Any]) -> str:
    schema = _resolved(schema, api)
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if options:
        return " or ".join(_type(each, api) for each in options)
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None and high < 1e6:
        return f"{low:g} to {high:g}"
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], api)}"
    return {"string": "text", "integer": "number", "object": "object"}.get(
        schema.get("type", ""), schema.get("type", "")
    )


def _resolved(schema: dict[str, Any], api: dict[str, Any]) -> dict[str, Any]:
    name = re.fullmatch(r"#/components/schemas/(.+)", schema.get("$ref", ""))
    return api["components"]["schemas"][name[1]] if name else schema


def main() -> int:
    """Write the page, or with --check say whether it is stale."""
    text = page(description())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE} is stale: run python docs/generate_http.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
