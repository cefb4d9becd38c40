"""What is kept in memory so that a query need not ask SQLite: postings of the words asked for, codes of the vectors.

Both are copies. They are made from the file when first needed, follow it through the change log, and are dropped
whenever following would cost more than making them anew.
"""
