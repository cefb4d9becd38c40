"""Codecs: small codes of vectors, and how they are compared with a query."""
