"""The catalogue and its events in a PostgreSQL database, which replicas of the app share."""
