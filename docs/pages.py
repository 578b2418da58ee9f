"""A hook of MkDocs: the project's documents as pages, at their places, and the reference of the commands.

So a link between two files is right in the repository and on the site.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_PAGES = ("*.md", "docs/**/*.md", "benchmarks/*.md", "benchmarks/results/*.md", "examples/*.md")
_COMMANDS = "docs/reference/commands.md"
_LINK = re.compile(r"\]\(([^)#\s:]+)[^)]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the documents, and the files that they show or link to, in place of what is in docs/ alone."""
    root = Path(config.config_file_path).parent
    for file in list(files):
        if file.abs_src_path is not None and Path(file.abs_src_path).is_relative_to(config.docs_dir):
            files.remove(file)
    pages = sorted({path for pattern in _PAGES for path in root.glob(pattern)})
    for path in [*pages, *sorted({*_linked(pages, root)} - {*pages})]:
        files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    files.append(File.generated(config, _COMMANDS, content=commands()))
    return files


def _linked(pages: list[Path], root: Path) -> Iterator[Path]:
    for page in pages:
        for link in _LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / link).resolve()
            if path.is_file() and path.is_relative_to(root):
                yield path


def commands() -> str:
    """Return the reference of the commands, as typer makes it of them."""
    text = subprocess.run(
        [sys.executable, "-m", "typer", "srcpack_convert.cli.main", "utils", "docs", "--name", "srcpack"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.replace("\b", "")
    text = text.replace("# `srcpack`", "# Commands", 1)
    # The list of commands has their help cut short, and is what the table of contents is.
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n?", "", text)
    return re.sub(r"\n+Examples:\n((?:  .*\n)+)", _as_code, text)


def _as_code(found: re.Match[str]) -> str:
    lines = "".join(f"$ {line.strip()}\n" for line in found[1].splitlines())
    return f"\n\n```console\n{lines}```\n"
