"""Streams from a broker: whoever is killed and comes back, each message is used once, and nothing is lost."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brokers
import pytest
import stream_subject as subject
from brokers import Broker, Friend, until

from liquidtorch.errors import DataError
from liquidtorch.stream.options import Options
from liquidtorch.stream.signals import Stop

TOPIC = "plant/7"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    found = Broker(tmp_path / "broker")
    yield found
    found.stop()
    collected()


def collected() -> None:
    """Let go of sockets that paho leaves to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def records(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Two series, one truth in three late by some rows, one that never comes, and some text that is no record."""
    rng = random.Random(seed)
    made, late = [], []
    for k in range(count):
        x = {"id": "uv"[k % 2], "t": k // 2, "a": round(rng.gauss(0, 1), 3), "b": round(rng.gauss(0, 1), 3)}
        y = {"y": x["a"] - 2 * x["b"]}
        if k % 3 == 0:
            late.append({"id": x["id"], "t": x["t"], **y})
            made.append(x)
        elif k % 17 == 1:
            made.append(x)
        else:
            made.append({**x, **y})
        if len(late) > 4:
            made.append(late.pop(0))
    return made


def uninterrupted(folder: Path, sent: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is learned from the same records in a file, in one go."""
    table = folder / "sent.jsonl"
    table.write_text("".join(json.dumps(record) + "\n" for record in sent))
    made = subject.service(
        folder / "whole", str(table), subject.Leaky(), Options(out=str(folder / "whole.jsonl")), lambda text: None
    )
    with Stop() as stop:
        assert made.run(stop)
    return subject.learned(folder / "whole")


def start(folder: Path, source: str, *given: str, **more: Any) -> subprocess.Popen[str]:
    script = str(Path(subject.__file__))
    return subprocess.Popen(
        [sys.executable, script, str(folder), source, *given], stderr=subprocess.PIPE, text=True, **more
    )


def status(folder: Path) -> dict[str, Any]:
    path = folder / "status.json"
    return json.loads(path.read_text()) if path.exists() else dict.fromkeys(("records", "learned", "late"), 0)


def finish(running: subprocess.Popen[str]) -> str:
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=240)
    assert running.returncode == 0, said
    assert "kept True SIGTERM" in said
    return said


def test_our_kill_loses_nothing_and_learns_nothing_twice(broker: Broker, tmp_path: Path) -> None:
    sent = records(240)
    expected = uninterrupted(tmp_path, sent)
    folder, url = tmp_path / "stream", broker.url(TOPIC)
    friend = Friend(broker.port, f"{TOPIC}/predictions")
    running = start(folder, url, "delay=0.005", "every=0.2")
    until(lambda: (folder / "status.json").exists())  # it has subscribed
    friend.publish(TOPIC, sent[:200])
    for part in (40, 80, 120):
        until(lambda part=part: status(folder)["records"] >= part)
        running.kill()
        running.communicate()
        running = start(folder, url, "delay=0.005", "every=0.2")
    running.kill()
    running.communicate()
    friend.publish(TOPIC, sent[200:])  # while nobody listens
    running = start(folder, url)
    until(lambda: status(folder)["records"] == expected[1]["counts"]["records"])
    finish(running)
    model, rest = subject.learned(folder)
    repeats = rest["counts"].pop("repeats")
    assert expected[1]["counts"].pop("repeats") == 0
    assert model == expected[0]
    assert rest == expected[1]
    predicted = {(row["id"], row["t"]) for row in friend.heard}
    assert predicted == {(r["id"], r["t"]) for r in sent}
    assert len(friend.heard) >= len(predicted)
    assert repeats < len(sent)
    friend.close()


def test_the_brokers_kill_loses_nothing_and_learns_nothing_twice(broker: Broker, tmp_path: Path) -> None:
    sent = records(240, seed=1)
    expected = uninterrupted(tmp_path, sent)
    folder, url = tmp_path / "stream", broker.url(TOPIC)
    running = start(folder, url, "delay=0.005", "every=0.2")
    until(lambda: (folder / "status.json").exists())
    friend = Friend(broker.port)
    friend.publish(TOPIC, sent)
    friend.close()
    broker.save()
    at = status(folder)["records"]
    until(lambda: status(folder)["records"] > at + 20)  # acknowledged, but the broker will not remember
    broker.kill()
    broker.start()
    until(lambda: status(folder)["records"] == expected[1]["counts"]["records"])
    said = finish(running)
    assert "connection lost" in said
    assert "connected again" in said
    model, rest = subject.learned(folder)
    assert rest["counts"].pop("repeats") > 0, "the broker must have sent some again, or this test shows nothing"
    expected[1]["counts"].pop("repeats")
    assert model == expected[0]
    assert rest == expected[1]


def test_messages_are_acknowledged_with_the_checkpoint_not_before(broker: Broker, tmp_path: Path) -> None:
    """Killed before its first checkpoint, it gets all of them again."""
    folder, url = tmp_path / "stream", broker.url(TOPIC)
    running = start(folder, url, "every=1000")
    until(lambda: (folder / "status.json").exists())
    friend = Friend(broker.port, f"{TOPIC}/predictions")
    friend.publish(TOPIC, records(5))  # fewer than what a broker waits after
    until(lambda: len(friend.heard) == 5)
    assert status(folder)["records"] == 0
    running.kill()
    running.communicate()
    running = start(folder, url, "every=1000")
    until(lambda: len(friend.heard) == 10)
    finish(running)
    counts = subject.learned(folder)[1]["counts"]
    assert (counts["records"], counts["repeats"]) == (5, 0)
    friend.close()


def test_many_messages_flow_past_the_brokers_window(broker: Broker, tmp_path: Path) -> None:
    """Mosquitto waits after 20 messages that are not acknowledged; a checkpoint every 1000 s would be a standstill."""
    folder, url = tmp_path / "stream", broker.url(TOPIC)
    running = start(folder, url, "every=1000")
    until(lambda: (folder / "status.json").exists())
    friend = Friend(broker.port)
    sent = [{"id": "u", "t": t, "a": 1, "b": t % 2, "y": 1} for t in range(100)]
    friend.publish(TOPIC, [*sent[:50], b"no record", b'{"id": "u", "t": 49.5, "a": "x' + b"x" * 3000, *sent[50:]])
    until(lambda: status(folder)["records"] >= 90)
    finish(running)
    counts = subject.learned(folder)[1]["counts"]
    assert (counts["records"], counts["rejected"]) == (100, 2)
    dead = [json.loads(line) for line in (folder / "dead.jsonl").read_text().splitlines()]
    assert [entry["place"] for entry in dead] == [f"{TOPIC}, message 51", f"{TOPIC}, message 52"]
    assert dead[1]["bytes"] > 3000
    assert len(dead[1]["text"]) == 2000
    friend.close()


def test_an_end_while_the_broker_is_away_leaves_the_last_checkpoint(broker: Broker, tmp_path: Path) -> None:
    folder, url = tmp_path / "stream", broker.url(TOPIC)
    table = tmp_path / "sent.jsonl"
    table.write_text("".join(json.dumps(record) + "\n" for record in records(40)))
    running = start(folder, str(table), f"out={url}", "delay=0.05", "every=0.1")
    until(lambda: status(folder)["records"] > 3)
    broker.kill()
    until(lambda: running.poll() is None)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=240)
    assert "kept False SIGINT" in said
    broker.start()
    running = start(folder, str(table), f"out={url}")
    _, said = running.communicate(timeout=240)
    assert "kept True" in said
    model, rest = subject.learned(folder)
    expected = uninterrupted(tmp_path, records(40))
    assert (model, rest) == expected


def connection_error(url: str, **options: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # sockets that paho leaves to the garbage collector
        made = subject.service(Path("unused"), url, subject.Leaky(), Options(**options), lambda text: None)
        with pytest.raises(DataError) as raised:
            made.run(Stop())
        said = str(raised.value)
        del raised, made
        gc.collect()
    return said


def test_a_broker_that_does_not_answer_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    port = brokers.free_port()
    said = connection_error(f"mqtt://127.0.0.1:{port}/x")
    assert said == f"`mqtt://127.0.0.1:{port}` must be a broker that answers; Connection refused."


def test_an_account_is_asked_for_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    accounts = tmp_path / "accounts"
    program = shutil.which("mosquitto_passwd", path=brokers.PATH)
    if program is None:
        assert not os.environ.get("CI"), "CI must have mosquitto_passwd"
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run([program, "-c", "-b", str(accounts), "ann", "sesame"], check=True)
    accounts.chmod(0o644)
    broker = Broker(tmp_path / "broker", "allow_anonymous false", f"password_file {accounts}")
    try_wrong = connection_error(broker.url(TOPIC), user="ann", password="tomasz")
    assert try_wrong.endswith("must be a broker that answers; it refuses us (Not authorized).")
    assert "it refuses us" in connection_error(broker.url(TOPIC))
    monkeypatch.setenv("LIQUID_MQTT_USER", "ann")
    monkeypatch.setenv("LIQUID_MQTT_PASSWORD", "sesame")
    running = start(tmp_path / "stream", broker.url(TOPIC))
    until(lambda: (tmp_path / "stream" / "status.json").exists())
    friend = Friend(broker.port, username="ann", password="sesame")
    friend.publish(TOPIC, records(3))
    said = finish(running)
    assert subject.learned(tmp_path / "stream")[1]["counts"]["records"] <= 3
    friend.close()
    broker.stop()
    assert "sesame" not in said + "".join(capfd.readouterr())
    for path in (tmp_path / "stream").rglob("*"):
        assert path.is_dir() or b"sesame" not in path.read_bytes()


def test_an_encrypted_connection_trusts_whom_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = shutil.which("openssl")
    if program is None:
        assert not os.environ.get("CI"), "CI must have openssl"
        pytest.skip("openssl is not installed")
    given = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    given += ["-subj", "/CN=plant", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([program, *given], check=True, capture_output=True)
    (tmp_path / "key.pem").chmod(0o644)
    certificate = str(tmp_path / "cert.pem")
    broker = Broker(tmp_path / "broker", f"certfile {certificate}", f"keyfile {tmp_path / 'key.pem'}")
    url = broker.url(TOPIC).replace("mqtt://", "mqtts://")
    assert "must be a broker that answers; self" in connection_error(url)  # self-signed, says OpenSSL
    with pytest.raises(DataError, match="`ca`, `cert` and `key` must be files for TLS; they cannot be used"):
        subject.service(Path("unused"), url, subject.Leaky(), Options(ca="absent.pem"), print)
    running = start(tmp_path / "stream", url, f"ca={certificate}")
    until(lambda: (tmp_path / "stream" / "status.json").exists())
    finish(running)
    broker.stop()
