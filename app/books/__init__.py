"""The built-in books and their simulated readers; docs/data-card.md says what they are."""
