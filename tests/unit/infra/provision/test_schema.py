"""The keeper and `make up` migrate each service's database."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.provision import schema
from storage import migrate

SETTINGS: Any = SimpleNamespace(database_url=lambda service: f"postgresql://{service}")


async def test_a_failing_migration_of_one_service_is_named_and_those_of_the_others_are_applied(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    migrated: list[str] = []

    async def apply(url: str, folders: Sequence[Path]) -> list[str]:
        migrated.append(url)
        if url.endswith("customer"):
            raise migrate.MigrationFailed("0103_new.sql: division by zero")
        return ["0104_newer"]

    monkeypatch.setattr(migrate, "apply", apply)
    caplog.set_level("INFO")
    with pytest.raises(migrate.MigrationFailed, match=r"^customer: 0103_new\.sql: division by zero$"):
        await schema.reconcile(SETTINGS)
    assert migrated == ["postgresql://customer", "postgresql://order"]
    assert "order: applied 0104_newer" in caplog.messages
