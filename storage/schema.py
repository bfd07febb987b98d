"""A service's schema: numbered SQL files, and which of them a database has not got yet.

The files of a service are the shared ones (storage/migrations, numbers below 0100) and its own
(services/<name>/migrations, from 0101 on). Services read here what is missing and wait; storage/migrate.py applies.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncpg
from asyncpg.pool import PoolConnectionProxy

SHARED = Path(__file__).with_name("migrations")

Reader = asyncpg.Pool | asyncpg.Connection | PoolConnectionProxy

TABLE_EXISTS = "SELECT to_regclass('public.schema_migrations') IS NOT NULL"

APPLIED = "SELECT version FROM public.schema_migrations"
"""dbmate's own table: of a file's name it notes the digits in front."""


def migration_folders(service: Path) -> tuple[Path, Path]:
    """Where the migrations of a service are.

    Args:
        service: the folder of the service's package.
    """
    return SHARED, service / "migrations"


def migration_names(folders: Iterable[Path]) -> list[str]:
    """All migrations in the folders, in the order in which they are applied, e.g. `0001_outbox`."""
    return sorted(file.stem for folder in folders for file in folder.glob("[0-9]*.sql"))


async def missing_migrations(database: Reader, required: Sequence[str]) -> list[str]:
    """Which of the required migrations are not applied. The database may have others: a newer release applied them."""
    if not await database.fetchval(TABLE_EXISTS):
        return list(required)
    applied = {row["version"] for row in await database.fetch(APPLIED)}
    return [name for name in required if _version(name) not in applied]


def _version(name: str) -> str:
    return name.partition("_")[0]
