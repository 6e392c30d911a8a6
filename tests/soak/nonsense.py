"""Makes up what nobody should send: requests of each route, from nearly right to random bytes."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.ipc
from formats import ARROW, CSV, JSON, PARQUET
from formats import write as write_table
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from load import make_table
from models import NAMES
from processes import INSTANCE
from wire import INFER, INFER_V1, LENGTH, Header, join_binary, make_tensor, write_request

MEDIA_TYPES = [kind.encode() for kind in (JSON, CSV, ARROW, PARQUET)]
BINARY = b"application/octet-stream"
ROUTES = {
    "/predict": "/predict",
    "/predict/batch, JSON": "/predict/batch",
    "/predict/batch, CSV": "/predict/batch",
    "/predict/batch, Arrow": "/predict/batch",
    "/predict/batch, Parquet": "/predict/batch",
    "/v2, JSON": INFER,
    "/v2, binary": INFER,
    "/v1": INFER_V1,
    "/feedback": "/feedback",
}
KINDS = {
    "/predict/batch, CSV": CSV,
    "/predict/batch, Arrow": ARROW,
    "/predict/batch, Parquet": PARQUET,
}
ROW = list(INSTANCE.values())
AN_HOUR_AGO = 3600
OLD = "/feedback, old"


class Case(NamedTuple):
    """`is_http` is false where a header is none, which the server sees before the app does."""

    route: str
    headers: tuple[Header, ...]
    body: bytes
    is_http: bool = True

    def write(self) -> bytes:
        return write_request("POST", ROUTES[self.route], self.headers, self.body)


NUMBERS = ["1e999", "-1e999", "1e-999", "-0", "9" * 400, "0." + "3" * 400, "1E400", "01", "+1"]
NUMBERS += [".5", "1.7976931348623157e308", "4.9e-324", "9007199254740993", f"{2**64}", "0x10"]
ODD = ["NaN", "Infinity", "-Infinity", "null", "true", '""', "[]", "{}", '"\\ud800"', '"\\u0000"']
ODD += ['"\\ud83d\\ude00"', '"\u202eabc\u0301"', "'a'", '"a', "[1,]", '{"a":1,}', "nul", "/**/1"]
ODD += ["", f'"{"x" * 5000}"', "[" * 300 + "]" * 300, '{"":' * 200 + "1" + "}" * 200, "\ufeff1"]

HEADERS = [b"accept", b"accept-encoding", b"content-encoding", b"content-type", b"x-request-id"]
HEADERS += [LENGTH.encode(), b"origin", b"traceparent", b"authorization", b"x-api-key", b"range"]
HEADERS += [b"te", b"x-http-method-override", b"if-none-match", b"cookie", b"x-forwarded-for"]
BROKEN = [(b"x-a", b"a\x00b"), (b"x a", b"1"), (b"", b"1"), (b"x-a", b"a\rb"), (b"x\xff", b"1")]
NESTS = [(b"[", b"]"), (b'{"a":', b"}"), (b'{"instances":[', b"]}"), (b"[", b"")]


def _nest(depth: int, kind: int) -> bytes:
    opening, closing = NESTS[kind]
    return opening * depth + b"1" + closing * depth


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
numbers = st.floats().map(json.dumps) | st.integers().map(str)
bodies = st.one_of(
    st.binary(max_size=120),
    st.builds(_nest, st.sampled_from([1, 50, 500, 9000]), st.integers(0, 3)),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(ODD).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=40).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.text(max_size=40).map(lambda text: text.encode("utf-8-sig", "surrogatepass")),
)
header_values = st.one_of(
    st.text(
        st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40
    ).map(lambda text: text.strip().encode("latin-1")),
    st.sampled_from(
        [b"", b"*/*", b"text/csv;q=0", b"application/json, */*;q=0.1", b"q=;;,,", b"-1"]
    ),
    st.sampled_from(
        [b"gzip", b"deflate", b"br", b"identity, gzip", b"x" * 3000, b"\xff\xfe", b"5"]
    ),
    st.sampled_from([*MEDIA_TYPES, BINARY, b"application/json; charset=latin-1"]),
)


def spoil(document: Any, changed: Sequence[tuple[list[int], int, str]]) -> bytes:
    """A document with some of its parts replaced, left out, renamed, doubled or put elsewhere."""
    root = [deepcopy(document)]
    written = {}
    for number, (place, kind, fragment) in enumerate(changed):
        mark = f"\x01{number}\x01"
        written[json.dumps(mark)] = fragment
        _change(*_walk(root, place), kind, mark)
    text = json.dumps(root[0] if root else None)
    for mark, fragment in written.items():
        text = text.replace(mark, fragment)
    return text.encode("utf-8", "surrogatepass")


def _walk(root: list[Any], place: list[int]) -> tuple[Any, Any]:
    """The container of some part, and where in it that is."""
    parent: Any = root
    key: Any = 0
    for step in place:
        part = parent[key] if parent else None
        if not isinstance(part, list | dict) or not part:
            break
        parent = part
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        key = keys[step % len(keys)]
    return parent, key


def _change(parent: Any, key: Any, kind: int, mark: str) -> None:
    if not parent:
        return
    part = parent.pop(key)
    if kind == 0:
        return
    if isinstance(parent, dict):
        parent[mark if kind == 1 else key] = {2: [part], 3: {"a": part}}.get(kind, mark)
    else:
        parent.extend({1: [part] * 2, 2: [[part]], 3: [part, mark]}.get(kind, [mark]))


def damage(content: bytes, cut: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Bytes flipped, left out, put in, doubled; zeros and the largest numbers; the end cut off."""
    made = bytearray(content)
    for kind, place, value, length in cut:
        at = place % (len(made) + 1)
        end = at + length
        patch = {
            0: bytes([value]),
            2: bytes([value]) * length,
            3: bytes(made[at:end]) * 2,
            4: bytes(len(made[at:end])),
            5: b"\xff" * len(made[at:end]),
        }
        if kind == 6:
            del made[at:]
        elif kind == 2:
            made[at:at] = patch[kind]
        else:
            made[at : at + 1 if kind == 0 else end] = patch.get(kind, b"")
    return bytes(made)


def write_tables() -> dict[str, list[bytes]]:
    """Tables that are right, of each format in several ways, to be damaged."""
    table = make_table(np.random.default_rng(0).uniform(0, 8, (6, 4)).round(1))
    texts = pa.array(["a", "b,\"c'", None, "", "ü\U0001f600", "a"])
    wide = table.append_column("note", texts).append_column("kind", texts.dictionary_encode())
    wide = wide.append_column("at", pa.array([0, 1, None, 3, 4, 5], pa.timestamp("us", "UTC")))
    short = (table.slice(0, 1), table.slice(0, 0))
    tables, plain = (table, wide, *short), (table, wide.drop_columns(["kind"]), *short)
    options = [pa.ipc.IpcWriteOptions(compression=codec) for codec in (None, "lz4", "zstd")]
    return {
        "Arrow": [write_table(each, ARROW, options=how) for each in tables for how in options],
        "Parquet": [
            write_table(each, PARQUET, compression=codec)
            for each in tables
            for codec in ("none", "snappy", "gzip", "zstd", "brotli")
        ],
        "CSV": [write_table(each, CSV) for each in plain],
    }


def write_documents(known: Sequence[str]) -> dict[str, list[Any]]:
    """What is right at each route that takes JSON, to be spoilt; `known` are ids of predictions."""
    tensor = make_tensor(2, data=[*ROW, *ROW])
    columns = [
        {"name": name, "shape": [1], "datatype": "FP32", "data": [value]}
        for name, value in INSTANCE.items()
    ]
    outputs = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "predict_proba"}]
    aged = [f"{int(old[:12], 16) - 1000 * AN_HOUR_AGO:012x}{old[12:]}" for old in known[:2]]
    labels = [{"prediction_id": identifier, "label": "setosa"} for identifier in known]
    nested = tensor | {"data": [ROW, ROW]}
    return {
        "/predict": [INSTANCE],
        "/predict/batch, JSON": [
            {"instances": [INSTANCE, INSTANCE]},
            {"columns": {name: [value, value] for name, value in INSTANCE.items()}},
        ],
        "/v2, JSON": [
            {"inputs": [tensor]},
            {"inputs": columns, "outputs": outputs},
            {"id": "7", "inputs": [nested], "parameters": {"binary_data_output": True}},
        ],
        "/v1": [{"instances": [ROW, ROW]}, {"instances": [INSTANCE]}],
        "/feedback": [*labels, labels],
        # Of newer ones that it has not, the journal waits to be told.
        OLD: [{"prediction_id": identifier, "label": "setosa"} for identifier in aged],
    }


def _write_binaries() -> list[tuple[bytes, str]]:
    X = np.array([ROW, ROW])
    found = []
    for kind, name in (("<f8", "FP64"), ("<f4", "FP32"), ("<f2", "FP16"), ("<i8", "INT64")):
        binary = X.astype(kind).tobytes()
        tensor = make_tensor(2, name, parameters={"binary_data_size": len(binary)})
        found.append(join_binary({"inputs": [tensor]}, binary))
    size = {"binary_data_size": 5}
    text = {"name": NAMES[0], "shape": [1], "datatype": "BYTES", "parameters": size}
    return [*found, join_binary({"inputs": [text]}, b"\x01\x00\x00\x00a")]


COMPRESS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"gzip", bytes),  # which it is not
    (b"gzip", lambda body: gzip.compress(body)[:-3]),
    (b"deflate", lambda body: zlib.compress(body) + b"x"),
]


class Material(NamedTuple):
    """What cases are put together of: JSON, whole bodies, values of headers."""

    fragments: list[str]
    bodies: list[bytes]
    headers: list[bytes]


def draw_material(seed: int, count: int) -> Material:
    """Of hypothesis, which draws a hundred a second: too few to be sent one by one."""
    fragments = [*NUMBERS, *ODD, *_draw(values.map(json.dumps) | numbers, seed, count)]
    return Material(fragments, _draw(bodies, seed, count), _draw(header_values, seed, count))


def _draw(strategy: SearchStrategy[Any], seed: int, count: int) -> list[Any]:
    drawn: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(value: Any) -> None:
        drawn.append(value)

    keep()
    return drawn


class CaseMaker:
    """Puts cases together, each route in turn; the same ones of the same seed and material."""

    def __init__(self, seed: int, material: Material, known: Sequence[str]) -> None:
        """`known` are ids of predictions that the journal has."""
        self._random = Random(seed)
        self._material = material
        self._documents = write_documents(known)
        self._tables = {f"/predict/batch, {name}": made for name, made in write_tables().items()}
        self._binaries = _write_binaries()

    def make(self, count: int) -> list[Case]:
        routes = list(ROUTES)
        return [self._dress(self._make(routes[n % len(routes)])) for n in range(count)]

    def _make(self, route: str) -> Case:
        if route == "/v2, binary":
            return self._make_binary(route)
        kind = KINDS.get(route, JSON).encode()
        return Case(route, ((b"content-type", kind),), self._make_body(route))

    def _make_body(self, route: str) -> bytes:
        random, way = self._random, self._random.random()
        if way < 0.2:
            return random.choice(self._material.bodies)
        if route in self._tables:
            table = random.choice(self._tables[route])
            return damage(table, self._cut()) if way < 0.95 else table
        if way < 0.4:
            right = self._documents[OLD if route == "/feedback" else route]
            return damage(json.dumps(random.choice(right)).encode(), self._cut())
        document = random.choice(self._documents[route])
        return spoil(document, self._change() if way < 0.95 else [])

    def _make_binary(self, route: str) -> Case:
        random = self._random
        body, end = random.choice(self._binaries)
        way, length = random.random(), end.encode()
        if way < 0.2:
            length = b"%d" % random.randint(-2, len(body) + 2)
        elif way < 0.3:
            length = random.choice(self._material.headers)
        headers = ((b"content-type", BINARY), (LENGTH.encode(), length))
        return Case(route, headers, damage(body, self._cut()) if way > 0.15 else body)

    def _dress(self, case: Case) -> Case:
        """One in twelve with odd headers, and one compressed in some way."""
        random, way = self._random, self._random.randrange(24)
        if way == 0:
            return case._replace(headers=(*case.headers, random.choice(BROKEN)), is_http=False)
        if way == 1:
            names = random.choices(HEADERS, k=random.randint(1, 3))
            odd = tuple((name, random.choice(self._material.headers)) for name in names)
            return case._replace(headers=(*case.headers, *odd))
        if way in (2, 3):
            encoding, compress = random.choice(COMPRESS)
            headers = (*case.headers, (b"content-encoding", encoding))
            return case._replace(headers=headers, body=compress(case.body))
        return case

    def _cut(self) -> list[tuple[int, int, int, int]]:
        """Half of the time one byte alone, as the rest would hide what it does."""
        draw = self._random.randrange
        if self._random.random() < 0.5:
            return [(0, draw(2**16), draw(256), 1)]
        return [(draw(7), draw(2**16), draw(256), draw(1, 41)) for _ in range(draw(1, 6))]

    def _change(self) -> list[tuple[list[int], int, str]]:
        draw, fragments = self._random.randrange, self._material.fragments
        return [
            ([draw(12) for _ in range(draw(1, 6))], draw(5), self._random.choice(fragments))
            for _ in range(draw(1, 4))
        ]
