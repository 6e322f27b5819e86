"""Data sets and models by name: fetched, imported and converted when somebody asks for them."""
