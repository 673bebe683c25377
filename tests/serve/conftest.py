"""One server in this process, for all who only ask."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mekb import api

sys.path.insert(0, str(Path(__file__).parent))  # servers that several files of tests share
from served_bundles import client_of


@pytest.fixture(scope="session")
def client(project) -> Iterator[TestClient]:
    """Ask the project's bundle."""
    with client_of(project.bundle) as opened:
        yield opened


@pytest.fixture(scope="session")
def bundle(project):
    return api.open_bundle(project.bundle)
