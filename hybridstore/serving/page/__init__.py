"""The web page: search, documents, why a hit is where it is, adding, the store at a glance, memory, learning."""

from hybridstore.serving.page.routes import routes

__all__ = ["routes"]
