"""`python -m hybridstore` is the `hybridstore` command."""

from hybridstore.cli import main

if __name__ == "__main__":
    main()
