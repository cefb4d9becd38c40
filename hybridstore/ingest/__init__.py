"""From files to documents: readers of file formats, a walk of folders, and `sync`, which keeps a store up to date."""

from __future__ import annotations

from hybridstore.ingest.places import place
from hybridstore.ingest.readers import READERS, Noise, Unreadable, read
from hybridstore.ingest.sync import sync, sync_remembered
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.store.folders import SyncProgress, SyncReport

__all__ = [
    "READERS",
    "Noise",
    "Skipped",
    "SyncProgress",
    "SyncReport",
    "Unreadable",
    "place",
    "read",
    "sync",
    "sync_remembered",
    "walk",
]
