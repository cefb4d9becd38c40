"""Memory files over a store: answers to the model, forbidden paths, and concurrent changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import hybridstore as hs
from hybridstore.errors import InputError, NotFound
from hybridstore.integrations.memory_files import CommandError, MemoryFiles, parts_of


@pytest.fixture
def store():
    with hs.open(":memory:", embedder="none") as store:
        yield store


@pytest.fixture
def files(store):
    return MemoryFiles(store)


def test_a_file_is_a_searchable_document(store, files):
    files.create("/memories/people/ada.md", "# Ada\n\nPrefers tea to coffee.\n")
    assert store.get("/memories/people/ada.md") == hs.Document(
        id="/memories/people/ada.md",
        text="# Ada\n\nPrefers tea to coffee.\n",
        title="ada.md",
        uri="/memories/people/ada.md",
        format="markdown",
    )
    store.add({"id": "elsewhere", "text": "coffee and tea"})
    assert {hit.document_id for hit in store.search("tea")} == {"/memories/people/ada.md", "elsewhere"}
    assert [hit.document_id for hit in store.search("tea", where=files.where)] == ["/memories/people/ada.md"]
    files.str_replace("/memories/people/ada.md", "tea to coffee", "cocoa")
    assert [hit.document_id for hit in store.search("cocoa")] == ["/memories/people/ada.md"]
    assert len(store.search("tea", where=files.where)) == 0


def test_a_document_under_memories_is_a_file_and_keeps_its_other_fields(store, files):
    store.add({"id": "/memories/seed.txt", "text": "one\ntwo", "title": "A seed", "metadata": {"by": "Ada"}})
    assert files.view("/memories") == (
        "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items:\n"
        "7B\t/memories\n7B\t/memories/seed.txt"
    )
    files.insert("/memories/seed.txt", 1, "half")
    files.rename("/memories/seed.txt", "/memories/grown/seed.md")
    grown = store.get("/memories/grown/seed.md")
    assert grown == hs.Document(
        id="/memories/grown/seed.md", text="one\nhalf\ntwo\n", title="A seed", metadata={"by": "Ada"}, format="markdown"
    )


def test_a_view_shows_two_levels_with_sizes_and_nothing_hidden(files):
    assert files.view("/memories").endswith("in /memories, excluding hidden items:\n0B\t/memories")
    for path, size in (("b.txt", 1536), ("a/x.txt", 10), ("a/deep/y.txt", 2048), ("a/deep/er/z.txt", 0), (".h/q", 1)):
        files.create(f"/memories/{path}", "x" * size)
    assert files.view("/memories").splitlines()[1:] == [
        "3.5K\t/memories",
        "2.0K\t/memories/a/",
        "2K\t/memories/a/deep/",
        "10B\t/memories/a/x.txt",
        "1.5K\t/memories/b.txt",
    ]
    assert files.view("/memories/a").splitlines()[1:] == [
        "2.0K\t/memories/a",
        "2K\t/memories/a/deep/",
        "0B\t/memories/a/deep/er/",
        "2K\t/memories/a/deep/y.txt",
        "10B\t/memories/a/x.txt",
    ]
    assert files.view("/memories/.h").splitlines()[1:] == ["1B\t/memories/.h", "1B\t/memories/.h/q"]


def test_sizes_are_bytes_and_lines_end_at_line_feeds_only(files):
    files.create("/memories/ü.txt", "é\u2028🙂\r\nzwei\x0bdrei\n")
    assert files.view("/memories").splitlines()[-1] == "21B\t/memories/ü.txt"
    assert files.view("/memories/ü.txt") == (
        "Here's the content of /memories/ü.txt with line numbers:\n     1\té\u2028🙂\r\n     2\tzwei\x0bdrei\n     3\t"
    )


@pytest.mark.parametrize("text", ["", " ", "\n", " \t\n\n ", "\ufeff", "a\0b"])
def test_any_text_can_be_a_file_and_is_returned_unchanged(store, files, text):
    files.create("/memories/f", text)
    assert store.get("/memories/f").text == text
    assert files.view("/memories/f").count("\t") >= text.count("\n") + 1
    files.insert("/memories/f", 0, "first\n")
    assert store.get("/memories/f").text.startswith("first\n")


@pytest.mark.parametrize(
    ("view_range", "shown"),
    [(None, "1234"), ([2, 3], "23"), ([3, -1], "34"), ([0, 1], "1"), ([4, 99], "4"), ([9, 12], ""), ([3, 2], "")],
)
def test_a_view_of_a_range_shows_these_lines_under_their_own_numbers(files, view_range, shown):
    files.create("/memories/f", "l1\nl2\nl3\nl4")
    header, _, lines = files.view("/memories/f", view_range).partition("\n")
    assert header == "Here's the content of /memories/f with line numbers:"
    assert lines == "\n".join(f"     {number}\tl{number}" for number in shown)


TRAVERSALS = [
    "/memories/../etc/passwd",
    "/memories/a/../b",
    "/memories/..",
    "/memories/%2e%2e/x",
    "/memories/%2E%2E%2Fx",
    "/memories/%252e%252e%252fx",
    "/memories/..%2fx",
    "/memories/a/..\\..\\x",
    "/memories/a%5c..%5cx",
    "/memories/%25252525252e./x",
]
OUTSIDE = ["", "/", "memories/a", "/memoriesX", "/memories.txt", "/Memories/a", "/etc/passwd", " /memories"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        *((path, "would escape /memories directory") for path in TRAVERSALS),
        *((path, "must start with /memories, got:") for path in OUTSIDE),
        ("/memories/a\nb", "control character"),
        ("/memories/a\0b", "control character"),
        ("/memories/\ud800", "lone surrogate"),
        ("/memories/a\u2028b", "control character"),
        ("/memories/" + "x" * 1_015, "over the limit of 1,024"),
    ],
)
def test_a_path_that_leads_elsewhere_is_rejected_by_every_command(store, files, path, message):
    files.create("/memories/a", "kept")
    for command in (
        lambda: files.view(path),
        lambda: files.create(path, "x"),
        lambda: files.str_replace(path, "kept", "x"),
        lambda: files.insert(path, 0, "x"),
        lambda: files.delete(path),
        lambda: files.rename(path, "/memories/b"),
        lambda: files.rename("/memories/a", path),
    ):
        with pytest.raises(CommandError, match=message):
            command()
    assert [(document.id, document.text) for document in store.documents()] == [("/memories/a", "kept")]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/memories", ()),
        ("/memories//", ()),
        ("/memories/./a//b/", ("a", "b")),
        ("/memories/...", ("...",)),
        ("/memories/a..b/..c", ("a..b", "..c")),
        ("/memories/100%25 sure", ("100%25 sure",)),
        ("/memories/50%", ("50%",)),
        ("/memories/メモ/ ", ("メモ", " ")),
    ],
)
def test_other_paths_are_names_below_memories(path, parts):
    assert parts_of(path) == parts


def test_errors_are_those_of_the_sdks_tool(files):
    files.create("/memories/d/f", "a\nb\na\n")
    for command, message in {
        lambda: files.view("/memories/no"): "The path /memories/no does not exist. Please provide a valid path.",
        lambda: files.create("/memories/d/f", "x"): "File /memories/d/f already exists",
        lambda: files.create("/memories/d", "x"): "File /memories/d already exists",
        lambda: files.create("/memories", "x"): "File /memories already exists",
        lambda: files.create("/memories/d/f/g", "x"): "/memories/d/f is a file, so nothing can be in it",
        lambda: files.str_replace("/memories/d", "a", "x"): "The path /memories/d is not a file.",
        lambda: files.str_replace("/memories", "a", "x"): "The path /memories is not a file.",
        lambda: files.str_replace("/memories/d/f", "z", "x"): (
            "No replacement was performed, old_str `z` did not appear verbatim in /memories/d/f."
        ),
        lambda: files.str_replace("/memories/d/f", "a", "x"): (
            "No replacement was performed. Multiple occurrences of old_str `a` in lines: 1, 3. "
            "Please ensure it is unique"
        ),
        lambda: files.insert("/memories/d/f", 4, "x"): (
            "Invalid `insert_line` parameter: 4. It should be within the range [0, 3]."
        ),
        lambda: files.insert("/memories/no", 0, "x"): (
            "The path /memories/no does not exist. Please provide a valid path."
        ),
        lambda: files.delete("/memories"): "Cannot delete the /memories directory itself",
        lambda: files.delete("/memories/"): "Cannot delete the /memories directory itself",
        lambda: files.delete("/memories/no"): "The path /memories/no does not exist",
        lambda: files.rename("/memories", "/memories/x"): "Cannot rename the /memories directory itself",
        lambda: files.rename("/memories/no", "/memories/x"): "The path /memories/no does not exist",
        lambda: files.rename("/memories/d", "/memories/d/f"): "The destination /memories/d/f already exists",
        lambda: files.rename("/memories/d/f", "/memories"): "The destination /memories already exists",
        lambda: files.rename("/memories/d", "/memories/d/x"): "Cannot move /memories/d into itself, to /memories/d/x",
        lambda: files.create("/memories/s", "\ud800"): None,
    }.items():
        with pytest.raises(CommandError) as refusal:
            command()
        assert message is None or str(refusal.value) == message
    assert files.view("/memories/d/f").endswith("     1\ta\n     2\tb\n     3\ta\n     4\t")


def test_a_folder_is_moved_and_deleted_with_everything_in_it(store, files):
    for name in ("a/1", "a/b/2", "ab/3"):
        files.create(f"/memories/{name}", name)
    assert files.rename("/memories/a", "/memories/c/d") == "Successfully renamed /memories/a to /memories/c/d"
    assert {d.id: d.text for d in store.documents()} == {
        "/memories/c/d/1": "a/1",
        "/memories/c/d/b/2": "a/b/2",
        "/memories/ab/3": "ab/3",
    }
    assert files.delete("/memories/c") == "Successfully deleted /memories/c"
    assert [document.id for document in store.documents()] == ["/memories/ab/3"]


def test_a_folder_disappears_with_its_last_file(files):
    files.create("/memories/d/f", "x")
    files.delete("/memories/d/f")
    with pytest.raises(CommandError, match="/memories/d does not exist"):
        files.view("/memories/d")


def test_many_occurrences_are_listed_up_to_a_limit(files):
    files.create("/memories/f", "ab\n" * 50_000)
    with pytest.raises(CommandError) as refusal:
        files.str_replace("/memories/f", "", "x")
    assert str(refusal.value).endswith(", 34, …. Please ensure it is unique")
    with pytest.raises(CommandError, match=r"lines: 1, 2, .*, 100, …\. Please"):
        files.str_replace("/memories/f", "ab", "x")


def test_a_file_may_not_grow_over_the_limit(store):
    files = MemoryFiles(store, largest=10)
    files.create("/memories/f", "1234567890")
    for command in (
        lambda: files.create("/memories/g", "éééééé"),
        lambda: files.insert("/memories/f", 1, "x"),
        lambda: files.str_replace("/memories/f", "1", "abc"),
    ):
        with pytest.raises(CommandError, match=r"1[0-9] bytes long, and the limit is 10; keep less in it"):
            command()
    assert [(document.id, document.text) for document in store.documents()] == [("/memories/f", "1234567890")]
    assert files.str_replace("/memories/f", "0", "").startswith("The memory file has been edited.")


def test_namespaces_do_not_see_each_other(store):
    ada, bob, nobody = MemoryFiles(store, namespace="ada"), MemoryFiles(store, namespace="ad"), MemoryFiles(store)
    for files, text in ((ada, "I am Ada"), (bob, "I am Bob"), (nobody, "I am no one")):
        files.create("/memories/me", text)
    assert [document.id for document in store.documents()] == ["ada/memories/me", "ad/memories/me", "/memories/me"]
    assert store.get("ada/memories/me").uri == "/memories/me"
    for files, text in ((ada, "I am Ada"), (bob, "I am Bob"), (nobody, "I am no one")):
        assert files.view("/memories/me").endswith(text)
        assert files.view("/memories").count("\n") == 2
        assert [hit.text for hit in store.search("am", where=files.where)] == [text]
    assert bob.clear() == "All memory cleared"
    assert bob.clear() == "All memory cleared"
    assert sorted(document.id for document in store.documents()) == ["/memories/me", "ada/memories/me"]
    with pytest.raises(NotFound):
        store.get("ad/memories/me")


@pytest.mark.parametrize("options", [{"namespace": "a/b"}, {"namespace": None}, {"largest": 0}, {"largest": "many"}])
def test_invalid_options_are_rejected(store, options):
    with pytest.raises(InputError, match=next(iter(options))):
        MemoryFiles(store, **options)


def test_concurrent_writes_to_one_file_lose_no_line(store):
    MemoryFiles(store).create("/memories/log", "")

    def write(name):
        return [MemoryFiles(store).insert("/memories/log", 0, f"{name}{n}") for n in range(6)]

    with ThreadPoolExecutor(4) as pool:
        outcome = [sentence for sentences in pool.map(write, "abcd") for sentence in sentences]
    assert outcome == ["The file /memories/log has been edited."] * 24
    assert sorted(store.get("/memories/log").text.split()) == sorted(f"{name}{n}" for name in "abcd" for n in range(6))


def test_of_two_that_create_one_file_one_gets_an_error(store, monkeypatch):
    first, second = MemoryFiles(store), MemoryFiles(store)
    looked = first._file

    def look_and_be_late(parts):
        results = looked(parts)
        if parts == ("f",) and results is None:
            second.create("/memories/f", "second")
        return results

    monkeypatch.setattr(first, "_file", look_and_be_late)
    with pytest.raises(CommandError, match="File /memories/f already exists"):
        first.create("/memories/f", "first")
    assert store.get("/memories/f").text == "second"
