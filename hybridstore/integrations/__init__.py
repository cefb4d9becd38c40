"""The store in other people's frameworks, one room each; none of these packages is needed by another room."""
