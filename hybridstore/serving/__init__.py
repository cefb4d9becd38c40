"""The store as a server for models: which operations it offers, and within which limits."""
