"""Memories with a TTL: when they become invisible, what restarts the TTL, and when they are removed."""


def keys(results):
    return [item.key for item in results]


def test_expired_memories_are_invisible_at_once_and_swept_later(memory, clock):
    memory.put(("a",), "short", {"text": "yeast"}, ttl=1)
    memory.put(("a", "plain"), "short", {"text": "yeast"}, ttl=1, index=False)
    memory.put(("b",), "long", {"text": "yeast"}, ttl=10.5)
    memory.put(("c",), "ever", {"text": "yeast"})
    clock.pass_(0.99)
    assert keys(memory.search((), refresh_ttl=False)) == ["short", "short", "long", "ever"]
    clock.pass_(0.01)
    assert memory.get(("a",), "short") is None
    assert keys(memory.search(())) == ["long", "ever"]
    assert set(keys(memory.search((), query="yeast"))) == {"long", "ever"}
    assert memory.list_namespaces() == [("b",), ("c",)]
    assert memory.store.count() == 4
    assert memory.sweep_ttl() == 2
    assert memory.sweep_ttl() == 0
    assert memory.store.count() == 2
    assert memory.store.check() == []


def test_reading_restarts_the_ttl_unless_disabled(memory, clock):
    for key in ("got", "found", "asked", "left", "plain"):
        memory.put((key,), key, {"text": f"yeast {key}"}, ttl=10, index=False if key == "plain" else None)
    clock.pass_(8)
    embedded = len(memory.store.embedder().documents)
    assert memory.get(("got",), "got") is not None
    assert keys(memory.search(("found",))) == ["found"]
    assert keys(memory.search(("asked",), query="yeast")) == ["asked"]
    assert memory.get(("plain",), "plain") is not None
    assert memory.get(("left",), "left", refresh_ttl=False) is not None
    assert keys(memory.search(("left",), refresh_ttl=False)) == ["left"]
    assert len(memory.store.embedder().documents) == embedded  # no model runs for it
    assert memory.store.stats().vectors == 5
    clock.pass_(9)
    assert sorted(keys(memory.search((), refresh_ttl=False))) == ["asked", "found", "got", "plain"]
    assert keys(memory.search(("got",), query="yeast", refresh_ttl=False)) == ["got"]
    got = memory.get(("got",), "got", refresh_ttl=False)
    assert got.updated_at == got.created_at  # a read is no change
    clock.pass_(1)
    assert memory.search(()) == []
    assert memory.store.check() == []


def test_a_write_restarts_or_removes_the_ttl(memory, clock):
    memory.put(("a",), "k", {"n": 1}, ttl=1)
    clock.pass_(0.9)
    memory.put(("a",), "k", {"n": 2}, ttl=1)
    clock.pass_(0.9)
    memory.put(("a",), "k", {"n": 3})
    clock.pass_(1000)
    assert memory.get(("a",), "k").value == {"n": 3}
    memory.put(("a",), "over", {"n": 1}, ttl=1)
    clock.pass_(2)
    memory.put(("a",), "over", {"n": 2}, ttl=1)
    assert memory.get(("a",), "over").created_at.timestamp() == clock.seconds  # it is another memory


def test_the_ttl_config_has_the_defaults(opened, clock):
    memory = opened(ttl={"default_ttl": 10, "refresh_on_read": False, "sweep_interval_minutes": 60})
    memory.put(("a",), "usual", {"n": 1})
    memory.put(("a",), "ever", {"n": 1}, ttl=None)
    clock.pass_(9)
    assert len(memory.search(())) == 2
    clock.pass_(1)
    assert keys(memory.search(())) == ["ever"]
    memory.put(("a",), "new", {"n": 1})  # the sweep of the first write was not long ago
    assert memory.store.count() == 3
    clock.pass_(60)
    memory.put(("a",), "newer", {"n": 1})
    assert memory.store.count() == 2
    never = opened(ttl={"sweep_interval_minutes": None})
    clock.pass_(600)
    never.put(("a",), "newest", {"n": 1}, ttl=1)
    assert never.store.count() == 3


def test_restarting_a_ttl_never_undoes_a_concurrent_change(memory, opened, clock, monkeypatch):
    other = opened()
    for change, left in (
        (lambda: other.put(("a",), "k", {"n": 2}), {"n": 2}),
        (lambda: other.delete(("a",), "k"), None),
    ):
        memory.put(("a",), "k", {"n": 1}, ttl=1)
        backend = memory.store._backend
        written = backend.put

        def late(entries, change=change, written=written, **outcome):
            change()
            return written(entries, **outcome)

        with monkeypatch.context() as patch:
            patch.setattr(backend, "put", late)
            assert memory.get(("a",), "k").value == {"n": 1}
        after = memory.get(("a",), "k")
        assert (None if after is None else after.value) == left
