"""Numbers that come from a model worker are taken only if nothing they hold can do harm."""

import random
from functools import cache

import numpy as np
import pytest
from conftest import NAMES, make_model
from mixed import FEATURES, INSTANCE, fit_unscaled
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from engines.decoding import read_engine
from engines.engine import NotCompiled
from worker.compiling import leaf_bits
from worker.compiling.compilation import compile_untried
from worker.exchange import ExchangeError, pack, unpack

X, y = load_iris(return_X_y=True)
NUMBERS = [{"name": name, "type": "number"} for name in NAMES]
ROWS = [[5.1, 3.5, 1.4, 0.2], [1e308] * 4, [-1e308] * 4, [0.0] * 4]
UNUSUAL = {"age": None, "mass": -1e308, "member": None, "island": "elsewhere"}
MIXED_ROWS = [[*INSTANCE.values()], [*(INSTANCE | UNUSUAL).values()]]
ESTIMATORS = {
    "linear": LogisticRegression(max_iter=1000),
    "layers": GaussianNB(),
    "leaf_bits": RandomForestClassifier(3, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=2),
    "walk": RandomForestClassifier(3, random_state=0),
}
KINDS = [*ESTIMATORS, *(f"mixed {it}" for it in ESTIMATORS)]


@cache
def compile_kind(kind):
    """A message, and whom it is about."""
    estimator = ESTIMATORS[kind.removeprefix("mixed ")]
    if kind.startswith("mixed"):
        model = make_model(fit_unscaled(estimator), features=FEATURES)
    else:
        model = make_model(estimator.fit(X, y), features=NUMBERS)
    with pytest.MonkeyPatch.context() as patched:
        if kind.endswith("walk"):
            patched.setattr(leaf_bits, "MAX_MASK_BYTES", 0)
        return compile_untried(model.worker), model.description


def rows_of(kind):
    return MIXED_ROWS if kind.startswith("mixed") else ROWS


def read_changed(kind, name, change):
    """The engine of a message one array of which was changed."""
    message, description = compile_kind(kind)
    array = message.arrays[name].copy()
    changed = change(array)
    arrays = message.arrays | {name: array if changed is None else changed}
    return read_engine(message.head, arrays, description)


def join(message):
    return b"".join(pack(*message))


def put(index, value):
    def change(array):
        array.flat[index] = value

    return change


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_makes_the_same_engine_after_it_was_sent(kind):
    message, description = compile_kind(kind)
    rows = rows_of(kind)
    engines = [read_engine(*it, description) for it in (message, unpack(join(message)))]

    assert engines[0].predict_many(rows) == engines[1].predict_many(rows)
    assert engines[0].predict_many(rows)[0] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_another_length_or_type_or_without_an_end_are_refused(kind):
    message, _ = compile_kind(kind)
    for name, array in message.arrays.items():
        changes = [(lambda it: np.zeros(it.shape, "<i4"), "type")]
        if len(array) and name != "roots":  # fewer are fewer trees
            changes.append((lambda it: it[:-1], "refused|damaged"))
        if array.size and array.dtype == np.float64:
            changes += [(put(0, it), "finite") for it in (np.nan, np.inf, -np.inf)]
        for change, reason in changes:
            with pytest.raises(NotCompiled, match=reason):
                read_changed(kind, name, change)


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_for_other_features_or_classes_is_refused(kind):
    message, description = compile_kind(kind)
    classes = [*description.target.classes, "another"]
    target = description.target.model_copy(update={"classes": classes})

    for update in ({"features": description.features[1:]}, {"target": target}):
        with pytest.raises(NotCompiled):
            read_engine(*message, description.model_copy(update=update))


@pytest.mark.parametrize(
    ("kind", "name", "change", "reason"),
    [
        ("walk", "right", put(2, 0), "back"),  # a circle
        ("walk", "left", put(0, -1), "outside"),
        ("walk", "right", put(0, 10**9), "outside"),
        ("walk", "right", put(0, 2**62), "outside"),
        ("walk", "columns", put(0, 4), "outside"),
        ("walk", "columns", put(0, -1), "outside"),
        ("walk", "roots", put(2, 10**9), "outside"),
        ("walk", "values", put(0, -0.5), "not probabilities"),
        ("boosting", "values", put(0, 1e308), "too large"),
        ("leaf_bits", "masks", put(-1, 255), "wider than its leaves"),
        ("leaf_bits", "masks", lambda it: it[:, 1:], "shape"),
    ],
)
def test_numbers_that_lead_astray_are_refused(kind, name, change, reason):
    assert len(compile_kind("leaf_bits")[0].arrays["values"]) % 8, "the last byte has bits to spare"
    with pytest.raises(NotCompiled, match=reason):
        read_changed(kind, name, change)


def test_a_tree_that_takes_too_many_steps_has_no_answer():
    message, description = compile_kind("walk")
    depth = 20_000
    own = np.arange(2 * depth + 1)
    arrays = {
        "columns": np.zeros_like(own),
        "thresholds": np.zeros(len(own)),
        "left": np.where(own < depth, own + depth + 1, own),
        "right": np.where(own < depth, own + 1, own),
        "values": np.full((len(own), 3), 1 / 3),
        "roots": np.zeros(1, dtype=np.int64),
    }

    engine = read_engine(message.head, message.arrays | arrays, description)

    assert engine.predict_many([[1.0] * 4]) == [None]


def read_layers(*widths):
    """The engine of layers of so many scores."""
    message, description = compile_kind("layers")
    arrays = {"rows": np.zeros((0, widths[0]))}
    for place, (width, before) in enumerate(zip(widths, (4, *widths), strict=False)):
        arrays[f"weights{place}"] = np.zeros((width, before))
        arrays[f"intercept{place}"] = np.arange(width, dtype=np.float64)
    return read_engine(message.head, arrays, description)


def test_layers_that_would_take_long_are_refused():
    assert read_layers(9, 3).predict_one(ROWS[0])
    with pytest.raises(NotCompiled, match="too many layers"):
        read_layers(*[3] * 11)
    with pytest.raises(NotCompiled, match="more weights"):
        read_layers(300_000, 3)


def read_leaves(leaves, trees=1, values=10):
    """The engine of so many leaves, and of masks for so many values of each feature."""
    message, description = compile_kind("leaf_bits")
    masks = np.zeros((values, (leaves + 7) // 8), np.uint8)
    arrays = {"values": np.full((leaves, 3), 1 / 3), "masks": masks[:1]}
    for index in range(4):
        numbers = {f"thresholds{index}": np.arange(values - 1.0), f"masks{index}": masks}
        arrays |= numbers
    return read_engine(message.head | {"trees": trees}, arrays, description)


def test_leaves_that_would_take_long_are_refused():
    assert read_leaves(1000)
    with pytest.raises(NotCompiled, match="too many leaves"):
        read_leaves(1_000_001)
    with pytest.raises(NotCompiled, match="masks are too large"):
        read_leaves(1_000_000, values=140)
    with pytest.raises(NotCompiled, match="too many trees"):
        read_leaves(20_000, trees=10_001)


def test_masks_that_reach_no_leaf_of_a_tree_have_no_answer():
    engine = read_changed("leaf_bits", "masks", lambda it: np.where(it, it & 1, 0))

    assert engine.predict_many(ROWS) == [None] * len(ROWS)


@pytest.mark.parametrize("head", [{}, *({"kind": it} for it in ("layers", "leaf_bits", "walk"))])
def test_a_message_without_its_parts_is_refused(head):
    _, description = compile_kind("linear")

    with pytest.raises(NotCompiled, match="damaged"):
        read_engine(head, {}, description)


ODD = [None, True, -1, 0, 2**70, 1e300, "", "walk", [], [[]], {}, [1, -1], [2**70], [None]]


def damage(packed, dice):
    """The bytes with a few of them changed, cut off, or repeated."""
    damaged = bytearray(packed)
    for _ in range(dice.randint(1, 3)):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    end = dice.choice([len(damaged)] * 4 + [dice.randrange(len(damaged))])
    return bytes(damaged[:end])


def distort(value, dice):
    """The value with an odd one somewhere in it."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice([*value])
        return value | {key: distort(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        return [*value[:place], distort(value[place], dice), *value[place + 1 :]]
    return dice.choice(ODD)


@pytest.mark.parametrize("tries", [1000, pytest.param(20_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_message_is_refused_or_answers_with_probabilities(kind, tries):
    message, description = compile_kind(kind)
    rows = rows_of(kind)
    packed, dice, read = join(message), random.Random(0), 0

    for _ in range(tries):
        head = distort(message.head, dice)
        sent = damage(packed, dice) if dice.random() < 0.7 else join((head, message.arrays))
        try:
            engine = read_engine(*unpack(sent), description)
        except (ExchangeError, NotCompiled):
            continue
        read += 1
        for answer in engine.predict_many(rows):
            assert answer is None or sum(answer) == pytest.approx(1, abs=1e-4)
            assert answer is None or len(answer) == len(description.target.classes)
    assert 0 < read < tries
