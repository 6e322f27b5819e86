"""How the app is served: connections, their limits, how it ends, and what its operator may ask."""
