"""Make the data sets that are shipped in liquidtorch/datasets/ from their sources.

    python benchmarks/make_datasets.py --data DIR [--out liquidtorch/datasets]

DIR (default: the environment variable LIQUID_DATA) holds `ltc_cheetah/halfcheetah_traces_f32.npz` (key `obs`:
traces, 1000, 17) and `ltc_occupancy/{datatraining,datatest,datatest2}.txt` (the files of UCI 357).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from pathlib import Path

import numpy as np
import polars as pl

from liquidtorch.datasets import CHEETAH_READINGS
from liquidtorch.files import write_atomic

STEP = 0.05  # seconds of simulated time between two readings: frame_skip 5 of 0.01 s
DECIMALS = 4


def cheetah(data: Path) -> bytes:
    """Return the Parquet file: traces end to end, each without every tenth row."""
    traces = np.load(data / "ltc_cheetah" / "halfcheetah_traces_f32.npz")["obs"]
    count, length, _ = traces.shape
    kept = np.arange(length) % 10 != 9
    readings = traces[:, kept].reshape(-1, traces.shape[2]).astype(np.float64).round(DECIMALS).astype(np.float32)
    frame = pl.DataFrame(
        {
            "trace": pl.Series(np.repeat(np.arange(count), kept.sum()), dtype=pl.Int16),
            "t": np.tile((np.arange(length)[kept] * STEP).round(2), count),
            **{name: readings[:, j] for j, name in enumerate(CHEETAH_READINGS)},
        }
    )
    raw = io.BytesIO()
    frame.write_parquet(raw, compression="zstd", compression_level=19, statistics=False)
    return raw.getvalue()


def occupancy(data: Path, *names: str) -> bytes:
    """Return one CSV of the rows of the files `names`, six digits a reading, without the row numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for k, name in enumerate(names):
        with (data / "ltc_occupancy" / name).open(newline="") as f:
            header, *rows = csv.reader(f)
        if not k:
            writer.writerow(header)
        for _, date, *readings, occupied in rows:
            writer.writerow([date, *(f"{float(r):.6g}" for r in readings), occupied])
    return out.getvalue().encode()


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "liquidtorch" / "datasets")
    given = parser.parse_args()
    if given.data is None:
        parser.error("--data must be given, or LIQUID_DATA set")
    made = {
        "cheetah.parquet": cheetah(given.data),
        "occupancy.csv": occupancy(given.data, "datatraining.txt"),
        "occupancy_test.csv": occupancy(given.data, "datatest.txt", "datatest2.txt"),
    }
    for name, raw in made.items():
        write_atomic(given.out / name, raw)
        print(f"{name}: {len(raw)} bytes")


if __name__ == "__main__":
    main()
