"""The database that is measured, as each process of the benchmark is told of it.

It goes to the workers as JSON, in the environment variable VINYL_BENCHMARK. This module knows no driver.
"""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

VARIABLE = "VINYL_BENCHMARK"
ENGINES = ("postgresql", "mariadb", "mysql")
DATABASE = "vinyl_benchmarks"


@dataclass(frozen=True)
class Target:
    """A database on a private server, the size of the pools that use it, and the event loop they are used in."""

    engine: str
    host: str
    port: int
    user: str
    pool: int
    loop: str

    @classmethod
    def at(cls, engine: str, url: str, *, pool: int, loop: str) -> "Target":
        """Describe the database of the benchmark on the server of a URL."""
        parts = urlsplit(url)
        if not parts.hostname or not parts.port or not parts.username:
            raise ValueError(f"The URL of a server has a user, a host and a port: {url}")
        return cls(engine, parts.hostname, parts.port, unquote(parts.username), pool, loop)

    @classmethod
    def of_environment(cls) -> "Target":
        """Return the database that this process was started for."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that is started for this database."""
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def is_postgresql(self) -> bool:
        return self.engine == "postgresql"

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of drivers, by the names that most of them have."""
        return {"host": self.host, "port": self.port, "user": self.user, "database": DATABASE}

    def url(self, scheme: str) -> str:
        """Return the URL of the database for whoever takes one of this scheme."""
        return f"{scheme}://{self.user}@{self.host}:{self.port}/{DATABASE}"
