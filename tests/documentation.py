"""Run the Python of a page of the documentation, as its reader would: `python -m tests.documentation docs/guide.md`.

The blocks of a page are run in their order, statement by statement, in one namespace and one event loop, on SQLite with
the models of tests/documented. `await` and `async with` stand where they do in the page. What is checked beside that:

    artifact.author         # UnloadedAttribute, …      a comment that begins with an exception: the line raises it
    VINYL = {…}                                         has only options that there are
    class Artifact(…): …                                can be made, and is not the model that other examples use
    async def artifact_list(request): …                 answers, if it is a function of the request, and of a `pk`

A block below `<!-- not run: reason -->` is compiled only, and so is a whole page that begins with that. So are files,
below `<!-- all of models.py -->` or `<!-- at the end of settings.py -->`, of which a test makes a project. In a block
below `<!-- sync mode -->` the statements are run in the sync mode, in a thread without an event loop. What stands below
`<!-- entries of a dictionary -->` is no statement, but compiled as what it is.
"""

import ast
import asyncio
import builtins
import inspect
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*?) -->\n)?^(?P<fence>`{3,})python\n(?P<code>.*?)^(?P=fence)$", re.M | re.S)
EXPECTED = re.compile(r"#\s+(?:vinyl\.)?([A-Z]\w+)\b")


@dataclass
class Block:
    """A block of Python of a page: its code, the number of the line before it, and what the mark above it says."""

    code: str
    line: int
    mark: str

    @property
    def is_run(self) -> bool:
        return not self.mark.startswith(("not run: ", "all of ", "at the end of "))

    def statements(self, page: str) -> "Iterator[Statement]":
        tree = compile(self.code, page, "exec", FLAGS | ast.PyCF_ONLY_AST)
        lines = self.code.splitlines()
        for node in tree.body:
            expected = EXPECTED.search(lines[node.end_lineno - 1])
            ast.increment_lineno(node, self.line)
            raises = expected[1] if expected is not None and is_exception(expected[1]) else ""
            code = compile(ast.Module([node], []), page, "exec", FLAGS)
            view = node.name if isinstance(node, ast.AsyncFunctionDef) and is_view(node) else ""
            yield Statement(code, raises, node.name if isinstance(node, ast.ClassDef) else "", view)


@dataclass
class Statement:
    """A statement: its code, the exception that it is to raise, the class and the view that it makes, if any."""

    code: Any
    raises: str
    makes: str
    view: str


def is_view(node: ast.AsyncFunctionDef) -> bool:
    parameters = [parameter.arg for parameter in node.args.args]
    return parameters in (["request"], ["request", "pk"])


def blocks(page: Path) -> list[Block]:
    """Return the blocks of Python of a page."""
    text = page.read_text(encoding="utf-8")
    whole_page = text.startswith("<!-- not run: ")
    found = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("code"))
        mark = "not run: as the page says" if whole_page else block["mark"] or ""
        code = textwrap.dedent(block["code"])
        found.append(Block(f"{{{code}}}" if mark == "entries of a dictionary" else code, line, mark))
    return found


def is_exception(name: str) -> bool:
    from django.core import exceptions

    import vinyl

    found = next((vars(place)[name] for place in (vinyl, builtins, exceptions) if name in vars(place)), None)
    return inspect.isclass(found) and issubclass(found, Exception)


def given_templates() -> dict[str, Any]:
    templates = {"artifact.html": "{{ artifact }} {% for tag in artifact.tags.all %}{{ tag.label }}{% endfor %}"}
    return {"loaders": [("django.template.loaders.locmem.Loader", templates)]}


def set_up(folder: str) -> dict[str, Any]:
    """Set Django up, with rows for the examples; return what a page can take for granted."""
    import django
    from django.conf import settings

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/shop.sqlite3"}
    settings.configure(
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "tests.documented"],
        DATABASES={"default": database, "replica": {**database, "NAME": f"{folder}/replica.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROOT_URLCONF=(),
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": given_templates()}],
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    for alias in settings.DATABASES:
        call_command("migrate", run_syncdb=True, verbosity=0, database=alias)
    from tests.documented import given

    return given.namespace()


async def run(page: Path, names: dict[str, Any]) -> None:
    from tests.documented import given

    await given.rows(names)
    for block in blocks(page):
        for statement in block.statements(str(page)):
            if block.is_run:
                await carry_out(statement, names, block.mark == "sync mode")


async def carry_out(statement: Statement, names: dict[str, Any], in_sync_mode: bool) -> None:
    """Run a statement; see that it raises what the page says, and nothing else."""
    import django.test.utils

    from tests.documented import given

    before = names.get(statement.makes)
    try:
        with django.test.utils.isolate_apps("tests.documented") if statement.makes else nullcontext():
            await evaluate(statement.code, names, in_sync_mode)
            if statement.view:
                await given.answer(names[statement.view], names)
    except Exception as error:
        if type(error).__name__ != statement.raises:
            raise
    else:
        if statement.raises:
            raise AssertionError(f"Line {statement.code.co_firstlineno} did not raise {statement.raises}.")
    if before is not None:
        names[statement.makes] = before
    given.check_settings(names)


async def evaluate(code: Any, names: dict[str, Any], in_sync_mode: bool) -> None:
    import vinyl

    if in_sync_mode:
        with vinyl.sync_mode():
            await asyncio.to_thread(evaluate_and_close, code, names)
        return
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


def evaluate_and_close(code: Any, names: dict[str, Any]) -> None:
    import vinyl

    try:
        eval(code, names)
    finally:
        vinyl.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(sys.argv[1]), set_up(folder)))
