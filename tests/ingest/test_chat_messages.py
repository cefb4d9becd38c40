"""Messages of conversations: dicts and objects of every provider are read, an odd one is left out and named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.ingest import read
from hybridstore.ingest.chat_messages import chat_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Ulm"}'}}


@dataclass
class Said:
    role: str
    content: str


FORMS = {
    "OpenAI": ({"role": "user", "content": "Hi", "name": "Ann"}, [("user", "Hi")]),
    "OpenAI, a call": (
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": []},
        [("assistant", '[get_weather {"city": "Ulm"}]')],
    ),
    "OpenAI, an old call": (
        {"role": "assistant", "content": "Wait.", "function_call": {"name": "f", "arguments": "{}"}},
        [("assistant", "Wait.\n[f {}]")],
    ),
    "OpenAI, a result": ({"role": "tool", "tool_call_id": "c1", "content": "Rain"}, [("tool", "Rain")]),
    "OpenAI, a refusal": ({"role": "assistant", "content": None, "refusal": "I cannot."}, [("assistant", "I cannot.")]),
    "OpenAI, parts": (
        {
            "role": "user",
            "content": [{"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        [("user", "See:\n[image_url]")],
    ),
    "OpenAI, a part that is an image alone": (
        {"role": "user", "content": {"type": "input_image", "image_url": "x"}},
        [("user", "[input_image]")],
    ),
    "OpenAI, a file": (
        {"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "…"}}]},
        [("user", "[file a.pdf]")],
    ),
    "Responses": (
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "id": "m",
            "content": [
                {"type": "output_text", "text": "Hi", "annotations": []},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        [("assistant", "Hi\nNo.")],
    ),
    "Responses, input": ({"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, [("user", "Hi")]),
    "Responses, a call": (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}', "status": "completed"},
        [("assistant", '[f {"a":1}]')],
    ),
    "Responses, a result": (
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        [("tool", "42")],
    ),
    "Responses, a thought": (
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm"}]},
        [("assistant", "")],
    ),
    "Anthropic": (
        {
            "role": "assistant",
            "type": "message",
            "id": "m",
            "model": "c",
            "usage": {"input_tokens": 1},
            "stop_reason": "x",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Hi"},
                {"type": "tool_use", "id": "t", "name": "look", "input": {"q": "x"}},
            ],
        },
        [("assistant", 'Hi\n[look {"q": "x"}]')],
    ),
    "Anthropic, a result": (
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "ok"}]}],
        },
        [("user", "ok")],
    ),
    "Anthropic, a document": (
        {"role": "user", "content": [{"type": "document", "title": "Report", "source": {"data": "…"}}]},
        [("user", "[document Report]")],
    ),
    "LangChain": ({"type": "human", "data": {"content": "Hi", "type": "human", "id": None}}, [("user", "Hi")]),
    "LangChain, dumped": (
        {"content": "", "type": "ai", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}]},
        [("assistant", '[f {"a": 1}]')],
    ),
    "LangChain, serialised": (
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "HumanMessage"], "kwargs": {"content": "Hi"}},
        [("user", "Hi")],
    ),
    "a pair": (("human", "Hi"), [("user", "Hi")]),
    "Gemini": ({"role": "model", "parts": [{"text": "Hi"}]}, [("assistant", "Hi")]),
    "ShareGPT": ({"from": "human", "value": "Hi"}, [("user", "Hi")]),
    "Claude Code": (
        {
            "type": "user",
            "timestamp": "2026-01-02T10:00:00Z",
            "uuid": "u",
            "message": {"role": "user", "content": "Hi"},
        },
        [("user", "Hi")],
    ),
    "Codex": (
        {
            "type": "response_item",
            "payload": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        },
        [("user", "Hi")],
    ),
    "a list within": (
        {"messages": [{"role": "user", "content": "Hi"}, {"type": "ai", "content": "Yes"}]},
        [("user", "Hi"), ("assistant", "Yes")],
    ),
    "choices": (
        {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]},
        [("assistant", "Hi")],
    ),
    "an object": (SimpleNamespace(type="ai", content="Hi"), [("assistant", "Hi")]),
    "a dataclass": (Said("user", "Hi"), [("user", "Hi")]),
    "a speaker": ({"sender": "Ann", "text": "Hi"}, [("user", "Hi")]),
    "LlamaIndex": ({"role": "user", "blocks": [{"block_type": "text", "text": "Hi"}]}, [("user", "Hi")]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_message_is_read_whatever_wrote_it(form):
    value, said = FORMS[form]
    assert [(one.role, one.text) for one in chat_messages(value)] == said


def test_other_fields_are_metadata_and_times_are_kept():
    (one,) = chat_messages({**FORMS["Claude Code"][0], "mood": "good"})
    assert (one.time, one.metadata) == ("2026-01-02T10:00:00Z", {})
    (one,) = chat_messages(
        {"role": "user", "content": "Hi", "mood": "good", "deep": {"a": 1}, "metadata": {"b": 2}, "id": 7}
    )
    assert (one.metadata, one.id) == ({"mood": "good", "b": 2}, "7")


@pytest.mark.parametrize(
    "odd",
    [
        5,
        "Hi",
        None,
        {},
        {"role": "user"},
        {"role": 3, "content": "x"},
        {"content": 7},
        [1],
        b"x",
        {"type": "summary", "leafUuid": "x"},
    ],
)
def test_what_is_no_message_is_an_error(odd):
    with pytest.raises(InputError, match="message 3"):
        chat_messages(odd, "message 3")


def test_an_odd_message_is_named_and_the_rest_remembered():
    memory = hs.Memory(hs.open(":memory:"))
    talk = [
        {"role": "user", "content": "I moved to Ulm."},
        5,
        {"role": 1, "content": "x"},
        {"role": "assistant", "content": "Noted."},
    ]
    remembered = memory.remember(talk, session="s")
    assert remembered.added == 2
    assert [which for which, _ in remembered.left_out] == ["message 2", "message 3"]
    assert "must be a non-empty text, not 1" in remembered.left_out[1][1]
    again = memory.remember([*talk, {"role": "user", "content": "And you?"}], session="s")
    assert (again.added, len(again.ids)) == (1, 3)


def test_turns_of_earlier_versions_are_not_stored_again():
    memory = hs.Memory(hs.open(":memory:"))
    memory.remember(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Look\n[tool_use]\n[thinking]"}],
        session="s",
    )
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "tool_use", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "…"},
    ]
    again = memory.remember([{"role": "human", "content": "Hi"}, {"role": "assistant", "content": parts}], session="s")
    assert (again.status, again.added) == ("unchanged", 0)


def test_objects_of_the_openai_sdk_are_remembered():
    chat = pytest.importorskip("openai.types.chat")
    responses = pytest.importorskip("openai.types.responses")
    message = chat.ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": "Hello Ann", "tool_calls": [CALL]}
    )
    completion = chat.ChatCompletion.model_validate({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ulm"}}],
    })  # fmt: skip
    output = responses.ResponseOutputMessage.model_validate({
        "id": "m1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Rain", "annotations": []}],
    })  # fmt: skip
    call = responses.ResponseFunctionToolCall(arguments='{"a":1}', call_id="c", name="f", type="function_call")
    values = [message, message.model_dump(), completion, completion.model_dump(), output, output.model_dump(), call]
    texts = ['Hello Ann\n[get_weather {"city": "Ulm"}]'] * 2 + ["Ulm"] * 2 + ["Rain"] * 2 + ['[f {"a":1}]']
    assert [one.text for value in values for one in chat_messages(value)] == texts
    memory = hs.Memory(hs.open(":memory:"))
    assert memory.remember([{"role": "user", "content": "Hi"}, *values], session="s").left_out == ()
    assert memory.remember(completion).added == 1


def test_objects_of_the_anthropic_sdk_are_remembered():
    types = pytest.importorskip("anthropic.types")
    message = types.Message.model_validate({
        "id": "m", "type": "message", "role": "assistant", "model": "c", "stop_sequence": None, "stop_reason": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hello"},
                    {"type": "tool_use", "id": "t", "name": "look", "input": {"q": "x"}}],
    })  # fmt: skip
    values = [message, message.model_dump(), {"role": "assistant", "content": message.content}]
    assert {one.text for value in values for one in chat_messages(value)} == {'Hello\n[look {"q": "x"}]'}
    assert hs.Memory(hs.open(":memory:")).remember(values, session="s").left_out == ()


def test_langchain_messages_are_remembered():
    messages = pytest.importorskip("langchain_core.messages")
    load = pytest.importorskip("langchain_core.load")
    call = {"name": "f", "args": {"a": 1}, "id": "1"}
    talk = [
        messages.SystemMessage("Be kind"),
        messages.HumanMessage("Hi", name="Ann", id="h"),
        messages.AIMessage("Yes", tool_calls=[call]),
        messages.ToolMessage("42", tool_call_id="1"),
        messages.AIMessageChunk("More"),
    ]
    said = [
        ("system", "Be kind"),
        ("user", "Hi"),
        ("assistant", 'Yes\n[f {"a": 1}]'),
        ("tool", "42"),
        ("assistant", "More"),
    ]
    for values in (
        talk,
        messages.messages_to_dict(talk),
        [one.model_dump() for one in talk],
        [load.dumpd(one) for one in talk],
    ):
        assert [(one.role, one.text) for value in values for one in chat_messages(value)] == said
    assert hs.Memory(hs.open(":memory:")).remember(talk, session="s").added == 5


def test_a_file_of_messages_is_one_conversation(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps([FORMS[form][0] for form in ("OpenAI", "OpenAI, a call", "LangChain", "Anthropic")]),
        encoding="utf-8",
    )
    (document,) = read(path)
    assert document.text.split("\n\n")[:2] == ["Ann: Hi", 'assistant: [get_weather {"city": "Ulm"}]']
    path.write_text(
        json.dumps({"messages": [FORMS["OpenAI"][0], FORMS["OpenAI, a call"][0], {"role": "user", "content": 7}]}),
        encoding="utf-8",
    )
    notices = []
    (document,) = read(path, notice=notices.append)
    assert document.metadata["messages"] == 2
    assert notices == ["left out: the content of message 3 must be a text or a list of parts, not 7"]
