from files.warned import add_warnings, tell_warnings


def test_warnings_of_parts_add_up():
    parts = [
        {"x": {"missing": 2}},
        {},
        {"y": {"unknown": 1}, "x": {"missing": 1, "out_of_range": 4}},
    ]

    assert add_warnings(parts) == {"x": {"missing": 3, "out_of_range": 4}, "y": {"unknown": 1}}


def test_warnings_are_said_by_column():
    found = {"weight": {"missing": 1, "out_of_range": 1}, "island": {"unknown": 3000}}

    said = (
        "island: 3,000 rows with unknown values. weight: 1 row with missing values, 1 out of range."
    )
    assert tell_warnings(found) == said
    assert tell_warnings({}) == ""


def test_the_columns_with_the_most_are_named_if_there_are_many():
    said = tell_warnings({f"x{it}": {"missing": it} for it in range(1, 31)})

    assert said.startswith("x30: 30 rows with missing values. x29: ")
    assert said.endswith("x11: 11 rows with missing values. 10 more columns have such rows.")
