"""The address of a store on a server: a URL of PostgreSQL's, with the store's name, and how it is shown to people.

What is shown is put together from the parts that are no secret, and never made of the URL by taking something out: a
password that stands where none belongs, in a URL that cannot be read, is not shown either.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hybridstore.errors import InputError

SCHEMES = ("postgresql", "postgres")
DEFAULT_STORE = "default"
_FORM = "postgresql://USER@HOST/DATABASE?store=NAME"
_PLAIN = re.compile(r"[a-z0-9_]{1,40}")
_LONGEST = 40  # characters of a name in a schema's, which PostgreSQL cuts at 63 bytes
_SHOWN = ("user", "host", "port", "dbname")


@dataclass(frozen=True)
class Address(os.PathLike[str]):
    """Where a store is: the database and the store's name. `str` and `repr` show no secret; `os.fspath` is the URL."""

    url: str = field(repr=False)
    conninfo: str = field(repr=False)
    store: str
    location: str

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.location

    @property
    def schema(self) -> str:
        """The schema of the store: its name where that is plain, else what is plain of it and a digest."""
        if _PLAIN.fullmatch(self.store):
            return f"hybridstore_{self.store}"
        plain = re.sub(r"[^a-z0-9_]+", "_", self.store.lower())[:_LONGEST]
        return f"hybridstore_{plain}_{hashlib.blake2b(self.store.encode(), digest_size=5).hexdigest()}"


def parse(url: str) -> Address:
    """Return the address that a URL names; raises InputError, which does not repeat the URL."""
    base, _, query = url.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    stores = [value for name, value in options if name == "store"]
    if len(stores) > 1 or not all(stores) or any("\0" in store for store in stores):
        raise InputError(f"a URL names one store, as in {_FORM}")
    others = urlencode([(name, value) for name, value in options if name != "store"], quote_via=quote)
    try:
        facts = conninfo_to_dict(base + ("?" + others if others else ""))
        conninfo = make_conninfo("", **facts)
        _check_no_password_is_taken_for_a_place(base, str(facts.get("port") or ""))
    except (psycopg.Error, UnicodeError, ValueError):
        # `from None`: libpq quotes the part that it cannot read, which may be a password.
        raise InputError(
            f"the URL of the store cannot be read: write {_FORM}, with %XX for a special character in a password; "
            f"options of libpq such as sslmode=require may follow"
        ) from None
    store = stores[0] if stores else DEFAULT_STORE
    try:
        store.encode()
    except UnicodeEncodeError:
        raise InputError("the store's name in the URL is not Unicode") from None
    return Address(url, conninfo, store, _shown(facts, store))


def _check_no_password_is_taken_for_a_place(base: str, port: str) -> None:
    """Raise ValueError where libpq reads a part of a password, or one without its host, as a port or a database."""
    if not re.fullmatch(r"[0-9,]*", port) or "@" in base.partition("://")[2].partition("/")[2]:
        raise ValueError("a port is a number, and an @ in a database's name is written %40")


def _shown(facts: Mapping[str, object], store: str) -> str:
    user, host, port, dbname = (str(facts.get(name) or "") for name in _SHOWN)
    options = {"store": store}
    if host.startswith(("/", "@")) or "," in host:
        options, host = {"host": host, "store": store}, ""
    place = f"[{host}]" if ":" in host else host
    who = f"{quote(user)}@" if user else ""
    return f"postgresql://{who}{place}{f':{port}' if port else ''}/{quote(dbname)}?{urlencode(options, safe='/')}"
