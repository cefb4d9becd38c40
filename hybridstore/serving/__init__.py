"""The memory and the store for other programs: over MCP."""
