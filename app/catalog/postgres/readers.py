"""Who else may read a catalogue: users that its owner let in, and lets into what replaces it."""

from typing import Any

import psycopg
from psycopg import sql

_READERS = """
SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE n.nspname = %s AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
"""


def readers_of(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """The users and groups that may look into a schema, quoted as SQL wants them."""
    return [name for (name,) in connection.execute(_READERS, [schema]).fetchall()]


def let_read(connection: psycopg.Connection[Any], schema: str, readers: list[str]) -> None:
    """Let users read all tables of a schema."""
    for reader in readers:
        for what in ("USAGE ON SCHEMA {}", "SELECT ON ALL TABLES IN SCHEMA {}"):
            statement = sql.SQL(f"GRANT {what} TO {reader}")
            connection.execute(statement.format(sql.Identifier(schema)))
