"""Workers start in order and stop in reverse order. One that fails ends the process."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import workers
from runtime.workers import running
from tests.eventually import let_tasks_run
from tests.simulation.clock import VirtualLoop, pass_time

ROOT = Path(__file__).parents[3]


class Recorder:
    """A worker that writes down what is done with it, and ends when it is stopped."""

    fault: str | None = None

    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        self._log.append(f"{self._name} runs")
        await self._stopping.wait()
        await let_tasks_run()  # it does not end in the moment in which it is stopped
        self._log.append(f"{self._name} has ended")

    def stop(self) -> None:
        self._log.append(f"{self._name} stops")
        self._stopping.set()


class Deaf(Recorder):
    """Does not end when it is stopped."""

    def stop(self) -> None:
        self._log.append(f"{self._name} stops")

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._log.append(f"{self._name} is cancelled")


class Stubborn(Recorder):
    """Does not even end when it is cancelled, the first times."""

    def __init__(self, name: str, log: list[str], cancellations: int) -> None:
        super().__init__(name, log)
        self._cancellations = cancellations

    async def run(self) -> None:
        for _ in range(self._cancellations):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self._log.append(f"{self._name} swallows a cancellation")


async def test_workers_start_in_order_and_each_has_ended_before_the_one_before_it_stops() -> None:
    log: list[str] = []
    async with running({name: Recorder(name, log) for name in ("first", "second")}):
        await let_tasks_run()
        assert log == ["first runs", "second runs"]
    assert log[2:] == ["second stops", "second has ended", "first stops", "first has ended"]


async def test_an_error_of_the_body_stops_the_workers_too() -> None:
    log: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await _fail_while_running(Recorder("worker", log))
    assert log == ["worker runs", "worker stops", "worker has ended"]


async def _fail_while_running(worker: Recorder) -> None:
    async with running({"worker": worker}):
        await let_tasks_run()
        raise ZeroDivisionError


async def test_a_worker_that_does_not_end_within_the_grace_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.01)
    log: list[str] = []
    async with running({"deaf": Deaf("deaf", log)}):
        await let_tasks_run()
    assert log == ["deaf stops", "deaf is cancelled"]


async def test_a_worker_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(workers, "CANCEL_SECONDS", 0.01)
    log: list[str] = []
    async with running({"stubborn": Stubborn("stubborn", log, cancellations=3)}):
        await let_tasks_run()
    assert log == ["stubborn stops", *["stubborn swallows a cancellation"] * 3]


async def test_a_worker_that_fails_ends_the_process_with_sigterm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: signals.append((process, number)))

    class Failing(Recorder):
        async def run(self) -> None:
            raise ZeroDivisionError("broken")

    async with running({"failing": Failing("failing", [])}):
        await let_tasks_run()
    assert signals == [(os.getpid(), signal.SIGTERM)]
    assert "worker failing failed; the process ends and is started again" in caplog.messages


class Returning(Recorder):
    async def run(self) -> None:
        pass


class Cancelled(Recorder):
    async def run(self) -> None:
        # As a future of a client library that closes itself.
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        given_up.cancel()
        await given_up


@pytest.mark.parametrize(("kind", "how"), [(Returning, "returned"), (Cancelled, "was cancelled")])
async def test_a_worker_that_ends_without_an_error_before_it_is_stopped_ends_the_process_too(
    kind: type[Recorder], how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: signals.append((process, number)))
    async with running({"worker": kind("worker", [])}):
        await let_tasks_run()
    assert signals == [(os.getpid(), signal.SIGTERM)]
    assert f"worker worker {how}; the process ends and is started again" in caplog.messages


async def test_a_worker_that_ends_after_it_is_stopped_ends_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: signals.append((process, number)))
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.01)
    async with running({"willing": Recorder("willing", []), "deaf": Deaf("deaf", [])}):
        await let_tasks_run()
    assert signals == []


FAILING_PROCESS = """
import asyncio
from runtime.workers import running
from tests.eventually import let_tasks_run

class Failing:
    fault = None
    async def run(self): raise ZeroDivisionError
    def stop(self): pass

async def main():
    async with running({"failing": Failing()}):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_process_whose_worker_fails_is_gone() -> None:
    process = subprocess.run(
        [sys.executable, "-c", FAILING_PROCESS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == -signal.SIGTERM, process.stderr


def test_a_worker_that_needs_some_seconds_to_finish_is_not_cancelled() -> None:
    class Slow(Recorder):
        async def run(self) -> None:
            await self._stopping.wait()
            await pass_time(workers.GRACE_SECONDS - 1)
            self._log.append(f"{self._name} has ended")

    log: list[str] = []

    async def run() -> None:
        async with running({"slow": Slow("slow", log)}):
            await pass_time(1.0)

    VirtualLoop().run(run())
    assert log == ["slow stops", "slow has ended"]
