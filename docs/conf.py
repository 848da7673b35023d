"""The settings of Sphinx, which makes the documentation: `make docs`.

The pages are plain Markdown that is read on a forge as well, so what only Sphinx understands is kept to the index and
to the reference of the names. API entries come from the docstrings, in which single backticks are code.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import django
from django.conf import settings

ROOT = Path(__file__).parent.parent
settings.configure()
django.setup()

project = "vinyl"
author = "the vinyl contributors"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
highlight_language = "none"
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Anchors of headings, as forges make them.
myst_heading_anchors = 4

default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 100

html_theme = "furo"
html_title = "vinyl"
html_static_path = ["_static"]
html_css_files = ["vinyl.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

# Pages that are elsewhere in the repository: there is a line in docs/ that leads to them.
ELSEWHERE = {
    "benchmarks": "benchmarks/README.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
}
# Autodoc writes a parameter `*args: P.args` as `~typing.~P`, which it then cannot read.
STANDARD = re.compile(r"~(?:collections\.abc|contextlib|typing)\.")
# Nobody else makes one, so nobody wants to know how.
MADE_BY_VINYL = {"Connection", "Cursor", "FrozenQuery", "Operation", "Transaction", "VinylModel", "VinylQuerySet"}
DECISIONS = """
```{toctree}
:glob:
:hidden:

0*
```
"""
FIGURES = """
## Figures

```{toctree}
:glob:

benchmarks/*
```
"""
LINK = re.compile(r"\[([^\]]+)\]\(([^):#]+)(#[^)]*)?\)")


def read_page(app, docname, source):
    """Take a page that is elsewhere from there, and make links to files of the repository links within the site."""
    file = Path(ELSEWHERE.get(docname, f"docs/{docname}.md"))
    text = (ROOT / file).read_text(encoding="utf-8") if docname in ELSEWHERE else source[0]
    if docname == "adr/README":
        text += DECISIONS
    if docname == "benchmarks":
        text += FIGURES
    if docname == "changelog":
        text += changes_to_come()
    if docname in ELSEWHERE:
        app.env.note_reread()
    source[0] = LINK.sub(lambda link: link_within_the_site(link, file.parent, Path("docs", docname).parent), text)


def changes_to_come():
    """Return what is in changes/, as towncrier would put it into CHANGELOG.md."""
    draft = ["build", "--draft", "--version", "The version to come", "--date", "not released"]
    command = [sys.executable, "-m", "towncrier", *draft]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def link_within_the_site(link, folder, page_folder):
    """Return a link from a file in `folder` for the page in `page_folder`; without a page for it, its text alone."""
    text, target, anchor = link[1], link[2], link[3] or ""
    path = os.path.normpath(folder / target)
    for docname, elsewhere in ELSEWHERE.items():
        if path == elsewhere:
            path = f"docs/{docname}.md"
    if path == "docs/adr":
        path = "docs/adr/README.md"
    if not path.startswith("docs/"):
        return text
    return f"[{text}]({os.path.relpath(path, page_folder)}{anchor})"


def shorten_signature(app, what, name, obj, options, signature, returned):
    """Leave out how classes are made that only vinyl makes, and the modules of Python's own types."""
    if what == "class" and name.rpartition(".")[2] in MADE_BY_VINYL:
        return "", None
    return tuple(part and STANDARD.sub("", part) for part in (signature, returned))


def mark_code(app, what, name, obj, options, lines):
    """Make code of what is indented below a paragraph of a docstring."""
    for number in range(len(lines) - 1, 1, -1):
        begins = lines[number].startswith("    ") and not lines[number - 1]
        if begins and not lines[number - 2].startswith((" ", "* ")):
            lines[number:number] = ["::", ""]


def setup(app):
    app.connect("source-read", read_page)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", mark_code)
