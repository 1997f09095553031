"""Addresses of topics: mqtt://host:port/topic, checked before anything is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import OptionError, nearest

PORTS = {"mqtt": 1883, "mqtts": 8883}
LONGEST = 1024  # bytes of a topic


@dataclass(frozen=True)
class Address:
    """A topic at a broker."""

    scheme: str
    host: str
    port: int
    topic: str

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "mqtts"

    @property
    def broker(self) -> str:
        """The broker alone, for people."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.broker}/{self.topic}"


def parse(name: str, text: str) -> Address:
    """Read an address.

    Raises
    ------
    OptionError
        When it is of another form; what may be a password is not repeated.

    Examples
    --------
    >>> str(parse("source", "mqtt://localhost/plant/7"))
    'mqtt://localhost:1883/plant/7'
    """
    scheme, _, rest = text.partition("://")
    if scheme not in PORTS:
        raise OptionError(
            f"`{name}` must begin with mqtt:// or mqtts://, or be a file; got {scheme + '://'!r}."
            f"{nearest(scheme, PORTS)}"
        )
    if "@" in rest.partition("/")[0]:
        raise OptionError(
            f"`{name}` must hold no user and no password: others can see it. "
            "Set LIQUID_MQTT_USER and LIQUID_MQTT_PASSWORD."
        )
    place, _, topic = rest.partition("/")
    try:
        found = urlsplit(f"//{place}")
        host, port = found.hostname or "", found.port or PORTS[scheme]
    except ValueError as e:
        raise OptionError(f"`{name}` must be {scheme}://HOST:PORT/TOPIC; got {text!r} ({e}).") from None
    if not re.fullmatch(r"[\w.:%-]+", host):
        raise OptionError(f"`{name}` must be {scheme}://HOST:PORT/TOPIC; got {text!r}, which names no host.")
    return Address(scheme, host, port, check_topic(name, topic))


def check_topic(name: str, topic: str) -> str:
    """Return a topic that can be published to and read from, or raise `OptionError`."""
    why = ""
    if not topic:
        why = "it names no topic"
    elif set(topic) & set("+#"):
        why = "+ and # stand for many topics"
    elif topic.startswith("$"):
        why = "topics that begin with $ are the broker's own"
    elif not topic.isprintable():
        why = "a character cannot be printed"
    elif len(topic.encode("utf-8", errors="replace")) > LONGEST:
        why = f"it is longer than {LONGEST} bytes"
    if why:
        raise OptionError(f"`{name}` must end in one topic, /TOPIC; got {topic[:80]!r} ({why}).")
    return topic
