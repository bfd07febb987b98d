"""The set-up names what a machine lacks in one line, and fetches nothing twice or unchecked."""

import os
import subprocess
from pathlib import Path

import pytest

from infra import bootstrap
from infra.steps import StepFailed

PYTHON_FINDER = Path(bootstrap.__file__).with_name("python.sh")


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def find_python(path: Path) -> subprocess.CompletedProcess[str]:
    """The finder with nothing on its PATH but `path` and dirname."""
    program(path, "dirname", 'exec /usr/bin/dirname "$@"')
    command = ["/bin/sh", str(PYTHON_FINDER), "hello"]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": str(path)}, check=False)


def test_a_shim_that_does_not_run_is_skipped(tmp_path: Path) -> None:
    program(tmp_path, "python3", "echo 'version not installed' >&2; exit 127")
    program(tmp_path, "python3.12", '[ "$1" = -c ] || echo "found $1"')
    assert find_python(tmp_path).stdout == "found hello\n"


def test_an_old_python_is_skipped(tmp_path: Path) -> None:
    program(tmp_path, "python3", "exit 1")
    program(tmp_path, "python3.11", '[ "$1" = -c ] || echo "found $1"')
    assert find_python(tmp_path).stdout == "found hello\n"


def test_a_python_without_optimizations_is_not_used_if_there_is_another(tmp_path: Path) -> None:
    program(tmp_path, "python3", 'case "$2" in *optimiz*) exit 1;; esac; [ "$1" = -c ] || echo "slow $1"')
    program(tmp_path, "python3.11", '[ "$1" = -c ] || echo "fast $1"')
    assert find_python(tmp_path).stdout == "fast hello\n"


def test_a_python_without_optimizations_is_used_if_there_is_no_other(tmp_path: Path) -> None:
    program(tmp_path, "python3", 'case "$2" in *optimiz*) exit 1;; esac; [ "$1" = -c ] || echo "slow $1"')
    assert find_python(tmp_path).stdout == "slow hello\n"


def test_no_python_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    found = find_python(tmp_path)
    assert found.returncode == 1
    [line] = found.stderr.splitlines()
    assert "Python 3.11" in line
    assert "apt install python3" in line


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_402"', 8),
        ("no such thing", 0),
    ],
)
def test_the_feature_number_is_found_in_the_output_of_java(output: str, version: int) -> None:
    assert bootstrap.java_version(output) == version


def test_a_missing_java_is_one_line_that_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StepFailed, match=r"Java 17 or newer is needed and was not found: install it \(.*apt install"):
        bootstrap.require_java()


def test_an_old_java_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "java", "echo 'openjdk version \"11.0.2\"' >&2")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StepFailed, match="found Java 11"):
        bootstrap.require_java()


def test_a_missing_maven_is_one_line_that_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match=r"Maven.*apt install maven"):
        bootstrap.require_maven()


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for jars with a Maven that brings one jar, and a lock that knows its hash."""
    monkeypatch.setattr(bootstrap, "STACKS", tmp_path)
    monkeypatch.setattr(bootstrap, "JARS", tmp_path / "jars")
    monkeypatch.setattr(bootstrap, "JARS_LOCK", tmp_path / "jars.sha256")
    monkeypatch.setattr(bootstrap, "download_jars", bring_a_jar)
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    (tmp_path / "jars.sha256").write_text(f"{digest}  kafka/hello.jar\n")
    return tmp_path


def bring_a_jar(folder: Path) -> None:
    (folder / "kafka").mkdir(parents=True)
    (folder / "kafka" / "hello.jar").write_text("hello")


def test_jars_with_the_locked_hashes_are_installed(stacks: Path) -> None:
    assert not bootstrap.jars_are_installed()
    bootstrap.fetch_jars()
    assert (stacks / "jars" / "kafka" / "hello.jar").read_text() == "hello"
    assert bootstrap.jars_are_installed()


def test_a_jar_with_another_hash_is_refused_by_name(stacks: Path) -> None:
    (stacks / "jars.sha256").write_text(f"{'0' * 64}  kafka/hello.jar\n")
    with pytest.raises(StepFailed, match=r"kafka/hello\.jar"):
        bootstrap.fetch_jars()
    assert not (stacks / "jars").exists()


def test_jars_are_fetched_again_when_their_lock_changed(stacks: Path) -> None:
    bootstrap.fetch_jars()
    with (stacks / "jars.sha256").open("a") as lock:
        lock.write(f"{'0' * 64}  kafka/new.jar\n")
    assert not bootstrap.jars_are_installed()
