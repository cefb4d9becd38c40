"""Measuring search: judgments and runs, metrics, collections, and whether a difference is more than luck."""

from hybridstore.evaluation.abstention import auroc, balanced_accuracy
from hybridstore.evaluation.calibration import Bin, expected_calibration_error, reliability
from hybridstore.evaluation.collections import Collection, Coverage, Query, read_queries
from hybridstore.evaluation.compare import Compared, Comparison, Row, Rows, compared, paired_bootstrap
from hybridstore.evaluation.evaluate import evaluate, index, ways
from hybridstore.evaluation.judgments import Qrels, Run, read_qrels, read_run, write_qrels, write_run
from hybridstore.evaluation.legs import Found, Pair, pairs
from hybridstore.evaluation.measured import Evaluation, Measured
from hybridstore.evaluation.metrics import Scores, metric, per_query, score

__all__ = [
    "Bin",
    "Collection",
    "Compared",
    "Comparison",
    "Coverage",
    "Evaluation",
    "Found",
    "Measured",
    "Pair",
    "Qrels",
    "Query",
    "Row",
    "Rows",
    "Run",
    "Scores",
    "auroc",
    "balanced_accuracy",
    "compared",
    "evaluate",
    "expected_calibration_error",
    "index",
    "metric",
    "paired_bootstrap",
    "pairs",
    "per_query",
    "read_qrels",
    "read_queries",
    "read_run",
    "reliability",
    "score",
    "ways",
    "write_qrels",
    "write_run",
]
