"""The reference backend: a store in dicts and lists. `:memory:` is one, and tests compare the others with it."""

from hybridstore.backends.in_memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
