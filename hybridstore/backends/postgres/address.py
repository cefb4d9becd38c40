"""The address of a store on a server: a URL of PostgreSQL's, with the store's name, and how it is shown to people.

What is shown is put together from the parts that are no secret, and never made of the URL by taking something out: a
password that stands where none belongs, in a URL that cannot be read, is not shown either.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hybridstore.errors import InputError

SCHEMES = ("postgresql", "postgres")
DEFAULT_STORE = "default"
_FORM = "postgresql://USER@HOST/DATABASE?store=NAME"
_PLAIN = re.compile(r"[a-z0-9_]{1,40}")
_LONGEST = 40  # characters of a name in a schema's, which PostgreSQL cuts at 63 bytes
_OWN_WRITES = "read_your_writes"
_OWN = ("store", "replica", _OWN_WRITES)
_YES_NO = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_PLACE = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.%]+)\]|(?P<host>[^\s:@\[\]=]+))(?::(?P<port>\d{1,5}))?")
_OF_A_SERVER = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")
_CONNECTING = 5  # seconds; a replica that does not answer is not waited for, as the primary can be read instead
_SHOWN = ("user", "host", "port", "dbname")


@dataclass(frozen=True)
class Address(os.PathLike[str]):
    """Where a store is: the database and the store's name. `str` and `repr` show no secret; `os.fspath` is the URL.

    `replica` is the conninfo of a server to read from, "" for none. Without `reads_own_writes` a search there may find
    what was stored before this client's last write.
    """

    url: str = field(repr=False)
    conninfo: str = field(repr=False)
    store: str
    location: str
    replica: str = field(default="", repr=False)
    replica_location: str = ""
    reads_own_writes: bool = True

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
    own, others = _options(query)
    store = own.get("store", DEFAULT_STORE)
    if not store or "\0" in store:
        raise InputError(f"a URL names one store, as in {_FORM}")
    try:
        facts = _facts(base + ("?" + urlencode(others, quote_via=quote) if others else ""))
    except (psycopg.Error, UnicodeError, ValueError):
        # `from None`: libpq quotes the part that it cannot read, which may be a password.
        raise InputError(
            f"the URL of the store cannot be read: write {_FORM}, with %XX for a special character in a password; "
            f"options of libpq such as sslmode=require may follow"
        ) from None
    try:
        store.encode()
    except UnicodeEncodeError:
        raise InputError("the store's name in the URL is not Unicode") from None
    address = Address(url, make_conninfo("", **facts), store, _shown(facts, store))
    return _with_replica(address, facts, own) if own.keys() & {"replica", _OWN_WRITES} else address


def _options(query: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the options of a URL that are ours, each of which stands there once, and those of libpq."""
    options = parse_qsl(query, keep_blank_values=True)
    if any(name == "shards" for name, _ in options):
        raise InputError(
            "a store is not divided among several servers, so a URL has no shards=: put documents into a store on "
            "each, and search them as one with hybridstore.search_many (docs/scale.md)"
        )
    own = [(name, value) for name, value in options if name in _OWN]
    for name in _OWN:
        if sum(name == each for each, _ in own) > 1:
            raise InputError(f"a URL names one {name}, as in {_FORM}")
    return dict(own), [(name, value) for name, value in options if name not in _OWN]


def _facts(url: str) -> dict[str, Any]:
    """Return what libpq reads in a URL; raises ValueError where it would read a password as something else."""
    facts = conninfo_to_dict(url)
    make_conninfo("", **facts)
    _check_no_password_is_taken_for_a_place(url.partition("?")[0], str(facts.get("port") or ""))
    return facts


def _with_replica(address: Address, facts: Mapping[str, Any], own: Mapping[str, str]) -> Address:
    """Return an address with the server to read from: what is not said of it is as for the primary."""
    named, said = own.get("replica", ""), own.get(_OWN_WRITES, "yes").lower()
    if not named:
        raise InputError(f"replica= names a server to read from, as in {_FORM}&replica=HOST:PORT")
    if said not in _YES_NO:
        raise InputError(f"{_OWN_WRITES} is yes or no")
    try:
        place = _facts(named) if "://" in named else _place(named)
    except (psycopg.Error, UnicodeError, ValueError):
        raise InputError(
            "the replica in the URL of the store cannot be read: write replica=HOST:PORT, or a URL with %XX for its "
            "special characters"
        ) from None
    inherited = {name: value for name, value in facts.items() if name not in _OF_A_SERVER}
    there = {"connect_timeout": _CONNECTING} | inherited | place
    return replace(
        address,
        replica=make_conninfo("", **there),
        replica_location=_shown(there, address.store),
        reads_own_writes=_YES_NO[said],
    )


def _place(named: str) -> dict[str, str]:
    """Return the host and port of "HOST", "HOST:PORT", "[ADDRESS]:PORT" or "/FOLDER/OF/A/SOCKET"; several by commas."""
    hosts, ports = [], []
    for each in named.split(","):
        match = _PLACE.fullmatch(each)
        if match is None:
            raise ValueError("not a host")
        hosts.append(match["address"] or match["host"])
        ports.append(match["port"] or "")
    return {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})


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
