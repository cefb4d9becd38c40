"""What every backend promises, promise by promise: inherit BackendContract and override `open_backend`.

A capability that a backend lacks (`Backend.capabilities`) is skipped with its reason.
"""

from collections.abc import Callable

import pytest
from contract_conditions import ConditionsContract
from contract_embedding import EmbeddingContract
from contract_evidence import EvidenceContract
from contract_learning import LearningContract
from contract_legs import LegsContract
from contract_purging import PurgingContract
from contract_sampling import SamplingContract
from contract_searching import SearchingContract
from contract_sharing import SharingContract
from contract_statistics import StatisticsContract
from contract_writing import WritingContract

from hybridstore.backends.protocols import Backend


class BackendContract(
    WritingContract,
    ConditionsContract,
    SearchingContract,
    EvidenceContract,
    SamplingContract,
    EmbeddingContract,
    LegsContract,
    PurgingContract,
    LearningContract,
    SharingContract,
    StatisticsContract,
):
    """The whole contract of hybridstore.backends.protocols.Backend."""

    @pytest.fixture
    def open_backend(self) -> Callable[..., Backend]:
        """Return a function (name="store") -> Backend; the same name again is another handle on the same store."""
        raise NotImplementedError

    @pytest.fixture
    def backend(self, open_backend) -> Backend:
        """Return one empty store."""
        return open_backend()
