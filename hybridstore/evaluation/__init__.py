"""Evaluation: judgments and runs, metrics, test collections, significance and reports."""

from hybridstore.evaluation.collections import Collection, Coverage, Query, read_queries
from hybridstore.evaluation.evaluation_results import Evaluation, LegFindings, Measured, Pair, pairs
from hybridstore.evaluation.judgments import Qrels, Run, read_qrels, read_run, write_qrels, write_run
from hybridstore.evaluation.metrics import (
    Bin,
    Scores,
    auroc,
    balanced_accuracy,
    expected_calibration_error,
    metric,
    per_query,
    reliability,
    score,
)
from hybridstore.evaluation.runner import evaluate, index, ways
from hybridstore.evaluation.significance import (
    Compared,
    QueryDifference,
    QueryDifferences,
    RunComparison,
    compared,
    paired_bootstrap,
)

__all__ = [
    "Bin",
    "Collection",
    "Compared",
    "Coverage",
    "Evaluation",
    "LegFindings",
    "Measured",
    "Pair",
    "Qrels",
    "Query",
    "QueryDifference",
    "QueryDifferences",
    "Run",
    "RunComparison",
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
