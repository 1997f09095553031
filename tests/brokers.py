"""A real Mosquitto with persistence, and somebody who publishes to it and listens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def until(found: Callable[[], Any], seconds: float = 240.0) -> Any:
    """Wait for something to be true, and return it."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Broker:
    """A Mosquitto that can be killed and started again with what it had saved."""

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("mosquitto", path=PATH)
        if program is None:
            assert not os.environ.get("CI"), "CI must have mosquitto; delivery is not believed untried"
            pytest.skip("mosquitto is not installed")
        self.folder, self.port, self._program = folder, free_port(), program
        folder.mkdir(parents=True)
        settings = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/"]
        if not any(line.startswith("allow_anonymous") for line in lines):
            settings.append("allow_anonymous true")
        if os.getuid() == 0:
            settings.append("user root")
        (folder / "mosquitto.conf").write_text("\n".join([*settings, *lines]) + "\n")
        self.start()

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def save(self) -> None:
        """Have it write down all it holds: what comes after is lost by a kill."""
        saved = self.folder / "mosquitto.db"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        until(lambda: saved.exists() and saved.stat().st_mtime_ns > before)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def url(self, topic: str) -> str:
        return f"mqtt://127.0.0.1:{self.port}/{topic}"


class Friend:
    """Publishes records and hears predictions."""

    def __init__(self, port: int, topic: str = "", **account: str) -> None:
        import paho.mqtt.client as paho

        self.heard: list[dict[str, Any]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "friend", clean_session=False)
        if account:
            self._client.username_pw_set(**account)
        self._client.on_message = lambda client, data, message: self.heard.append(json.loads(message.payload))
        ready = threading.Event()
        self._client.on_subscribe = lambda *told: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if topic:
            until(self._client.is_connected)
            self._client.subscribe(topic, qos=1)
            assert ready.wait(30)

    def publish(self, topic: str, records: Sequence[Any], qos: int = 1) -> None:
        for record in records:
            text = record if isinstance(record, bytes) else json.dumps(record).encode()
            self._client.publish(topic, text, qos=qos).wait_for_publish(30)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
