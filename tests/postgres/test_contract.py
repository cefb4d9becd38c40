"""The PostgreSQL backend keeps the contract of every backend, with copies in memory and with next to none."""

from collections.abc import Callable, Iterator

import pytest
from contract import BackendContract
from contract_evidence import EvidenceContract
from contract_searching import SearchingContract
from contract_statistics import StatisticsContract

from hybridstore.backends.postgres import PostgresBackend


class TestPostgres(BackendContract):
    @pytest.fixture
    def open_backend(self, open_backend) -> Callable[..., PostgresBackend]:
        return open_backend


class TestPostgresBeyondMemory(SearchingContract, EvidenceContract, StatisticsContract):
    """Nothing fits into memory: the server hands out what each query needs."""

    @pytest.fixture
    def open_backend(self, open_backend) -> Callable[..., PostgresBackend]:
        return lambda name="store": open_backend(name, memory=0)

    @pytest.fixture
    def backend(self, open_backend) -> Iterator[PostgresBackend]:
        return open_backend()
