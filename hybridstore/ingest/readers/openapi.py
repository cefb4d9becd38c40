"""The OpenAPI reader: descriptions of programming interfaces (OpenAPI 3, Swagger 2), an operation for each heading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridstore.ingest.readers.front_matter import load_yaml
from hybridstore.ingest.readers.origin import Origin
from hybridstore.records import Document

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LARGEST = 1 << 24  # bytes of YAML, which takes a second for 3 MB


def is_openapi(content: Any) -> bool:
    """Return whether JSON or YAML describes an interface."""
    return isinstance(content, Mapping) and ("openapi" in content or "swagger" in content) and "info" in content


def read_openapi_yaml(origin: Origin) -> Document:
    """Return an OpenAPI description in YAML as markdown; other YAML, or invalid one, as source code."""
    text = origin.text()
    try:
        content = load_yaml(text) if len(text) <= _LARGEST else None
    except ValueError:
        content = None
    if isinstance(content, Mapping) and is_openapi(content):
        return openapi_document(content)
    return Document(text=text, format="code", metadata={"language": "yaml"})


def openapi_document(content: Mapping[str, Any]) -> Document:
    """Return an OpenAPI description as markdown: its operations, then its schemas."""
    info = _mapping(content.get("info"))
    title = _line(info.get("title"))
    blocks = [f"# {title}" if title else "", _text(info.get("description"))]
    for path, item in _mapping(content.get("paths")).items():
        shared = _list(_mapping(item).get("parameters"))
        for method in _METHODS:
            operation = _mapping(item).get(method)
            if isinstance(operation, Mapping):
                blocks += _operation(f"{method.upper()} {path}", operation, shared)
    schemas = _mapping(_mapping(content.get("components")).get("schemas")) or _mapping(content.get("definitions"))
    for name, schema in schemas.items():
        blocks += [f"## {name}", _text(_mapping(schema).get("description")), "\n".join(_properties(schema))]
    text = "\n\n".join(block for block in blocks if block)
    metadata = {"version": _line(info.get("version"))} if info.get("version") else {}
    return Document(text=text, title=title, metadata=metadata, format="markdown")


def _operation(name: str, operation: Mapping[str, Any], shared: list[Any]) -> Iterator[str]:
    summary = _line(operation.get("summary"))
    yield f"## {name}: {summary}" if summary else f"## {name}"
    yield _text(operation.get("description"))
    identity = [_line(operation.get("operationId")), *map(_line, _list(operation.get("tags")))]
    yield ", ".join(filter(None, identity))
    yield "\n".join(_parameter(_mapping(parameter)) for parameter in [*shared, *_list(operation.get("parameters"))])
    body = _mapping(operation.get("requestBody"))
    if body:
        yield "\n".join([f"Body: {_described(body)}".rstrip(), *_bodies(body)])
    answers = _mapping(operation.get("responses"))
    yield "\n".join(f"{code}: {_described(_mapping(answer))}" for code, answer in answers.items())


def _parameter(parameter: Mapping[str, Any]) -> str:
    if "$ref" in parameter:
        return f"- {_reference(parameter)}"
    place = f" ({_line(parameter['in'])})" if parameter.get("in") else ""
    return f"- {_line(parameter.get('name'))}{place}: {_line(parameter.get('description'))}".rstrip(": ")


def _bodies(body: Mapping[str, Any]) -> Iterator[str]:
    for media in _mapping(body.get("content")).values():
        yield from _properties(_mapping(media).get("schema"))


def _properties(schema: Any) -> Iterator[str]:
    schema = _mapping(schema)
    if "$ref" in schema:
        yield _reference(schema)
    for name, found in _mapping(schema.get("properties")).items():
        value = _mapping(found)
        choices = ", ".join(map(_line, _list(value.get("enum"))))
        kind = _reference(value) if "$ref" in value else choices or _line(value.get("type"))
        yield f"- {name} ({kind}): {_line(value.get('description'))}".rstrip(": ")
    values = [_line(value) for value in _list(schema.get("enum"))]
    if values:
        yield f"One of {', '.join(values)}"


def _described(part: Mapping[str, Any]) -> str:
    return _reference(part) if "$ref" in part else _line(part.get("description"))


def _reference(part: Mapping[str, Any]) -> str:
    return _line(part["$ref"]).rpartition("/")[2]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(value: Any) -> str:
    return "" if value is None or isinstance(value, Mapping | list) else " ".join(str(value).split())


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
