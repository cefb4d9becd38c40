"""The store as a server: what a model may ask of it, and under which limits."""
