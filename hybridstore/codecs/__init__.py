"""How a vector is stored small, and how what is stored is scanned."""
