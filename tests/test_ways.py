"""A table that was trained on is scored as it is, and each way gives what the pickle says."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import requests
import warm
from formats import ARROW, CSV, PARQUET, XLSX, read
from made_tables import TABLES, TARGET
from processes import ROOT, environment, running_backend

CASES = Path(__file__).parent / "cases"
TYPES = {".csv": CSV, ".gz": CSV, ".parquet": PARQUET, ".xlsx": XLSX}

# What people have: the file, the column to predict and what else the command says.
GIVEN = {
    "class_called_None.csv": ("disorder", "--category", "disorder"),
    "colour.csv": ("class",),
    "commas_in_semicolon_header.csv": ("Class",),
    "double_bom.csv": ("class",),
    "features_named_like_answers.csv": ("kind",),
    "footer.csv": ("class",),
    "four_notes.csv": ("class",),
    "german.csv": ("Klasse",),
    "header.csv": ("Clasificación",),
    "label.csv": ("Statut",),
    "labelled_total.csv": ("class",),
    "labelled_words.csv": ("class",),
    "long.csv": ("class",),
    "note_line.csv": ("class",),
    "number_alone.csv": ("class",),
    "sep_line.csv": ("class",),
    "short_last.csv": ("class",),
    "short_rows.csv": ("class",),
    "short_units.csv": ("class",),
    "shuffled_index.csv": ("kind",),
    "source.csv": ("class",),
    "source_in_categories.csv": ("class",),
    "spaces_cells.csv": ("income",),
    "spaces_header.csv": ("income",),
    "spaces_none.csv": ("income",),
    "stray_beside.csv": ("class",),
    "three_notes.csv": ("class",),
    "total_beside.csv": ("class",),
    "total_sums.csv": ("class",),
    "trailing_spaces.csv": ("target",),
    "units.csv": ("class",),
    "units_and_percent.csv": ("class",),
    "unnamed0.csv": ("kind",),
    "unnamed_and_row.csv": ("kind",),
    "ymd_dots.csv": ("class",),
    "ymd_slash.csv": ("class",),
}

# As packages ship them: missing values, categories, dates, identifiers, rare classes.
REAL = {
    "lifelines/datasets/ACTG175.csv": ("arms",),
    "lifelines/datasets/gbsg2.csv": ("cens",),
    "lifelines/datasets/lung.csv": ("status",),
    "lifelines/datasets/lymph_node.csv": ("censdead",),
    "lifelines/datasets/rossi.csv": ("arrest",),
    "lifelines/datasets/stanford_heart.csv": ("event",),
    "palmerpenguins/data/penguins-raw.csv": ("Sex",),
    "palmerpenguins/data/penguins.csv": ("species",),
    "sklego/data/arrests.csv": ("released",),
    "sklego/data/hearts.csv": ("target",),
    "sklego/data/abalone.csv": ("sex",),
    "sklego/data/heroes.csv": ("attack_type",),
    "vega_datasets/_data/la-riots.csv": ("type", "--merge-rare"),
    "vega_datasets/_data/seattle-weather.csv": ("weather",),
}


@pytest.fixture(scope="module")
def real_tables(make_once):
    """A folder with the packages, as their files are no part of the tests' environment."""

    def install(folder):
        requirements = (ROOT / "tests/real_tables.txt").read_text().split()
        command = ("-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--target")
        done = warm.run([sys.executable, *command, str(folder), *requirements])
        assert done.returncode == 0, done.stderr
        for archive in (folder / "sklego/data").glob("*.zip"):
            with zipfile.ZipFile(archive) as packed:  # whose one file has any name
                archive.with_suffix(".csv").write_bytes(packed.read(packed.namelist()[0]))
        return folder

    return make_once("real_tables", install)


def list_given(_):
    return {CASES / name: options for name, options in GIVEN.items()}


def make_made(folder):
    """The suite's own tables, and those that are made here as they are binary."""
    tables = {make(folder): (TARGET,) for make in TABLES}
    rows = pd.read_csv(CASES / "spaces_none.csv")
    rows.to_excel(folder / "sheet.xlsx", engine="xlsxwriter", index=False)
    codes = rows.assign(grade=rows["age"] % 3, zone=(rows["age"] % 4).astype("category"))
    codes.to_parquet(folder / "codes.parquet", index=False)
    indexed = codes.set_index("grade", drop=False)
    indexed.to_parquet(folder / "indexed.parquet")
    unnamed = rows.set_axis(["", *rows.columns[1:]], axis=1)
    unnamed.to_parquet(folder / "unnamed.parquet", index=False)
    coded = ("income", "--category", "grade", "--category", "zone")
    tables |= {folder / "sheet.xlsx": ("income",), folder / "codes.parquet": coded}
    return tables | {folder / f"{name}.parquet": ("income",) for name in ("indexed", "unnamed")}


def learn(folder, tables):
    """Models of the tables in a folder, and what their pickles answer, by table."""
    listed = {
        str(path): ["--data", str(path), "--target", target, *options]
        for path, (target, *options) in tables.items()
    }
    (folder / "tables.json").write_text(json.dumps(listed))
    command = [sys.executable, str(ROOT / "tests/table_models.py"), str(folder)]
    done = warm.run(command, env=environment(MODELS_DIR=folder))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answers.json").read_text())


class Expected:
    """What a pickle says of the rows that the training used, by their places in the file."""

    def __init__(self, answer):
        self.version = answer["version"]
        self.said = answer["said"]
        self.features = answer["features"]
        self.classes = answer["classes"]
        self.rows = answer["rows"]
        self.matrix = answer["matrix"]
        self.probabilities = np.array(answer["probabilities"])

    def require(self, found, rows=None):
        """`found` are the probabilities of rows of the file, by default of all of them."""
        np.testing.assert_allclose(found[rows or self.rows], self.probabilities, atol=1e-9)


def list_probabilities(table, expected):
    """Shape (n, k), whatever the answer's columns are called."""
    names = [name for name in table.column_names if name not in expected.features]
    columns = [next(n for n in names if n.endswith(f"probability_{c}")) for c in expected.classes]
    return np.array([table[name].cast(pa.float64()).to_numpy() for name in columns]).T


def send(url, path, expected, accept, route="/predict/batch"):
    headers = {"Content-Type": TYPES[path.suffix], "Accept": accept}
    content = path.read_bytes()
    if path.suffix == ".gz":
        headers["Content-Encoding"] = "gzip"
    query = {"version": expected.version}
    answer = requests.post(f"{url}{route}", content, headers=headers, params=query, timeout=60)
    assert answer.ok, (path.name, answer.text)
    return answer


def ask_open_inference(url, sent, expected):
    """The training's own numbers, and the text of categories as it stands in the file."""
    matrix = list(zip(*expected.matrix, strict=True))
    inputs = []
    for place, (name, kind) in enumerate(expected.features.items()):
        data = [*matrix[place]]
        if kind == "category":
            cells = sent[name].take(pa.array(expected.rows)).to_pylist()
            data = [cell if cell is None else str(cell) for cell in cells]
        datatype = "BYTES" if kind == "category" else "FP64"
        inputs.append({"name": name, "datatype": datatype, "shape": [len(data)], "data": data})
    name = requests.get(f"{url}/models/{expected.version}", timeout=60).json()["manifest"]["name"]
    address = f"{url}/v2/models/{name}/versions/{expected.version}/infer"
    answer = requests.post(address, json={"inputs": inputs}, timeout=60)
    assert answer.ok, answer.text
    outputs = {output["name"]: output for output in answer.json()["outputs"]}
    return np.array(outputs["predict_proba"]["data"]).reshape(-1, len(expected.classes))


def score(models, path, out, expected):
    """The scored file, without the rows that hold no data."""
    command = [sys.executable, str(ROOT / "backend/scoring.py"), str(path), str(out)]
    done = warm.run([*command, "--version", expected.version], env=environment(MODELS_DIR=models))
    assert done.returncode in (0, 3), done.stderr
    bad = Path(f"{out}.bad.csv")
    left_out = {int(row) - 1 for row in pd.read_csv(bad)["row"]} if bad.exists() else set()
    return read(out.read_bytes(), CSV), left_out


def expect_each_way_right(url, folder, path, expected):
    arrow = send(url, path, expected, ARROW)
    sent = read(arrow.content, ARROW)
    expected.require(list_probabilities(sent, expected))
    csv = read(send(url, path, expected, CSV).content, CSV)
    expected.require(list_probabilities(csv, expected))
    columns = [name for name in expected.features if name in csv.column_names]
    if path.suffix in (".csv", ".gz"):
        assert sent.select(columns).to_pylist() == csv.select(columns).to_pylist()
    answered = ask_open_inference(url, sent, expected)
    np.testing.assert_allclose(answered, expected.probabilities, atol=1e-9)
    preview = send(url, path, expected, "*/*", "/predict/batch/preview").json()
    assert preview["missing"] == []
    said = preview["read_as"]
    assert bool(said) == (path.suffix != ".parquet")
    if said:
        trained = said.replace("has no answer", "is left out")
        trained = trained.replace("have no answer", "are left out")
        assert " ".join(expected.said).startswith(trained), path.name
        assert arrow.headers["X-Read-As"] == requests.utils.quote(said, safe=" ,.:;()'")
    scored, left_out = score(folder, path, folder / f"{path.stem}_scored.csv", expected)
    kept = [row for row in range(sent.num_rows) if row not in left_out]
    places = [kept.index(row) for row in expected.rows]
    expected.require(list_probabilities(scored, expected), places)


@pytest.mark.parametrize("make", [list_given, make_made], ids=["given", "made"])
def test_each_way_answers_as_the_pickle_does(make, tmp_path):
    tables = make(tmp_path)
    answers = learn(tmp_path, tables)

    with running_backend(tmp_path, MAX_BATCH_ROWS=1_000_000) as url:
        for path in tables:
            expect_each_way_right(url, tmp_path, path, Expected(answers[str(path)]))


def test_real_tables_are_scored_as_their_pickles_do(real_tables, tmp_path):
    tables = {real_tables / name: options for name, options in REAL.items()}
    answers = learn(tmp_path, tables)

    with running_backend(tmp_path) as url:
        for path in tables:
            expect_each_way_right(url, tmp_path, path, Expected(answers[str(path)]))
