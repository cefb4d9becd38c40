"""From files to documents: read what a file holds, walk folders, keep a store in step with them."""

from __future__ import annotations

from hybridstore.ingest.readers import READERS, Unreadable, read
from hybridstore.ingest.sync import SyncProgress, SyncReport, sync
from hybridstore.ingest.walk import Skipped, walk

__all__ = ["READERS", "Skipped", "SyncProgress", "SyncReport", "Unreadable", "read", "sync", "walk"]
