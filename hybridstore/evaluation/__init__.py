"""Measuring search: judgments and runs, metrics, collections, and whether a difference is more than luck."""

from hybridstore.evaluation.collections import Collection, Coverage, Query
from hybridstore.evaluation.compare import Comparison, paired_bootstrap
from hybridstore.evaluation.evaluate import Evaluation, Measured, evaluate, index
from hybridstore.evaluation.judgments import Qrels, Run, read_qrels, read_run, write_qrels, write_run
from hybridstore.evaluation.metrics import Scores, per_query, score

__all__ = [
    "Collection",
    "Comparison",
    "Coverage",
    "Evaluation",
    "Measured",
    "Qrels",
    "Query",
    "Run",
    "Scores",
    "evaluate",
    "index",
    "paired_bootstrap",
    "per_query",
    "read_qrels",
    "read_run",
    "score",
    "write_qrels",
    "write_run",
]
