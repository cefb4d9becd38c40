"""The face: light to import, complete, and documented."""

import inspect
import re
import subprocess
import sys

import pytest

import hybridstore
from hybridstore import errors

HEAVY = (
    "onnxruntime",
    "tokenizers",
    "torch",
    "transformers",
    "huggingface_hub",
    "numpy",
    "apsw",
    "pypdf",
    "docx",
    "lxml",
    "docutils",
    "jinja2",
)
ERRORS = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.HybridstoreError)]


def loaded_after(code: str) -> set[str]:
    """Return the heavy modules that a fresh interpreter has loaded after running this."""
    script = f"{code}\nimport sys; sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


def test_importing_loads_nothing_heavy():
    assert loaded_after("import hybridstore; hybridstore.Document(text='x')") == set()


def test_help_loads_nothing_heavy():
    code = "import sys\nfrom hybridstore.cli import main\nsys.argv = ['hybridstore', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass"
    assert loaded_after(code) == set()


def test_keyword_search_runs_no_model():
    code = "import hybridstore as hs\nwith hs.open(':memory:', embedder='none') as s: s.add('x'); s.search('x')"
    assert loaded_after(code) <= {"numpy", "apsw"}


def test_everything_promised_is_there():
    assert hybridstore.__all__ == sorted(hybridstore.__all__)
    for name in hybridstore.__all__:
        assert getattr(hybridstore, name).__doc__
    assert dir(hybridstore) == hybridstore.__all__
    assert {each.__name__ for each in ERRORS} <= set(hybridstore.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = hybridstore.nothing_such


def test_the_version_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", hybridstore.__version__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_in_the_drawn_tree_and_says_what_it_is(error):
    assert re.search(rf"(?:^|[ ─]){error.__name__}\b", errors.__doc__, re.MULTILINE)
    assert error.__doc__
    assert issubclass(error, hybridstore.HybridstoreError)


@pytest.mark.parametrize(
    ("error", "facts", "remedy"),
    [
        (errors.EmptyQuery("?!"), {"query": "?!"}, "the query '?!' has no words"),
        (errors.NotFound("a"), {"document_id": "a"}, "hybridstore list"),
        (errors.FileRefused("f.db", "is odd"), {"path": "f.db", "reason": "is odd"}, "f.db: is odd"),
        (errors.FileDamaged("f.db", "is torn"), {"path": "f.db"}, "check --repair"),
        (errors.FileBusy("f.db", 3.0), {"waited": 3.0, "path": "f.db", "location": "f.db"}, "busy_timeout="),
        (errors.StoreRefused("pg://db", "is odd"), {"location": "pg://db", "reason": "is odd"}, "pg://db: is odd"),
        (errors.StoreDamaged("pg://db", "is torn"), {"location": "pg://db"}, "check --repair"),
        (errors.StoreBusy("pg://db", 3.0), {"location": "pg://db", "waited": 3.0}, "busy_timeout="),
        (errors.Unsupported("pg://db", "cannot"), {"location": "pg://db", "reason": "cannot"}, "pg://db: cannot"),
        (errors.EmbedderMismatch("a@1", "b@2"), {"stored": "a@1", "given": "b@2"}, "reembed --embedder b`"),
        (errors.ModelUnavailable("m", "is gone"), {"model": "m"}, "is gone"),
        (
            errors.MissingExtra("cpu", "running a model", "onnxruntime"),
            {"extra": "cpu"},
            "pip install 'hybridstore[cpu]'",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_keeps_its_facts_and_says_the_remedy(error, facts, remedy):
    assert remedy in str(error)
    for name, value in facts.items():
        assert getattr(error, name) == value


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.NotFound, KeyError)
    assert issubclass(errors.MissingExtra, ImportError)


def test_the_class_says_what_opens_a_store():
    with pytest.raises(errors.InputError, match=r"hybridstore\.open\('x\.db'\)"):
        hybridstore.Store("x.db")
