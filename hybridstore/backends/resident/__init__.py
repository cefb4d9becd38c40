"""What is kept in memory so that a query need not ask SQLite.

Postings of the words asked for, codes of the vectors, columns of the metadata filtered on. All are copies: made from
the file when first needed, brought along by the change log, dropped where that would cost more than making them anew.
"""
