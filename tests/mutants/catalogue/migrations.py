"""Bugs of the databases' schemas, and of how migrations are applied and waited for."""

from tests.mutants.mutant import Area, Mutant

MIGRATE = "storage/migrate.py"
SCHEMA = "storage/schema.py"
POSTGRES = "storage/postgres.py"

MIGRATION_TESTS = "tests/integration/storage/test_migrate.py"
WAITING_TESTS = "tests/integration/storage/test_postgres_waiting_for_the_schema.py"
OUTBOX_TESTS = "tests/integration/storage/test_outbox.py"

MIGRATIONS = Area(
    suites=("unit", "engines"),
    mutants=(
        Mutant(
            "a service does not wait for its schema",
            SCHEMA,
            "return [name for name in required if _version(name) not in applied]",
            "return []",
            WAITING_TESTS,
        ),
        Mutant(
            "an empty database is taken for complete",
            SCHEMA,
            "        return list(required)\n",
            "        return []\n",
            WAITING_TESTS,
        ),
        Mutant(
            "a service whose schema is complete stays closed",
            POSTGRES,
            "            self.missing_schema = text\n",
            "            pass\n",
            WAITING_TESTS,
        ),
        Mutant(
            "a service opens before its schema is complete",
            POSTGRES,
            '        self.missing_schema: str | None = "the database has not answered yet"\n',
            "        self.missing_schema: str | None = None\n",
            WAITING_TESTS,
        ),
        Mutant(
            "a migration waits for its lock for ever",
            MIGRATE,
            '    "lock_timeout": "1s",\n',
            '    "lock_timeout": "0",\n',
            MIGRATION_TESTS,
        ),
        Mutant(
            "a migration that does not get its lock is given up",
            MIGRATE,
            "raise (TableBusy if BUSY.search(text) else MigrationFailed)(text)",
            "raise MigrationFailed(text)",
            MIGRATION_TESTS,
        ),
        Mutant(
            "two processes migrate at once",
            MIGRATE,
            "        await _lock(connection, lock_wait)\n",
            "",
            MIGRATION_TESTS,
        ),
        Mutant(
            "an invalid index is taken for done",
            MIGRATE,
            "    await _drop_invalid_indexes(connection, folders)\n    try:\n",
            "    try:\n",
            MIGRATION_TESTS,
        ),
        Mutant(
            "an invalid index is left behind",
            MIGRATE,
            "        await _drop_invalid_indexes(connection, folders)\n        raise\n",
            "        raise\n",
            MIGRATION_TESTS,
        ),
        Mutant(
            "the keeper does not migrate",
            "infra/provision/keeper.py",
            '        Task("schema", lambda: schema.reconcile(settings)),\n',
            "",
            "tests/unit/infra/provision/test_keeper.py tests/e2e/test_keeper.py",
        ),
        Mutant(
            "the database does not keep the credit limit",
            "services/customer/migrations/0101_customers.sql",
            "CHECK (reserved_cents BETWEEN 0 AND credit_limit_cents)",
            "CHECK (reserved_cents >= 0)",
            "tests/integration/services/customer",
        ),
        Mutant(
            "the database takes an event that Kafka refuses",
            "storage/migrations/0001_outbox.sql",
            "octet_length(payload::text) <= 65536",
            "octet_length(payload::text) <= 6553600",
            OUTBOX_TESTS,
        ),
        Mutant(
            "the database takes an event that nobody can read",
            "storage/migrations/0001_outbox.sql",
            "CHECK (payload::jsonb IS NOT NULL)",
            "CHECK (payload IS NOT NULL)",
            OUTBOX_TESTS,
        ),
        Mutant(
            "the ids of events are not in the order of time",
            "storage/migrations/0001_outbox.sql",
            "DEFAULT uuidv7()",
            "DEFAULT gen_random_uuid()",
            OUTBOX_TESTS,
        ),
        Mutant(
            "the database takes an event without a topic",
            "services/order/migrations/0102_publication.sql",
            "CHECK (aggregatetype IN ('order', 'probe'))",
            "CHECK (aggregatetype IN ('order', 'orders', 'probe'))",
            f"{OUTBOX_TESTS} tests/e2e/test_poison.py",
        ),
        Mutant(
            "deleted events are published",
            "services/order/migrations/0102_publication.sql",
            "WITH (publish = 'insert')",
            "WITH (publish = 'insert, delete')",
            f"{OUTBOX_TESTS} tests/integration/infra/test_guarantees.py",
        ),
        Mutant(
            "Debezium may change the outbox",
            "services/customer/migrations/0102_publication.sql",
            "GRANT SELECT ON outbox TO customer_service_cdc",
            "GRANT ALL ON outbox TO customer_service_cdc",
            "tests/e2e/test_refusals.py",
        ),
        Mutant(
            "the database takes a rejection without a reason",
            "services/order/migrations/0101_orders.sql",
            "CHECK ((state = 'REJECTED') = (rejection_reason IS NOT NULL))",
            "CHECK (state = 'REJECTED' OR rejection_reason IS NULL)",
            "tests/integration/services/order tests/behaviour/test_orders.py",
        ),
    ),
)
