"""What an agent remembers: notes, conversations, their history; recalled under a token budget, forgotten provably."""

from hybridstore.memory.consolidation import Cluster, Consolidation
from hybridstore.memory.forgetting import ForgetReport
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note
from hybridstore.memory.recall_result import LeftOut, Recall, Recalled
from hybridstore.memory.recalling import Recency
from hybridstore.memory.remembering import Remembered
from hybridstore.memory.transfer_report import Carried

__all__ = [
    "Carried",
    "Cluster",
    "Consolidation",
    "ForgetReport",
    "LeftOut",
    "Memory",
    "Note",
    "Recall",
    "Recalled",
    "Recency",
    "Remembered",
]
