"""Search: from a query to its Trace, by planning, both legs, fusion and selection; and explanations of a search."""
