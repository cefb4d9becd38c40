"""Fine-tuning an encoder on what a store has learned: `finetune` makes another embedder of it."""

from hybridstore.tuning.finetune.examples import Example, from_triples
from hybridstore.tuning.finetune.finetuning import FinetuneReport, finetune, next_folder, see_that_it_can
from hybridstore.tuning.finetune.options import Options

__all__ = ["Example", "FinetuneReport", "Options", "finetune", "from_triples", "next_folder", "see_that_it_can"]
