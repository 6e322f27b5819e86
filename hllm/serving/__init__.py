"""Answering live: growing histories, search, weights in few bits, many visitors at once."""
