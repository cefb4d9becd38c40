"""Whatever is asked of the page, no answer is a failure of the server."""

from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = (
    "/",
    "/why",
    "/document",
    "/map",
    "/memory",
    "/api/suggestions",
    "/static/../routes.py",
    "/static/%2e%2e%2froutes.py",
)
NAMES = (
    "q",
    "limit",
    "chunk",
    "part",
    "typing",
    "expect",
    "id",
    "as_of",
    "f.year",
    "f.team",
    "f.folder",
    "f.x.y",
    "f.@id",
)
NAMES = (*NAMES, "min.year", "max.year", "min.@id", "f.\\", "f.a\0b", "min.", f"f.{'y' * 300}")
ODD = ("", "\0", "\ud83d", "1e999", "NaN", "null", "[1]", "9" * 400, "2024-99-99", "0001-01-01T00:00:00+23:59", "(((")
VALUES = (
    *ODD,
    "valve",
    "/notes/ops/pump.md",
    "memory://",
    "../../etc/passwd",
    "<script>",
    '-"x"',
    "title:",
    "-1",
    "😀",
)
FORMS = (
    "/add",
    "/memory/remember",
    "/memory/forget",
    "/learning/promote",
    "/learning/expect",
    "/learning/drop",
    "/learning/rollback",
    "/conflicts/keep",
)
FIELDS = ("text", "title", "day", "replaces", "id", "dry_run", "version", "force", "query", "document_id")


def pairs(names):
    return st.lists(st.tuples(st.sampled_from(names), st.sampled_from(VALUES) | st.text(max_size=8)), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), asked=pairs(NAMES))
def test_no_address_fails(client, path, asked):
    asked = [("q", "valve"), *asked]
    assert client.get(f"{path}?{urlencode(asked, errors='surrogatepass')}").status_code < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(FORMS), fields=pairs(FIELDS))
def test_no_form_fails(client, path, fields):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode(fields, errors="surrogatepass")
    assert client.post(path, content=body, headers=headers).status_code < 500
