"""Fixtures of the contract tests: the API-server double, and a gateway without a supervisor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Stoker
from tests.support.cluster import Cluster
from tests.support.endpoint import Endpoint
from tests.support.user import User


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        for number in range(3):
            made.node(f"l4-{number}", 1, "nvidia-l4")
        yield made


@pytest.fixture
def user(stoker: Stoker, cluster: Cluster) -> User:
    return User(stoker, cluster)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    made = Endpoint(tmp_path)
    yield made
    made.close()
