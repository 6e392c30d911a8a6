import pytest
from drawn import MANY, rows
from mixed import category, number

import drawing
import texts
from histograms import draw_class_drift, draw_drift, draw_histogram, pick_classes


def counted(feature, counts, edges=None):
    histogram = {"counts": counts, "missing": {}} | ({"edges": edges} if edges else {})
    return feature | {"histogram": histogram}


def test_a_value_far_outside_does_not_squeeze_the_histogram():
    feature = counted(number("age"), {"no": [3, 4]}, [0, 5, 10])

    spec = draw_histogram(feature, ["no"], 1e300)

    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 20]
    assert spec["layer"][1]["data"] == {"values": [{"x": 20}]}


def test_a_missing_value_has_no_line():
    feature = counted(number("age"), {"no": [3, 4]}, [0, 5, 10])

    assert len(draw_histogram(feature, ["no"], None)["layer"]) == 1


def test_classes_without_a_colour_of_their_own_are_drawn_as_others():
    counts = {name: [1, 2] for name in MANY}
    feature = counted(number("age"), counts, [0, 5, 10])
    classes = pick_classes(list(MANY), MANY | {"class 40": 0.3})

    spec = draw_histogram(feature, classes, None)

    assert "class 40" in classes
    assert len(classes) == 5
    assert sum(row["rows"] for row in rows(spec)) == 150
    assert {row["class"] for row in rows(spec)} == {*classes, texts.OTHERS()}
    colours = spec["layer"][0]["encoding"]["color"]["scale"]["range"]
    assert colours[-1] == drawing.GREY
    assert len(set(colours)) == 6


def test_a_class_called_others_is_not_all_others():
    counts = {name: [1] for name in [*MANY, "others"]}
    feature = counted(category("sex", ["a", "b"]), {k: [1, 1] for k in counts})

    spec = draw_histogram(feature, ["others", "class 1"], "a")

    assert {row["class"] for row in rows(spec)} == {"others", "class 1", "(others)"}


def test_of_many_values_the_entered_one_is_drawn():
    values = [f"value {index}" for index in range(100)]
    feature = counted(category("sex", values), {"no": [*range(99, -1, -1)]})

    spec = draw_histogram(feature, ["no"], "value 99")

    drawn = [row["value"] for row in rows(spec)]
    assert len(drawn) == 12
    assert drawn[0] == "value 0"
    assert drawn[-1] == "value 99"
    assert spec["layer"][1]["data"]["values"] == [{"value": "value 99", "rows": 0}]


@pytest.mark.parametrize(("counts", "asked"), [([30, 10], 40), ([1, 2], 12)])
def test_drift_has_the_shares_of_both_in_every_bin(counts, asked):
    feature = counted(number("age"), {"no": [1, 2], "yes": [0, 1]}, [0, 5, 10])

    spec = draw_drift(feature, counts, asked)  # rows outside every bin are rows too

    assert {(row["bin"], row["of"]): row["share"] for row in rows(spec)} == {
        ("0", texts.TRAINED()): 0.25,
        ("5", texts.TRAINED()): 0.75,
        ("0", texts.ANSWERED()): counts[0] / asked,
        ("5", texts.ANSWERED()): counts[1] / asked,
    }


def test_bins_that_differ_by_little_keep_names_of_their_own():
    feature = counted(number("year"), {"no": [1, 2]}, [2000.01, 2000.02, 2000.03])

    assert {row["bin"] for row in rows(draw_drift(feature, [1, 1], 2))} == {"2000.01", "2000.02"}


def test_drift_of_many_values_is_drawn_for_those_frequent_in_either():
    values = [f"value {index}" for index in range(100)]
    feature = counted(category("sex", values), {"no": [50, *[1] * 99]})

    spec = draw_drift(feature, [*[0] * 99, 7], 7)

    drawn = {row["bin"] for row in rows(spec)}
    assert {"value 0", "value 99", "89 others"} <= drawn
    assert len(drawn) == drawing.MOST_BARS
    assert sum(row["share"] for row in rows(spec)) == pytest.approx(2)


def test_a_class_that_only_one_side_has_is_drawn_too():
    spec = draw_class_drift({"no": 3}, {"yes": 2})

    assert [(row["bin"], row["share"]) for row in rows(spec)] == [
        ("no", 1),
        ("no", 0),
        ("yes", 0),
        ("yes", 1),
    ]
