"""The other process that writes to SQLite's file: `python -m tests.stress.locker FILE`.

It takes the lock, makes every account richer, says "locked" and waits for the end of its input, before it rolls that
back. Pages of it are in the file by then: who kills it leaves them to be rolled back by the next who reads.
"""

import sqlite3
import sys


def main(path: str) -> None:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE stress_account SET balance = balance + 1")
    print("locked", flush=True)
    sys.stdin.read()
    connection.execute("ROLLBACK")
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
