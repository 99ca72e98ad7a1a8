"""The page of curves shows what the logs say."""

import json
import xml.etree.ElementTree as ET

from vivavoce.model.train import curves


def log(path, steps):
    path.write_text("".join(json.dumps(figures) + "\n" for figures in steps))


def drawings(page):
    return [ET.fromstring("<svg" + piece.split("</svg>")[0] + "</svg>") for piece in page.split("<svg")[1:]]


def test_every_stage_has_its_drawing_with_a_curve_for_every_figure(tmp_path):
    log(
        tmp_path / "ears.jsonl",
        [{"step": s, "loss": 3 / (1 + s), "ctc": 2.0, "norm": 9.0, "s": 0.5} for s in range(1000)],
    )
    log(tmp_path / "talking.jsonl", [{"step": s, "loss": 1.0, "s": 3.6} for s in range(500)])
    (tmp_path / "empty.jsonl").touch()
    page = curves.page(tmp_path)
    assert "1,000 steps, 0.14 hours, loss 0.003 at the end" in page
    assert "500 steps, 0.50 hours" in page
    ears, talking = drawings(page)
    assert [t.text for t in ears.iter("text")][-2:] == ["loss", "ctc"]
    assert len(list(ears.iter("polyline"))) == 2
    assert len(list(talking.iter("polyline"))) == 1


def test_a_stopped_run_is_told_once_and_half_a_line_not_at_all(tmp_path):
    path = tmp_path / "talking.jsonl"
    log(path, [{"step": s, "loss": float(s)} for s in (0, 1, 2, 1)] + [{"step": 2, "loss": 7.0}])
    path.write_text(path.read_text() + '{"step": 3, "lo')
    assert [figures["loss"] for figures in curves.read(path)] == [0.0, 1.0, 7.0]


def test_a_curve_falls_from_left_to_right_and_has_few_points():
    points = curves.curve(
        [{"step": s, "loss": 5.0 - s / 1000} for s in range(4000)] + [{"step": 4000, "loss": float("nan")}], "loss"
    )
    assert len(points) <= curves.POINTS
    (line,) = ET.fromstring(curves.drawing({"loss": points})).iter("polyline")
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    xs, ys = zip(*places, strict=True)
    assert list(xs) == sorted(xs) and list(ys) == sorted(ys)
    assert curves.LEFT <= xs[0] < xs[-1] <= curves.RIGHT
    assert curves.TOP <= ys[0] < ys[-1] <= curves.BOTTOM
