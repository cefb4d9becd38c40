"""Plots: the geometry says what the numbers say, and nothing leaves the picture."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybridstore.evaluation.metrics import Bin, reliability
from hybridstore.views import svg_plots

SVG = "{http://www.w3.org/2000/svg}"


def read(drawing):
    return ET.fromstring(drawing)  # noqa: S314 - it was made here


def each(drawing, tag, word=""):
    return [found for found in read(drawing).iter(SVG + tag) if word in (found.get("class") or "").split() or not word]


def number(found, *names):
    return [float(found.get(name)) for name in names]


def inside(drawing):
    """Whether all that is drawn lies in the picture."""
    width, height = map(float, read(drawing).get("viewBox").split()[2:])
    for shape in read(drawing).iter():
        xs = [float(shape.get(name)) for name in ("x", "x1", "x2", "cx") if shape.get(name)]
        ys = [float(shape.get(name)) for name in ("y", "y1", "y2", "cy") if shape.get(name)]
        for pair in (shape.get("points") or "").split():
            x, y = map(float, pair.split(","))
            xs.append(x), ys.append(y)
        if shape.get("width"):
            xs.append(xs[0] + float(shape.get("width")))
            ys.append(ys[0] + float(shape.get("height")))
        if shape.tag == SVG + "text":  # a letter is about 7 units wide
            share = {"start": 0, "middle": 0.5, "end": 1}[shape.get("text-anchor")]
            xs += [xs[0] - 7 * len(shape.text) * share, xs[0] + 7 * len(shape.text) * (1 - share)]
        if any(not -0.02 <= x <= width + 0.02 for x in xs) or any(not -0.02 <= y <= height + 0.02 for y in ys):
            return False
    return True


def test_bars_of_differences_are_sorted_and_as_high_as_they_are():
    drawing = svg_plots.differences([("down", -0.5), ("none", 0.0), ("up", 0.25), ("<most>", 1.0)])
    bars = each(drawing, "rect")
    assert [bar.findtext(SVG + "title") for bar in bars] == ["<most>: +1.000", "up: +0.250", "down: -0.500"]
    assert [number(bar, "height")[0] for bar in bars] == [90, 22.5, 45]
    assert [bar.get("class") for bar in bars] == ["fill s0", "fill s0", "fill s1"]
    zero = number(each(drawing, "line", "zero")[0], "y1")[0]
    tops = [number(bar, "y", "height") for bar in bars]
    assert [tops[0][0] + tops[0][1], tops[1][0] + tops[1][1], tops[2][0]] == [zero] * 3
    assert inside(drawing)


def test_many_differences_become_two_outlines_with_the_same_heights():
    rows = [(f"q{n}", 1 - n / 300) for n in range(600)]
    drawing = svg_plots.differences(rows)
    above, below = each(drawing, "path")
    heights = [float(y) for y in re.findall(r"V([-\d.]+)", above.get("d"))]
    assert heights[0] == 10  # 1.0 is 90 units above 100
    assert heights[:300] == sorted(heights[:300])
    assert {100.0} == set(heights[300:])
    assert min(float(y) for y in re.findall(r"V([-\d.]+)", below.get("d"))) == 100
    assert max(float(y) for y in re.findall(r"V([-\d.]+)", below.get("d"))) == pytest.approx(189.7)
    assert not each(drawing, "rect")


def test_a_smaller_reach_makes_higher_bars_and_says_so():
    drawing = svg_plots.differences([("q", 0.1)], reach=0.2)
    assert number(each(drawing, "rect")[0], "height") == [45]
    assert [text.text for text in each(drawing, "text")] == ["+0.2", "+0.1", "0", "-0.1", "-0.2"]


def test_intervals_lie_around_their_dots_and_their_colour_says_whether_they_leave_out_zero():
    drawing = svg_plots.intervals(
        [("gain", 0.05, 0.02, 0.08), ("luck", -0.01, -0.03, 0.01), ("loss", -0.05, -0.1, -0.01)]
    )
    lines, dots = each(drawing, "line", "stroke"), each(drawing, "circle")
    assert [dot.get("class") for dot in dots] == ["fill s0", "fill s5", "fill s1"]
    zero = number(each(drawing, "line", "zero")[0], "x1")[0]
    for line, dot in zip(lines, dots, strict=True):
        assert number(line, "x1")[0] < number(dot, "cx")[0] < number(line, "x2")[0]
    assert number(lines[0], "x1")[0] > zero > number(lines[2], "x2")[0]
    assert inside(drawing)


@given(ends=st.lists(st.floats(-1, 1), min_size=3, max_size=3))
@example(ends=[0.0, 0.0, 5e-324])
def test_any_interval_lies_in_the_picture_between_few_marks(ends):
    low, difference, high = sorted(ends)
    drawing = svg_plots.intervals([("name", difference, low, high)])
    assert inside(drawing)
    assert 3 <= len(each(drawing, "text", "soft")) <= 9


def test_columns_are_as_high_as_their_counts_are_many():
    drawing = svg_plots.histogram([4, 0, 2], ["0", "1", "2"])
    assert [number(bar, "height")[0] for bar in each(drawing, "rect")] == [134, 0, 67]
    assert [text.text for text in each(drawing, "text")] == ["4", "0", "0", "1", "2", "2"]
    assert inside(drawing)
    assert inside(svg_plots.histogram([0, 0], ["a", "b"]))


def test_a_bar_of_shares_is_parted_as_its_counts_are():
    drawing = svg_plots.shares([("first 10", [1, 2, 0, 1]), ("nothing", [0, 0, 0, 0])])
    bars = each(drawing, "rect")
    assert [bar.get("class") for bar in bars] == ["fill s0", "fill s1", "fill s3"]
    assert [number(bar, "width")[0] for bar in bars] == [98, 196, 98]
    assert number(bars[1], "x")[0] == sum(number(bars[0], "x", "width"))
    assert inside(drawing)


def test_the_dots_of_a_calibrated_search_lie_on_the_diagonal():
    bins = (Bin(0, 0.5, 10, 0.25, 0.25), Bin(0.5, 1, 0, 0, 0), Bin(0.5, 1, 30, 0.75, 0.75))
    drawing = svg_plots.reliability(bins)
    line, dots = each(drawing, "line", "dash")[0], each(drawing, "circle")
    x1, y1, x2, y2 = number(line, "x1", "y1", "x2", "y2")
    assert len(dots) == 2  # an empty bin has none
    for dot, part in zip(dots, (0.25, 0.75), strict=True):
        assert number(dot, "cx", "cy") == [x1 + part * (x2 - x1), y1 + part * (y2 - y1)]
    assert number(dots[0], "r")[0] < number(dots[1], "r")[0]
    assert inside(svg_plots.reliability(reliability([0.0, 1.0], [False, True])))


def test_times_rise_from_left_to_right_and_a_slower_series_lies_to_the_right():
    drawing = svg_plots.latencies({"fast": [1.0, 2.0, 3.0], "slow": [100.0, 200.0], "none": []})
    fast, slow, none = (line.get("points").split() for line in each(drawing, "polyline"))
    xs = [[float(point.split(",")[0]) for point in points] for points in (fast, slow)]
    assert [each == sorted(each) for each in xs] == [True, True]
    assert max(xs[0]) < min(xs[1])
    assert none == []
    assert [text.text for text in each(drawing, "text")][-4:] == ["1", "10", "100", "1000"]
    assert inside(drawing)
    assert inside(svg_plots.latencies({"nothing": []}))


@given(times=st.lists(st.floats(0, 1e5), min_size=1, max_size=30))
def test_any_times_lie_in_the_picture(times):
    assert inside(svg_plots.latencies({"a": times}))
