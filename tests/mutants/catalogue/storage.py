"""Bugs of the storage room; those of the databases' schemas are in migrations.py."""

from tests.mutants.mutant import Area, Mutant

IDEMPOTENCY = "storage/idempotency.py"
OUTBOX = "storage/outbox.py"
POSTGRES = "storage/postgres.py"
RETENTION = "storage/retention.py"
WALK = "storage/walk.py"

IDEMPOTENCY_TESTS = "tests/integration/storage/test_idempotency.py"
OUTBOX_TESTS = "tests/integration/storage/test_outbox.py"
DURABILITY_TESTS = "tests/integration/infra/test_guarantees.py"

STORAGE = Area(
    suites=("unit", "simulation", "engines"),
    mutants=(
        Mutant(
            "the age of a key is measured the wrong way round",
            IDEMPOTENCY,
            "WHERE created_at < now() - $1::interval",
            "WHERE created_at > now() - $1::interval",
            IDEMPOTENCY_TESTS,
        ),
        Mutant(
            "all expired keys are deleted at once",
            IDEMPOTENCY,
            "ORDER BY created_at LIMIT $2",
            "ORDER BY created_at LIMIT $2 * 1000",
            IDEMPOTENCY_TESTS,
        ),
        Mutant(
            "a key is claimed by everybody",
            IDEMPOTENCY,
            "ON CONFLICT (key) DO NOTHING RETURNING key",
            "ON CONFLICT (key) DO UPDATE SET key = EXCLUDED.key RETURNING key",
            IDEMPOTENCY_TESTS,
        ),
        Mutant(
            "the answers to all keys are that of one",
            IDEMPOTENCY,
            '{row["key"]: StoredAnswer(row["fingerprint"], orjson.loads(row["answer"])) for row in rows}',
            '{key: StoredAnswer(rows[0]["fingerprint"], orjson.loads(rows[0]["answer"])) for key in keys if rows}',
            f"tests/behaviour/test_keys.py {IDEMPOTENCY_TESTS}",
        ),
        Mutant(
            "another body gets the first answer",
            IDEMPOTENCY,
            "        if fingerprint != self.fingerprint:\n",
            "        if False:\n",
        ),
        Mutant(
            "two bodies of the same length are the same",
            IDEMPOTENCY,
            "hashlib.sha256(body.model_dump_json().encode()).digest()",
            "hashlib.sha256(str(len(body.model_dump_json())).encode()).digest()",
            "tests/e2e/test_http_idempotency.py",
        ),
        Mutant(
            "an event may be appended outside of a transaction",
            OUTBOX,
            "    if not connection.is_in_transaction():\n",
            "    if False:\n",
            f"tests/unit/storage {OUTBOX_TESTS}",
        ),
        Mutant(
            "the age of an event is measured the wrong way round",
            OUTBOX,
            "WHERE created_at < now() - $1::interval",
            "WHERE created_at > now() - $1::interval",
            OUTBOX_TESTS,
        ),
        Mutant(
            "expired events are deleted without a bound",
            OUTBOX,
            "ORDER BY id LIMIT $2",
            "ORDER BY id LIMIT $2 * 1000",
            OUTBOX_TESTS,
        ),
        Mutant(
            "the trace of a row is that of the first",
            OUTBOX,
            "[row.traceparent for row in rows]",
            "[rows[0].traceparent for row in rows]",
            "tests/unit/storage tests/integration/services",
        ),
        Mutant(
            "the rows of a batch are stored in the order of their types",
            OUTBOX,
            "    await connection.execute(\n        INSERT_ROWS,",
            "    rows = sorted(rows, key=lambda row: row.type)\n    await connection.execute(\n        INSERT_ROWS,",
            OUTBOX_TESTS,
        ),
        Mutant(
            "a deadlock makes a dead letter",
            POSTGRES,
            "    asyncpg.TransactionRollbackError,  # serialization failure, deadlock\n",
            "",
        ),
        Mutant(
            "a database that shuts down makes dead letters",
            POSTGRES,
            "    asyncpg.OperatorInterventionError,  # shutting down, or a backend was terminated\n",
            "",
        ),
        Mutant(
            "a full disk makes dead letters",
            POSTGRES,
            "    asyncpg.InsufficientResourcesError,  # disk full, too many connections\n",
            "",
        ),
        Mutant(
            "a lock that is not available makes a dead letter", POSTGRES, "    asyncpg.LockNotAvailableError,\n", ""
        ),
        Mutant("a missing table makes dead letters", POSTGRES, "    asyncpg.UndefinedTableError,\n", ""),
        Mutant("locks are waited for without a limit", POSTGRES, '    "lock_timeout": "10s",\n', "", DURABILITY_TESTS),
        Mutant(
            "a hanging client keeps its locks",
            POSTGRES,
            '    "idle_in_transaction_session_timeout": "30s",\n',
            "",
            DURABILITY_TESTS,
        ),
        Mutant(
            "the retentions are swapped",
            RETENTION,
            '"outbox": partial(database.delete_expired_events, settings.outbox_retention)',
            '"outbox": partial(database.delete_expired_events, settings.idempotency_retention)',
        ),
        Mutant(
            "the keys are kept for good",
            RETENTION,
            '        "idempotency keys": partial(database.delete_expired_keys, settings.idempotency_retention),\n',
            "",
        ),
        Mutant(
            "events are kept for a day only",
            RETENTION,
            "Field(default=7 * 24 * 3600, ge=60)",
            "Field(default=24 * 3600, ge=60)",
        ),
        Mutant("a retention may be nothing", RETENTION, "Field(default=24 * 3600, ge=60)", "Field(default=24 * 3600)"),
        Mutant(
            "a walk goes on from the first id of a batch",
            WALK,
            "total + len(ids), ids[-1]",
            "total + len(ids), ids[0]",
        ),
        Mutant("a walk skips negative ids", WALK, "BELOW_EVERY_ID = -(2**63)", "BELOW_EVERY_ID = 0"),
    ),
)
