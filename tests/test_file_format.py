"""docs/file-format.md is what the schema says, and says all of it."""

import importlib.util
from contextlib import closing
from pathlib import Path

import apsw

from hybridstore.backends.sqlite import SQLiteBackend

DOCS = Path(__file__).parent.parent / "docs"

_spec = importlib.util.spec_from_file_location("generate_file_format", DOCS / "generate_file_format.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


def test_a_page_that_is_out_of_date_is_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "PAGE", tmp_path / "file-format.md")
    assert generate.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_every_table_and_fact_of_a_fresh_file_is_told(tmp_path):
    path = str(tmp_path / "fresh.db")
    SQLiteBackend(path).close()
    page = generate.page()
    with closing(apsw.Connection(path)) as connection:
        for (sql,) in connection.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ):
            name = sql.split("(")[0].split()[-1]
            assert name in page or name.strip("'").startswith("keywords_"), sql
        for key, _ in connection.execute("SELECT key, value FROM meta"):
            assert f"| `{key}` |" in page
