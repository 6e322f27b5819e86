"""Evaluation: full ranking of all items, metrics, slices of the users, the table."""
