"""A store in Haystack: as a document store of its pipelines, and as a retriever that needs no embedder beside it.

    documents = HybridStoreDocumentStore("notes.db")
    documents.write_documents([Document(content="Hops ferment.")])
    HybridStoreRetriever(documents).run("what ferments?")["documents"]

Implements the protocol `DocumentStore` of the package `haystack-ai` (https://github.com/deepset-ai/haystack), and what
its own stores offer besides. Haystack makes classes from a YAML file only where it was told to trust them:
`Pipeline.loads(text, allowed_modules=["hybridstore.*"])`.
"""

try:
    import haystack  # noqa: F401 - asked for here once, for all rooms of this folder
except ImportError as missing:
    from hybridstore.errors import MissingExtra

    raise MissingExtra("haystack", "a store in Haystack", "haystack-ai") from missing

from hybridstore.integrations.haystack.document_store import HybridStoreDocumentStore
from hybridstore.integrations.haystack.retriever import HybridStoreHaystackRetriever

__all__ = ["HybridStoreDocumentStore", "HybridStoreHaystackRetriever"]
