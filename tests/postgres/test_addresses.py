"""URLs of stores on a server: which store and schema they name, and that no password is ever shown."""

import logging
import pickle

import pytest

import hybridstore as hs
from hybridstore.backends.postgres import address
from hybridstore.errors import InputError, StoreRefused

SECRET = "hunter2-geheim"  # noqa: S105 - made up


def test_a_url_names_a_database_and_a_store_in_a_schema_of_its_own():
    parsed = address.parse("postgresql://anna@db.example:5433/team?store=notes&sslmode=require")
    assert parsed.location == "postgresql://anna@db.example:5433/team?store=notes"
    assert parsed.schema == "hybridstore_notes"
    assert "sslmode=require" in parsed.conninfo
    assert "store" not in parsed.conninfo
    assert address.parse("postgres://h/d").schema == "hybridstore_default"
    assert address.parse("postgresql:///d?host=/run/pg&store=a").location == "postgresql:///d?host=/run/pg&store=a"
    assert address.parse("postgresql://[::1]/d").location == "postgresql://[::1]/d?store=default"


def test_every_name_of_a_store_has_a_schema_that_needs_no_quotes_and_is_its_own():
    names = ["notes", "Notes", "no tes", "no;tes", 'no"tes', "ü", "x" * 100, "x" * 101, "a'b", "drop schema public"]
    schemas = [address.parse(f"postgresql://h/d?store={address.quote(name)}").schema for name in names]
    assert len(set(schemas)) == len(names)
    assert all(len(schema) < 64 and schema.isascii() and schema.replace("_", "a").isalnum() for schema in schemas)


def test_what_names_no_store_is_refused():
    for wrong in ("?store=", "?store=a&store=b", "?store=a%00b"):
        with pytest.raises(InputError, match="names one store"):
            address.parse(f"postgresql://h/d{wrong}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:{}@localhost:1/d?store=a",
        "postgresql://u@localhost:1/d?password={}&store=a",
        "postgresql://u@localhost:1/d?pass%77ord={}",
        "postgresql://u@localhost:1/d?sslpassword={}",
        "postgresql://u:{}@localhost:port/d",
        "postgresql://u:{}",
        "postgresql://u:{}/p@localhost/d",
        "postgresql://u:{}%zz@localhost/d",
        "postgresql:/u:{}@localhost/d",
        "postgresql:u:{}@localhost/d",
        "POSTGRESQL://u:{}@localhost:1/d",
        " postgresql://u:{}@localhost:1/d",
        "postgresql://u:{}@localhost:1/d?shards=4",
        "postgresql://u:{}@[::1/d",
        "postgresql://u:{}@localhost:1/d\0",
        "postgresql+psycopg://u:{}@localhost:1/d",
        "mysql://u:{}@localhost/d",
    ],
)
def test_no_password_is_shown_whatever_is_wrong_with_the_url(url, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises((InputError, StoreRefused)) as raised:
        hs.open(url.format(SECRET))
    shown = [caplog.text]
    error: BaseException | None = raised.value
    while error is not None:
        shown += [str(error), repr(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert SECRET not in "".join(shown)


def test_an_address_opens_the_store_again_and_shows_no_secret():
    parsed = address.parse(f"postgresql://u:{SECRET}@localhost/d?store=a")
    assert SECRET not in f"{parsed} {parsed!r} {parsed.location}"
    assert address.parse(parsed.__fspath__()) == parsed
    assert pickle.loads(pickle.dumps(parsed)) == parsed  # noqa: S301 - our own


def test_a_store_on_a_server_shows_no_password(url_of):
    url = url_of() + f"&password={SECRET}"
    with hs.open(url, embedder="none") as store:
        store.add("The valve leaks.")
        assert store.search("valve")[0].text == "The valve leaks."
        assert SECRET not in f"{store!r} {store.location} {store.reopen!r} {store.stats()!r}"
        with store.reopen() as again:
            assert again.count() == 1


def test_what_a_server_has_no_use_for_is_refused(url_of):
    with pytest.raises(InputError, match="key="):
        hs.open(url_of(), key="x" * 20)
    with pytest.raises(StoreRefused, match="no such store"):
        hs.open(url_of(), create=False)
