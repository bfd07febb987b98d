"""Bugs of the provisioning and of the keeper."""

from tests.mutants.mutant import Area, Mutant

CONNECTORS = "infra/provision/connectors.py"
KAFKA = "infra/provision/kafka.py"
KEEPER = "infra/provision/keeper.py"
MONGO = "infra/provision/mongo.py"
POSTGRES = "infra/provision/postgres.py"
RECREATED = "infra/provision/recreated_topics.py"


KEEPER_TESTS = "tests/unit/infra/provision/test_keeper.py tests/e2e/test_keeper.py"
REFUSALS_TESTS = "tests/e2e/test_refusals.py"

PROVISION = Area(
    suites=("unit", "stack"),
    mutants=(
        Mutant(
            "a failed connector stays failed",
            CONNECTORS,
            '    if "FAILED" in states:\n',
            "    if False:\n",
            KEEPER_TESTS,
        ),
        Mutant(
            "a failed task is not restarted",
            CONNECTORS,
            '{"includeTasks": "true", "onlyFailed": "true"}',
            '{"includeTasks": "false", "onlyFailed": "true"}',
            KEEPER_TESTS,
        ),
        Mutant(
            "a stopped connector stays stopped",
            CONNECTORS,
            '    if "STOPPED" in states:\n',
            "    if False:\n",
            KEEPER_TESTS,
        ),
        Mutant(
            "a changed connector stays changed",
            CONNECTORS,
            'if actual.is_error or actual.json() != connector.config | {"name": connector.name}:',
            "if actual.is_error:",
            KEEPER_TESTS,
        ),
        Mutant(
            "a connector whose task does not run is taken for running",
            CONNECTORS,
            '            if states != ["RUNNING", "RUNNING"]:\n',
            '            if "RUNNING" not in states:\n',
            "tests/unit/infra tests/e2e/test_keeper.py",
        ),
        Mutant(
            "a resnapshot keeps the connectors' offsets",
            CONNECTORS,
            "            poll(partial(_delete_offset, api, connector.name), within=TIMEOUT_SECONDS)\n",
            "",
            "tests/e2e/test_keeper.py tests/chaos/test_wipes.py",
        ),
        Mutant(
            "a missing topic stays missing",
            KAFKA,
            "_create(admin, [topic for topic in topics if topic.name not in existing])",
            "_create(admin, [] if existing else topics)",
            KEEPER_TESTS,
        ),
        Mutant(
            "a changed option of a topic stays changed",
            KAFKA,
            "        if changed:\n            _set_options",
            "        if False:\n            _set_options",
            KEEPER_TESTS,
        ),
        Mutant(
            "partitions are not added",
            KAFKA,
            "return changes + _add_partitions(admin, present, existing) + _restore_options(admin, present)",
            "return changes + _restore_options(admin, present)",
            KEEPER_TESTS,
        ),
        Mutant(
            "the keeper does not look after the roles",
            KEEPER,
            '        Task("postgres", lambda: postgres.reconcile(settings)),\n',
            "",
            KEEPER_TESTS,
        ),
        Mutant(
            "the keeper does not drop lost slots",
            KEEPER,
            '        Task("slots", lambda: postgres.drop_lost_slots(settings)),\n',
            "",
            KEEPER_TESTS,
        ),
        Mutant(
            "the keeper does not look after MongoDB",
            KEEPER,
            '        Task("mongo", lambda: asyncio.to_thread(mongo.reconcile, settings), every=3),\n',
            "",
            KEEPER_TESTS,
        ),
        Mutant(
            "the keeper does not notice recreated topics",
            KEEPER,
            '        Task("recreated topics", lambda: recreated_topics.reconcile(settings)),\n',
            "",
            KEEPER_TESTS,
        ),
        Mutant(
            "the keeper ends with the first engine that is away",
            KEEPER,
            "        except ENGINE_IS_AWAY as error:\n",
            "        except TimeoutError as error:\n",
        ),
        Mutant(
            "the keeper retries in its slow rhythm",
            KEEPER,
            "settings.keeper_interval_seconds if all(in_order) else RETRY_SECONDS",
            "settings.keeper_interval_seconds",
            KEEPER_TESTS,
        ),
        Mutant(
            "MongoDB's administrator is not created again",
            MONGO,
            "        if error.code != AUTHENTICATION_FAILED:\n            raise\n",
            "        raise\n",
            KEEPER_TESTS,
        ),
        Mutant(
            "the history's user may do anything",
            MONGO,
            'roles = [{"role": "readWrite", "db": login.database}]',
            'roles = [{"role": "readWriteAnyDatabase", "db": "admin"}]',
            REFUSALS_TESTS,
        ),
        Mutant(
            "changed roles of the history's user stay changed",
            MONGO,
            '        if users[0]["roles"] != roles:\n',
            "        if False:\n",
            KEEPER_TESTS,
        ),
        Mutant(
            "every role may connect to every database",
            POSTGRES,
            '        await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC")\n',
            "        pass\n",
            REFUSALS_TESTS,
        ),
        Mutant(
            "a role that lost its login does not get it back",
            POSTGRES,
            'if (found["rolcanlogin"], found["rolreplication"]) != (True, role.replicates):',
            "if False:",
            KEEPER_TESTS,
        ),
        Mutant(
            "the service's role may replicate",
            POSTGRES,
            "Role(database, password, replicates=False)",
            "Role(database, password, replicates=True)",
            KEEPER_TESTS,
        ),
        Mutant(
            "a slot in use is dropped",
            POSTGRES,
            "\"WHERE wal_status = 'lost' AND NOT active AND slot_name = ANY($1)\"",
            '"WHERE NOT active AND slot_name = ANY($1)"',
            KEEPER_TESTS,
        ),
        Mutant(
            "a recreated topic gets no events again",
            RECREATED,
            "            changes = await asyncio.to_thread(connectors.resnapshot_outboxes, settings)\n",
            "            pass\n",
            KEEPER_TESTS,
        ),
        Mutant(
            "the ids of the topics are stored before the outboxes are sent again",
            RECREATED,
            "return any(present.get(name) != topic_id for name, topic_id in stored.items())",
            "return any(name in present and present[name] != topic_id for name, topic_id in stored.items())",
        ),
        Mutant(
            "a verifier of another password",
            "infra/provision/scram.py",
            'server_key = _hmac(salted, b"Server Key")',
            'server_key = _hmac(salted, b"Client Key")',
        ),
    ),
)
