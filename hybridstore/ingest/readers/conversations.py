"""Exports of conversations: ChatGPT, Claude, Slack, Telegram and lists of chat messages, a document for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hybridstore.errors import InputError
from hybridstore.ingest.chat_messages import chat_messages, is_chat_message
from hybridstore.ingest.readers.origin import LARGEST_WHOLE, STDIN, Origin
from hybridstore.ingest.regular_files import open_file
from hybridstore.records import Document

_SLACK_NOISE = frozenset(("channel_join", "channel_leave", "group_join", "bot_add", "channel_purpose", "channel_topic"))
_SLACK_MARK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant"}


class Turn(NamedTuple):
    """What one speaker said, and when: a date in ISO 8601, or ""."""

    speaker: str
    text: str
    date: str = ""


def conversations_in(content: Any, origin: Origin, kind: str, line: str = "") -> list[Document] | None:
    """Return the conversations of an export as documents; None if this JSON is not an export.

    `line`, as "line=3", is the place of the only one in a file that has others.
    """
    readers: tuple[tuple[Callable[[Any], bool], Callable[[Any, Origin, str], Iterator[Document]]], ...] = (
        (_is_chatgpt, _chatgpt),
        (_is_claude, _claude),
        (_is_slack, _slack),
        (_is_telegram, _telegram),
        (_is_chat, _chat),
        (lambda record: not line and len(records) > 1 and is_chat_message(record), _messages_alone),
    )
    records = content if isinstance(content, list) else [content]
    records = [record for record in records if isinstance(record, Mapping)]
    for applies, documents in readers:
        if records and all(map(applies, records)):
            found = [document for document in documents(records, origin, kind) if document.text.strip()]
            if line and origin.name != STDIN:
                place = f"{origin.name}#{records[0].get('id') or line}"
                found = [replace(document, id=place, uri=place) for document in found[:1]]
            return found
    return None


def _document(origin: Origin, kind: str, name: str, title: str, turns: Sequence[Turn], **metadata: Any) -> Document:
    speakers = list(dict.fromkeys(turn.speaker for turn in turns if turn.speaker))
    dates = [turn.date for turn in turns if turn.date]
    fields = {"date": dates[0] if dates else "", "speakers": speakers, "messages": len(turns), **metadata}
    stdin = origin.name == STDIN
    id_ = f"{origin.name}#{name}" if name else origin.name
    return Document(
        text="\n\n".join(f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text for turn in turns),
        id=None if stdin else id_,
        uri="" if stdin else id_,
        title=title or origin.stem,
        metadata={"path": origin.name, "type": kind} | {key: value for key, value in fields.items() if value},
        format="markdown",
    )


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, or a list of parts of which some have a text."""
    if isinstance(content, str):
        return content.strip()
    if isinstance(content, Mapping):
        value = next((content[key] for key in ("text", "content", "parts", "value") if content.get(key)), "")
        return text_of(value)
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        return "\n".join(text for part in content if (text := text_of(part)))
    return ""


def _date(value: Any) -> str:
    """Return a time, in seconds since 1970 or as a text, in ISO 8601; "" if it is neither."""
    if isinstance(value, str) and not re.fullmatch(r"\d+(?:\.\d+)?", value):
        return value
    try:
        return datetime.fromtimestamp(float(value), UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


# ChatGPT: a tree of messages, of which the last branch is shown


def _is_chatgpt(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("mapping"), Mapping) and ("current_node" in record or "create_time" in record)


def _chatgpt(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    for number, record in enumerate(records, start=1):
        turns = [turn for node in _branch(record) if (turn := _chatgpt_turn(node.get("message"))) and turn.text]
        name = str(record.get("conversation_id") or record.get("id") or f"item={number}")
        yield _document(origin, kind, name, str(record.get("title") or ""), turns, source="ChatGPT")


def _branch(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the nodes from the root to the current one."""
    nodes: Mapping[str, Any] = record["mapping"]
    id_ = record.get("current_node") or next(reversed(list(nodes)), None)
    branch: dict[str, Mapping[str, Any]] = {}
    while isinstance(id_, str) and id_ not in branch and isinstance(nodes.get(id_), Mapping):
        branch[id_] = nodes[id_]
        id_ = nodes[id_].get("parent")
    return list(reversed(branch.values()))


def _chatgpt_turn(message: Any) -> Turn | None:
    if not isinstance(message, Mapping):
        return None
    author, content = message.get("author"), message.get("content")
    role = str(author.get("role", "")) if isinstance(author, Mapping) else ""
    if role == "system" or not isinstance(content, Mapping):
        return None
    if content.get("content_type") in {"user_editable_context", "model_editable_context"}:
        return None
    return Turn(role, text_of(content.get("parts") or content.get("text")), _date(message.get("create_time")))


# Claude


def _is_claude(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("chat_messages"), list)


def _claude(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    for number, record in enumerate(records, start=1):
        turns = []
        for message in record["chat_messages"]:
            if not isinstance(message, Mapping):
                continue
            files = [part for part in message.get("attachments") or () if isinstance(part, Mapping)]
            text = [text_of(message.get("content")) or text_of(message.get("text"))]
            text += [f"[{part.get('file_name', 'file')}]\n{text_of(part.get('extracted_content'))}" for part in files]
            speaker = str(message.get("sender") or "")
            turns.append(Turn(_ROLES.get(speaker, speaker), "\n".join(text).strip(), _date(message.get("created_at"))))
        name = str(record.get("uuid") or f"item={number}")
        turns = [turn for turn in turns if turn.text]
        yield _document(origin, kind, name, str(record.get("name") or ""), turns, source="Claude")


# Slack: a file for each channel and day; threads are documents of their own


def _is_slack(record: Mapping[str, Any]) -> bool:
    return record.get("type") == "message" and isinstance(record.get("ts"), str)


def _slack(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    names = _slack_names(origin)
    channel = Path(origin.name).parent.name
    threads: dict[str, list[Turn]] = {}
    for record in records:
        turn = _slack_turn(record, names)
        if turn.text and record.get("subtype") not in _SLACK_NOISE:
            threads.setdefault(str(record.get("thread_ts") or ""), []).append(turn)
    for thread, turns in threads.items():
        title = f"#{channel} {turns[0].date[:10]}"
        title = f"{title}: {' '.join(turns[0].text.split())[:80]}" if thread else title
        yield _document(origin, kind, thread, title, turns, source="Slack", channel=channel)


def _slack_turn(record: Mapping[str, Any], names: Mapping[str, str]) -> Turn:
    def shown(mark: re.Match[str]) -> str:
        target = mark[1]
        if target[:1] == "@":
            return "@" + names.get(target[1:], mark[2] or target[1:])
        return mark[2] or target.removeprefix("!")

    profile = record.get("user_profile")
    profile = profile if isinstance(profile, Mapping) else {}
    user = str(record.get("user") or record.get("bot_id") or "")
    speaker = names.get(user) or profile.get("real_name") or profile.get("name") or record.get("username") or user
    text = _SLACK_MARK.sub(shown, str(record.get("text") or ""))
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
    files = [file for file in record.get("files") or () if isinstance(file, Mapping)]
    attached = "".join(f"\n[{file.get('title') or file.get('name') or 'file'}]" for file in files)
    return Turn(str(speaker), text + attached, _date(record.get("ts")))


def _slack_names(origin: Origin) -> dict[str, str]:
    """Return the names of users by their ids, from the export's users.json; empty if it is not there."""
    try:
        with open_file(Path(origin.name).parent.parent / "users.json", beneath=origin.beneath) as file:
            users = json.loads(file.read(LARGEST_WHOLE))
    except (OSError, ValueError, RecursionError):
        return {}
    names = {}
    for user in users if isinstance(users, list) else ():
        if isinstance(user, Mapping):
            names[str(user.get("id"))] = str(user.get("real_name") or user.get("name") or user.get("id"))
    return names


# Telegram: one chat, or all of them in a list


def _is_telegram(record: Mapping[str, Any]) -> bool:
    messages = record.get("messages")
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(message, Mapping) and "date" in message and "type" in message for message in messages)
    )


def _telegram(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    for record in records:
        turns = [
            Turn(str(message.get("from") or ""), text, _date(message["date"]))
            for message in record["messages"]
            if (text := text_of(message.get("text")))
        ]
        name = str(record.get("id") or "") if len(records) > 1 else ""
        yield _document(origin, kind, name, str(record.get("name") or ""), turns, source="Telegram")


# Messages as the programming interfaces of models take them


def _is_chat(record: Mapping[str, Any]) -> bool:
    messages = record.get("messages", record.get("conversations"))
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return False
    return sum(map(is_chat_message, messages)) * 2 > len(messages)


def _chat(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    for number, record in enumerate(records, start=1):
        turns = _chat_turns(record.get("messages", record.get("conversations")) or (), origin)
        name = str(record.get("id") or f"item={number}") if len(records) > 1 else ""
        yield _document(origin, kind, name, str(record.get("title") or ""), turns)


def _chat_turns(messages: Sequence[Any], origin: Origin) -> list[Turn]:
    turns = []
    for number, message in enumerate(messages, start=1):
        try:
            found = chat_messages(message, f"message {number}")
        except InputError as error:
            origin.notice(f"left out: {error}")
            continue
        turns += [Turn(one.name or one.role, one.text.strip(), _date(one.time)) for one in found if one.text.strip()]
    return turns


def _messages_alone(records: Sequence[Mapping[str, Any]], origin: Origin, kind: str) -> Iterator[Document]:
    yield _document(origin, kind, "", "", _chat_turns(records, origin))
