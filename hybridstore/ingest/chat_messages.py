"""Messages of conversations as agents and model providers write them: mappings, SDK objects, LangChain's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from hybridstore.errors import InputError

TIMES = ("time", "timestamp", "occurred_at", "created_at")
ROLES = {
    "human": "user", "ai": "assistant", "aimessagechunk": "assistant", "model": "assistant",
    "humanmessage": "user", "aimessage": "assistant", "systemmessage": "system", "toolmessage": "tool",
    "gpt": "assistant", "function_call": "assistant", "custom_tool_call": "assistant", "reasoning": "assistant",
    "function_call_output": "tool", "custom_tool_call_output": "tool",
}  # fmt: skip
_KNOWN_ROLES = frozenset(("user", "assistant", "system", "developer", "tool", "function", *ROLES))
_SPEAKERS = ("role", "from", "sender", "author", "speaker")
_TEXTS = ("content", "text", "value", "parts", "output", "summary", "message", "blocks")
_WRAPPERS = ("message", "data", "payload", "kwargs")  # Claude Code, LangChain, Codex, LangChain's serialisation
_LISTS = ("messages", "choices", "output", "conversations")
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use", "function_call", "tool_call", "custom_tool_call")
_RESULTS = ("tool_result", "web_search_tool_result", "function_call_output", "custom_tool_call_output")
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_LONGEST_CALL = 300  # characters of a tool call's arguments, which may be a whole file
_LONGEST_EXTRA = 200  # characters of another field that is kept as metadata
_DEEPEST = 10  # wrappers and parts inside each other
# Fields of the OpenAI and Anthropic SDKs and of LangChain that say nothing about what was said.
_IGNORED = frozenset(
    """
    type status name id metadata refusal annotations audio function_call tool_calls tool_call_id call_id arguments input
    invalid_tool_calls additional_kwargs response_metadata usage usage_metadata example artifact model stop_reason
    stop_sequence stop_details logprobs phase container diagnostics citations lc index finish_reason parsed object
    created uuid parentUuid encrypted_content
    """.split()  # noqa: SIM905
).union(_SPEAKERS, _TEXTS, TIMES, _WRAPPERS, _LISTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """What a message says; `text` is "" for one without words. `time` and `metadata` are as written.

    `former` is the text by which earlier versions stored it.
    """

    text: str
    role: str
    name: str | None = None
    id: str | None = None
    time: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    former: str = ""


def chat_messages(value: object, where: str = "the message") -> list[ChatMessage]:
    """Return the messages that a value holds: mostly one, several for a model's response or a list in a mapping.

    It may be a mapping {"role": "user", "content": "…"}, an object of the OpenAI or Anthropic SDK, its `model_dump()`,
    a LangChain message or its dict, or a pair of role and text. Tool calls become "[name {arguments}]", parts that are
    not text "[type]"; a model's thoughts are left out. Raises InputError for anything else; `where` names it there.
    """
    return list(_messages(value, where, {}, 0))


def is_chat_message(value: object) -> bool:
    """Return whether a mapping is a message with a known role, rather than another record."""
    if not isinstance(value, Mapping) or not isinstance(_role(value), str):
        return False
    inner = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping)), value)
    known = str(_role(value)).lower() in _KNOWN_ROLES
    return known and any(key in inner for key in (*_TEXTS, "tool_calls", "function_call", "refusal"))


def _messages(value: object, where: str, outer: Mapping[str, Any], depth: int) -> Iterator[ChatMessage]:
    record = _record(value)
    if record is None or depth > _DEEPEST:
        raise InputError(f'{where} must be a mapping as {{"role": "user", "content": "…"}}, not {_short(value)}')
    record = {**outer, **{str(key): part for key, part in record.items()}}
    inner = next((key for key in _WRAPPERS if _record(record.get(key)) is not None and "content" not in record), None)
    if inner:
        kept = {key: record[key] for key in ("role", "type", "id", *TIMES) if isinstance(record.get(key), str)}
        if inner == "kwargs" and isinstance(record.get("id"), list):  # LangChain's serialisation
            kept["type"] = str(record["id"][-1:][0]) if record["id"] else ""
        if kept.get("type") in {"message", "response_item"}:
            del kept["type"]
        yield from _messages(record[inner], where, kept, depth + 1)
        return
    several = next((record[key] for key in _LISTS if isinstance(record.get(key), list)), None)
    if several is not None and not {"content", "call_id"} & set(record):
        for part in several:
            yield from _messages(part, where, {}, depth + 1)
        return
    yield _message(record, where)


def _message(record: Mapping[str, Any], where: str) -> ChatMessage:
    key = next((key for key in _TEXTS if record.get(key) is not None), None)
    calls = [*_list(record.get("tool_calls")), *_list(record.get("function_call"))]
    kind = record.get("type")
    if kind in _CALLS:
        calls = [record]
    if key is None and not calls and "content" not in record and not record.get("refusal") and kind not in _THOUGHTS:
        raise InputError(f'{where} must be a mapping as {{"role": "user", "content": "…"}}, not {_short(record)}')
    role = _role(record)
    if record.get("role") is None and isinstance(role, str) and role.lower() not in _KNOWN_ROLES:  # a person's name
        record, role = {**record, "name": role}, None
    name, id_ = None if kind in _CALLS else record.get("name"), record.get("id")
    id_ = str(id_) if isinstance(id_, int) else id_
    for what, value in (("role", role), ("name", name), ("id", id_)):
        if not isinstance(value, str | None) or value == "":
            raise InputError(f"the {what} of {where} must be a non-empty text, not {value!r}")
    content = None if key is None or kind in _THOUGHTS else record[key]
    texts = _texts(content, where, 0)
    if isinstance(record.get("refusal"), str):
        texts.append(record["refusal"])
    if not any(isinstance(part, Mapping) and part.get("type") in _CALLS for part in _list(content)):
        texts += [_call(call) for call in map(_record, calls) if call]
    metadata = record.get("metadata")
    extra = {name: part for name, part in record.items() if name not in _IGNORED and _is_simple(part)}
    return ChatMessage(
        text="\n".join(text for text in texts if text),
        role=ROLES.get((role or "user").lower(), role or "user"),
        name=name,
        id=id_,
        time=next((record[key] for key in TIMES if record.get(key) is not None), None),
        metadata={**extra, **metadata} if isinstance(metadata, Mapping) else extra if metadata is None else metadata,
        former=_former(content),
    )


def _role(record: Mapping[str, Any]) -> Any:
    role = next((record[key] for key in _SPEAKERS if record.get(key) is not None), None)
    role = role.get("role") if isinstance(role, Mapping) else role.value if isinstance(role, Enum) else role
    kind = record.get("type")
    if role is None and isinstance(kind, str) and kind.lower() in _KNOWN_ROLES:
        return kind
    return role


def _record(value: object) -> Mapping[Any, Any] | None:
    """Return a mapping, or an object's fields; None for what has none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return {"role": value[0], "content": value[1]}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        dumped = dump(warnings=False)
        return dumped if isinstance(dumped, Mapping) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if hasattr(value, "content") and (hasattr(value, "role") or hasattr(value, "type")):
        names = ("role", "type", "content", "name", "id", "tool_calls", "refusal", *TIMES)
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    return None


def _texts(content: object, where: str, depth: int) -> list[str]:
    """Return the texts of a message's content: a text, or parts in any depth."""
    if content is None or isinstance(content, str):
        return [content or ""]
    record = _record(content)
    if record is not None:
        return [_part(record, where, depth)]
    if not isinstance(content, Sequence) or isinstance(content, bytes) or depth > _DEEPEST:
        raise InputError(f"the content of {where} must be a text or a list of parts, not {_short(content)}")
    texts = []
    for part in content:
        if not isinstance(part, str | list) and _record(part) is None:
            raise InputError(f"a part of {where}'s content must be a text or a mapping, not {_short(part)}")
        texts += _texts(part, where, depth + 1)
    return texts


def _part(part: Mapping[Any, Any], where: str, depth: int) -> str:
    kind = part.get("type", "part")
    if kind in _THOUGHTS:
        return ""
    if kind in _CALLS:
        return _call(part)
    if kind in _RESULTS:
        inner = part.get("content", part.get("output"))
        return "\n".join(text for text in _texts(inner, where, depth + 1) if text) or f"[{kind}]"
    text = next((part[key] for key in ("text", "refusal", "content") if part.get(key) is not None), None)
    text = text.get("value") if isinstance(text, Mapping) else text
    if isinstance(text, str):
        return text
    source = part["file"] if isinstance(part.get("file"), Mapping) else part
    name = next((source[key] for key in ("title", "filename", "file_name") if isinstance(source.get(key), str)), "")
    return f"[{kind} {name}]" if name else f"[{kind}]"


def _call(call: Mapping[Any, Any]) -> str:
    """Return a tool's name and arguments in brackets."""
    function = call.get("function")
    call = function if isinstance(function, Mapping) else call
    arguments = next((call[key] for key in ("arguments", "args", "input") if call.get(key)), "")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    if len(arguments) > _LONGEST_CALL:
        arguments = f"{arguments[:_LONGEST_CALL]}…"
    return f"[{' '.join(part for part in (str(call.get('name') or 'tool call'), arguments) if part)}]"


def _former(content: object) -> str:
    if not isinstance(content, Sequence) or isinstance(content, str | bytes):
        return ""
    texts = [
        part
        if isinstance(part, str)
        else part["text"]
        if isinstance(part.get("text"), str)
        else f"[{part.get('type', 'part')}]"
        for part in content
        if isinstance(part, str | Mapping)
    ]
    return "\n".join(texts)


def _list(value: object) -> list[Any]:
    return (
        list(value) if isinstance(value, list | tuple) else [] if value is None or isinstance(value, str) else [value]
    )


def _is_simple(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and 0 < len(value) <= _LONGEST_EXTRA)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_EXTRA else f"{shown[:_LONGEST_EXTRA]}…"
