import json

import pytest
from drawn import MANY, rows

import charts
import drawing


def test_every_class_has_its_bar_in_the_models_order():
    spec = charts.draw_probabilities({"zebra": 0.25, "ant": 0.75})

    assert rows(spec) == [
        {"class": "zebra", "probability": 0.25},
        {"class": "ant", "probability": 0.75},
    ]
    assert spec["encoding"]["y"]["sort"] is None


def test_of_many_classes_the_most_probable_are_drawn_and_the_rest_added_up():
    spec = charts.draw_probabilities(MANY | {"class 40": 0.3})

    names = [row["class"] for row in rows(spec)]
    assert "class 40" in names
    assert names[-1] == "39 others"
    assert sum(row["probability"] for row in rows(spec)) == pytest.approx(sum(MANY.values()) + 0.28)


@pytest.mark.parametrize("name", ["a' || alert(1) || '", 'a"b', "a\\b", "</script>"])
def test_a_class_cannot_break_out_of_an_expression(name):
    spec = charts.draw_probabilities({name: 0.9, "other": 0.1})

    test = spec["layer"][0]["encoding"]["color"]["condition"]["test"]
    assert test == f'datum["class"] == {json.dumps(name)}'


def test_colours_can_be_told_apart_by_the_colour_blind():
    """All of them from the palette that was made for it, and none twice."""
    assert len(set(drawing.PALETTE)) == len(drawing.PALETTE) == drawing.MOST_COLOURS


def test_right_and_wrong_cells_say_how_many_and_which_share():
    confusion = {"ant": {"ant": 3, "bee": 1}, "bee": {"bee": 2}}

    spec = charts.draw_confusion(confusion, ["ant", "bee", "wasp"])

    cells = [(row["right"], row["predicted"], row["rows"], row["share"]) for row in rows(spec)]
    assert cells == [("ant", "ant", 3, 0.75), ("ant", "bee", 1, 0.25), ("bee", "bee", 2, 1)]
    assert spec["encoding"]["x"]["scale"] == {"domain": ["ant", "bee", "wasp"]}
    assert spec["encoding"]["y"]["scale"] == {"domain": ["ant", "bee", "wasp"]}


def test_calibration_lies_between_the_same_ends_as_its_diagonal():
    bin_ = {"from": 0.9, "to": 1.0, "count": 30, "probability": 0.97, "accuracy": 0.95}

    spec = charts.draw_calibration([bin_])

    assert rows(spec) == [bin_]
    assert {axis["scale"]["domain"][1] for axis in spec["encoding"].values()} == {1}
    diagonal = [(end["probability"], end["accuracy"]) for end in rows(spec["layer"][0])]
    assert diagonal == [(0, 0), (1, 1)]
    told = [channel["field"] for channel in spec["layer"][2]["encoding"]["tooltip"]]
    assert told == ["from", "to", "count", "probability", "accuracy"]
