import pytest
from cluster import Cluster


@pytest.fixture(scope="session")
def slurm():
    with Cluster() as cluster:
        yield cluster
