"""Copies in memory that answer searches: postings of words, codes of vectors, columns of metadata.

NumPy over a change log; no database is known here. Copies are read through a `Loader` when first needed, brought to
later revisions by the change log, and dropped where reading them again costs less.
"""
