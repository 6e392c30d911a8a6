"""A table with every type of feature, and a pipeline fitted on it as the trainer fits its own."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

INSTANCE = {"age": 40.0, "mass": 4.5, "member": True, "tagged": False}
INSTANCE |= {"island": "Biscoe", "sex": "female"}
RARE = "infrequent_if_exist"  # an unknown value is a rare one
ISLANDS = ["Biscoe", "Dream", "Torgersen"]  # the last is rare
SEXES = ["female", "male"]
NUMBER = {"type": "number", "unit": None, "mean": 40.0, "median": 41.0, "step": 1.0}
COUNTS = {"histogram": {"counts": {"yes": [50, 50]}, "missing": {"yes": 3}}}
EDGES = {"histogram": {"edges": [0.0, 90.0], "counts": {"yes": [50]}, "missing": {"yes": 3}}}
NULL, WHOLE = {"nullable": True}, {"nullable": False}
FEATURES = [
    NUMBER | EDGES | NULL | {"name": "age", "min": 18.0, "max": 80.0},
    NUMBER | EDGES | WHOLE | {"name": "mass", "min": 0.0, "max": 9.0},
    COUNTS | NULL | {"name": "member", "type": "boolean", "mode": True},
    COUNTS | WHOLE | {"name": "tagged", "type": "boolean", "mode": False},
    COUNTS | NULL | {"name": "island", "type": "category", "mode": "Dream", "values": ISLANDS},
    COUNTS | WHOLE | {"name": "sex", "type": "category", "mode": "male", "values": SEXES},
]

IMPUTABLE = [feature | {"imputable": True} for feature in FEATURES]


def draw_table() -> pd.DataFrame:
    """Booleans are 0 and 1, and what is missing is NaN, in text as well."""
    random = np.random.default_rng(0)
    islands = np.array([*ISLANDS, np.nan], dtype=object)
    return pd.DataFrame(
        {
            "age": random.choice([*range(18, 81), np.nan], 300),
            "mass": random.random(300) * 9,
            "member": random.choice([0.0, 1.0, np.nan], 300),
            "tagged": random.choice([0.0, 1.0], 300),
            "island": islands[random.choice(4, 300, p=[0.4, 0.4, 0.1, 0.1])],
            "sex": random.choice(SEXES, 300),
        }
    )


@cache
def fit_mixed(names: tuple[str, ...] = tuple(INSTANCE), unknown: str = RARE) -> Pipeline:
    """On these columns of the table, each of which moves the probabilities."""
    table = draw_table()
    score = table.age.fillna(60) / 20 + table.member.fillna(0) + table.tagged
    score += table.mass / 3 + (table.island == "Dream") * 2 + (table.sex == "male")
    text = [index for index, name in enumerate(names) if name in ("island", "sex")]
    numbers = [index for index in range(len(names)) if index not in text]
    encode = OneHotEncoder(handle_unknown=unknown, min_frequency=50)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("text", make_pipeline(SimpleImputer(strategy="most_frequent"), encode), text),
        ]
    )
    labels = np.where(score > score.median(), "yes", "no")
    return make_pipeline(columns, LogisticRegression()).fit(table[list(names)], labels)


def fit_unscaled(classifier: Any) -> Pipeline:
    """On the whole table, its numbers as they are."""
    encode = OneHotEncoder(handle_unknown=RARE, min_frequency=50, sparse_output=False)
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), encode)
    numbers = SimpleImputer(strategy="median")
    columns = ColumnTransformer([("numbers", numbers, [0, 1, 2, 3]), ("text", text, [4, 5])])
    table = draw_table()
    return make_pipeline(columns, classifier).fit(table, fit_mixed().predict(table.to_numpy()))


def ask(estimator: Pipeline, instance: dict[str, Any]) -> list[float]:
    """The estimator's own answer to a table of one row, as the trainer would ask it."""
    row = pd.DataFrame([instance]).astype(draw_table().dtypes[list(instance)])
    return estimator.predict_proba(row)[0].tolist()
