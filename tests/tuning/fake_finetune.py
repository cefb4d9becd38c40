"""A made-up store and a fine-tune that trains nothing: what test_full_tuning.py and the process that it kills share."""

import random
import time
from pathlib import Path

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.tuning import full_tuning
from hybridstore.tuning.export import Parity
from hybridstore.tuning.finetune import FinetuneReport, FinetuneSettings

DOCUMENTS = 130
POOR, GOOD, BAD = 6, 1024, 2  # dimensions of hashing embedders: the fewer, the more words fall together


class InFolder(HashingEmbedder):
    """A hashing embedder as `embedders.load` finds it in a folder, or by its name."""

    def __init__(self, dim, reference):
        super().__init__(dim)
        self.reference = reference


def load(name, **_):
    """Return the embedder that `fake` has put into a folder, or that is called so."""
    folder = Path(name)
    if folder.is_dir():
        return InFolder(int((folder / "dim").read_text()), str(folder.resolve()))
    return HashingEmbedder(int(str(name).partition("-")[2]))


def fake(dim, *, slowly=0.0, seen=None):
    """Return what stands in for `finetune`: it makes a hashing embedder of `dim` dimensions."""

    def finetune(base, examples, out, *, options=None, progress=None, notify=None):
        listed = list(examples)
        if seen is not None:
            seen.extend(listed)
        progress(1, 1, 0.5, 0.0)
        time.sleep(slowly)
        out.mkdir(parents=True, exist_ok=True)
        (out / "dim").write_text(str(dim))
        return FinetuneReport(
            base=base,
            name="hashing",
            out=out,
            fingerprint=HashingEmbedder(dim).fingerprint,
            dim=dim,
            device="cpu",
            examples=len(listed),
            steps=1,
            resumed_at=0,
            losses=(0.5,),
            seconds=0.1,
            examples_per_second=10.0,
            kept=0.9,
            parity=Parity(minimum=1.0, mean=1.0, sentences=3),
            options=options or FinetuneSettings(),
        )

    return finetune


def stand_in(put, dim, **options):
    """Have `put(object, name, value)` replace all that needs PyTorch or a model."""
    put(hs.embedders, "load", load)
    put(full_tuning, "check_can_finetune", lambda *_: "cpu")
    put(full_tuning, "finetune", fake(dim, **options))
    put(full_tuning, "HARVESTED", 100)


def texts(count=DOCUMENTS, seed=1):
    """Return texts in words that nobody knows, of thirteen topics, each with some of its own."""
    dice = random.Random(seed)

    def word():
        return "".join(dice.choice("bdfgklmnprstvz") + dice.choice("aeiou") for _ in range(dice.randint(2, 4)))

    topics = [[word() for _ in range(12)] for _ in range(13)]
    for n in range(count):
        own = [word() for _ in range(6)]
        sentences = [" ".join(dice.sample(topics[n % 13], 5) + dice.sample(own, 3)) for _ in range(3)]
        yield ". ".join(each.capitalize() for each in sentences) + "."


def filled(path, count=DOCUMENTS):
    """Make the store, with the poor embedder."""
    with hs.open(path, embedder=HashingEmbedder(POOR)) as store:
        store.add([hs.Document(id=f"d{n}", text=text) for n, text in enumerate(texts(count))], chunk=False)
