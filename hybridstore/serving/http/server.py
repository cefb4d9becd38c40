"""The process: listening, the token, background work while it runs, and the end."""

from __future__ import annotations

import logging
import secrets
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType

import anyio.to_thread
import uvicorn

from hybridstore.errors import HybridstoreError
from hybridstore.ingest.watching import check_watchable, watch
from hybridstore.memory import Memory
from hybridstore.search.rewriting import Rewrite
from hybridstore.serving.http.app import create_app
from hybridstore.serving.http.context import READERS, Context
from hybridstore.serving.http.guard import TOKEN
from hybridstore.serving.http_access import Names, checked_token, is_loopback, listening, url_host
from hybridstore.serving.http_limits import limited
from hybridstore.serving.warm_search import listening_beside
from hybridstore.store.filling import in_background
from hybridstore.store.shared_folder import ExchangeReport

HOST = "127.0.0.1"
PORT = 8766


def serve(
    memory: Memory,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    names: Sequence[str] = (),
    read_only: bool = False,
    follow: bool = False,
    rewrite: Rewrite | None = None,
    exchange: str | None = None,
    exchanged: Callable[[ExchangeReport | HybridstoreError], None] = lambda _: None,
    exchanges: bool = False,
) -> None:
    """Serve a memory and the documents in its store over HTTP until the process is stopped.

    On loopback no token is needed, unless `token` is given (at least 16 characters); a server that other machines reach
    has one, a random one if need be. The address to open, with the token in it, is printed to standard error. Port 0
    takes any free port. `names` are the names by which other machines reach `host`: requests with others in Host or
    Origin are rejected. The connection is not encrypted. Vectors that are missing are made in the background, and with
    `follow` the store follows the folders that were read into it, and changes are exchanged with other devices through
    the folder `exchange`; `exchanged` is called with each report, or with the error for which nothing was exchanged.
    `hybridstore search` for the same file is answered here, through a socket beside it that only its owner can use.
    Searches that allow it may `rewrite` their questions. With `exchanges` other stores may exchange with this one
    (`hybridstore exchange URL`), all namespaces' notes included. Raises InputError for invalid arguments, a port that
    is in use, and nothing to follow; MissingExtra without watchfiles.
    """
    if follow:
        check_watchable(memory.store, exchange)
    secret = checked_token(token) if token is not None else None if is_loopback(host) else secrets.token_urlsafe(32)
    publishes = follow and exchange is not None
    context = Context(memory, read_only=read_only, rewrite=rewrite, exchanges=exchanges, publishes=publishes)
    store = memory.store
    following = partial(watch, store, lambda _: None, stop=context.stopping, exchange=exchange, exchanged=exchanged)
    # An encrypted store is not opened for a command that has no key.
    local = nullcontext(()) if store.folder is None or store.key else listening_beside(store.location)
    with listening(host, port) as tcp, local as beside, _beside(context, following if follow else None):
        actual = tcp.getsockname()[1]
        app = create_app(context, Names.of(host, actual, names), token=secret)
        shown = names[0] if names and not is_loopback(host) else host
        query = f"?{TOKEN}={secret}" if secret and token is None else ""
        print(f"Serving on http://{url_host(shown)}:{actual}/{query}", file=sys.stderr, flush=True)  # noqa: T201
        if token is not None:
            print(f"Open it with ?{TOKEN}= and the token once.", file=sys.stderr, flush=True)  # noqa: T201
        config = limited(app)
        config.lifespan = "off"  # the app has none, and of one that is cut off uvicorn writes a traceback
        _Server(config, context).run(sockets=[tcp, *beside])


@contextmanager
def _beside(context: Context, following: Callable[[], None] | None) -> Iterator[None]:
    """Load the model, make missing vectors and follow folders in threads of their own while the block runs."""
    store, stop = context.store, context.stopping

    def warm() -> None:
        with suppress(HybridstoreError), store.unlogged():  # a search will say what is wrong
            store.search("the first search takes longest", limit=1)

    def watching(follow: Callable[[], None]) -> None:
        try:
            follow()
        except HybridstoreError as error:
            warnings.warn(f"folders are no longer followed: {error}", RuntimeWarning, stacklevel=2)

    # `watch` makes missing vectors itself.
    background = nullcontext() if context.read_only or following else in_background(store)
    with background, ThreadPoolExecutor(2, "hybridstore-serving") as threads:
        threads.submit(warm)
        if following:
            threads.submit(watching, following)
        try:
            yield
        finally:
            stop.set()


class _Server(uvicorn.Server):
    """uvicorn's server, which ends streams when it is told to stop: it would wait for them."""

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Set the number of threads, which belongs to the event loop."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = READERS
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, after the answers that are being made; at once, and without a word about them, the second time."""
        if self.should_exit:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._context.stopping.set()
        super().handle_exit(sig, frame)
