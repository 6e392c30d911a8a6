"""scoring.py says of a file what the backend says of the same rows."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from made_tables import TARGET, make_binary, make_many_classes, make_mixed, make_unicode
from processes import ROOT, environment, find_free_port, running_backend, wait_until
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


@pytest.mark.parametrize("make", READ, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_scored_file_is_as_the_backend_answers_it(make, train_on, tmp_path):
    trained = train_on(make)
    models = trained.models_dir
    rows = READ[make](trained.table).drop(columns=TARGET)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_parquet(tmp_path / "rows.parquet", index=False)

    with running_backend(models, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        for kind in TYPES:
            source, out = tmp_path / f"rows.{kind}", tmp_path / f"out.{kind}"
            command = [sys.executable, ROOT / "mlflow/scoring.py", source, out]
            subprocess.run(command, env=environment(MODELS_DIR=models), check=True)
            expect_the_same(read(out), ask(url, source))


def test_what_trainings_take_as_missing_is_missing_in_a_csv_to_score(train_on, tmp_path):
    models = train_on(make_mixed).models_dir
    # What the words are is not for the model to know.
    rows = pd.DataFrame({"word": WORDS, "x1": 0.5})
    nulls = rows.assign(x0=np.nan, member=None, island=None)
    pq.write_table(pa.Table.from_pandas(nulls), tmp_path / "nulls.parquet")
    words = rows.assign(x0=rows["word"], member=rows["word"], island=rows["word"])
    source, out = tmp_path / "words.csv", tmp_path / "scored.csv"
    words.to_csv(source, index=False)

    with running_backend(models, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        expected = ask(url, tmp_path / "nulls.parquet")
        answered = ask(url, source)
    command = [sys.executable, ROOT / "mlflow/scoring.py", source, out]
    subprocess.run(command, env=environment(MODELS_DIR=models), check=True)

    for found in (answered, read(out)):
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
