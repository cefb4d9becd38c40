"""A small encoder made here, and examples to train it on."""

import importlib.util
import json

import pytest

from hybridstore.embedders.recipe import DATA
from hybridstore.tuning.finetune import Example

MISSING = [n for n in ("torch", "transformers", "onnx", "onnxruntime") if importlib.util.find_spec(n) is None]


@pytest.fixture
def training():
    """Skip where the extra `train` is not installed."""
    if MISSING:
        pytest.skip(f"fine-tuning needs the extra `train`: no {', '.join(MISSING)}")


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Make a BERT of two narrow layers with weights drawn by a seed, as transformers saves it.

    Its position embeddings are weak, so that a few steps can teach it something.
    """
    if MISSING:
        pytest.skip(f"fine-tuning needs the extra `train`: no {', '.join(MISSING)}")
    import torch
    from transformers import BertConfig, BertModel

    from hybridstore.embedders.tokenizer import wordpiece

    folder = tmp_path_factory.mktemp("small") / "tiny-bert"
    torch.manual_seed(5)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    model = BertModel(config)
    with torch.no_grad():
        model.embeddings.position_embeddings.weight *= 0.1
        model.embeddings.token_type_embeddings.weight *= 0.1
    model.save_pretrained(folder)
    wordpiece(DATA / "bert-base-uncased.txt").save(str(folder / "tokenizer.json"))
    tokens = {"tokenizer_class": "BertTokenizerFast", "model_max_length": 64}
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens | special))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": "ask: "}}))
    return folder


@pytest.fixture(scope="session")
def examples():
    """Return 24 examples of 12 answers, each with two negatives and fused scores."""
    things = ("kettle", "bridge", "orchard", "lantern", "anchor", "violin")
    things += ("pepper", "glacier", "saddle", "ribbon", "cellar", "falcon")
    texts = [f"the {thing} stands {n}" for n, thing in enumerate(things)]
    return [
        Example(
            query=f"{word} {thing}",
            positive=texts[n],
            negatives=(texts[n - 1], texts[n - 5]),
            scores=(0.9, 0.4, 0.2),
        )
        for word in ("where is the", "find my")
        for n, thing in enumerate(things)
    ]
