"""Cross-encoders of a local folder: their scores, with graphs of one and two logits, and what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.errors import ModelUnavailable

onnx = pytest.importorskip("onnx")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "ship", "boston", "tax"]
WEIGHTS = [0.0, 0.0, 0.0, 0.0, 1.0, -2.0, 3.0, 0.5]


def folder(path, outputs=1, inputs=("input_ids", "token_type_ids", "attention_mask")):
    """Make a model whose logit is the sum of its passage's words' weights."""
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    path.mkdir()
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    table = np.stack([np.array(WEIGHTS, np.float32) * n for n in ([1] if outputs == 1 else range(outputs))], axis=1)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"], axis=0),
        helper.make_node("Cast", ["token_type_ids"], ["passage"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["passage", "last"], ["mask"]),
        helper.make_node("Mul", ["each", "mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["logits"], keepdims=0),
    ]
    constants = {"table": table, "last": np.array([2]), "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (path / "model.onnx").write_bytes(model.SerializeToString())
    return path


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_scores_are_those_of_the_passage_whatever_stands_beside_it(tmp_path):
    model = hs.CrossEncoder(folder(tmp_path / "tiny"), threads=1)
    assert model.name == "tiny"
    texts = ["Boston tax", "ship", "tea " * 4, "", "\ud800 tea"]
    assert model.score("boston tea", texts) == pytest.approx(sigmoid(np.array([3.5, -2, 4, 0, 1])), abs=1e-6)
    for text in texts:
        assert model.score("boston tea", [text]) == pytest.approx(
            model.score("boston tea", texts)[texts.index(text)], abs=1e-6
        )
    assert model.score("tea", []).shape == (0,)


def test_of_two_logits_the_second_is_for_answers(tmp_path):
    model = hs.CrossEncoder(folder(tmp_path / "two", outputs=2))
    assert model.score("", ["boston", "ship"]) == pytest.approx(sigmoid(np.array([3.0, -2.0])), abs=1e-6)


def test_long_passages_are_cut_at_the_window(tmp_path):
    path = folder(tmp_path / "tiny")
    (path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 8}))
    model = hs.CrossEncoder(path)
    assert model.score("tax", ["tea " * 50]) == pytest.approx(sigmoid(4.0), abs=1e-6)  # 8 less 3 marks and the question


def test_a_search_puts_its_passages_in_the_models_order(tmp_path):
    with hs.open(":memory:", embedder="none") as store:
        store.add([{"id": "ship", "text": "ship tea tea tea tea tea"}, {"id": "boston", "text": "boston tea"}])
        model = hs.CrossEncoder(folder(tmp_path / "tiny"))
        results = store.search("tea", rerank=hs.Rerank(model, weight=1.0))
        assert [hit.document_id for hit in results] == ["boston", "ship"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: (path / "model.onnx").unlink(), "a local folder with model.onnx"),
        (lambda path: (path / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda path: (path / "model.onnx").write_bytes(b"no graph"), "cannot open"),
    ],
)
def test_a_folder_that_is_not_a_cross_encoders_is_refused(tmp_path, spoil, reason):
    path = folder(tmp_path / "tiny")
    spoil(path)
    with pytest.raises(ModelUnavailable, match=reason):
        hs.CrossEncoder(path)


def test_a_model_of_many_outputs_is_refused_when_it_is_loaded(tmp_path):
    with pytest.raises(ModelUnavailable, match="one or two each"):
        hs.CrossEncoder(folder(tmp_path / "many", outputs=5))


def test_the_command_line_reranks_with_a_folder_and_says_what_a_time_without_one_lacks(tmp_path):
    db = tmp_path / "notes.db"
    with hs.open(db, embedder="none") as store:
        store.add([{"id": "ship", "text": "ship ship ship tea tea tea"}, {"id": "boston", "text": "boston tea"}])
    path = folder(tmp_path / "tiny")

    def run(*arguments):
        return CliRunner().invoke(app, ["--db", str(db), *map(str, arguments)])

    def first(*options):
        return json.loads(run("search", "tea", "--json", *options).stdout)["hits"][0]["document_id"]

    assert (first(), first("--rerank", path), first("--rerank", path, "--rerank-ms", 500)) == (
        "ship",
        "boston",
        "boston",
    )
    assert "tiny gave it" in run("explain", "tea", "--rerank", path).stdout
    lonely = run("search", "tea", "--rerank-ms", 500)
    assert (lonely.exit_code, "--rerank, which names" in lonely.stderr) == (2, True)
