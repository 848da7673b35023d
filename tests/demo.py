"""Run the demo of the record shop on an engine's server, found or started as for the tests: `python -m tests.demo
--db NAME`, with further arguments of the demo.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.__main__ import run_as_program
from tests.servers import ENGINES, Unavailable

DEMO = Path(__file__).parent.parent / "examples" / "record_shop" / "demo.py"
PYTHON = os.path.relpath(sys.executable)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", add_help=False, allow_abbrev=False)
    parser.add_argument("--db", choices=ENGINES, default="sqlite")
    engine = parser.parse_known_args(arguments)[0].db
    try:
        with ENGINES[engine]() as server:
            # The demo's own command would not find a server that was started for this run.
            own = {f"VINYL_TEST_{engine.upper()}": server.url, "RECORD_SHOP_DEMO": f"{PYTHON} -m tests.demo"}
            environment = {**os.environ, **own}
            return subprocess.run([sys.executable, str(DEMO), *arguments], env=environment, check=False).returncode
    except Unavailable as error:
        sys.exit(f"There is no {engine} for the demo: {error}")


if __name__ == "__main__":
    run_as_program(main)
