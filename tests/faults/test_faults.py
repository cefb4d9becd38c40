"""Kill points, failing calls, power cuts and races, in short; `make faults` takes minutes over them."""

import call_faults
import kill_points
import power_loss
import pytest

FEW = ["add", "purge", "reembed", "sync", "remember"]

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def test_a_killed_process_loses_nothing_acknowledged_and_leaves_no_half_write(tmp_path):
    assert not [wrong for *_, wrong in kill_points.run(["add"], 3, 1, tmp_path) if wrong]


@pytest.mark.thorough
def test_no_path_that_writes_loses_by_being_killed(tmp_path):
    assert not [wrong for *_, wrong in kill_points.run(list(kill_points.PATHS), 4, 2, tmp_path) if wrong]


@pytest.mark.thorough
def test_no_path_that_writes_loses_by_a_call_that_fails(tmp_path):
    assert not [wrong for *_, wrong in call_faults.run(FEW, 1, 1, tmp_path) if wrong]


@pytest.mark.thorough
def test_a_power_cut_loses_nothing_acknowledged_with_full_durability_and_never_leaves_a_half_write(tmp_path):
    assert not [wrong for *_, wrong in power_loss.run(FEW, 3, 1, tmp_path) if wrong]
