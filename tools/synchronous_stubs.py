"""Make the declarations of the sync mode, src/vinyl/_typed_sync/, from those of the async mode, src/vinyl/_typed/.

What is awaited there is given at once here, and what only the async mode has is left out. Methods of Django's names
that begin with `a` are awaited in each mode. `make stubs` writes the files; tests/test_stubs.py compares them.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "src" / "vinyl" / "_typed"
TARGET = SOURCE.with_name("_typed_sync")
HEADER = "# Made by tools/synchronous_stubs.py from vinyl/_typed/{}.\n"
ONLY_ASYNCHRONOUS = {"__await__", "__aiter__", "__aenter__", "__aexit__"}
COUNTS = ast.parse("tuple[int, dict[str, int]]", mode="eval").body
# What is left of a class that has nothing of its own.
NOTHING = ast.Expr(ast.Constant(...))


class Synchronous(ast.NodeTransformer):
    """Turns declarations of the async mode into those of the sync mode."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.module == "vinyl._typed.operations":
            return None
        node.module = (node.module or "").replace("vinyl._typed.", "vinyl._typed_sync.")
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        # The result of delete(), and that of aiterator(), which is for `async for`.
        if node.name == "Counts":
            return None
        if node.name == "Stream":
            return node
        self.generic_visit(node)
        node.body = node.body or [NOTHING]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.name in ONLY_ASYNCHRONOUS:
            return None
        self.generic_visit(node)
        if node.name == "iterator" and isinstance(node.returns, ast.Subscript):
            node.returns.value = ast.Name("Iterator")
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return None if node.name in ONLY_ASYNCHRONOUS else node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        return node.slice if isinstance(node.value, ast.Name) and node.value.id == "Operation" else node

    def visit_Name(self, node: ast.Name) -> Any:
        return COUNTS if node.id == "Counts" else node


def made(path: Path) -> str:
    """Return the declarations of the sync mode for a file of those of the async mode."""
    text = path.read_text()
    options = [line for line in text.splitlines() if line.startswith(("# mypy:", "# pyright:"))]
    tree = ast.fix_missing_locations(Synchronous().visit(ast.parse(text)))
    if path.stem == "managers":
        tree.body.insert(0, ast.parse("from collections.abc import Iterator").body[0])
    code = "\n".join([*options, ast.unparse(tree)])
    for command in (["check", "--fix", "--quiet", "--select", "F401,I"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"]
        code = subprocess.run(ruff, input=code, capture_output=True, text=True, check=True).stdout
    return HEADER.format(path.name) + code


def all_made() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {path.name: made(path) for path in sorted(SOURCE.glob("[a-z]*.pyi")) if path.stem != "operations"}


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for name, text in all_made().items():
        (TARGET / name).write_text(text)
