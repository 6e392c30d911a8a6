import numpy as np
import pytest
from conftest import DESCRIBED, MIXED, NAMES, VERSION, describe, fit, journal_in, wait_until_live
from journals import exposed, predict, predict_rows, windows
from mixed import FEATURES, INSTANCE
from processes import wait_until
from pydantic import TypeAdapter
from sklearn.datasets import load_iris

from features.binning import EXTRA, FeatureBins, ModelBins
from monitoring.drift import (
    MIN_ROWS,
    compare_classes,
    compare_feature,
    judge,
    population_stability_index,
)
from schemas import Description, Feature

TRIALS, ROWS = 200, 500
READ = TypeAdapter(Feature)


def number(trained, bins=20, **changes):
    """A feature as the trainer describes such a column."""
    edges = np.histogram_bin_edges(trained, bins)
    counts = {"all": np.histogram(trained, edges)[0].tolist()}
    described = {"name": "x", "type": "number", "min": trained.min(), "max": trained.max()}
    histogram = {"edges": edges.tolist(), "counts": counts}
    return READ.validate_python(described | {"histogram": histogram} | changes)


def category(counts, nullable=False, missing=0):
    histogram = {"counts": {"all": list(counts.values())}, "missing": {"all": missing}}
    described = {"name": "x", "type": "category", "values": list(counts), "histogram": histogram}
    return READ.validate_python(described | {"mode": next(iter(counts)), "nullable": nullable})


def compare(feature, column):
    return compare_feature(feature, FeatureBins(feature).count(column))


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("draw", "trained"),
    [
        *((lambda random, count: random.normal(5, 1, count), n) for n in (150, 1_000, 100_000)),
        (lambda random, count: random.exponential(1, count), 1_000),
        (lambda random, count: random.pareto(1.5, count), 1_000),
        (lambda random, count: random.integers(0, 3, count).astype(float), 1_000),
        (lambda random, count: (random.random(count) < 0.01).astype(float), 1_000),
    ],
)
def test_rows_of_the_same_distribution_raise_no_alarm_however_odd(random, draw, trained):
    for _ in range(TRIALS):
        found = compare(number(draw(random, trained)), draw(random, ROWS))

        assert found.verdict != "shifted"


def test_categories_of_the_same_distribution_raise_no_alarm(random):
    values, weights = list("abcdefgh"), [0.3, 0.3, 0.2, 0.1, 0.06, 0.02, 0.01, 0.01]

    for _ in range(TRIALS):
        trained = random.choice(values, 300, p=weights)
        feature = category({value: int((trained == value).sum()) for value in values})
        assert compare(feature, random.choice(values, ROWS, p=weights)).verdict != "shifted"


@pytest.mark.parametrize("trained", [150, 100_000])
def test_a_shift_of_one_deviation_is_an_alarm(random, trained):
    feature = number(random.normal(5, 1, trained))

    found = [compare(feature, random.normal(6, 1, ROWS)) for _ in range(20)]

    assert {drift.verdict for drift in found} == {"shifted"}
    assert min(drift.psi for drift in found) > 0.25


NORMAL = number(np.random.default_rng(0).normal(0, 1, 1_000))
LETTERS = category({"a": 500, "b": 500})  # of which none were missing
NULLABLE = category({"a": 450, "b": 450}, nullable=True, missing=100)
BOOLEAN = {"name": "x", "type": "boolean", "mode": False}
BOOLEAN = READ.validate_python(BOOLEAN | {"histogram": {"counts": {"all": [900, 100]}}})


@pytest.mark.parametrize(
    ("feature", "column", "shares", "verdict"),
    [
        (NORMAL, np.array([100.0, -100.0] * 100 + [0.0] * 200), (0.5, 0, 0), "shifted"),
        (LETTERS, ["new"] * 300 + ["a", "b"] * 100, (0, 0.6, 0), "shifted"),
        (LETTERS, [None] * 250 + ["a", "b"] * 125, (0, 0, 0.5), "shifted"),
        (NULLABLE, [None] * 50 + ["a", "b"] * 225, (0, 0, 0.1), "stable"),
        (NULLABLE, [None] * 250 + ["a", "b"] * 125, (0, 0, 0.5), "shifted"),
        (BOOLEAN, [False] * 450 + [True] * 50, (0, 0, 0), "stable"),
        (BOOLEAN, [False] * 250 + [True] * 250, (0, 0, 0), "shifted"),
    ],
)
def test_values_beyond_unknown_or_missing_are_shares_and_a_shift(feature, column, shares, verdict):
    found = compare(feature, column)

    assert (found.outside, found.unknown, found.missing, found.verdict) == (*shares, verdict)


def test_few_rows_have_no_verdict(random):
    found = compare(number(random.normal(0, 1, 1_000)), np.full(MIN_ROWS - 1, 9.0))

    assert (found.psi, found.verdict, found.outside) == (None, "unknown", 1)


@pytest.mark.parametrize("edges", [None, [1.0], [1.0, 1.0], [2.0, 1.0], []])
def test_without_bins_in_its_histogram_a_feature_has_no_verdict(edges):
    histogram = None if edges is None else {"edges": edges, "counts": {"all": [5]}}
    feature = READ.validate_python({"name": "x", "type": "number", "histogram": histogram})

    found = compare(feature, np.ones(500))

    assert (found.psi, found.verdict, found.observed.counts) == (None, "unknown", [])


def test_the_index_is_that_of_the_book_and_so_are_its_thresholds():
    expected, observed = np.array([5000, 3000, 2000]), np.array([4000, 3000, 3000])
    shifts = (np.array([shift, -shift]) for shift in (5_000, 16_000, 25_000))

    index = population_stability_index(expected, observed)
    verdicts = [judge(np.array([50_000] * 2), 50_000 + shift)[1] for shift in shifts]

    assert index == pytest.approx(0.1 * np.log(5 / 4) + 0.1 * np.log(3 / 2), rel=1e-3)
    assert verdicts == ["stable", "moderate", "shifted"]


def test_a_column_is_counted_as_its_histogram_was(random):
    column = random.normal(0, 1, 1_000)

    counts = FeatureBins(number(column)).count(column)

    assert counts.tolist() == [*np.histogram(column, bins=20)[0], *[0] * EXTRA]
    assert compare(LETTERS, ["new"] * 300 + ["a", "b"] * 100).observed.counts == [100, 100]


def test_instances_and_arrays_are_counted_alike():
    features = [READ.validate_python(feature) for feature in FEATURES]
    instances = [list(INSTANCE.values()), [None, 95.0, None, True, "Atlantis", "male"]]
    first = [40.0, 4.5, 1.0, 0.0, "Biscoe", "female"]
    second = [np.nan, 95.0, np.nan, 1.0, "Atlantis", "male"]

    one_by_one = ModelBins(features).count(zip(*instances, strict=True))
    by_column = ModelBins(features).count(np.array([first, second], dtype=object).T)

    assert one_by_one.tolist() == by_column.tolist()


def ask_batch(client, rows):
    body = ",".join(NAMES) + "\n" + "\n".join(",".join(map(str, row)) for row in rows)
    response = client.post("/predict/batch", content=body, headers={"Content-Type": "text/csv"})
    assert response.status_code == 200


def find_shifted(window):
    return [feature["feature"] for feature in window["features"] if feature["verdict"] == "shifted"]


def test_shifted_rows_raise_the_alarm_everywhere_it_is_shown(start_journal):
    client = start_journal()
    garden = np.add(load_iris().data, [2, 0, 0, 0])

    ask_batch(client, garden)

    wait_until(lambda: windows(client)["hour"]["rows"] == 150)
    for window in windows(client).values():
        assert find_shifted(window) == ["sepal_length"]
    wait_until(lambda: exposed(client).get('model_feature_shifted{feature="sepal_length"}') == 1)
    assert exposed(client)['model_feature_psi{feature="sepal_length"}'] > 0.25
    assert exposed(client)['model_feature_shifted{feature="petal_width"}'] == 0
    assert exposed(client)["model_drift_rows"] == 150


def test_the_rows_of_the_training_table_raise_none(start_journal):
    client = start_journal()

    ask_batch(client, load_iris().data)

    wait_until(lambda: windows(client)["hour"]["rows"] == 150)
    assert find_shifted(windows(client)["model"]) == []
    assert windows(client)["model"]["classes"]["verdict"] == "stable"


def test_each_model_has_rows_of_its_own_of_tables_and_single_predictions(start_journal, publish):
    client = start_journal()
    row = [9.0, 3.0, 5.0, 2.0]
    predict_rows(client, [row] * 3)
    ask_batch(client, [row])
    wait_until(lambda: windows(client)["hour"]["rows"] == 4)
    [first, *_] = windows(client)["hour"]["features"]
    assert (first["outside"], first["verdict"]) == (1, "unknown")

    publish("2026_11_21_T20_44_21", **DESCRIBED)
    wait_until_live(client, "2026_11_21_T20_44_21")

    assert windows(client)["model"]["rows"] == 0


def test_one_class_only_is_a_shift_of_the_classes():
    described = describe(fit(), b"", VERSION) | DESCRIBED
    description = Description.model_validate(described)

    assert compare_classes(description, np.array([500, 0, 0])).verdict == "shifted"
    assert compare_classes(description, np.array([170, 160, 170])).verdict == "stable"


def test_a_text_feature_is_counted_through_the_journal(publish, start_live, tmp_path):
    publish(**MIXED)
    client = start_live(**journal_in(tmp_path))
    predict(client, INSTANCE | {"island": "Atlantis"})
    predict(client, INSTANCE | {"island": None})

    wait_until(lambda: windows(client)["hour"]["rows"] == 2)
    island = windows(client)["hour"]["features"][4]
    assert (island["unknown"], island["missing"]) == (0.5, 0.5)
