"""Topics of an MQTT broker as source and sink: nothing is acknowledged before a checkpoint holds it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import DataError, need
from .address import Address
from .fields import from_json
from .message import Message, Rejected
from .options import Options
from .sinks import as_json

PATIENCE = 10.0  # seconds for the first connection
BACKOFF = 1, 60  # seconds between attempts to connect again: doubled from the first to the second
KEEPALIVE = 30
WINDOW = 20  # messages a broker sends before it waits for acknowledgements: Mosquitto's; some have 10
FEWEST, QUIET = 10, 0.1  # of those with 10: this many unacknowledged, and nothing for so many seconds
HELD = 10_000  # messages read ahead, at most


class Arrived(NamedTuple):
    """A message as it came: the session it belongs to, its number there (0: needs no acknowledgement), and its text."""

    session: int
    number: int
    payload: bytes


class Connection:
    """Stay connected to a broker.

    Parameters
    ----------
    address : Address
        Where it is.
    options : Options
        The account, and files for encryption.
    client : str
        Who we are: under this name the broker keeps messages while we are away.
    say : function of str
        Hears when the connection is lost and found.

    Raises
    ------
    DataError
        Where the broker does not answer, or refuses; MissingExtra without paho-mqtt.
    """

    def __init__(self, address: Address, options: Options, client: str, say: Callable[[str], None]) -> None:
        paho = need("paho.mqtt.client", "stream")
        self.address, self._say = address, say
        self.on_session: Callable[[bool], None] = lambda kept: None
        self._answered, self._closing, self._lost = threading.Event(), False, False
        self._refused = ""
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client, clean_session=False, protocol=paho.MQTTv311, manual_ack=True
        )
        self.client.connect_timeout = PATIENCE / 2
        self.client.reconnect_delay_set(*BACKOFF)
        self.client.on_connect, self.client.on_disconnect = self._connected, self._disconnected
        if options.user is not None:
            self.client.username_pw_set(options.user, options.password)
        if address.secure:
            try:
                self.client.tls_set(ca_certs=options.ca, certfile=options.cert, keyfile=options.key)
            except (OSError, ValueError) as e:
                raise DataError(f"`ca`, `cert` and `key` must be files for TLS; they cannot be used ({e}).") from None

    def open(self) -> None:
        """Connect, and stay so."""
        try:
            self.client.connect(self.address.host, self.address.port, KEEPALIVE)
        except (OSError, ValueError) as e:
            why = getattr(e, "verify_message", None) or getattr(e, "strerror", None) or str(e)
            raise DataError(f"`{self.address.broker}` must be a broker that answers; {why}.") from None
        self.client.loop_start()
        if not self._answered.wait(PATIENCE) or self._refused:
            self.close()
            why = f"it refuses us ({self._refused})" if self._refused else f"it said nothing for {PATIENCE:g} s"
            raise DataError(f"`{self.address.broker}` must be a broker that answers; {why}.")

    def _connected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._refused = str(code)
        else:
            self._refused = ""
            if self._lost:
                self._lost = False
                self._say(f"{self.address.broker}: connected again")
            self.on_session(flags.session_present)
        self._answered.set()

    def _disconnected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if not self._closing and not self._lost and self._answered.is_set() and not self._refused:
            self._lost = True
            self._say(f"{self.address.broker}: connection lost ({code}); trying again")

    def close(self) -> None:
        """Send what is left, and disconnect."""
        self._closing = True
        self.client.disconnect()
        self.client.loop_stop()


class Subscription:
    """Read JSON records from a topic, at least once each; what comes again is recognised by series and time.

    Parameters
    ----------
    connection : Connection
        To the broker; it is opened and closed here.
    largest : int
        Most bytes of a record.

    Notes
    -----
    Messages are delivered with quality of service 1 and acknowledged only when a checkpoint holds them. The session is
    kept by the broker, so that messages published while we are away come when we are back.
    """

    def __init__(self, connection: Connection, largest: int) -> None:
        self.name = str(connection.address)
        self.ended = False
        self._connection, self._largest, self._topic = connection, largest, connection.address.topic
        self._arrived: queue.Queue[Arrived] = queue.Queue(HELD)
        self._lock = threading.Lock()
        self._session, self._unacknowledged = 0, set[int]()
        self._handed: list[Arrived] = []
        self._count, self._last, self._closed = 0, time.monotonic(), False

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Subscribe; the broker knows what we have not acknowledged."""
        self._count = 0 if position is None else position["messages"]
        self._connection.client.on_message = self._message
        self._connection.on_session = self._began
        self._connection.open()

    def _began(self, kept: bool) -> None:
        """Subscribe in a session that is new; what was not acknowledged in the old one cannot be any more."""
        if not kept:
            with self._lock:
                self._session += 1
                self._unacknowledged.clear()
            self._connection.client.subscribe(self._topic, qos=1)

    def _message(self, client: Any, data: Any, message: Any) -> None:
        with self._lock:
            if message.qos and message.mid in self._unacknowledged:
                return  # sent again after a lost connection, while we still hold it
            if message.qos:
                self._unacknowledged.add(message.mid)
            found = Arrived(self._session, message.mid if message.qos else 0, message.payload[: self._largest + 1])
        while not self._closed:
            try:
                self._arrived.put(found, timeout=0.2)
                return
            except queue.Full:
                continue

    @property
    def hungry(self) -> bool:
        """Whether the broker may be waiting for acknowledgements."""
        if not self._arrived.empty():
            return False
        count = len(self._handed)
        return count >= WINDOW or (count >= FEWEST and time.monotonic() - self._last > QUIET)

    def read(self, timeout: float) -> Message | None:
        """Return the next record, or None where none came in time."""
        try:
            found = self._arrived.get(timeout=timeout)
        except queue.Empty:
            return None
        self._handed.append(found)
        self._count, self._last = self._count + 1, time.monotonic()
        place = f"{self._topic}, message {self._count}"
        if len(found.payload) > self._largest:
            fault = f"a record must be at most {self._largest} bytes long; this one is longer"
            return Message(found.payload, place, fault=fault)
        try:
            return Message(found.payload, place, from_json(found.payload))
        except Rejected as e:
            return Message(found.payload, place, fault=str(e))

    def position(self) -> dict[str, Any]:
        """Return how many messages have come; which are left is the broker's to know."""
        return {"messages": self._count}

    def settled(self) -> None:
        """Acknowledge what has been handed out."""
        for found in self._handed:
            with self._lock:
                ours = found.number and found.session == self._session
                if ours:
                    self._unacknowledged.discard(found.number)
            if ours:
                self._connection.client.ack(found.number, 1)
        self._handed.clear()

    def close(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._closed = True
        self._connection.close()


class Publication:
    """Publish predictions as JSON to a topic, at least once each.

    Parameters
    ----------
    connection : Connection
        To the broker.
    topic : str
        Where to.
    own : bool
        Whether the connection is opened and closed here.
    """

    def __init__(self, connection: Connection, topic: str, *, own: bool) -> None:
        self._connection, self._topic, self._own = connection, topic, own
        self.name = f"{connection.address.broker}/{topic}"
        self._sent = self._received = 0
        self._change = threading.Condition()
        connection.client.on_publish = self._published

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Connect."""
        if self._own:
            self._connection.open()

    def put(self, row: Mapping[str, Any]) -> None:
        """Publish one prediction; it is sent when there is a connection."""
        self._sent += 1
        self._connection.client.publish(self._topic, as_json(row).rstrip(b"\n"), qos=1)

    def _published(self, *told: Any) -> None:
        with self._change:
            self._received += 1
            self._change.notify_all()

    def settle(self, patience: Callable[[], bool]) -> bool:
        """Wait until the broker has all of it, as long as `patience()`."""
        with self._change:
            while self._received < self._sent:
                if not patience():
                    return False
                self._change.wait(0.1)
        return True

    def position(self) -> dict[str, Any]:
        """Return nothing: what was published cannot be taken back."""
        return {}

    def close(self) -> None:
        """Disconnect."""
        if self._own:
            self._connection.close()
