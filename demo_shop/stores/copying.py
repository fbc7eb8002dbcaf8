"""Rows into PostgreSQL by COPY, the fast way in."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql


def copy_rows(
    connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Appends the rows. Values must be numbers or texts without tab, line end and backslash.

    The text of all rows is built at once: a call per row would cost more than PostgreSQL's own work.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def array_literal(values: Iterable[object]) -> str:
    """An array of numbers as COPY takes it: {1,2}."""
    return "{" + ",".join(map(str, values)) + "}"
