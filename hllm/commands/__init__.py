"""The command lines; each reads its options before a model library is imported."""
