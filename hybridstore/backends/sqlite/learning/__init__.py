"""What the file has learned and learns from: models, triples, questions and feedback, beside what they came from."""

from hybridstore.backends.sqlite.learning.sqlite_learning import SQLiteLearning

__all__ = ["SQLiteLearning"]
