"""Secrets are made once, differ, and are nobody else's to read."""

from pathlib import Path

import pytest

from infra import credentials


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stack" / "secrets.env"


def test_every_secret_is_made_and_no_two_are_equal(file: Path) -> None:
    secrets = credentials.ensure(file)
    assert set(secrets) == set(credentials.NAMES)
    assert len(set(secrets.values())) == len(secrets)


def test_only_the_owner_may_read_the_file(file: Path) -> None:
    credentials.ensure(file)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_second_call_changes_nothing(file: Path) -> None:
    first = credentials.ensure(file)
    written = file.stat().st_mtime_ns
    assert credentials.ensure(file) == first
    assert file.stat().st_mtime_ns == written


def test_a_secret_that_came_with_a_newer_version_is_added_and_the_others_stay(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("NATS_TOKEN=old\n")
    secrets = credentials.ensure(file)
    assert secrets["NATS_TOKEN"] == "old"
    assert set(secrets) == set(credentials.NAMES)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_secret_needs_no_quoting_anywhere_and_never_looks_like_a_number() -> None:
    secret = credentials.new_secret()
    assert secret.isalnum()
    assert secret[0].isalpha()
