"""Servers to test: in this process, or in one of their own; and bundles that differ in what everything is called."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from mekb.bundle.manifest import MANIFEST, digest_of, hashes
from mekb.output import folder_written_whole
from mekb.serve import ServeSettings, create_app

TOKEN = "a-token-of-more-than-sixteen-characters"  # noqa: S105  of a test


def client_of(bundle: Path, **settings: object) -> TestClient:
    """Return a client of a server in this process; use it as a context."""
    app = create_app(bundle, ServeSettings.model_validate(settings))
    return TestClient(app, base_url="http://localhost")


def resign(folder: Path) -> str:
    """Make the manifest of a changed bundle true again, as a forger would; return its digest."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"] = hashes(folder)
    manifest["digest"] = digest_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return str(manifest["digest"])


def relabelled(bundle: Path, folder: Path, prefix: str) -> str:
    """Write a copy of a bundle in which every title begins so; return its digest."""
    shutil.copytree(bundle, folder)
    for name in ("items.parquet", "entities.parquet"):
        table = pq.read_table(folder / name)
        titles = pa.array([f"{prefix}{title}" for title in table["title"].to_pylist()], pa.string())
        place = table.schema.get_field_index("title")
        pq.write_table(table.set_column(place, "title", titles), folder / name)
    return resign(folder)


def put_in_place(bundle: Path, place: Path) -> None:
    """Replace a bundle as `mekb bundle --force` does: written aside, then renamed."""
    with folder_written_whole(place, marks=(MANIFEST,), force=True) as aside:
        shutil.copytree(bundle, aside, dirs_exist_ok=True)


@dataclass
class Running:
    """`mekb serve` in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    log: Path

    def client(self, **more: object) -> httpx.Client:
        """Return a client of its own connections."""
        return httpx.Client(base_url=self.address, timeout=60, trust_env=False, **more)

    def said(self) -> str:
        """Return what it wrote to stderr so far."""
        return self.log.read_text(encoding="utf-8")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def running(log: Path, bundle: Path, *options: object, **environment: str) -> Iterator[Running]:
    """Start `mekb serve` on a free port, wait until it listens, and end it."""
    words = [sys.executable, "-m", "mekb", "serve", bundle, "--port", "0", *options]
    known = {name: os.environ[name] for name in os.environ if name != "MEKB_TOKEN"}
    with (
        log.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(
            [str(word) for word in words],
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**known, "OMP_NUM_THREADS": "1", **environment},
        ) as process,
    ):
        try:
            yield Running(process, _told(process, log), log)
        finally:
            if process.poll() is None:
                process.kill()


def _told(process: subprocess.Popen[str], log: Path) -> str:
    """Return the address a server says it is served at."""
    import time

    for _ in range(1200):
        found = re.search(r"served at (http://\S+)", log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))
