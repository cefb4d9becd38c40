"""Fine-tuning of a whole encoder on a store's triples: `finetune` makes a new embedder."""

from hybridstore.tuning.finetune.examples import Example, FinetuneSettings, from_triples
from hybridstore.tuning.finetune.finetuning import FinetuneReport, check_can_finetune, finetune, next_folder

__all__ = [
    "Example",
    "FinetuneReport",
    "FinetuneSettings",
    "check_can_finetune",
    "finetune",
    "from_triples",
    "next_folder",
]
