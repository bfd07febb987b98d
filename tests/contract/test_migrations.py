"""Migrations are a contract with every database that has applied them, and with the version that runs meanwhile."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from infra.provision.schema import folders_of
from infra.provision.settings import SERVICES
from storage.migrate import CONCURRENT_INDEX
from storage.schema import SHARED, migration_names
from tests.processes import CHECKOUT

FOLDERS = {folder for service in SERVICES for folder in folders_of(service)}
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.sql"))

PUBLISHED: dict[str, str] = json.loads(Path(__file__).with_name("published_migrations.json").read_text())
"""SHA-256 of each file that a release has carried."""

TEMPLATE = "-- migrate:up {options}\n{statement};\n\n-- migrate:down\n"


def _path(file: Path) -> str:
    return file.relative_to(CHECKOUT).as_posix()


def _lint(file: Path) -> subprocess.CompletedProcess[str]:
    """As `make lint` does."""
    command = [str(Path(sys.executable).with_name("squawk")), str(file)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_a_published_migration_is_never_changed_or_removed() -> None:
    """Databases that have applied it would not notice. Write a new migration instead."""
    present = {_path(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in FILES}
    assert {path: present.get(path) for path in PUBLISHED} == PUBLISHED


def test_a_new_migration_is_entered_in_the_list_of_published_ones() -> None:
    assert {_path(file) for file in FILES} <= PUBLISHED.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_migrations_of_a_service_have_one_number(service: str) -> None:
    # dbmate notes the number only: the second file would be taken for applied.
    numbers = Counter(name.partition("_")[0] for name in migration_names(folders_of(service)))
    assert [number for number, times in numbers.items() if times > 1] == []


def test_shared_migrations_have_numbers_below_100_and_the_services_own_ones_above() -> None:
    shared = {file: file.parent == SHARED for file in FILES}
    assert {file: int(file.name[:4]) < 100 for file in FILES} == shared


def test_shared_migrations_name_no_service() -> None:
    texts = [file.read_text(encoding="utf-8") for file in FILES if file.parent == SHARED]
    assert [text for text in texts for service in SERVICES if re.search(rf"\b{service}", text)] == []


@pytest.mark.parametrize("file", FILES, ids=_path)
def test_an_index_that_is_built_concurrently_is_one_that_a_retry_can_build_again(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(CONCURRENT_INDEX.findall(text)) == len(re.findall(r"CREATE.*INDEX CONCURRENTLY", text))


@pytest.mark.parametrize("file", FILES, ids=_path)
def test_a_migration_passes_the_lint(file: Path) -> None:
    linted = _lint(file)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX IF NOT EXISTS by_total ON orders (total_cents)", "require-concurrent-index-creation"),
        ("ALTER TABLE orders ADD COLUMN note text NOT NULL", "adding-required-field"),
        ("ALTER TABLE orders DROP COLUMN version", "ban-drop-column"),
        ("ALTER TABLE orders RENAME COLUMN version TO revision", "renaming-column"),
        ("ALTER TABLE orders ALTER COLUMN version TYPE text", "changing-column-type"),
        ("ALTER TABLE orders ADD CONSTRAINT small CHECK (version < 9)", "constraint-missing-not-valid"),
        ("ALTER TABLE orders ADD COLUMN note text", "require-statement-timeout"),
    ],
)
def test_the_lint_refuses_what_locks_a_table_or_breaks_the_version_that_runs(
    statement: str, rule: str, tmp_path: Path
) -> None:
    file = tmp_path / "0201_bad.sql"
    file.write_text(TEMPLATE.format(options="", statement=statement))
    linted = _lint(file)
    assert linted.returncode != 0
    assert rule in linted.stdout
