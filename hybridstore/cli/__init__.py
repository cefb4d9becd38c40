"""The `hybridstore` command. Each group of commands has a module, which is imported when one of them runs."""

from hybridstore.cli.app import main

__all__ = ["main"]
