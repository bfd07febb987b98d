"""Bugs of the stack of local processes: its supervisor, its files and its ports."""

from tests.mutants.mutant import Area, Mutant

COMPONENTS = "infra/native/components.py"
CREDENTIALS = "infra/credentials.py"
LAYOUT = "infra/native/layout.py"
PORTS = "infra/native/ports.py"
POSTGRES = "infra/native/postgres.py"
REGISTRY = "infra/native/registry.py"
STACK = "infra/native/stack.py"
STARTUP = "infra/native/startup.py"
SUPERVISION = "infra/native/supervision.py"

EXPOSURE_TESTS = "tests/e2e/test_exposure.py"
UP_TESTS = "tests/e2e/test_make_up.py"

NATIVE = Area(
    suites=("unit", "stack"),
    mutants=(
        Mutant(
            "a process that ends is not started again",
            SUPERVISION,
            "autorestart=true",
            "autorestart=unexpected",
        ),
        Mutant("a process is given up after three attempts", SUPERVISION, "startretries=1000000", "startretries=3"),
        Mutant(
            "the supervisor listens everywhere",
            SUPERVISION,
            "port={HOST}:{port}\n",
            "port=*:{port}\n",
        ),
        Mutant(
            "the callers' environment leaks into the stack",
            SUPERVISION,
            'for name in ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR") if name in os.environ}',
            "for name in os.environ}",
        ),
        Mutant(
            "logs grow without a bound", SUPERVISION, "stdout_logfile_maxbytes={LOG_BYTES}", "stdout_logfile_maxbytes=0"
        ),
        Mutant(
            "PostgreSQL is stopped by the wrong signal",
            COMPONENTS,
            'stop_signal="INT", stop_seconds=30',
            "stop_seconds=30",
            f"tests/unit/infra {UP_TESTS}",
        ),
        Mutant(
            "servers are stopped before their clients",
            COMPONENTS,
            '(("keeper", *SERVICES), ("connect",), ("postgres", "nats", "mongo", "kafka"))',
            '(("postgres", "nats", "mongo", "kafka"), ("connect",), ("keeper", *SERVICES))',
            "tests/unit/infra",
        ),
        Mutant(
            "a setting of a service is not passed on",
            COMPONENTS,
            '    "ORDER_DEADLINE_SECONDS",\n',
            "",
        ),
        Mutant(
            "the services listen everywhere",
            COMPONENTS,
            'address = {"HTTP_HOST": HOST,',
            'address = {"HTTP_HOST": "0.0.0.0",',
            f"tests/unit/infra {EXPOSURE_TESTS}",
        ),
        Mutant(
            "PostgreSQL listens everywhere",
            POSTGRES,
            'f"listen_addresses={HOST}"',
            '"listen_addresses=*"',
            f"tests/unit/infra {EXPOSURE_TESTS}",
        ),
        Mutant(
            "the folders of a stack are open to everybody",
            LAYOUT,
            "            folder.chmod(0o700)\n",
            "            folder.chmod(0o755)\n",
            f"tests/unit/infra {EXPOSURE_TESTS}",
        ),
        Mutant(
            "the supervisor's passwords are readable for everybody",
            STACK,
            "        file.touch(mode=0o600)\n",
            "        file.touch(mode=0o644)\n",
            f"tests/unit/infra {EXPOSURE_TESTS}",
        ),
        Mutant(
            "orphans are left running",
            STACK,
            "        processes.end(processes.of_stack(self.folder, self._postgres_of_the_data.data))\n\n    def _end_orphans",
            "        pass\n\n    def _end_orphans",
            UP_TESTS,
        ),
        Mutant(
            "the services start before their engines",
            STARTUP,
            'Step("bridge", lambda: self._service("bridge"), after=("kafka", "nats"))',
            'Step("bridge", lambda: self._service("bridge"))',
            "tests/unit/infra",
        ),
        Mutant(
            "the secrets are readable for everybody",
            CREDENTIALS,
            "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)",
            "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)",
        ),
        Mutant(
            "secrets change at each start",
            CREDENTIALS,
            "{name: known.get(name) or new_secret() for name in NAMES}",
            "{name: new_secret() for name in NAMES}",
        ),
        Mutant("two stacks get the same port", REGISTRY, "if path != own]", "if path == own]"),
        Mutant("a port in use is taken", PORTS, "if port not in avoided and is_free(port))", "if port not in avoided)"),
    ),
)
