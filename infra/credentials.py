"""The passwords of one stack: random, created at its first start, stored in a file that only its owner can read."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

NAMES = (
    "POSTGRES_PASSWORD",
    "CUSTOMER_SERVICE_PASSWORD",
    "ORDER_SERVICE_PASSWORD",
    "CUSTOMER_CDC_PASSWORD",
    "ORDER_CDC_PASSWORD",
    "MONGODB_ADMIN_PASSWORD",
    "MONGODB_HISTORY_PASSWORD",
    "KAFKA_PASSWORD",
    "CONNECT_PASSWORD",
    "NATS_TOKEN",
    "SUPERVISOR_PASSWORD",
)


def new_secret() -> str:
    """Letters and digits, which need no quoting in a URL, a JAAS file or a shell.

    The first one is a letter: NATS reads 12e3 in its configuration as a number.
    """
    return "s" + secrets.token_hex(24)


def parse(text: str) -> dict[str, str]:
    """The NAME=value lines of an environment file."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def ensure(path: Path) -> Mapping[str, str]:
    """The stack's secrets by name. Missing ones are created; existing ones never change, as the engines store them."""
    known = parse(path.read_text()) if path.exists() else {}
    complete = {name: known.get(name) or new_secret() for name in NAMES}
    if complete != known:
        _write_private(path, "".join(f"{name}={value}\n" for name, value in complete.items()))
    return complete


def _write_private(path: Path, text: str) -> None:
    """Replaces the file atomically; other users can never read it, not even while it is written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
