"""What an agent remembers: notes, conversations, their history; recalled under a token budget, forgotten provably."""

from hybridstore.memory.carried import Carried
from hybridstore.memory.consolidating import Cluster, Consolidation
from hybridstore.memory.forgetting import Forgotten
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note
from hybridstore.memory.recall import LeftOut, Recall, Recalled
from hybridstore.memory.recalling import Recency
from hybridstore.memory.remembering import Remembered

__all__ = [
    "Carried",
    "Cluster",
    "Consolidation",
    "Forgotten",
    "LeftOut",
    "Memory",
    "Note",
    "Recall",
    "Recalled",
    "Recency",
    "Remembered",
]
