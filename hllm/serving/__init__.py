"""Answering live: histories that grow, search, few bits, many visitors at once."""
