"""Measuring search: judgments and runs, metrics, collections, and whether a difference is more than luck."""

from hybridstore.evaluation.abstention import auroc, balanced_accuracy
from hybridstore.evaluation.evaluation_results import Evaluation, Measured
from hybridstore.evaluation.judgments import Qrels, Run, read_qrels, read_run, write_qrels, write_run
from hybridstore.evaluation.leg_comparison import LegFindings, Pair, pairs
from hybridstore.evaluation.metrics import Scores, metric, per_query, score
from hybridstore.evaluation.reliability import Bin, expected_calibration_error, reliability
from hybridstore.evaluation.runner import evaluate, index, ways
from hybridstore.evaluation.significance import (
    Compared,
    QueryDifference,
    QueryDifferences,
    RunComparison,
    compared,
    paired_bootstrap,
)
from hybridstore.evaluation.test_collection import Collection, Coverage, Query, read_queries

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
