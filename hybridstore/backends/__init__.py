"""Where chunks are stored: `protocols` says what a backend must do; `sqlite` and `in_memory` are two that do."""
