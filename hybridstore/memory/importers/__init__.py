"""What others remember, taken over: the MCP memory server's file, Chroma's collections, folders of Markdown.

Each can be run again at any time: what is there stays, what has changed at its source becomes a new version of the
note, and what was superseded here stays so.
"""

from hybridstore.memory.importers.chroma import from_chroma
from hybridstore.memory.importers.markdown_notes import from_markdown
from hybridstore.memory.importers.mcp_graph import from_mcp_memory

__all__ = ["from_chroma", "from_markdown", "from_mcp_memory"]
