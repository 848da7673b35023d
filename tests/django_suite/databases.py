"""The databases that a child process may leave behind on a server, if it does not come to its end."""

from tests.probes import mysql_parameters, require_mysqlclient


def drop(engine: str, url: str, prefix: str) -> None:
    """Drop all databases whose names begin so. SQLite's are files in the child's folder."""
    if engine == "postgresql":
        _drop_on_postgresql(url, prefix)
    elif engine in ("mariadb", "mysql"):
        _drop_on_mysql(url, prefix)


def _drop_on_postgresql(url: str, prefix: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall():
            if name.startswith(prefix):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _drop_on_mysql(url: str, prefix: str) -> None:
    with require_mysqlclient().connect(**mysql_parameters(url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW DATABASES")
        for (name,) in cursor.fetchall():
            if name.startswith(prefix):
                cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
