"""Bugs of the runtime room, and of the contracts that all services share."""

from tests.mutants.mutant import Area, Mutant

GROUP_COMMIT = "runtime/group_commit.py"
HOUSEKEEPING = "runtime/housekeeping.py"
LINGER = "runtime/linger.py"
RETRYING = "runtime/retrying.py"
SERVE = "runtime/serve.py"
SETTINGS = "runtime/settings.py"
WORKERS = "runtime/workers.py"
MONEY = "contracts/money.py"
WIRE = "contracts/wire.py"

RUNTIME = Area(
    suites=("unit", "simulation", "engines"),
    mutants=(
        Mutant(
            "a group's answers are mixed up", GROUP_COMMIT, "zip(group, outcomes,", "zip(group, reversed(outcomes),"
        ),
        Mutant(
            "a group has one request",
            GROUP_COMMIT,
            "LARGEST_GROUP = 100\n",
            "LARGEST_GROUP = 1\n",
        ),
        Mutant(
            "a failed group blocks all that follow",
            GROUP_COMMIT,
            "        finally:\n            self._running = None\n",
            "        finally:\n            pass\n",
        ),
        Mutant(
            "a request that gets no outcome waits for ever",
            GROUP_COMMIT,
            "zip(group, outcomes, strict=True)",
            "zip(group, outcomes, strict=False)",
        ),
        Mutant(
            "an error of the commit reaches the first request only",
            GROUP_COMMIT,
            "            for _, waiter in group:\n                _answer(waiter, error)\n",
            "            _answer(group[0][1], error)\n",
        ),
        Mutant(
            "one faulty request fails its group",
            GROUP_COMMIT,
            "    if isinstance(outcome, Exception):\n        waiter.set_exception(outcome)\n",
            "    if isinstance(outcome, Exception):\n        raise outcome\n",
        ),
        Mutant(
            "a client that has gone breaks its group",
            GROUP_COMMIT,
            "    if waiter.done():\n        return  # the client",
            "    if False:\n        return  # the client",
        ),
        Mutant(
            "housekeeping swallows every error",
            HOUSEKEEPING,
            "        except self._transient as error:\n",
            "        except Exception as error:\n",
        ),
        Mutant(
            "a postponed chore is no fault",
            HOUSEKEEPING,
            "            self._postponed[name] = reason\n",
            "",
        ),
        Mutant(
            "a chore handles one batch in each period",
            HOUSEKEEPING,
            "        while not self._stopping.is_set() and (rows := await chore()):\n            total += rows\n",
            "        total += await chore()\n",
        ),
        Mutant(
            "the first chore only is done",
            HOUSEKEEPING,
            "                await self._do(name, chore)\n",
            "                await self._do(name, chore)\n                break\n",
        ),
        Mutant(
            "housekeeping ends with the period in hand",
            HOUSEKEEPING,
            "        self._stopping.set()\n",
            "        pass\n",
        ),
        Mutant(
            "a linger without a limit", LINGER, "duration * self.multiple, self.longest)", "duration * self.multiple)"
        ),
        Mutant(
            "a full batch lingers",
            LINGER,
            "        if items >= self.full_batch:\n            return 0.0\n",
            "",
        ),
        Mutant(
            "an outage of an hour is given up",
            RETRYING,
            "stop=stop_never,",
            "stop=lambda state: state.attempt_number > 50,",
        ),
        Mutant(
            "every error is retried",
            RETRYING,
            "retry=retry_if_exception_type(transient)",
            "retry=retry_if_exception_type((*transient, Exception))",
        ),
        Mutant(
            "a service listens everywhere by default",
            SETTINGS,
            'http_host: str = "127.0.0.1"',
            'http_host: str = "0.0.0.0"',
        ),
        Mutant(
            "a wrong setting shows its value",
            SETTINGS,
            "{fault['msg'].lower()} (an",
            "{fault['msg'].lower()} {given.get(name.lower())} (an",
        ),
        Mutant(
            "a process starts without its settings",
            SETTINGS,
            "            sys.exit(2)\n",
            "            return cls.model_construct()\n",
        ),
        Mutant(
            "a service listens elsewhere than its settings say",
            SERVE,
            "host=settings.http_host,",
            'host="localhost",',
            "tests/unit/runtime",
        ),
        Mutant(
            "requests in hand are dropped at the stop",
            SERVE,
            "timeout_graceful_shutdown=GRACE_SECONDS,",
            "timeout_graceful_shutdown=0,",
            "tests/unit/runtime",
        ),
        Mutant(
            "an application that cannot start serves all the same",
            SERVE,
            'lifespan="on",',
            'lifespan="off",',
            "tests/unit/runtime",
        ),
        Mutant("a worker is not stopped", WORKERS, "        worker.stop()\n", "        pass\n"),
        Mutant(
            "a worker gets no time to end",
            WORKERS,
            "        await asyncio.wait({task}, timeout=GRACE_SECONDS)\n",
            "",
        ),
        Mutant(
            "a lost worker is not noticed",
            WORKERS,
            "    os.kill(os.getpid(), signal.SIGTERM)\n",
            "",
        ),
        Mutant(
            "a worker that ends by a bug is not noticed",
            WORKERS,
            "    task.add_done_callback(on_end)\n",
            "",
        ),
        Mutant(
            "a worker that ends without an error is not noticed",
            WORKERS,
            "        if not stopping or _error_of(task):\n",
            "        if _error_of(task):\n",
        ),
        Mutant(
            "a worker that does not end is waited for",
            WORKERS,
            "        task.cancel()\n",
            "        pass\n",
        ),
        Mutant("a double's third decimal is cut off", MONEY, "if cents / 100 != value:", "if False:"),
        Mutant(
            "a third decimal is cut off",
            MONEY,
            "if len(digits) <= surplus or any(digits[-surplus:]):",
            "if False:",
        ),
        Mutant("true is an amount", MONEY, "if isinstance(amount, bool) or not", "if not"),
        Mutant("an order may be for nothing", MONEY, 'Field(alias="amount", gt=0)', 'Field(alias="amount", ge=0)'),
        Mutant("amounts lose their cents", MONEY, "return cents / 100 if rest else whole", "return whole"),
        Mutant("a newer producer's field is refused", WIRE, 'extra="ignore"', 'extra="forbid"'),
        Mutant("an id may come as text", WIRE, "frozen=True, strict=True, extra", "frozen=True, extra"),
        Mutant("an absent field is written as null", WIRE, "by_alias=True, exclude_none=True", "by_alias=True"),
        Mutant(
            "any trace is passed on",
            "contracts/trace_context.py",
            "return value if value is not None and _TRACEPARENT.fullmatch(value) else None",
            "return value",
        ),
        Mutant(
            "a class that is read under several names is written under one of them",
            "contracts/registry.py",
            "if names_of[event_class] == 1}",
            "}",
        ),
        Mutant(
            "an event loses a required field in its schema",
            "contracts/schemas/OrderCreated.json",
            '    "customerId",\n    "orderTotal",\n',
            '    "orderTotal",\n',
        ),
        Mutant(
            "a version may be zero in a schema",
            "contracts/schemas/OrderApproved.json",
            '"const": "APPROVED"',
            '"const": "PENDING"',
        ),
        Mutant(
            "a golden example has another field",
            "contracts/examples/CreditReserved.json",
            '"availableCredit"',
            '"creditAvailable"',
        ),
    ),
)
