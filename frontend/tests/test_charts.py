from charts import draw_probabilities


def test_every_class_has_its_bar_in_the_models_order():
    chart = draw_probabilities({"zebra": 0.25, "ant": 0.75}).to_dict()

    [rows] = chart["datasets"].values()
    assert rows == [
        {"class": "zebra", "probability": 0.25},
        {"class": "ant", "probability": 0.75},
    ]
    assert all(layer["encoding"]["y"]["sort"] is None for layer in chart["layer"])
