"""Where chunks live. `base` says what a backend must do; each folder beside it is one way of doing it."""
