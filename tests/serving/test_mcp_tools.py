"""The tools, asked through the SDK's client: what each does, and what it says where it cannot."""

import threading

import anyio
import pytest
from mcp import Client

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory
from hybridstore.serving.mcp_server import server

READING = {"search", "fetch", "recall", "list", "stats"}
WRITING = {"remember", "supersede", "forget", "ingest"}


async def tools(memory, **options):
    async with Client(server(memory, **options)) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_every_tool_says_what_it_is_and_when_to_use_it(memory):
    offered = await tools(memory)
    assert set(offered) == READING | WRITING
    for name, tool in offered.items():
        assert tool.title
        assert tool.description
        assert tool.output_schema["properties"]["tokens"]["type"] == "integer"
        assert tool.input_schema["additionalProperties"] is False
        for argument in tool.input_schema["properties"].values():
            assert argument["description"], name


async def test_annotations_say_what_a_tool_does_to_the_store(memory):
    hints = {name: tool.annotations for name, tool in (await tools(memory)).items()}
    assert {name for name, hint in hints.items() if hint.read_only_hint} == READING
    assert {name for name, hint in hints.items() if hint.destructive_hint} == {"forget", "ingest"}
    assert all(hint.idempotent_hint and hint.open_world_hint is False for hint in hints.values())


async def test_a_server_that_only_reads_offers_no_tool_that_writes(memory, asking):
    assert set(await tools(memory, read_only=True)) == READING
    async with asking(memory, read_only=True) as ask:
        assert "no tool 'remember' here" in await ask.refused("remember", text="I was here.")
    assert memory.notes() == []


async def test_a_remembered_note_is_recalled_with_its_id_and_time(memory, asking):
    async with asking(memory) as ask:
        kept = await ask("remember", text="Anna lives in Paris.", occurred_at="2025-03-01", metadata={"topic": "home"})
        assert kept["status"] == "added"
        found = await ask("recall", query="where does Anna live?", where={"topic": "home"})
        assert [(item["id"], item["text"], item["time"]) for item in found["items"]] == [
            (kept["id"], "Anna lives in Paris.", "2025-03-01")
        ]
        assert (await ask("recall", query="where does Anna live?", where={"topic": "work"}))["total"] == 0
        again = await ask("remember", text="Anna lives in Paris.", occurred_at="2025-03-01")
        assert (again["status"], again["id"]) == ("unchanged", kept["id"])


async def test_a_text_that_looks_like_json_is_kept_as_it_is(memory, asking):
    async with asking(memory) as ask:
        kept = await ask("remember", text='{"door": 4711}', session="[1]")
        assert memory.get(kept["id"]).text == '{"door": 4711}'
        assert memory.get(kept["id"]).session == "[1]"


async def test_a_superseded_note_is_history_and_found_as_of_its_time(memory, asking):
    async with asking(memory) as ask:
        old = await ask("remember", text="Anna lives in Paris.", occurred_at="2024-01-01")
        new = await ask("supersede", id=old["id"], text="Anna lives in Rome.", occurred_at="2025-01-01")
        assert new["supersedes"] == [old["id"]]
        texts = [item["text"] for item in (await ask("recall", query="Anna lives"))["items"]]
        assert texts == ["Anna lives in Rome."]
        before = await ask("recall", query="Anna lives", as_of="2024-06-01")
        assert [item["text"] for item in before["items"]] == ["Anna lives in Paris."]
        whole = (await ask("fetch", id=old["id"]))["items"][0]
        assert whole["superseded_by"] == new["id"]
        again = await ask("supersede", id=old["id"], text="Anna lives in Rome.", occurred_at="2025-01-01")
        assert again["status"] == "unchanged"


async def test_a_conversation_is_appended_to_its_session_and_turns_are_shown_beside_each_other(memory, asking):
    said = [{"role": "user", "content": "Shall we fly?"}, {"role": "assistant", "content": "The train is greener."}]
    async with asking(memory) as ask:
        first = await ask("remember", messages=said, session="trip")
        assert (first["id"], first["added"]) == ("trip/000002", 2)
        grown = [*said, {"role": "user", "name": "Gina", "content": "Then by train to Lisbon!", "time": "2025-05-01"}]
        assert (await ask("remember", messages=grown, session="trip"))["added"] == 1
        found = await ask("recall", query="train to Lisbon", session="trip", neighbours=1)
        assert "Gina" in {item.get("by") for item in found["items"]}
        assert any(item.get("beside") for item in found["items"])
        listed = await ask("list", session="trip")
        assert [item["id"] for item in listed["items"]] == ["trip/000003", "trip/000002", "trip/000001"]


async def test_similar_notes_are_named_on_request(memory, asking):
    async with asking(memory) as ask:
        old = await ask("remember", text="Anna lives in Paris now.")
        linked = await ask("remember", text="Anna lives in Paris today.", on_similar="link")
        assert [each["id"] for each in linked["similar"]] == [old["id"]]
        result = await ask.refused("remember", text="Anna lives in Paris still.", on_similar="error")
        assert old["id"] in result


async def test_a_search_leaves_out_what_is_excluded_and_reads_flags_as_words(memory, asking):
    async with asking(memory) as ask:
        kept = [await ask("remember", text=text) for text in ("grep -r searches folders.", "grep -v inverts.")]
        names = [item["id"] for item in kept]
        found = await ask("search", query="what is grep -r", kind="notes")
        assert {item["id"].rpartition("/")[2] for item in found["items"]} >= {name.rpartition("/")[2] for name in names}
        left = await ask("search", query="what is grep -r", kind="notes", exclude=["inverts"])
        assert len(left["items"]) == len(found["items"]) - 1


async def test_a_search_takes_conditions_joined_by_signs(memory, asking):
    for name, text in (("sun", "solar power and storage"), ("cell", "solar power, storage, a lithium cell")):
        memory.store.add(hs.Document(id=name, text=text))
    async with asking(memory) as ask:
        found = await ask("search", query='solar power & storage & ~"lithium"', syntax="algebra")
        assert [item["id"] for item in found["items"]] == ["sun"]
        assert "nearly everything" in await ask.refused("search", query="~lithium", syntax="algebra")


async def test_a_search_follows_passages_and_tells_the_path(memory, asking):
    for name, text in (
        ("lamp", "The Larkfield lamp is made by Tolvanen Works."),
        ("firm", "Tolvanen Works: see Rask."),
    ):
        memory.store.add(hs.Document(id=name, text=text))
    async with asking(memory) as ask:
        found = await ask("search", query="who began the maker of the Larkfield lamp", hops=2, limit=2)
        assert {item["id"] for item in found["items"]} == {"lamp", "firm"}
        assert "lamp led to: Tolvanen Works" in found["remarks"]


async def test_an_agent_passes_other_words_and_an_expected_answer(memory, asking):
    for name, text in (("valve", "The gasket wears out."), ("soup", "Onion soup.")):
        memory.store.add(hs.Document(id=name, text=text))
    async with asking(memory) as ask:
        found = await ask("search", query="what to swap", keywords="gasket", answer="The gasket is worn.", limit=1)
        assert [item["id"] for item in found["items"]] == ["valve"]
        assert "plain text" in await ask.refused("search", query="soup", keywords="onion", hops=2)


async def test_passages_of_markdown_begin_after_its_front_matter(memory, asking):
    text = "---\ntitle: Plan\ndate: 2024-04-01\n---\n\nPlant the beans."
    memory.store.add(hs.Document(id="plan", text=text, metadata={"type": "md"}, format="markdown"))
    async with asking(memory) as ask:
        answer = await ask("search", query="plant beans")
    assert "Plant the beans." in str(answer)
    assert "2024-04-01" not in str(answer)


async def test_search_finds_passages_of_documents_and_notes_and_says_which(memory, asking):
    memory.store.add(hs.Document(id="pump", title="Pump P-101", text="Close the inlet.", uri="https://x.example/pump"))
    note = memory.remember("The inlet of the pump sticks.").id
    async with asking(memory) as ask:
        found = {item["id"]: item for item in (await ask("search", query="inlet"))["items"]}
        assert (found["pump"]["kind"], found["pump"]["title"]) == ("document", "Pump P-101")
        assert found[note]["kind"] == "note"
        assert [item["id"] for item in (await ask("search", query="inlet", kind="documents"))["items"]] == ["pump"]
        assert [item["id"] for item in (await ask("search", query="inlet", kind="notes"))["items"]] == [note]
        assert (await ask("fetch", id="https://x.example/pump"))["items"][0]["id"] == "pump"
        assert (await ask("fetch", id=memory.get(note).uri))["items"][0]["id"] == note


async def test_forgetting_is_a_dry_run_unless_it_is_said_otherwise(memory, asking):
    ids = [memory.remember(text, metadata={"n": n}).id for n, text in enumerate(("One.", "Two.", "Three."))]
    async with asking(memory) as ask:
        would = await ask("forget", ids=ids[:1])
        assert (would["dry_run"], [item["id"] for item in would["items"]]) == (True, ids[:1])
        assert len(memory.notes()) == 3
        gone = await ask("forget", where={"n": {"$gte": 1}}, dry_run=False)
        assert (gone["dry_run"], {item["id"] for item in gone["items"]}) == (False, set(ids[1:]))
        assert [note.id for note in memory.notes()] == ids[:1]


@pytest.mark.parametrize("target", [{}, {"ids": []}, {"where": {}}, {"ids": [""]}, {"ids": [" "]}])
async def test_forgetting_nothing_in_particular_is_rejected(memory, asking, target):
    memory.remember("One.")
    async with asking(memory) as ask:
        assert await ask.refused("forget", **target, dry_run=False)
    assert len(memory.notes()) == 1


async def test_a_filter_that_matches_every_note_is_rejected(memory, asking):
    for text in ("One.", "Two."):
        memory.remember(text, metadata={"mine": True})
    async with asking(memory) as ask:
        for where in ({"mine": True}, {"$not": {"x": 1}}, {"@id": {"$prefix": ""}}):
            assert "matches every note" in await ask.refused("forget", where=where, dry_run=False)
        assert "unknown operator" in await ask.refused("forget", where={"x": {"$like": 1}}, dry_run=False)
    assert len(memory.notes()) == 2


async def test_stats_count_what_the_namespace_has_and_the_documents(memory, asking):
    old = memory.remember("Anna lives in Paris.").id
    memory.remember("Anna lives in Rome.", supersedes=old)
    memory.remember([{"role": "user", "content": "Hello."}], session="s")
    Memory(memory.store, "other").remember("Not yours.")
    memory.store.add("A document.")
    async with asking(memory) as ask:
        counted = await ask("stats")
    assert counted["namespace"] == "user/42"
    names = ("notes", "turns", "sessions", "history", "documents")
    assert [counted[name] for name in names] == [1, 1, 1, 1, 1]
    assert counted["embedder"] == HashingEmbedder().fingerprint


@pytest.mark.parametrize(
    ("tool", "arguments", "result"),
    [
        ("search", {"query": " "}, "has no words"),
        ("search", {"query": "x", "exclude": ["?!"]}, "in which there is no word"),
        ("search", {"query": "x", "limit": 51}, "limit: input should be less than or equal to 50"),
        ("search", {"query": "x", "limt": 3}, "no argument 'limt', did you mean limit?"),
        ("search", {}, "query: field required"),
        ("search", {"query": "x", "where": {"a": {"$like": 1}}}, "unknown operator 'like'"),
        ("search", {"query": "x", "cursor": "page 2"}, "'page 2' is not a cursor"),
        ("recall", {"query": "x", "as_of": "yesterday"}, "not a time in ISO 8601"),
        ("recall", {"query": "…"}, "the query has no words"),
        ("fetch", {"id": "nowhere"}, "no note or document 'nowhere'"),
        ("remember", {}, "either a text or messages"),
        ("remember", {"text": "x", "messages": [{"role": "user", "content": "y"}]}, "either a text or messages"),
        ("remember", {"messages": [{"role": "user"}]}, "message 1 must be a mapping"),
        ("remember", {"text": "x", "session": "s" * 101}, "at most 100 characters"),
        ("remember", {"text": "x", "metadata": {"memory": 1}}, "rename yours"),
        ("supersede", {"id": "nowhere", "text": "x"}, "no note with the id 'nowhere'"),
        ("list", {"kind": "documents", "session": "s"}, "documents belong to no session"),
        ("lst", {}, "no tool 'lst' here, did you mean list?"),
    ],
)
async def test_a_mistake_is_one_sentence(memory, asking, tool, arguments, result):
    async with asking(memory) as ask:
        sentence = await ask.refused(tool, **arguments)
    assert result in sentence
    assert "Traceback" not in sentence
    assert "pydantic" not in sentence
    assert "\n" not in sentence


async def test_null_is_an_argument_that_was_not_given(memory, asking):
    async with asking(memory) as ask:
        assert (await ask("recall", query="x", session=None, where=None, cursor=None))["total"] == 0


async def test_a_model_that_takes_its_time_keeps_no_other_call_waiting():
    class Slow(HashingEmbedder):
        begun, go_on = threading.Event(), threading.Event()

        def embed_documents(self, texts):
            self.begun.set()
            assert self.go_on.wait(20)
            return super().embed_documents(texts)

    embedder = Slow()
    with Memory(":memory:", embedder=embedder) as memory:
        async with Client(server(memory)) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "remember", {"text": "One."})
            await anyio.to_thread.run_sync(embedder.begun.wait, 20)
            with anyio.fail_after(10):
                assert not (await client.call_tool("stats", {})).is_error
            embedder.go_on.set()
        assert [note.text for note in memory.notes()] == ["One."]


async def test_errors_of_the_store_name_no_file_of_the_machine(memory, asking, monkeypatch):
    def busy(*_, **__):
        raise hs.FileBusy(str(memory.store.location), 30.0)

    monkeypatch.setattr(memory.store._backend, "put", busy)
    async with asking(memory) as ask:
        result = await ask.refused("remember", text="One.")
    assert "another process is writing" in result
    assert str(memory.store.location) not in result


async def test_a_note_is_a_resource_and_the_latest_are_listed(memory):
    ids = [memory.remember(f"Fact number {n}.").id for n in range(25)]
    other = Memory(memory.store, "other").remember("Not yours.").id
    async with Client(server(memory)) as client:
        listed = (await client.list_resources()).resources
        assert [each.name for each in listed] == ids[:4:-1]
        assert listed[0].title == "Fact number 24."
        read = (await client.read_resource(listed[0].uri)).contents[0].text
        assert "Fact number 24." in read
        template = (await client.list_resource_templates()).resource_templates[0]
        assert template.uri_template == "memory://{namespace}/{id}"
        for uri in (f"memory://other/{other}", "memory://user%2F42/nowhere"):
            with pytest.raises(Exception, match="no note or document") as caught:
                await client.read_resource(uri)
            assert "Not yours" not in str(caught.value)


@pytest.mark.parametrize("id_", ["..", "../../etc/passwd", "/absolute", "a b%c", "ünïcode", "a#b?c"])
async def test_a_note_of_any_id_can_be_read_as_a_resource(memory, id_):
    memory.remember("A fact.", id=id_)
    async with Client(server(memory)) as client:
        assert "A fact." in (await client.read_resource(memory.get(id_).uri)).contents[0].text
