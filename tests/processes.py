"""Instances of a service as processes of their own, beside the stack's."""

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

CHECKOUT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 20.0


class ServiceProcess:
    """One instance, on a free port of this machine.

    Args:
        service: its name, e.g. `order`.
        environment: its settings, without HTTP_PORT.
        log: the file that its output is appended to.
        checkout: whose code runs.
    """

    def __init__(self, service: str, environment: Mapping[str, str], log: Path, checkout: Path = CHECKOUT) -> None:
        self.service = service
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        with log.open("a") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                cwd=checkout,
                env={**environment, "HTTP_PORT": str(self.port)},
                stdout=file,
                stderr=file,
            )

    def require_running(self) -> None:
        assert self._process.poll() is None, f"{self.service} ended: {self.log.read_text()}"

    def require_live(self) -> None:
        """It listens."""
        self.require_running()
        self._require("/health/live")

    def require_ready(self) -> None:
        self.require_running()
        self._require("/health/ready")

    def stop(self) -> None:
        """As a supervisor does. Harmless when it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)

    def _require(self, path: str) -> None:
        try:
            answer = httpx.get(f"{self.url}{path}", trust_env=False)
        except httpx.TransportError as error:
            raise AssertionError(f"{self.service} does not answer: {error}") from error
        assert answer.status_code == httpx.codes.OK, answer.text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
