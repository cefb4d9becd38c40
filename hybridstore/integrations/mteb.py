"""A store as a search model of MTEB 2: `mteb.evaluate(HybridStoreSearch(), tasks)` runs retrieval tasks through it.

Implements `SearchProtocol` of the package `mteb` (https://github.com/embeddings-benchmark/mteb): `index`, `search` and
`mteb_model_meta`. The benchmark is Muennighoff et al., "MTEB: Massive Text Embedding Benchmark", EACL 2023.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import numpy as np

from hybridstore import __version__, embedders
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError, MissingExtra
from hybridstore.records import Document
from hybridstore.search.query_plan import has_words
from hybridstore.store import Store
from hybridstore.store import open as open_store
from hybridstore.text.analysis import Analyser
from hybridstore.text.stemming import LANGUAGES

if TYPE_CHECKING:
    import os

    Rows = Iterable[Mapping[str, Any]]
    """What MTEB passes: a `datasets.Dataset` of rows."""

_KINDS = {"hybrid": "hybrid", "keyword": "sparse", "vector": "dense"}  # our modes in MTEB's terms
_NO_TEXT = "{} has no text, the only thing a store can index; choose a task of texts"
# Snowball's names with the ISO 639-3 codes that MTEB uses. PyStemmer's version decides which of them exist.
_CODES = """
    arabic:ara,arb armenian:hye basque:eus catalan:cat czech:ces danish:dan dutch:nld english:eng esperanto:epo
    estonian:est,ekk finnish:fin french:fra german:deu greek:ell hindi:hin hungarian:hun indonesian:ind irish:gle
    italian:ita lithuanian:lit nepali:nep,npi norwegian:nor,nob,nno persian:fas,pes polish:pol portuguese:por
    romanian:ron russian:rus serbian:srp sesotho:sot spanish:spa swedish:swe tamil:tam turkish:tur yiddish:yid,ydd
"""
_STEMMED = {code: name for name, _, codes in (e.partition(":") for e in _CODES.split()) for code in codes.split(",")}


class HybridStoreSearch:
    """A store that MTEB fills and searches, task by task. A context manager, though `close` is optional.

    `path` is a folder for one store file for each task, subset and split; another run uses the files there and only
    embeds what changed. Without it a temporary file is used, and removed with the next task.

    `embedder` is a name, a folder or an Embedder, as for `open` (None: all-MiniLM-L6-v2); a folder belongs to one
    embedder. `mode` and `fusion` are those of `Store.search`. `chunk` splits long documents, which then rank by their
    best chunk; otherwise a document is one chunk, as in published figures. `instructions` puts a query's instruction
    before it, in tasks that have some. `language` is the keyword index's; None means each task's own (`language_of`).
    `memory`, in MiB, and `threads` are those of `open`.

    MTEB asks for the best 1,000 documents, so each leg returns 2,000 candidates, compared to 200 for a search for ten.

    Raises MissingExtra without the package `mteb`, InputError for invalid options or a path that is not a folder, and
    what `embedders.load` raises.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: str | Path | Embedder | None = None,
        mode: str = "hybrid",
        fusion: str | None = None,
        chunk: bool = False,
        instructions: bool = False,
        language: str | None = None,
        memory: int = 1024,
        threads: int | None = None,
    ) -> None:
        self._chunk, self._instructions, self._language = chunk, instructions, language
        self._opening: dict[str, Any] = {"memory": memory, "threads": threads}
        self._searching: dict[str, Any] = {"mode": mode} if fusion is None else {"mode": mode, "fusion": fusion}
        # An empty store is searched, so that an invalid option is reported now and not after an hour of indexing.
        Analyser(language or "none")
        with open_store(":memory:", embedder="none", **self._opening) as empty:
            empty.search("a", **self._searching)
        model = None if mode == "keyword" else _loaded(embedder, threads)
        self._opening["embedder"] = model or "none"
        options = {"fusion": fusion, "chunk": chunk, "instructions": instructions, "language": language}
        self.mteb_model_meta = _model_meta(model, mode, {name: value for name, value in options.items() if value})
        self._folder = None if path is None else _folder(Path(path))
        self._store: Store | None = None
        self._key: tuple[str, ...] = ()
        self._factor = 1
        self._opened = ExitStack()
        weakref.finalize(self, self._opened.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the current store, and remove it if it is temporary. The next `index` opens another."""
        self._store, self._key, self._factor = None, (), 1
        self._opened.close()

    def index(self, corpus: Rows, *, task_metadata: Any, hf_split: str, hf_subset: str, **_ignored: object) -> None:
        """Fill the store of a task's subset and split with its documents: rows with id, text and perhaps title.

        Documents that are stored already are not embedded again, and those not in the corpus are removed. MTEB's other
        arguments (`encode_kwargs`, `num_proc`) are for models that it runs itself.
        """
        key = (str(task_metadata.name), hf_subset, hf_split)
        store = self._store
        if store is None or key != self._key:
            self.close()
            language = self._language or language_of(task_metadata.eval_langs, hf_subset)
            store = self._opened.enter_context(open_store(self._file(key), language=language, **self._opening))
        self._store, self._key = None, ()  # until all of it is stored
        ids: set[str] = set()
        store.add(_documents(corpus, ids), chunk=self._chunk)
        if store.count() > len(ids):
            store.remove([document.id for document in store.documents() if document.id and document.id not in ids])
        stats = store.stats()
        if self._opening["embedder"] != "none" and stats.vectors < stats.chunks:  # an earlier run was mode="keyword"
            store.reembed()
        self._store, self._key = store, key

    def search(
        self,
        queries: Rows,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_ignored: object,
    ) -> dict[str, dict[str, float]]:
        """Return each query's best `top_k` documents with their scores: query id → document id → score.

        Scores decrease strictly, in single precision too, so that every tool reads the store's own order from them; of
        two equal ones the lower ranked gets the next smaller number. With `top_ranked` (query id → document ids, in
        reranking tasks) only these documents are searched, and a query without any finds nothing.
        """
        key = (str(task_metadata.name), hf_subset, hf_split)
        if self._store is None or key != self._key:
            raise InputError(f"{' / '.join(key)} is not what was indexed last; call index for it before search")
        rankings = {}
        for row in queries:
            candidates = None if top_ranked is None else list(top_ranked.get(row["id"], ()))
            text = _query_text(row, instructed=self._instructions)
            rankings[row["id"]] = self._ranked(self._store, text, top_k, candidates)
        return rankings

    def _ranked(self, store: Store, text: str, limit: int, candidates: list[str] | None) -> dict[str, float]:
        where = None if candidates is None else {"@id": {"$in": candidates}}
        while has_words(text):  # the number of chunks for each document is only known afterwards
            hits = limit * self._factor
            results = store.search(text, limit=hits, where=where, **self._searching)
            best: dict[str, float] = {}
            for hit in results:
                best.setdefault(hit.document_id, hit.score)
            if len(best) >= limit or len(results) < hits:
                return decreasing(dict(list(best.items())[:limit]))
            self._factor *= 2
        return {}

    def _file(self, key: tuple[str, ...]) -> Path:
        folder = self._folder
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="hybridstore-mteb-"))
            self._opened.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder / ("@".join(quote(part, safe=" ") for part in key) + ".db")


def language_of(languages: Sequence[str] | Mapping[str, Sequence[str]], subset: str = "default") -> str:
    """Return the `language` to open a store with for a task in these languages, each as in "deu-Latn".

    They are ISO 639-3 codes with ISO 15924 scripts, for the whole task or by subset; an unknown subset has none. Any
    store that stems also stems Cyrillic, Greek, Arabic, Devanagari and Tamil by script, and scripts without spaces not
    at all, so the languages in Latin script decide if there are some. A single one that Snowball knows is used; else
    Latin script gets "none", and other scripts "english", which only affects the English words among them.
    """
    codes = languages.get(subset, ()) if isinstance(languages, Mapping) else languages
    latin = [code for code in codes if code.endswith("-Latn")]
    otherwise = "none" if latin else "english"
    stemmed = {_STEMMED.get(code.partition("-")[0], otherwise) for code in latin or codes}
    only = stemmed.pop() if len(stemmed) == 1 else otherwise
    return only if only in LANGUAGES else otherwise


def decreasing(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores, best first, that decrease strictly in single precision, changing as few as possible.

    trec_eval, and with it MTEB, reads scores as C floats and breaks ties by document id, whatever the order was.
    """
    result, last = {}, np.float32(np.inf)
    for document, score in scores.items():
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        result[document] = float(last)
    return result


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be the folder of the tasks' stores ({error}); choose another one") from error
    return path


def _loaded(embedder: str | Path | Embedder | None, threads: int | None) -> Embedder:
    if embedder == "none":
        raise InputError("embedder='none' leaves keywords only; pass mode='keyword' instead")
    if isinstance(embedder, Embedder):
        return embedder
    return embedders.load(embedder or embedders.DEFAULT, threads=threads)


def _model_meta(model: Embedder | None, mode: str, options: Mapping[str, Any]) -> Any:
    """Return MTEB's description of the model; results are kept by its name, revision and options."""
    try:
        from mteb.models import ModelMeta
    except ImportError as error:
        raise MissingExtra("mteb", "evaluating with MTEB", "mteb") from error
    facts: dict[str, Any] = {"name": f"hybridstore/{mode}", "revision": __version__, "model_type": [_KINDS[mode]]}
    if model is not None:
        name, _, digest = model.fingerprint.partition("@")
        facts["name"] += f"-{name.rpartition('/')[2]}"
        facts["revision"] += f"-{digest}"
        facts |= {"embed_dim": model.dim, "max_tokens": model.max_tokens}
    facts["use_instructions"] = bool(options.get("instructions"))
    return ModelMeta.create_empty(overwrites={**facts, "experiment_kwargs": dict(options) or None})


def _documents(corpus: Rows, ids: set[str]) -> Iterator[Document]:
    """Yield the rows as documents, adding their ids to `ids`."""
    for row in corpus:
        if "text" not in row:
            raise InputError(_NO_TEXT.format(f"document {row['id']!r}"))
        ids.add(row["id"])
        yield Document(id=row["id"], title=row.get("title") or "", text=row["text"] or "")


def _query_text(row: Mapping[str, Any], *, instructed: bool) -> str:
    """Return a query's text; a conversation as its turns in order, each after its role if it has one."""
    text = row.get("text")
    if text is None:
        raise InputError(_NO_TEXT.format(f"query {row['id']!r}"))
    if not isinstance(text, str):
        text = "; ".join(turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text)
    instruction = row.get("instruction") if instructed else None
    return f"{instruction} {text}" if instruction else text
