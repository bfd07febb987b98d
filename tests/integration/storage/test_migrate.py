"""Applying migrations to a real PostgreSQL: old databases and new ones, several processes, locks, failures."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from infra.provision import schema
from infra.provision.schema import folders_of
from infra.provision.settings import SERVICES, Settings
from storage.migrate import LOCK_KEY, MigrationFailed, apply
from storage.postgres import open_pool
from storage.schema import migration_names
from tests.engines import fresh_database, migrate_database
from tests.eventually import eventually_async

RELATIONS = """
SELECT c.relname, c.relkind::text, c.relacl::text, a.attname, a.attnum, a.attnotnull, a.attidentity::text,
    format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '^schema_migrations'
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 'schema_migrations'::regclass
"""
INDEXES = """
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'schema_migrations'
"""
PUBLICATIONS = """
SELECT p.pubname, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, t.tablename, t.attnames, t.rowfilter
FROM pg_publication p LEFT JOIN pg_publication_tables t USING (pubname)
"""
CATALOGS = (RELATIONS, CONSTRAINTS, INDEXES, PUBLICATIONS)

NOTES = "-- dbmate's own table, for the queries above\nCREATE TABLE schema_migrations (version varchar PRIMARY KEY)"

EVENT = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('probe', '1', 'FlowProbed', '{}')"

INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


def _schema_of_145242c(service: str) -> str:
    return Path(__file__).with_name(f"schema_145242c_{service}.sql").read_text(encoding="utf-8")


async def _described(pool: asyncpg.Pool) -> list[list[str]]:
    """Columns, defaults, grants, constraints, indexes and publications of a database."""
    return [sorted(str(tuple(row)) for row in await pool.fetch(query)) for query in CATALOGS]


def _migration(folder: Path, name: str, statement: str, options: str = "") -> Path:
    (folder / f"{name}.sql").write_text(f"-- migrate:up {options}\n{statement};\n\n-- migrate:down\n")
    return folder


@pytest.fixture
async def _things(pool: asyncpg.Pool) -> None:
    """A table with three rows in it."""
    await pool.execute("CREATE TABLE things (name text)")
    await pool.execute("INSERT INTO things VALUES ('a'), ('b'), ('b')")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_new_database_and_an_adopted_one_get_the_schema_of_145242c(
    addresses: dict[str, str], pool: asyncpg.Pool, database: str, service: str
) -> None:
    await pool.execute(f"{_schema_of_145242c(service)}; {NOTES}")
    before = await _described(pool)
    assert all(before)
    await pool.execute("DROP TABLE schema_migrations")
    await pool.execute(EVENT)
    assert await apply(database, folders_of(service)) == migration_names(folders_of(service))
    assert await _described(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1
    async with fresh_database(addresses["POSTGRES_URL"]) as url:
        await migrate_database(url, service)
        async with open_pool(url, "test") as migrated:
            assert await _described(migrated) == before


async def test_the_keeper_gives_each_service_its_tables(addresses: dict[str, str]) -> None:
    admin = addresses["POSTGRES_URL"]
    async with fresh_database(admin) as customers, fresh_database(admin) as orders:
        urls = {"CUSTOMER_DATABASE_URL": customers, "ORDER_DATABASE_URL": orders}
        settings = Settings.read({**addresses, **urls})
        assert await schema.reconcile(settings) == [
            f"{service}: applied {', '.join(migration_names(folders_of(service)))}" for service in SERVICES
        ]
        assert await schema.reconcile(settings) == []


async def test_what_is_applied_is_not_applied_again(database: str) -> None:
    await migrate_database(database, "order")
    assert await apply(database, folders_of("order")) == []


async def test_several_processes_at_once_apply_each_migration_once(pool: asyncpg.Pool, database: str) -> None:
    names = migration_names(folders_of("order"))
    applied = await asyncio.gather(*(apply(database, folders_of("order")) for _ in range(4)))
    assert sorted(applied) == [[], [], [], names]
    assert await pool.fetchval("SELECT count(*) FROM schema_migrations") == len(names)


async def test_a_service_of_145242c_that_starts_during_the_migration_ends_with_the_same_schema(
    pool: asyncpg.Pool, database: str
) -> None:
    async def start() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            await connection.execute(_schema_of_145242c("order"))

    await asyncio.gather(start(), apply(database, folders_of("order")), start(), start())
    assert await apply(database, folders_of("order")) == []


@pytest.mark.usefixtures("_things")
async def test_requests_are_answered_while_a_migration_waits_for_its_table(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    folder = _migration(tmp_path, "0201_column", "ALTER TABLE things ADD COLUMN size bigint NOT NULL DEFAULT 0")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM things")
        migrating = asyncio.create_task(apply(database, [folder]))

        async def waits() -> None:
            assert await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

        await eventually_async(waits)
        # It queues behind the migration, whose lock timeout is shorter than this connection's.
        await pool.execute("INSERT INTO things VALUES ('c')")
        assert not migrating.done()
    assert await migrating == ["0201_column"]
    assert await pool.fetchval("SELECT count(*) FROM things WHERE size = 0") == 4


@pytest.mark.usefixtures("_things")
async def test_an_index_is_built_while_others_write_and_wait_for_the_lock(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    statement = "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON things (name)"
    folder = _migration(tmp_path, "0201_index", statement, "transaction:false")
    writing = True

    async def write() -> None:
        while writing:
            await pool.execute("INSERT INTO things VALUES ('c')")

    writer = asyncio.create_task(write())
    applied = await asyncio.gather(*(apply(database, [folder]) for _ in range(3)))
    writing = False
    await writer
    assert sorted(applied) == [[], [], ["0201_index"]]
    assert await pool.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass")


@pytest.mark.usefixtures("_things")
async def test_an_index_that_a_killed_process_left_invalid_is_built_again(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("DELETE FROM things WHERE name = 'a'")
        async with pool.acquire() as killed:
            await killed.execute("SET lock_timeout = '50ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await killed.execute("CREATE INDEX CONCURRENTLY by_name ON things (name)")
            await killed.execute("RESET lock_timeout")
    assert [row[0] for row in await pool.fetch(INVALID)] == ["by_name"]
    statement = "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON things (name)"
    await apply(database, [_migration(tmp_path, "0201_index", statement, "transaction:false")])
    assert await pool.fetch(INVALID) == []
    assert await pool.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass")


@pytest.mark.usefixtures("_things")
async def test_a_unique_index_that_cannot_be_built_is_told_and_leaves_nothing_behind(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    statement = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS by_name ON things (name)"
    folder = _migration(tmp_path, "0201_index", statement, "transaction:false")
    with pytest.raises(MigrationFailed, match=r"0201_index\.sql.*could not create unique index"):
        await apply(database, [folder])
    assert await pool.fetchval("SELECT to_regclass('by_name')") is None


async def test_a_migration_that_fails_is_named_changes_nothing_and_stops_those_behind_it(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    _migration(tmp_path, "0201_first", "CREATE TABLE first ()")
    _migration(tmp_path, "0202_broken", "CREATE TABLE second (); SELECT 1 / 0")
    _migration(tmp_path, "0203_third", "CREATE TABLE third ()")
    with pytest.raises(MigrationFailed, match=r"^0202_broken\.sql: .*division by zero"):
        await apply(database, [tmp_path])
    tables = await pool.fetch("SELECT to_regclass('first'), to_regclass('second'), to_regclass('third')")
    assert [tuple(row) for row in tables] == [("first", None, None)]
    _migration(tmp_path, "0202_broken", "CREATE TABLE second ()")
    assert await apply(database, [tmp_path]) == ["0202_broken", "0203_third"]


async def test_a_process_waits_for_another_one_that_migrates_and_says_so_when_it_takes_too_long(
    pool: asyncpg.Pool, database: str
) -> None:
    async with pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        with pytest.raises(MigrationFailed, match="another process"):
            await apply(database, folders_of("order"), lock_wait=0.2)
        waiting = asyncio.create_task(apply(database, folders_of("order")))
        await other.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
    assert await waiting == migration_names(folders_of("order"))


async def test_a_dbmate_that_outlived_the_process_which_started_it_is_waited_for(database: str) -> None:
    orphan = await asyncpg.connect(database, server_settings={"application_name": "dbmate"})
    with pytest.raises(MigrationFailed, match="another process"):
        await apply(database, folders_of("order"), lock_wait=0.2)
    await orphan.close()
    assert await apply(database, folders_of("order")) == migration_names(folders_of("order"))


@pytest.mark.usefixtures("_things")
async def test_a_migration_that_is_stopped_half_way_is_carried_out_by_the_next_one(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    folder = _migration(tmp_path, "0201_column", "ALTER TABLE things ADD COLUMN size bigint; SELECT pg_sleep(600)")
    stopped = asyncio.create_task(apply(database, [folder]))

    async def is_under_way() -> None:
        assert await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")

    await eventually_async(is_under_way)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    _migration(tmp_path, "0201_column", "ALTER TABLE things ADD COLUMN size bigint")
    assert await apply(database, [folder]) == ["0201_column"]


async def test_a_dbmate_of_another_database_is_not_waited_for(addresses: dict[str, str], database: str) -> None:
    async with fresh_database(addresses["POSTGRES_URL"]) as other:
        orphan = await asyncpg.connect(other, server_settings={"application_name": "dbmate"})
        try:
            assert await apply(database, folders_of("order"), lock_wait=5.0) == migration_names(folders_of("order"))
        finally:
            await orphan.close()
