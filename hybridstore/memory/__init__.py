"""Memory for agents: notes and conversations with a history, recalled under a token budget, erased provably."""

from hybridstore.memory.consolidation import Cluster, Consolidation
from hybridstore.memory.history import ForgetReport
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note
from hybridstore.memory.recall_result import LeftOut, Recall, Recalled
from hybridstore.memory.recalling import Recency
from hybridstore.memory.remembering import ImportReport, Remembered

__all__ = [
    "Cluster",
    "Consolidation",
    "ForgetReport",
    "ImportReport",
    "LeftOut",
    "Memory",
    "Note",
    "Recall",
    "Recalled",
    "Recency",
    "Remembered",
]
