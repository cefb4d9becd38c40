"""What stands over a store that was handed to it, which stays open, or over a file, which it opens and closes."""

from __future__ import annotations

import os
from typing import Any, Self

from hybridstore.store.opening import open as open_store
from hybridstore.store.store import Store


class Holder:
    """A context manager with a `store`; `__init__` calls `_hold`."""

    store: Store
    _opened: bool

    def _hold(self, given: Store | str | os.PathLike[str], **options: Any) -> None:
        """Take a store, or open the file of this path with these options of `open`."""
        self.store = given if isinstance(given, Store) else open_store(given, **options)
        self._opened = self.store is not given

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if it was opened here. Closing twice is harmless."""
        if self._opened:
            self.store.close()
