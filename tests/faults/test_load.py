"""Eight processes on one store, some of them killed; `make concurrency` and `make soak` take minutes over it."""

from xml.etree import ElementTree as ET

import load
import pytest
from growth import drawing, growth


@pytest.mark.thorough
@pytest.mark.parametrize("kill", [0, 1])
def test_eight_processes_lose_nothing_and_read_nothing_stale(tmp_path, kill):
    counts, samples = load.run(tmp_path / "x.db", 8, kill)
    assert samples
    assert {name: counts[name] for name in ("errors", "failed", "stale", "lost", "unsound")} == dict.fromkeys(
        ("errors", "failed", "stale", "lost", "unsound"), 0
    )


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        ([0, 50, 100, 100] * 1 + [100] * 4, False),
        ([0, 0, 100, 100, 120, 120, 124, 124], False),  # less than a quarter
        ([0, 0, 100, 100, 120, 120, 160, 160], True),
        ([0, 0, 1, 1, 1, 1, 4, 4], False),  # less than is allowed
        ([500, 500, 100, 100, 100, 100, 90, 90], False),
        ([7], False),
    ],
)
def test_what_is_higher_in_the_last_quarter_than_in_the_second_grows(values, grows):
    assert growth("memory", values, 10).grows is grows


def test_the_drawing_shows_every_sample_of_every_quantity():
    image = ET.fromstring(drawing([0, 5, 10], [("memory, MB", [1, 2, 3]), ("log", [0, 0, 0])]))  # noqa: S314 - ours
    lines = [each.get("points").split() for each in image.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points) for points in lines] == [3, 3]
    assert "memory, MB" in "".join(image.itertext())
