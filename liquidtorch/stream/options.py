"""What a stream depends on beside the run and the source."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError, check_choice, check_range

DRIFT = ("adwin", "page_hinkley", "none")
PLASTICITY = ("rewire", "grow", "grow and prune")
RECORDS = 10_000  # whose series and time are remembered, of all series together: an older repeat is put aside


def _option(default: Any, help: str, metavar: str = "") -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "metavar": metavar})


def _secret(name: str) -> Any:
    """Declare what is never shown, and comes from a file of options or from the environment."""
    return dataclasses.field(default=None, repr=False, metadata={"environment": name})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Say how a stream is read, kept and answered.

    Each field but the last five is an option of `liquid stream`; all may stand in a YAML or TOML file given with
    `--config`. The last five may also come from the environment, as `LIQUID_MQTT_USER`, `LIQUID_MQTT_PASSWORD`,
    `LIQUID_MQTT_CA`, `LIQUID_MQTT_CERT` and `LIQUID_MQTT_KEY`.

    Parameters
    ----------
    out : str or None
        A .csv, .jsonl or .ndjson file, `-` for standard output, or `mqtt://host/topic`. None: standard output, and the
        topic `<topic>/predictions` for records from a broker.
    every : float, above 0
        Most seconds between checkpoints.
    records : int, from 1 to 10,000
        Most records between checkpoints.
    rule : str or None
        How the body learns (`Online`); None: "auto", or as when the stream began, which it cannot differ from.
    drift : "adwin", "page_hinkley", "none" or None
        What watches the errors for drift, after which the readout loses its certainty (`online.drift.Drift`); None:
        "adwin", or as when the stream began.
    plasticity : "rewire", "grow", "grow and prune" or None
        How the synapses of a wired body that learns may change (`online.Plasticity`); None: not at all, or as when the
        stream began.
    waiting : int, at least 0
        How many samples may wait for a late label.
    largest : int, at least 2
        Most bytes of a record.
    user, password : str or None
        Account at the broker.
    ca, cert, key : str or None
        Files for `mqtts://`: whom to trust if not the system's authorities, and who we are.

    Examples
    --------
    >>> Options(every=60.0, user="ann", password="sesame")
    Options(out=None, every=60.0, records=10000, rule=None, drift=None, plasticity=None, waiting=1000, largest=1048576)
    """

    out: str | None = _option(None, "File, -, or mqtt://HOST/TOPIC; default -, or TOPIC/predictions.", "OUT")
    every: float = _option(10.0, "Most seconds between checkpoints.", "SECONDS")
    records: int = _option(RECORDS, "Most records between checkpoints.", "N")
    rule: str | None = _option(None, "How the body learns: readout (not at all), exact, ...; default auto.", "RULE")
    drift: str | None = _option(None, f"What watches for drift: {', '.join(DRIFT)}; default adwin.", "DETECTOR")
    plasticity: str | None = _option(None, f"How a wiring changes: {', '.join(PLASTICITY)}; default: not.", "KIND")
    waiting: int = _option(1000, "Samples that may wait for a late label.", "N")
    largest: int = _option(2**20, "Most bytes of a record.", "BYTES")
    user: str | None = _secret("LIQUID_MQTT_USER")
    password: str | None = _secret("LIQUID_MQTT_PASSWORD")
    ca: str | None = _secret("LIQUID_MQTT_CA")
    cert: str | None = _secret("LIQUID_MQTT_CERT")
    key: str | None = _secret("LIQUID_MQTT_KEY")

    def __post_init__(self) -> None:
        if self.drift is not None:
            check_choice("drift", self.drift, DRIFT)
        if self.plasticity is not None:
            check_choice("plasticity", self.plasticity, PLASTICITY)
        check_range("every", self.every, 0, open_low=True)
        for name, low, high in (("records", 1, RECORDS), ("waiting", 0, 10**6), ("largest", 2, 2**28)):
            object.__setattr__(self, name, check_range(name, getattr(self, name), low, high, whole=True))
        for field in dataclasses.fields(self):
            if "environment" in field.metadata and getattr(self, field.name) is None:
                object.__setattr__(self, field.name, os.environ.get(field.metadata["environment"]) or None)
        if self.password is not None and self.user is None:
            raise OptionError("`user` must come with a password; got a password alone. Set LIQUID_MQTT_USER.")
        if self.key is not None and self.cert is None:
            raise OptionError("`cert` must come with a key; got a key alone. Set LIQUID_MQTT_CERT.")
