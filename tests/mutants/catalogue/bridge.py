"""Bugs of the bridge."""

from tests.mutants.mutant import Area, Mutant

EVENT_STREAM = "services/bridge/event_stream.py"
JETSTREAM = "services/bridge/jetstream.py"
KAFKA = "services/bridge/kafka.py"
RELAY = "services/bridge/relay.py"
TRANSLATE = "services/bridge/translate.py"
SERVICE = "services/bridge/service.py"

RELAY_TESTS = "tests/integration/services/bridge/test_relay.py"
PUBLISHING_TESTS = "tests/behaviour/test_publishing.py"
READING_TESTS = "tests/behaviour/test_reading_kafka.py"

BRIDGE = Area(
    suites=("unit", "simulation", "long simulation", "engines"),
    mutants=(
        Mutant(
            "the position is off by one",
            EVENT_STREAM,
            "int(headers[KAFKA_OFFSET]) + 1",
            "int(headers[KAFKA_OFFSET]) + 2",
        ),
        Mutant(
            "the topic's id is ignored",
            EVENT_STREAM,
            "if headers.get(KAFKA_TOPIC_ID) == topic.id:",
            "if headers:",
        ),
        Mutant(
            "a lost tail goes unnoticed",
            EVENT_STREAM,
            "        if last_sequence != self._last_sequence:",
            "        if False:",
        ),
        Mutant(
            "a refused batch is taken for stored",
            EVENT_STREAM,
            "            return False\n        self._stored",
            "            return True\n        self._stored",
        ),
        Mutant(
            "partitions are mixed in a chain",
            EVENT_STREAM,
            "sorted(messages[:MAX_PIPELINED], key=lambda message: message.partition_subjects)",
            "[*messages[:MAX_PIPELINED]]",
        ),
        Mutant(
            "what another bridge stores meanwhile is not noticed",
            EVENT_STREAM,
            "        if sequence > self._last_sequence:\n",
            "        if False:\n",
        ),
        Mutant(
            "a message without an id is chained",
            EVENT_STREAM,
            "            if not all(message.event_id for message in group):\n",
            "            if False:\n",
            PUBLISHING_TESTS,
        ),
        Mutant(
            "a batch larger than the server takes is sent as one",
            EVENT_STREAM,
            "MAX_BATCH = 1000",
            "MAX_BATCH = 10_000",
        ),
        Mutant(
            "a batch is not atomic",
            JETSTREAM,
            "message.headers | {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)}",
            "dict(message.headers)",
        ),
        Mutant(
            "no fence on a batch", JETSTREAM, "        numbered[0][1][EXPECTED_LAST_SEQUENCE] = str(expected)\n", ""
        ),
        Mutant(
            "no fence on a message",
            JETSTREAM,
            "message.headers | {EXPECTED_LAST_SEQUENCE: str(expected + number)}",
            "dict(message.headers)",
        ),
        Mutant(
            "a chain is not linked",
            JETSTREAM,
            "            headers[EXPECTED_LAST_MESSAGE_ID] = before.headers[MESSAGE_ID]\n",
            "            pass\n",
        ),
        Mutant("a chain goes on in any partition", JETSTREAM, "        elif before:\n", "        elif False:\n"),
        Mutant(
            "what follows a repeat in a chain is skipped",
            JETSTREAM,
            "return number + 1, expected + number",
            "return len(messages), expected + number",
        ),
        Mutant(
            "a repeat in a chain counts as stored",
            JETSTREAM,
            '            if ack.get("duplicate"):\n',
            "            if False:\n",
        ),
        Mutant(
            "consumers beyond the end are kept",
            JETSTREAM,
            "            await delete_consumer(self._client, EVENTS, name)\n",
            "",
        ),
        Mutant(
            "a replaced connection is written to",
            JETSTREAM,
            'if not self._client.is_connected or self._client.stats["reconnects"] != self._connection:',
            "if not self._client.is_connected:",
            "tests/unit/services/bridge tests/behaviour/test_publishing.py",
        ),
        Mutant(
            "a closed connection is opened again and again",
            JETSTREAM,
            "        if self._client.is_closed:\n",
            "        if False:\n",
            "tests/unit/services/bridge",
        ),
        Mutant(
            "a refused link of a chain ends the bridge",
            JETSTREAM,
            "case _ErrorCode.WRONG_LAST_SEQUENCE | _ErrorCode.WRONG_LAST_MESSAGE_ID:",
            "case _ErrorCode.WRONG_LAST_SEQUENCE:",
        ),
        Mutant(
            "the stream of dead letters is not created",
            JETSTREAM,
            "        await ensure_stream(self._client, DEAD_LETTERS)\n",
            "",
            "tests/behaviour tests/integration/services/bridge",
        ),
        Mutant(
            "a failed publish is skipped",
            RELAY,
            "                await stream.append([translate(record) for record in records])",
            "                try:\n                    await stream.append([translate(record) for record in records])\n                except FAULTS:\n                    await stream.open()",
        ),
        Mutant(
            "new topics go unnoticed",
            RELAY,
            "if await self._records.describe(self.topic_names) != topics:",
            "if False:",
        ),
        Mutant(
            "the offsets are read before the end of the stream",
            RELAY,
            "        await stream.open()\n        topics = await self._records.describe(self.topic_names)\n        offsets = await stream.next_offsets(topics)\n",
            "        topics = await self._records.describe(self.topic_names)\n        await stream.open()\n        offsets = await stream.next_offsets(topics)\n        await stream.open()\n",
        ),
        Mutant(
            "a fault of the bridge is never over",
            RELAY,
            "        topics = await self._start(stream)\n        self.fault = None\n",
            "        topics = await self._start(stream)\n",
        ),
        Mutant(
            "a fenced bridge ends",
            RELAY,
            "(*UNREACHABLE_ERRORS, KafkaException, Fenced, TopicsChanged)",
            "(*UNREACHABLE_ERRORS, KafkaException, TopicsChanged)",
        ),
        Mutant(
            "an idle bridge checks nothing",
            RELAY,
            "            if now() - checked > CHECK_SECONDS:\n",
            "            if records and now() - checked > CHECK_SECONDS:\n",
        ),
        Mutant(
            "a stopped bridge goes on",
            RELAY,
            "        while not self._stopping:\n            records = ",
            "        while True:\n            records = ",
        ),
        Mutant(
            "offsets that go back are handed on",
            KAFKA,
            "if offset < self._next_offsets[topic, partition]:",
            "if False:",
            READING_TESTS,
        ),
        Mutant(
            "an offset beyond the end is waited for",
            KAFKA,
            "            if partition.offset > end:\n",
            "            if False:\n",
            READING_TESTS,
        ),
        Mutant(
            "a partition without a position is read from its end",
            KAFKA,
            "offsets.get((topic.name, number), OFFSET_BEGINNING)",
            "offsets.get((topic.name, number), -1)",
            READING_TESTS,
        ),
        Mutant(
            "the first partition only is read",
            KAFKA,
            "            for number in range(topic.partitions)\n        ]\n        await",
            "            for number in range(1)\n        ]\n        await",
            READING_TESTS,
        ),
        Mutant(
            "a lone record waits for others",
            KAFKA,
            "        return [first, *self._consumer.consume(limit - 1, 0)]",
            "        return [first, *self._consumer.consume(limit - 1, POLL_SECONDS)]",
        ),
        Mutant(
            "an unreadable record is left without a position",
            TRANSLATE,
            "    headers[KAFKA_OFFSET] = str(record.offset)\n",
            "    if token != UNREADABLE:\n        headers[KAFKA_OFFSET] = str(record.offset)\n",
        ),
        Mutant(
            "a record can forge its position",
            TRANSLATE,
            "    headers[KAFKA_PARTITION] = str(record.partition)\n",
            "    headers.setdefault(KAFKA_PARTITION, str(record.partition))\n",
        ),
        Mutant(
            "a record can speak to the server",
            TRANSLATE,
            "(?i)(?!nats-|status$|description$)",
            "(?i)(?!nats-msg-id$|status$|description$)",
        ),
        Mutant(
            "a line end in a header is passed on",
            TRANSLATE,
            '_NOT_IN_A_HEADER = re.compile(r"[\\r\\n\\x00]")',
            '_NOT_IN_A_HEADER = re.compile(r"[\\x00]")',
        ),
        Mutant(
            "a record that is too large is forwarded",
            TRANSLATE,
            "    if (size := len(payload)) > LARGEST_PAYLOAD:\n",
            "    if (size := len(payload)) > 2 * LARGEST_PAYLOAD:\n",
        ),
        Mutant(
            "the bridge is ready while it forwards nothing",
            SERVICE,
            'checks={"relay": fault_of(relay)}',
            "checks={}",
        ),
        Mutant("the bridge forwards nothing", SERVICE, 'workers={"relay": relay}', "workers={}"),
        Mutant(
            "the topics of the settings are ignored",
            SERVICE,
            "Relay(ports.stream, ports.records, settings.topics)",
            'Relay(ports.stream, ports.records, ("events.order", "events.customer"))',
        ),
        Mutant(
            "the bridge forwards no customers",
            "services/bridge/settings.py",
            '("events.customer", "events.order", "events.probe")',
            '("events.order", "events.probe")',
        ),
        Mutant(
            "the bridge logs in without a password",
            "services/bridge/kafka_login.py",
            '"security.protocol": "SASL_PLAINTEXT"',
            '"security.protocol": "PLAINTEXT"',
            READING_TESTS,
        ),
    ),
)
