"""The container images: built from checked parts, and run without root's rights."""

import re

import pytest

from infra.native.layout import INFRA

STAGES = {
    re.split(r"\s+", text.splitlines()[0])[-1]: text
    for text in re.split(r"^FROM ", (INFRA / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
}
"""By name, the text of each stage of the Dockerfile."""


@pytest.mark.parametrize("image", ["app", "kafka"])
def test_an_image_runs_as_a_user_of_its_own(image: str) -> None:
    commands = [line for line in STAGES[image].splitlines() if line and not line.startswith((" ", "#"))]
    users = [line for line in commands if line.startswith("USER ")]
    assert users == ["USER stack"]
    assert not any(line.startswith("RUN ") for line in commands[commands.index("USER stack") :])


def test_python_packages_are_installed_by_their_hashes() -> None:
    [install] = [line for line in STAGES["app"].splitlines() if "pip install" in line]
    assert "--require-hashes --requirement requirements/runtime.txt" in install


def test_the_jars_of_brokers_and_connectors_are_those_of_the_lock_file() -> None:
    assert "sha256sum --check --strict" in STAGES["jars"]
    assert "--strict-checksums" in STAGES["jars"]
    assert "COPY --from=jars /jars" in STAGES["kafka"]
