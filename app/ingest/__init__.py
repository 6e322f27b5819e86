"""Importers of data sets and the export for training: python -m app.ingest --help."""
