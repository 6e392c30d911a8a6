"""scoring.py says of a file what the backend says of the same rows."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import warm
from made_tables import TARGET, make_binary, make_many_classes, make_mixed, make_unicode
from processes import ROOT, environment, running_backend
from pyarrow import csv

READ = {
    make_mixed: pd.read_parquet,
    make_binary: pd.read_csv,
    make_many_classes: lambda path: pd.read_csv(path, sep=";", decimal=","),
    make_unicode: lambda path: pd.read_csv(path, encoding="latin-1"),
}
TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
# Of pandas, with which tables to train on are read, and a question mark.
WORDS = ["?", "NA", "<NA>", "#NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NULL", "null", "None"]
WORDS += ["NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", " NA"]
LETTER_BY_LETTER = csv.ConvertOptions(column_types={"word": pa.string()})


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return csv.read_csv(path, convert_options=LETTER_BY_LETTER)


def ask(url, path):
    headers = {"Content-Type": TYPES[path.suffix[1:]]}
    answer = requests.post(f"{url}/predict/batch", path.read_bytes(), headers=headers, timeout=60)
    assert answer.ok, answer.text
    body = pa.BufferReader(answer.content)
    if path.suffix == ".parquet":
        return pq.read_table(body)
    return csv.read_csv(body, convert_options=LETTER_BY_LETTER)


def score(models, source):
    """The scored table, written in the format that it was read in."""
    out = source.with_stem(f"{source.stem}_scored")
    command = [sys.executable, ROOT / "backend/scoring.py", source, out]
    done = warm.run(command, env=environment(MODELS_DIR=models))
    assert done.returncode == 0, done.stderr
    return read(out)


@pytest.mark.parametrize("make", READ, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_scored_file_is_as_the_backend_answers_it(make, train_on, tmp_path):
    trained = train_on(make)
    rows = READ[make](trained.table).drop(columns=TARGET)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_parquet(tmp_path / "rows.parquet", index=False)

    with running_backend(trained.models_dir) as url:
        for source in (tmp_path / "rows.csv", tmp_path / "rows.parquet"):
            expect_the_same(score(trained.models_dir, source), ask(url, source))


def test_what_trainings_take_as_missing_is_missing_in_a_csv_to_score(train_on, tmp_path):
    models = train_on(make_mixed).models_dir
    # What the words are is not for the model to know.
    rows = pd.DataFrame({"word": WORDS, "x1": 0.5})
    nulls = rows.assign(x0=np.nan, member=None, island=None)
    pq.write_table(pa.Table.from_pandas(nulls), tmp_path / "nulls.parquet")
    words = rows.assign(x0=rows["word"], member=rows["word"], island=rows["word"])
    words.to_csv(tmp_path / "words.csv", index=False)

    with running_backend(models) as url:
        expected = ask(url, tmp_path / "nulls.parquet")
        answered = ask(url, tmp_path / "words.csv")

    for found in (answered, score(models, tmp_path / "words.csv")):
        assert found["word"].to_pylist() == WORDS
        for name in expected.column_names:
            if name.startswith("probability_"):
                assert found[name].to_pylist() == pytest.approx(expected[name].to_pylist())


def expect_the_same(scored, answered):
    assert scored.num_rows == answered.num_rows > 0
    for name in answered.column_names:
        found, expected = (it[name].cast(pa.string()).to_pylist() for it in (scored, answered))
        if name.startswith("probability_"):
            assert scored[name].to_numpy() == pytest.approx(answered[name].to_numpy(), abs=1e-12)
        else:
            assert found == expected
