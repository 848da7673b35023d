"""The documentation: its Python runs, its links lead somewhere, the commands that it names are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import documentation, settings

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, *sorted((ROOT / "docs" / "adr").glob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "changes/README.md"]

# Examples are run on SQLite, whichever engine the other tests are run on: once is enough.
pytestmark = pytest.mark.engine("sqlite")


@pytest.mark.parametrize("page", [page.name for page in PAGES if documentation.blocks(page)])
def test_the_examples_of_a_page_run_as_they_stand_there(page):
    command = [sys.executable, "-W", "error", "-m", "tests.documentation", f"docs/{page}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=settings.environment_of_the_demo())
    assert (run.returncode, run.stderr) == (0, "")


LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^(?: {4}.*|```[\s\S]*?^```)$|`[^`\n]+`", re.MULTILINE)
COMMAND = re.compile(r"(?:^|`)\s*make((?: [a-z-]+)*)", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')


def read(path):
    return path.read_text(encoding="utf-8")


def anchors(path):
    """Return the anchors of a page, as forges make them of its headings, and those that it sets."""
    headings = re.findall(r"^#+ (.*)", read(path), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(ANCHOR.findall(read(path)))


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_to_files_and_headings_lead_somewhere(page):
    for target, anchor in LINK.findall(CODE.sub("", read(page))):
        if not target.startswith(("http://", "https://", "mailto:")):
            path = page.parent / target if target else page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_targets_of_make_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {
        target for code in CODE.findall(read(page)) for command in COMMAND.findall(code) for target in command.split()
    }
    assert named - targets == set()


def test_each_page_is_in_the_contents():
    contents = read(ROOT / "docs" / "index.md")
    assert [page.name for page in PAGES if page.name != "index.md" and f"\n{page.stem}\n" not in contents] == []


SYNTAX = """
<!-- not run: it would fail -->
```python
1 / 0
```

```python
async with {}:
    await
```
"""


def test_what_is_not_run_is_compiled_all_the_same(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(SYNTAX, encoding="utf-8")
    first, second = documentation.blocks(page)
    assert not first.is_run
    assert [statement.raises for statement in first.statements(str(page))] == [""]
    with pytest.raises(SyntaxError):
        list(second.statements(str(page)))
