"""The documents name only what exists: links, headings, decisions, files and commands."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from operations.__main__ import saga

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "adr"
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "tests/**/*.md", "services/**/*.md", "infra/**/*.md")
    for path in ROOT.glob(pattern)
)

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(
    r"(?<![\w/.-])(?:bench|contracts|infra|messaging|operations|runtime|services|storage|tests|web)"
    r"/[\w/.-]*\.(?:conf|json|md|properties|py|sh|sql|yaml)\b(?!\*)"
)
MAKE = re.compile(r"(?:`|^)make ([a-z-]+)\b", re.MULTILINE)
"""In prose, `make` is a word: a command stands in backticks or at the beginning of a line."""
SAGA = re.compile(r"\./saga ([a-z-]+(?: [a-z]+)?)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)

ABOUT_THE_PAST = ("CHANGELOG.md", "0018-performance-what-was-tried.md")
"""These may name a command or a file that is gone."""

ABOUT_THE_PRESENT = [path for path in DOCUMENTS if path.name not in ABOUT_THE_PAST]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(document: Path) -> set[str]:
    """The headings of a document as GitHub links to them."""
    headings = HEADING.findall(FENCED.sub("", _text(document)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken_links(document: Path) -> Iterator[str]:
    for link in LINK.findall(FENCED.sub("", _text(document))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_each_relative_link_of_a_document_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert list(_broken_links(document)) == []


@pytest.mark.parametrize("document", ABOUT_THE_PRESENT, ids=_name)
def test_each_source_file_that_a_document_names_exists(document: Path) -> None:
    named = set(SOURCE.findall(_text(document)))
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_the_index_of_decisions_names_each_decision_once() -> None:
    linked = [link for link in LINK.findall(_text(DECISIONS / "README.md")) if not link.startswith("..")]
    assert sorted(linked) == sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "README.md")


def test_each_decision_has_a_number_of_its_own_that_its_title_repeats() -> None:
    files = [path for path in sorted(DECISIONS.glob("*.md")) if path.name != "README.md"]
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    assert [path.name for path in files if not _text(path).startswith(f"# {int(path.name[:4])}. ")] == []


@pytest.mark.parametrize("document", ABOUT_THE_PRESENT, ids=_name)
def test_each_make_target_that_a_document_names_exists(document: Path) -> None:
    assert set(MAKE.findall(_text(document))) <= set(TARGET.findall(_text(ROOT / "Makefile")))


@pytest.mark.parametrize("document", ABOUT_THE_PRESENT, ids=_name)
def test_each_saga_command_that_a_document_names_exists(document: Path) -> None:
    assert [words for words in SAGA.findall(_text(document)) if not _is_command(words.split())] == []


def _is_command(words: list[str]) -> bool:
    """Whether the first word is a command; and the second one, where the first is a group of commands."""
    command = saga.commands.get(words[0])
    if isinstance(command, click.Group) and len(words) > 1:
        return words[1] in command.commands
    return command is not None
