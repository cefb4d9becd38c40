"""The `hybridstore` command. Each group of commands has a room, and is loaded when it is asked for."""

from hybridstore.cli.app import main

__all__ = ["main"]
