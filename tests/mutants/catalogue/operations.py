"""Bugs of the operator's commands."""

from tests.mutants.mutant import Area, Mutant

AUDIT = "operations/audit.py"
COMMANDS = "operations/__main__.py"
DEAD_LETTERS = "operations/dead_letters.py"
EXPLAIN = "operations/explain.py"
REBUILD = "operations/rebuild.py"
SOURCES = "operations/sources.py"

AUDIT_TESTS = "tests/e2e/test_audit.py"
OPERATIONS_TESTS = "tests/e2e/test_operations.py"
POISON_TESTS = "tests/e2e/test_poison.py"
REBUILD_TESTS = "tests/e2e/test_rebuild.py"

OPERATIONS = Area(
    suites=("unit", "simulation", "stack"),
    mutants=(
        Mutant("the audit does not look at the outboxes", AUDIT, "_decisions, _outboxes, _view", "_decisions, _view"),
        Mutant(
            "the audit does not look at dead letters",
            AUDIT,
            "_sent, _forwarded, _dead_letters)",
            "_sent, _forwarded)",
        ),
        Mutant(
            "the audit compares the view without versions",
            AUDIT,
            "        elif truth[key] != view[key]:\n",
            '        elif _differences(truth[key], view[key]).partition("version")[0]:\n',
        ),
        Mutant(
            "an order that is in the view only is no finding",
            AUDIT,
            "    for key in truth.keys() | view.keys():\n",
            "    for key in truth.keys():\n",
        ),
        Mutant(
            "a version that the outbox lacks is no finding",
            AUDIT,
            "if isinstance(row, Order) else []",
            "if False else []",
        ),
        Mutant(
            "an event of a state that nobody has is no finding",
            AUDIT,
            "extra = sorted(version for version in sent if version > stored)",
            "extra = sorted(version for version in sent if version > stored + 1)",
        ),
        Mutant(
            "an approved order may have released credit",
            AUDIT,
            '("APPROVED", None): frozenset({"RESERVED"})',
            '("APPROVED", None): frozenset({"RESERVED", "RELEASED"})',
        ),
        Mutant(
            "the amount of a reservation is not compared",
            AUDIT,
            "if (order.customer_id, order.total) != (reservation.customer_id, reservation.amount):",
            "if order.customer_id != reservation.customer_id:",
        ),
        Mutant(
            "released credit counts as reserved",
            AUDIT,
            '        if reservation.state == "RESERVED":\n',
            '        if reservation.state in ("RESERVED", "RELEASED"):\n',
        ),
        Mutant(
            "what is late is never wrong",
            AUDIT,
            "if backlog and finding.check not in HOLD_ALWAYS]",
            "if backlog]",
        ),
        Mutant(
            "what is wrong is only late",
            AUDIT,
            "late = [finding for finding in lasting if backlog and",
            "late = [finding for finding in lasting if",
        ),
        Mutant(
            "a finding of one look is wrong",
            AUDIT,
            "lasting = sorted(set(first) & set(second))",
            "lasting = sorted(set(first) | set(second))",
        ),
        Mutant(
            "records of a recreated topic count as forwarded",
            AUDIT,
            "if snapshot.topic_ids.get(m.position.topic) == m.topic_id}",
            "}",
        ),
        Mutant(
            "an audit with findings ends well",
            COMMANDS,
            "sys.exit(1 if result.wrong else 0)",
            "sys.exit(0)",
            f"tests/unit/operations {AUDIT_TESTS}",
        ),
        Mutant(
            "the audit does not show what is wrong",
            COMMANDS,
            '(("WRONG", result.wrong), ("late ", result.late))',
            '(("late ", result.late),)',
            f"tests/unit/operations {AUDIT_TESTS}",
        ),
        Mutant(
            "the audit compares its first look with itself",
            COMMANDS,
            "compare(first, audit(snapshot), backlog",
            "compare(first, first, backlog",
            f"tests/unit/operations {AUDIT_TESTS}",
        ),
        Mutant(
            "an outage is shown with its traceback",
            COMMANDS,
            "    except OUTAGES as error:\n        raise click.ClickException(outage(error)) from error\n",
            "",
            "tests/unit/operations tests/e2e/test_operations_outages.py",
        ),
        Mutant(
            "republishing of all services leaves one out",
            COMMANDS,
            '        if service in {name, "all"}:\n',
            '        if service == name or (service == "all" and name == SERVICES[0]):\n',
            f"tests/unit/operations {OPERATIONS_TESTS}",
        ),
        Mutant(
            "the orders are republished in place of the customers",
            "operations/republish.py",
            '        if service == "customer":\n',
            '        if service == "order":\n',
            OPERATIONS_TESTS,
        ),
        Mutant(
            "a redelivered dead letter keeps its position in Kafka",
            DEAD_LETTERS,
            '("Dead-Letter-", "Kafka-", "Nats-")',
            '("Dead-Letter-", "Nats-")',
            POISON_TESTS,
        ),
        Mutant(
            "a dead letter is deleted before it is redelivered",
            DEAD_LETTERS,
            "    await client.jetstream().publish(subject, letter.payload, headers=headers, stream=EVENTS)\n",
            "",
            f"{OPERATIONS_TESTS} {POISON_TESTS}",
        ),
        Mutant(
            "a redelivered dead letter is taken for a repeat",
            DEAD_LETTERS,
            'f"again:{letter.headers[MESSAGE_ID]}:{letter.sequence}"',
            "letter.headers[MESSAGE_ID]",
            f"{OPERATIONS_TESTS} {POISON_TESTS}",
        ),
        Mutant(
            "a redelivered dead letter stays in the list",
            DEAD_LETTERS,
            '    await request(client, f"STREAM.MSG.DELETE.{DEAD_LETTERS}", {"seq": letter.sequence})\n',
            "",
            f"{OPERATIONS_TESTS} {POISON_TESTS}",
        ),
        Mutant(
            "an order is explained without the customer service",
            EXPLAIN,
            '(("order", sources.orders), ("customer", sources.customers))',
            '(("order", sources.orders),)',
            OPERATIONS_TESTS,
        ),
        Mutant(
            "an unknown order is explained",
            EXPLAIN,
            "    if not events and not any(known for _, known in lines):\n",
            "    if not events and not lines:\n",
            OPERATIONS_TESTS,
        ),
        Mutant(
            "the events of an order are told in any order",
            EXPLAIN,
            'sorted(events, key=lambda event: event[1]["created_at"])',
            "reversed(events)",
            OPERATIONS_TESTS,
        ),
        Mutant(
            "a view is rebuilt from a stream without its beginning",
            REBUILD,
            '    if state["first_seq"] > 1:\n',
            "    if False:\n",
            REBUILD_TESTS,
        ),
        Mutant(
            "a rebuild does not wait for the republished states",
            REBUILD,
            "    while missing:\n",
            "    while False:\n",
            REBUILD_TESTS,
        ),
        Mutant(
            "a second rebuild begins beside the first",
            REBUILD,
            "    if building:\n",
            "    if False:\n",
            REBUILD_TESTS,
        ),
        Mutant(
            "the last message of the stream is not read",
            SOURCES,
            'if metadata.sequence.stream >= state["last_seq"]:',
            'if metadata.sequence.stream >= state["last_seq"] - 1:',
            f"{AUDIT_TESTS} {OPERATIONS_TESTS}",
        ),
        Mutant(
            "the audit does not read the customers' topic",
            SOURCES,
            'TOPICS = ("events.customer", "events.order", "events.probe")',
            'TOPICS = ("events.order", "events.probe")',
            f"{AUDIT_TESTS} {OPERATIONS_TESTS}",
        ),
        Mutant(
            "the parts of a database are read at different times",
            SOURCES,
            'connection.transaction(isolation="repeatable_read", readonly=True)',
            "connection.transaction(readonly=True)",
            AUDIT_TESTS,
        ),
        Mutant(
            "the versions of events are not read",
            SOURCES,
            "return int(text) if text is not None and text.isdecimal() else None",
            "return None",
            AUDIT_TESTS,
        ),
    ),
)
