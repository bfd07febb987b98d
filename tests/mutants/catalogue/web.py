"""Bugs of the web room."""

from tests.mutants.mutant import Area, Mutant

APPLICATION = "web/application.py"
BODIES = "web/bodies.py"
HEALTH = "web/health.py"
PAGES = "web/pages.py"
PARAMETERS = "web/parameters.py"
PROBLEMS = "web/problems.py"

WEB = Area(
    suites=("unit", "simulation", "engines"),
    mutants=(
        Mutant(
            "the workers of a process are not run",
            APPLICATION,
            "async with open_service() as service, running(service.workers, end_process):",
            "async with open_service() as service, running({}):",
        ),
        Mutant(
            "an outage is a bug",
            APPLICATION,
            "exception_handlers(service.outages)",
            "exception_handlers(())",
        ),
        Mutant(
            "a service without its schema serves requests",
            APPLICATION,
            "        middleware=[Middleware(_Availability, service.unavailable)],\n",
            "",
        ),
        Mutant(
            "a service without its schema hides its health",
            APPLICATION,
            'if reason and not scope["path"].startswith(HEALTH_PATH):',
            "if reason:",
        ),
        Mutant(
            "an error of the domain is told without its text",
            APPLICATION,
            "return problem_response(problem(str(error)))",
            'return problem_response(problem(""))',
        ),
        Mutant(
            "a body in chunks has no limit",
            BODIES,
            "        if len(body) > MAX_BODY_BYTES:\n",
            "        if False:\n",
        ),
        Mutant(
            "a declared size is not looked at",
            BODIES,
            "    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:\n",
            "    if False:\n",
        ),
        Mutant(
            "the connection of a refused body is used again",
            BODIES,
            '        headers={"Connection": "close"},\n',
            "",
            "tests/unit/web",
        ),
        Mutant("NaN is a JSON value", BODIES, "    if constants:\n", "    if False:\n"),
        Mutant("numbers lose their digits", BODIES, "parse_float=_decimal, ", ""),
        Mutant("any media type is JSON", BODIES, "    if media_type != MEDIA_TYPE:\n", "    if False:\n"),
        Mutant(
            "a body that is nested too deeply is a 500",
            BODIES,
            "    except RecursionError as error:\n",
            "    except KeyError as error:\n",
        ),
        Mutant(
            "the first fault of a body only is told",
            BODIES,
            'raise BadInput([(".".join(map(str, f["loc"])), _readable(f)) for f in faults])',
            'raise BadInput([(".".join(map(str, f["loc"])), _readable(f)) for f in faults[:1]])',
            "tests/unit/web tests/e2e/test_http_bad_input.py",
        ),
        Mutant("a check that hangs makes the health hang", HEALTH, "CHECK_SECONDS = 2.0", "CHECK_SECONDS = 2_000.0"),
        Mutant(
            "a check that fails is well",
            HEALTH,
            '    return f"{type(error).__name__}: {error}" if error else task.result()\n',
            "    return None if error else task.result()\n",
        ),
        Mutant(
            "a service that is not ready answers 200",
            HEALTH,
            'JsonResponse({"status": "not ready", "faults": faults}, 503)',
            'JsonResponse({"status": "not ready", "faults": faults})',
        ),
        Mutant(
            "a fault is told under the name of another check",
            HEALTH,
            "dict(zip(checks, await",
            "dict(zip(reversed(list(checks)), await",
        ),
        Mutant(
            "a worker's fault is that of the start",
            HEALTH,
            "    async def check() -> str | None:\n        return worker.fault\n",
            "    fault = worker.fault\n\n    async def check() -> str | None:\n        return fault\n",
        ),
        Mutant("a page may be of any size", PAGES, "not 1 <= limit <= MAX_LIMIT", "not 1 <= limit"),
        Mutant("a full page is the last", PAGES, "if len(items) == page.limit and", "if len(items) > page.limit and"),
        Mutant(
            "the next page loses the filters",
            PAGES,
            "request.url.include_query_params(after=last_id)",
            'request.url.replace(query="").include_query_params(after=last_id)',
        ),
        Mutant(
            "a number beyond the database's is a 500",
            PARAMETERS,
            "    if not -INT64_MAX - 1 <= value <= INT64_MAX:\n",
            "    if False:\n",
        ),
        Mutant(
            "a key may be empty",
            PARAMETERS,
            "if not 1 <= len(key) <= MAX_KEY_LENGTH",
            "if not len(key) <= MAX_KEY_LENGTH",
        ),
        Mutant("a client may wait for ever", PARAMETERS, "min(float(match[1]), MAX_WAIT_SECONDS)", "float(match[1])"),
        Mutant(
            "the second of two Prefer headers is ignored",
            PARAMETERS,
            '", ".join(request.headers.getlist("prefer"))',
            'request.headers.get("prefer", "")',
            "tests/unit/web",
        ),
        Mutant(
            "an outage does not say when to come back",
            PROBLEMS,
            'headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}',
            "headers: dict[str, str] = {}",
        ),
        Mutant(
            "a bug shows its text to the client",
            PROBLEMS,
            '"the service failed; its log has the error"',
            "str(error)",
        ),
        Mutant(
            "an outage shows its text to the client",
            PROBLEMS,
            'detail = "the service cannot reach its database right now; try again (with the same Idempotency-Key)"',
            "detail = str(error)",
        ),
        Mutant(
            "a 405 names the methods of one route",
            PROBLEMS,
            '        headers["Allow"] = ", ".join(sorted(_methods_of(request)))\n',
            "        pass\n",
        ),
        Mutant(
            "bad input does not name its fields",
            PROBLEMS,
            'super().__init__(HTTPStatus.BAD_REQUEST, detail, {"errors": members})',
            "super().__init__(HTTPStatus.BAD_REQUEST, detail)",
        ),
    ),
)
