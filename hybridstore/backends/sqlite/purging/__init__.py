"""Erasing documents so that none of their bytes is left in the file, and looking whether that is so."""

from hybridstore.backends.sqlite.purging.purge import Purging

__all__ = ["Purging"]
