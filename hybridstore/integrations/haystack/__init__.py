"""A store in Haystack: a document store for its pipelines, and a retriever that needs no separate embedder.

    documents = HybridStoreDocumentStore("notes.db")
    documents.write_documents([Document(content="Hops ferment.")])
    HybridStoreHaystackRetriever(documents).run("what ferments?")["documents"]

Implements the protocol `DocumentStore` of the package `haystack-ai` (https://github.com/deepset-ai/haystack), and what
its own stores offer besides. Haystack creates classes from a YAML file only if it is told to trust them:
`Pipeline.loads(text, allowed_modules=["hybridstore.*"])`.
"""

from hybridstore import telemetry

try:
    # Otherwise its import writes an id below the home folder, and every pipeline reports to PostHog.
    telemetry.off("HAYSTACK_TELEMETRY_ENABLED", "false")
    import haystack  # noqa: F401 - checked here once, for all modules of this package
except ImportError as missing:
    from hybridstore.errors import MissingExtra

    raise MissingExtra("haystack", "a store in Haystack", "haystack-ai") from missing

from hybridstore.integrations.haystack.document_store import HybridStoreDocumentStore
from hybridstore.integrations.haystack.retriever import HybridStoreHaystackRetriever

__all__ = ["HybridStoreDocumentStore", "HybridStoreHaystackRetriever"]
