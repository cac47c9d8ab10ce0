"""Fixtures of the tests against the API-server double."""

from collections.abc import Iterator

import pytest
from tests.conftest import Stoker
from tests.support.user import User

from stoker.targets.simulated.cluster import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        for number in range(3):
            made.node(f"l4-{number}", 1, "nvidia-l4")
        yield made


@pytest.fixture
def user(stoker: Stoker, cluster: Cluster) -> User:
    return User(stoker, cluster)
