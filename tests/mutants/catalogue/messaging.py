"""Bugs of the messaging room: connection, streams, pull subscription, consumer, dead letters."""

from tests.mutants.mutant import Area, Mutant

CONNECTION = "messaging/connection.py"
CONSUMER = "messaging/consumer.py"
DEAD_LETTERS = "messaging/dead_letters.py"
ENVELOPE = "messaging/envelope.py"
PROGRESS = "messaging/progress.py"
PULL = "messaging/pull.py"
STREAMS = "messaging/streams.py"
SUBSCRIBER = "messaging/subscriber.py"

DURABILITY_TESTS = "tests/integration/infra/test_guarantees.py"
PULL_TESTS = "tests/behaviour/test_pulling.py tests/integration/messaging/test_pull.py"
STREAMS_TESTS = "tests/integration/messaging/test_streams.py"

MESSAGING = Area(
    suites=("unit", "simulation", "long simulation", "engines"),
    mutants=(
        Mutant(
            "the ack comes before the commit",
            CONSUMER,
            "    async def _apply(self, items: Sequence[Item]) -> None:\n",
            "    async def _apply(self, items: Sequence[Item]) -> None:\n        for delivery, _ in items:\n            await delivery.ack()\n",
        ),
        Mutant("dead letter before the retry", CONSUMER, "attempts: int = 5", "attempts: int = 1"),
        Mutant(
            "an unseen row gets no more patience",
            CONSUMER,
            "if isinstance(error, UNSEEN) else self.attempts",
            "if False else 1",
        ),
        Mutant(
            "a failing message is acked",
            CONSUMER,
            "        await delivery.nak(self._options.policy.delay(failures))",
            "        await delivery.ack()",
        ),
        Mutant(
            "a failing message comes back at once",
            CONSUMER,
            "await delivery.nak(self._options.policy.delay(failures))",
            "await delivery.nak()",
        ),
        Mutant(
            "a batch's failure condemns all of it",
            CONSUMER,
            "            if len(items) == 1:\n                await self._settle_failed(items[0][0], error)",
            "            if True:\n                for item in items:\n                    await self._dead_letter(item[0], error)",
        ),
        Mutant(
            "transient faults count",
            CONSUMER,
            "retry_transient(self._options.transient, self._note_fault)",
            "retry_transient((), self._note_fault)",
        ),
        Mutant(
            "a dead letter is acked unsaved",
            CONSUMER,
            "                await self._dead_letters.store(delivery, error)",
            "                pass",
        ),
        Mutant(
            "a dead letter that cannot be stored ends the process",
            CONSUMER,
            "retry_transient(UNREACHABLE_ERRORS, self._note_fault)",
            "retry_transient((), self._note_fault)",
        ),
        Mutant(
            "a lost subscription ends the process",
            CONSUMER,
            "(SubscriptionLost, *UNREACHABLE_ERRORS)",
            "UNREACHABLE_ERRORS",
        ),
        Mutant(
            "a fault of the database is never over",
            CONSUMER,
            "        self.fault = None\n        for delivery, _ in items:\n",
            "        for delivery, _ in items:\n",
        ),
        Mutant(
            "failures are remembered without a bound",
            CONSUMER,
            "        if len(self._failures) > REMEMBERED_FAILURES:\n",
            "        if False:\n",
        ),
        Mutant(
            "a dead letter carries the fence",
            DEAD_LETTERS,
            "if not name.startswith(SERVER_PREFIX)}",
            "}",
        ),
        Mutant(
            "a dead letter has its event's id",
            DEAD_LETTERS,
            "headers[MESSAGE_ID] = f\"{self._consumer}:{delivery.sequence}:{delivery.headers.get(MESSAGE_ID, '')}\"",
            'headers[MESSAGE_ID] = delivery.headers.get(MESSAGE_ID, "")',
        ),
        Mutant(
            "an error of several lines breaks a dead letter's headers",
            DEAD_LETTERS,
            'return " ".join(text.split())[:ERROR_LENGTH]',
            "return text[:ERROR_LENGTH]",
        ),
        Mutant("a consumer starts at new messages", STREAMS, '"deliver_policy": "all"', '"deliver_policy": "new"'),
        Mutant("the server gives a message up", STREAMS, '"max_deliver": -1', '"max_deliver": 20', DURABILITY_TESTS),
        Mutant("the stream is in memory", STREAMS, '"storage": "file"', '"storage": "memory"', DURABILITY_TESTS),
        Mutant(
            "a full stream refuses events",
            STREAMS,
            '"discard": "old"',
            '"discard": "new"',
            DURABILITY_TESTS,
        ),
        Mutant(
            "generations share a place in the stream",
            STREAMS,
            'return f"{self.name}_{self.generation}" if self.generation else self.name',
            "return self.name",
        ),
        Mutant(
            "a consumer past the end of the stream waits for it",
            STREAMS,
            'if info["delivered"]["stream_seq"] > stream["state"]["last_seq"]:',
            "if False:",
        ),
        Mutant(
            "a consumer with a single filter ends the process",
            STREAMS,
            'config.get("filter_subjects") or',
            'config["filter_subjects"] or',
        ),
        Mutant(
            "an older instance takes a newer one's subjects away",
            STREAMS,
            '    wanted["filter_subjects"] = ',
            "    _ = ",
        ),
        Mutant(
            "a changed option of a stream stays",
            STREAMS,
            '    if _differs(wanted, info["config"]):\n        info = await',
            "    if False:\n        info = await",
            STREAMS_TESTS,
        ),
        Mutant(
            "dead letters of all services come back to one",
            STREAMS,
            'return f"events.retry.{consumer}.DeadLetter"',
            'return "events.retry.any.DeadLetter"',
            STREAMS_TESTS,
        ),
        Mutant(
            "JetStream's errors are taken for answers",
            STREAMS,
            '    if "error" in answer:\n        APIError.from_error(answer["error"])\n',
            "",
        ),
        Mutant(
            "what is in hand counts as done",
            PROGRESS,
            'left=info["num_pending"] + info["num_ack_pending"]',
            'left=info["num_pending"]',
        ),
        Mutant(
            "a consumer is paused by this machine's clock",
            PROGRESS,
            'datetime.fromisoformat(info["ts"]) + timedelta',
            'datetime.fromtimestamp(0, datetime.fromisoformat(info["ts"]).tzinfo) + timedelta',
        ),
        Mutant(
            "messages in hand are not kept alive",
            PULL,
            "            for reply in held_before & self._held:\n",
            "            for reply in held_before & set():\n",
        ),
        Mutant(
            "messages that were not taken wait for the ack wait",
            PULL,
            "                await self._arrived.popleft().nak()\n",
            "                self._arrived.popleft()\n",
            PULL_TESTS,
        ),
        Mutant(
            "an ack of a lost subscription is sent",
            PULL,
            "if self._lost is None and self._client.is_connected and delivery.reply in self._held:",
            "if self._client.is_connected and delivery.reply in self._held:",
            PULL_TESTS,
        ),
        Mutant(
            "a silent server is waited for",
            PULL,
            "asyncio.get_running_loop().time() - self._last_heard > SILENCE_SECONDS:",
            "asyncio.get_running_loop().time() - self._last_heard > 1e9:",
        ),
        Mutant(
            "an expired request is not renewed",
            PULL,
            '            self._requested -= int(headers.get(PENDING_MESSAGES, "0"))\n            await self._top_up()\n',
            "            await self._top_up()\n",
        ),
        Mutant(
            "a replaced connection goes unnoticed",
            PULL,
            'if self._lost is None and self._client.stats["reconnects"] != self._reconnects:',
            "if False:",
        ),
        Mutant(
            "stop wakes no one",
            PULL,
            "        self._stopped = True\n        self._news.set()\n",
            "        self._stopped = True\n",
        ),
        Mutant(
            "a trace is lost on the way",
            ENVELOPE,
            "traceparent=valid_traceparent(headers.get(TRACEPARENT))",
            "traceparent=None",
        ),
        Mutant(
            "a record that the bridge left out is taken for an event",
            ENVELOPE,
            "    if PROBLEM in headers:\n        raise Undecodable(headers[PROBLEM])\n",
            "",
        ),
        Mutant(
            "an unknown type is a dead letter at once",
            ENVELOPE,
            "raise UnknownEventType(str(error)) from error",
            "raise Undecodable(str(error)) from error",
        ),
        Mutant(
            "NATS is given up after a minute", CONNECTION, "max_reconnect_attempts=-1", "max_reconnect_attempts=120"
        ),
        Mutant(
            "NATS is given up at the start",
            CONNECTION,
            "        allow_reconnect=True,\n",
            "        allow_reconnect=False,\n",
        ),
        Mutant(
            "a waiter that is cancelled cancels the connection",
            CONNECTION,
            "return await asyncio.shield(self._opening)",
            "return await self._opening",
        ),
        Mutant(
            "what is buffered is lost at the stop",
            CONNECTION,
            "            await client.flush(FLUSH_SECONDS)",
            "            pass",
        ),
        Mutant(
            "a server that hangs holds up the stop",
            CONNECTION,
            "    except TimeoutError:\n",
            "    except ZeroDivisionError:\n",
        ),
        Mutant(
            "a subscriber does not wait for its database",
            SUBSCRIBER,
            "                await self.prepare()\n",
            "                pass\n",
        ),
        Mutant(
            "a subscriber that waits for NATS does not stop",
            SUBSCRIBER,
            "        elif self._running:\n            self._running.cancel()\n",
            "",
        ),
        Mutant(
            "dead letters are stored under the generation",
            SUBSCRIBER,
            "DeadLetters(client, self.durable.name)",
            "DeadLetters(client, self.durable.durable_name)",
        ),
    ),
)
