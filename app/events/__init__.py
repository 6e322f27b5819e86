"""What visitors saw and picked, for analysis: python -m app.events --help."""
