"""Importers: nothing is skipped silently or imported twice, and changes become new versions."""

import json
import os

import pytest

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, InputError
from hybridstore.memory import ImportReport, Memory
from hybridstore.memory.importers import from_chroma, from_markdown, from_mcp_memory
from hybridstore.memory.notes import moment


class Clock:
    """A clock that is a second further at each look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def memory():
    with Memory(":memory:", embedder=HashingEmbedder(32), clock=Clock()) as memory:
        yield memory


# the MCP memory server's file

GRAPH = [
    {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["Speaks Spanish", "Likes tea"]},
    {"type": "entity", "name": "Acme", "entityType": "organization", "observations": []},
    {"type": "relation", "from": "Ada", "to": "Acme", "relationType": "works_at"},
]


@pytest.fixture
def graph(tmp_path):
    def write(*records, tail=""):
        path = tmp_path / "memory.jsonl"
        path.write_text("\n".join(map(json.dumps, records)) + tail)  # the server writes no line end at the end
        return path

    return write


def test_observations_and_relations_become_notes(memory, graph):
    assert from_mcp_memory(memory, graph(*GRAPH)) == ImportReport(added=4)
    assert {note.text: note.metadata for note in memory.notes()} == {
        "Ada: Speaks Spanish": {"entity": "Ada", "entity_type": "person"},
        "Ada: Likes tea": {"entity": "Ada", "entity_type": "person"},
        "Acme: organization": {"entity": "Acme", "entity_type": "organization"},
        "Ada works_at Acme": {"from": "Ada", "to": "Acme", "relation_type": "works_at"},
    }
    assert memory.recall("tea", where={"entity": "Ada"})[0].text == "Ada: Likes tea"
    assert from_mcp_memory(memory, graph(*GRAPH)) == ImportReport(unchanged=4)


def test_a_graph_that_grew_adds_new_notes(memory, graph):
    from_mcp_memory(memory, graph(*GRAPH))
    ada = GRAPH[0] | {"observations": ["Likes tea", "Likes tea", "Plays chess"]}
    assert from_mcp_memory(memory, graph(ada, *GRAPH[1:])) == ImportReport(added=1, unchanged=4)
    assert len(memory.notes()) == 5  # what was taken out of the file stays


def test_corrected_notes_are_not_imported_again(memory, graph):
    from_mcp_memory(memory, graph(*GRAPH))
    (tea,) = (note.id for note in memory.notes() if note.text == "Ada: Likes tea")
    memory.remember("Ada: Likes coffee", supersedes=tea)
    assert from_mcp_memory(memory, graph(*GRAPH)) == ImportReport(unchanged=4)
    assert "Ada: Likes tea" not in {note.text for note in memory.notes()}


def test_other_fields_are_stored_and_unusable_lines_reported(memory, graph):
    entity = GRAPH[0] | {"createdAt": "2025-01-01", "observations": ["Likes tea", {"content": "odd"}, " "]}
    outcome = from_mcp_memory(memory, graph(entity, {"type": "note", "text": "?"}, [1]))
    assert outcome.added == 1
    assert memory.notes()[0].metadata["createdAt"] == "2025-01-01"
    assert [where.rpartition(", ")[2] for where, _ in outcome.left_out] == ["line 1", "line 1", "line 2", "line 3"]
    assert [reason.split(",")[0] for _, reason in outcome.left_out] == [
        "has the observation {'content': 'odd'}",
        "has the observation ' '",
        "is neither an entity nor a relation",
        "is neither an entity nor a relation",
    ]


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        ('\n{"type": "ent', "is not JSON"),
        ('\n{"type": "entity", "name": "Bob"}', "an entity needs `name` and `observations`"),
        ('\n{"type": "relation", "from": "Bob", "to": 3, "relationType": "knows"}', "a relation needs"),
    ],
)
def test_a_damaged_graph_is_reported_with_its_line_and_nothing_is_imported(memory, graph, tail, reason):
    with pytest.raises(InputError, match=f"line 4: .*{reason}.*; nothing was imported"):
        from_mcp_memory(memory, graph(*GRAPH, tail=tail))
    assert memory.notes() == []
    with pytest.raises(FileRefused, match="cannot be read"):
        from_mcp_memory(memory, "no such file")


# Chroma


class Chroma:
    """A collection as chromadb gives it, as far as it is asked."""

    def __init__(self, name, records):
        self.name, self.records, self.asked = name, records, []

    def get(self, *, include, limit, offset):
        self.asked.append((tuple(include), limit, offset))
        page = self.records[offset : offset + limit]
        return {
            "ids": [id_ for id_, _, _ in page],
            "documents": [text for _, text, _ in page],
            "metadatas": [facts for _, _, facts in page],
            "embeddings": None,
            "uris": None,
        }


def test_a_collection_keeps_its_ids_and_metadata(memory):
    records = [("a", "Tea is green.", {"source": "book", "page": 3}), ("b", "Coffee is brown.", None)]
    collection = Chroma("drinks", records)
    assert from_chroma(memory, collection) == ImportReport(added=2)
    assert memory.get("a").metadata == {"collection": "drinks", "source": "book", "page": 3}
    assert memory.get("b").text == "Coffee is brown."
    assert {asked[0] for asked in collection.asked} == {("documents", "metadatas")}
    assert from_chroma(memory, collection) == ImportReport(unchanged=2)


def test_large_collections_are_read_page_by_page(memory):
    collection = Chroma("many", [(f"id{n}", f"text {n}", {"n": n}) for n in range(650)])
    assert from_chroma(memory, collection).added == 650
    assert [offset for _, _, offset in collection.asked] == [0, 300, 600, 650]
    assert memory.get("id649").metadata["n"] == 649


def test_a_changed_document_is_a_new_version_and_changed_metadata_are_updated(memory):
    from_chroma(memory, Chroma("drinks", [("a", "Tea is green.", {"page": 3}), ("b", "Milk is white.", {"page": 4})]))
    changed = [("a", "Tea is green or black.", {"page": 3}), ("b", "Milk is white.", {"page": 5})]
    assert from_chroma(memory, Chroma("drinks", changed)) == ImportReport(updated=2)
    assert [note.text for note in memory.history("a")] == ["Tea is green.", "Tea is green or black."]
    assert memory.get("b").metadata["page"] == 5


def test_records_that_cannot_be_notes_are_reported(memory):
    records = [
        ("vector", None, {"x": 1}),
        ("blank", "  ", None),
        ("s/000001", "called like a turn", None),
        ("ours", "takes our field", {"memory": 1}),
        ("odd", "bytes", {"x": b"raw"}),
        ("fine", "fine", None),
    ]
    outcome = from_chroma(memory, Chroma("c", records))
    assert outcome.added == 1
    reasons = dict(outcome.left_out)
    assert set(reasons) == {"c, 'vector'", "c, 'blank'", "c, 's/000001'", "c, 'ours'", "c, 'odd'"}
    assert "no document" in reasons["c, 'vector'"]
    assert reasons["c, 'blank'"] == "has no text"
    assert "a turn's id" in reasons["c, 's/000001'"]
    assert "bytes" in reasons["c, 'odd'"]


def test_a_note_of_the_same_id_from_elsewhere_is_a_conflict(memory):
    memory.remember("mine", id="a")
    from_chroma(memory, Chroma("one", [("b", "of one", None)]))
    outcome = from_chroma(memory, Chroma("two", [("a", "theirs", None), ("b", "of two", None), ("c", "new", None)]))
    assert outcome == ImportReport(added=1, conflicts=("a", "b"))
    assert [memory.get(item).text for item in "abc"] == ["mine", "of one", "new"]


def test_values_other_than_collections_are_rejected(memory):
    for wrong in ({"ids": []}, object(), "drinks"):
        with pytest.raises(InputError, match="get_collection"):
            from_chroma(memory, wrong)


# folders of Markdown

WRITTEN = 1_690_000_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "diary"


@pytest.fixture
def write(folder):
    def write(name, text, when=WRITTEN):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (when, when))
        return path

    return write


DATED = """---
title: "Spring: a plan"
date: 2023-04-01
tags: [garden, 'slow food']
---
# Ignored heading

Plant the beans.
"""


def test_each_file_is_a_note_with_its_path_title_tags_and_time(memory, folder, write):
    write("plan.md", DATED)
    write("2023/trip.markdown", "Intro\n\n# The *trip*\n\nWe went north.\n")
    write("bare.md", "no heading here")
    write("picture.png", b"\x89PNG\0")
    write("notes.txt", "not Markdown")
    assert from_markdown(memory, folder) == ImportReport(added=3)
    assert {note.id: note.metadata for note in memory.notes()} == {
        "plan.md": {"path": "plan.md", "title": "Spring: a plan", "tags": ["garden", "slow food"]},
        "2023/trip.markdown": {"path": "2023/trip.markdown", "title": "The trip", "tags": []},
        "bare.md": {"path": "bare.md", "title": "bare", "tags": []},
    }
    plan, trip = memory.get("plan.md"), memory.get("2023/trip.markdown")
    assert plan.text == DATED
    assert plan.format == "markdown"
    assert f"{plan.occurred_at:%Y-%m-%d}" == "2023-04-01"
    assert trip.occurred_at == moment(WRITTEN)
    assert from_markdown(memory, folder) == ImportReport(unchanged=3)


def test_long_files_are_split_at_their_headings(memory, folder, write):
    sections = "".join(f"# Part {n}\n\n{f'All about the number {n}. ' * 40}\n\n" for n in range(8))
    write("long.md", sections)
    from_markdown(memory, folder)
    stored = memory.store._backend.get(memory.get("long.md").uri)
    assert {chunk.heading for chunk in stored.chunks} == {f"Part {n}" for n in range(8)}


def test_a_changed_file_becomes_a_new_version_valid_since_it_was_written(memory, folder, write):
    write("plan.md", DATED)
    from_markdown(memory, folder)
    write("plan.md", DATED.replace("beans", "peas"), WRITTEN + 3600)
    assert from_markdown(memory, folder) == ImportReport(updated=1)
    assert [note.id for note in memory.history("plan.md")] == ["plan.md~1", "plan.md"]
    before = [note.text for note in memory.notes(as_of=moment(WRITTEN + 60))]
    assert before == [DATED]
    assert ["peas" in note.text for note in memory.notes()] == [True]
    write("plan.md", DATED.replace("beans", "peas"), WRITTEN + 7200)  # touched, not changed
    assert from_markdown(memory, folder) == ImportReport(unchanged=1)


def test_files_that_cannot_be_read_are_named(memory, folder, write):
    write("good.md", "good")
    write("empty.md", "")
    write("binary.md", b"a\0b")
    write(".hidden.md", "hidden")
    write(".obsidian/plugin.md", "hidden too")
    write(".gitignore", "drafts/\n")
    write("drafts/idea.md", "ignored")
    (folder / "link.md").symlink_to(folder / "good.md")
    outcome = from_markdown(memory, folder)
    assert outcome.added == 1
    assert {os.path.relpath(where, folder): reason for where, reason in outcome.left_out} == {
        "empty.md": "is empty",
        "binary.md": "is a binary file (it contains NUL bytes)",
        ".hidden.md": "hidden",
        ".obsidian": "hidden",
        "drafts": "ignored",
        "link.md": "link",
    }


def test_another_note_under_a_files_path_is_a_conflict(memory, folder, write):
    memory.remember("by hand", id="plan.md")
    write("plan.md", DATED)
    assert from_markdown(memory, folder) == ImportReport(conflicts=("plan.md",))
    assert memory.get("plan.md").text == "by hand"


def test_a_missing_folder_is_rejected(memory, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        from_markdown(memory, tmp_path / "nowhere")
