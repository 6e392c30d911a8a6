import json
import random

import pytest
from conftest import NAMES, SETOSA, fit, make_model
from mixed import FEATURES, INSTANCE, fit_mixed

from errors import InvalidTable, MalformedBody, TableTooLarge
from worker.tables.json_tables import open_json
from worker.tables.table import Limits

LIMITS = Limits(1_000_000, 2**30)


@pytest.fixture(scope="module")
def iris():
    return make_model(fit())


@pytest.fixture(scope="module")
def mixed():
    return make_model(fit_mixed(), features=FEATURES)


def rows_of(body, model, limits=LIMITS):
    table, _ = open_json(body if isinstance(body, bytes) else body.encode(), model, limits)
    return [row for batch in table.read() for row in batch.to_pylist()]


TEXTS = ["Dream", "},", "]}", '\\"', "},{", '"},{"', "[", "a, b", "\\\\", "🐧", "", ']},"x":[{']


def test_instances_and_columns_are_the_same_rows(mixed):
    choose = random.Random(0).choice
    rows = [INSTANCE | {"island": choose(TEXTS), "sex": choose(TEXTS)} for _ in range(3000)]
    columns = {name: [row[name] for row in rows] for name in INSTANCE}

    by_row = json.dumps({"instances": rows}, indent=1)
    by_column = json.dumps({"columns": columns})

    assert rows_of(by_row, mixed) == rows_of(by_column, mixed) == rows


def test_values_that_may_be_missing_may_be_left_out(mixed):
    missing = INSTANCE | {"age": None, "island": None}
    required = {name: value for name, value in missing.items() if value is not None}
    columns = {name: [value] for name, value in required.items()}

    assert rows_of(json.dumps({"instances": [missing]}), mixed) == [missing]
    assert rows_of(json.dumps({"instances": [required, missing]}), mixed) == [missing] * 2
    assert rows_of(json.dumps({"columns": columns}), mixed) == [missing]


def test_whole_numbers_are_numbers_and_of_a_value_that_comes_twice_the_last_one_counts(iris):
    rows = [dict.fromkeys(NAMES, number) for number in (2**53 + 1, 10**30, 1)]
    body = json.dumps({"instances": rows}).replace("}]", ', "sepal_width": 9}]')

    assert [row["sepal_width"] for row in rows_of(body, iris)] == [2.0**53, 1e30, 9.0]


BAD = {
    "sepal_width must be a number.": ["true", '"3.5"', "null", "[]", '{"a": [1, {}]}'],
    "sepal_width must be a finite number.": ["NaN", "1e400", "9" * 400],
}


@pytest.mark.parametrize(("detail", "value"), [(it, value) for it in BAD for value in BAD[it]])
def test_a_bad_value_is_named_with_its_row_in_both_shapes(iris, detail, value):
    good = json.dumps(SETOSA)
    bad = good.replace("3.5", value)
    by_row = '{"instances": [' + ",".join([good] * 2000 + [bad] + [good] * 10) + "]}"
    columns = {name: [number] * 2001 for name, number in SETOSA.items()}
    by_column = json.dumps({"columns": columns}).replace("3.5]", value + "]")

    for body in (by_row, by_column):
        with pytest.raises(InvalidTable) as error:
            rows_of(body, iris)
        assert error.value.faults == [(detail, 2001, "sepal_width")]


def test_what_is_missing_and_what_is_unknown_is_named(iris):
    instances = [SETOSA, {"petal": 1}, 3, [], SETOSA | {"petal": 1}]
    with pytest.raises(InvalidTable) as error:
        rows_of(json.dumps({"instances": instances}), iris)

    said = [(it.row, it.column) for it in error.value.faults]
    named = [*((2, name) for name in [*NAMES, "petal"]), (3, None), (4, None), (5, "petal")]
    assert said == named
    assert str(error.value).count("It must be a JSON object with sepal_length") == 2
    assert error.value.faults[-1].detail == "petal is not a feature of this model."


def test_columns_have_to_be_those_of_the_model_and_of_one_length(iris):
    columns = json.dumps({"columns": {name: [1, 2] for name in NAMES}})

    with pytest.raises(InvalidTable, match=r"petal is not a feature of this model\."):
        rows_of(columns.replace("}}", ', "petal": [1, 2]}}'), iris)
    said = "The columns differ in length: sepal_length 1, sepal_width 2"
    with pytest.raises(InvalidTable, match=said):
        rows_of(columns.replace("[1, 2]", "[1]", 1), iris)


@pytest.mark.parametrize("body", ["[]", "3", '{"instances": {}}', '{"columns": []}', "{}", '"x"',
    '{"instances": [], "columns": {}}', '{"rows": []}',
    '{"columns": {"sepal_width": 3}}'])  # fmt: skip
def test_another_shape_is_told_which_ones_are_taken(iris, body):
    with pytest.raises(InvalidTable, match="Send one JSON object"):
        rows_of(body, iris)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b'{"instances": [', b'{"instances": [{}', b'{"instances": [{},]}',
        b'{"instances": [,{}]}', b'{"instances": [1 2]}', b'{"instances": []} x',
        b'{"instances": [{]}]}', b'{"instances": ["]}', b'{"instances": ["\xff"]}',
        b'{"instances": ["\\ud800"]}', b'{"instances": [}', b'{"columns": {"a": [1,]}}',
        b'{"columns": {"a": [1}}', b'{"columns": {"a": [1]', b'{"columns": {"a" [1]}}',
        b'{"columns": {"a": [1],}}', b'{"columns": {"\\u": [1]}}', b'{"columns": {a: [1]}}',
        b'{"instances": [' + b"[" * 100_000, b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda it: it[:30].decode(errors="replace"),
)  # fmt: skip
def test_what_is_no_json_is_told_so(iris, body):
    with pytest.raises(MalformedBody):
        rows_of(body, iris)


def test_rows_are_counted_before_all_of_them_are_there(iris):
    with pytest.raises(TableTooLarge):
        rows_of(json.dumps({"instances": [1] * 101}), iris, Limits(100, 2**30))
