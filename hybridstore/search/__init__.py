"""From a query to a Trace: planning, both legs, fusion, selection, explanation."""
