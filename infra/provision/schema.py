"""The tables of the services: applies the migrations that their databases have not got yet."""

import logging
from pathlib import Path

import services
from infra.provision.settings import SERVICES, Settings
from storage import migrate
from storage.schema import migration_folders

log = logging.getLogger(__name__)

COMPLETE = "all migrations are applied"


def folders_of(service: str) -> tuple[Path, Path]:
    """Where the migrations of a service are: the shared ones and its own."""
    [packages] = services.__path__
    return migration_folders(Path(packages) / service)


async def reconcile(settings: Settings) -> list[str]:
    """Apply what is missing; answers what was applied. Several processes may do it at once.

    A migration that fails in one database does not keep those of the others waiting.

    Raises:
        storage.migrate.MigrationFailed: names each service whose database could not be migrated.
        OSError, asyncpg.PostgresError: see storage.migrate.apply.
    """
    changes, failures = [], []
    for service in SERVICES:
        try:
            names = await migrate.apply(settings.database_url(service), folders_of(service))
        except migrate.MigrationFailed as error:
            failures.append(f"{service}: {error}")
        else:
            changes += [f"{service}: applied {', '.join(names)}"] if names else []
    if failures:
        for change in changes:
            log.info(change)
        raise migrate.MigrationFailed("; ".join(failures))
    return changes
