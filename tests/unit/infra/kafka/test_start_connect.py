"""What Connect's JVM is started with; a script in its place tells."""

import subprocess
from pathlib import Path

import infra


def test_connects_timers_may_fire_three_milliseconds_late(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nread -r slack </proc/self/timerslack_ns\necho $slack\n")
    java.chmod(0o755)
    environment = {
        "JAVA_HOME": str(tmp_path),
        "KAFKA_JARS": str(tmp_path),
        "CONNECT_PRIVATE": str(tmp_path / "private"),
        "CONNECT_USERNAME": "connect",
        "CONNECT_PASSWORD": "secret",
        "PATH": "/usr/bin:/bin",
    }
    [folder] = infra.__path__
    script = Path(folder) / "kafka" / "start-connect.sh"
    run = subprocess.run([script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["3000000"]  # nanoseconds
