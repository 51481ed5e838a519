"""Documents that no honest guest sends: each is refused with ResultsError, without harm to the service."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from osprey_executor.errors import ResultsError
from osprey_executor.guest import codec as guest
from osprey_executor.models import Limits
from osprey_executor.results import decoder
from osprey_executor.results._decode_arrays import ARRAYS
from osprey_executor.results._decode_frames import FRAMES
from osprey_executor.results._decode_plain import PLAIN

KINDS = sorted({*PLAIN, *ARRAYS, *FRAMES, "set", "frozenset", "dict", "no such kind"})
FIELDS = [
    "value",
    "items",
    "blob",
    "hex",
    "real",
    "imag",
    "zone",
    "fold",
    "days",
    "seconds",
    "microseconds",
    "numerator",
    "denominator",
    "class",
    "text",
    "name",
    "start",
    "stop",
    "step",
    "shape",
    "dtype",
    "data",
    "mask",
    "unit",
    "values",
    "index",
    "columns",
    "levels",
    "codes",
    "names",
    "categories",
    "ordered",
    "freq",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["nan", "0xff", "UTC", "+02:00", "Europe/Berlin", "../../etc/passwd", "2026-01-01", "<f8", "|O", "ns", "D"]
    ),
)


def tagged(inner):
    fields = st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
    return st.builds(lambda kind, told: {"$type": kind, **told}, st.sampled_from(KINDS), fields)


DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner), tagged(inner)),
    max_leaves=15,
)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


GOOD_BLOBS = [npy(np.arange(3)), npy(np.array([True, False])), npy(np.array(["a"])), b"\0" * 16]
BLOBS = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(GOOD_BLOBS)), max_size=4)


def decoded_or_refused(document, blobs, limits=None):
    with contextlib.suppress(ResultsError):
        decoder.decode(document, blobs, limits=limits)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS, BLOBS)
def test_garbage_is_decoded_or_refused(document, blobs):
    decoded_or_refused(document, blobs)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_is_parsed_or_refused(raw):
    with contextlib.suppress(ResultsError):
        decoder.parse_document(raw)


HONEST = guest.encode_results(
    {
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}),
        "time": pd.date_range("2026", periods=2, tz="Europe/Berlin"),
        "nested": {1: {2, 3}, "t": (1.5, b"bytes", 2**80)},
        "objects": np.array([1, "a"], dtype=object),
        "masked": pd.Series([1, None], dtype="Int64"),
    }
)


def places(document, path=()):
    yield path
    if isinstance(document, dict):
        for key in document:
            yield from places(document[key], (*path, key))
    elif isinstance(document, list):
        for index in range(len(document)):
            yield from places(document[index], (*path, index))


PLACES = [path for path in places(HONEST.document) if path]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PLACES), DOCUMENTS)
def test_an_honest_document_with_one_lie(path, lie):
    document = json.loads(json.dumps(HONEST.document))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = lie
    decoded_or_refused(document, [bytearray(blob) for blob in HONEST.blobs])


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_an_honest_array_with_one_other_byte(at, byte):
    data = bytearray(npy(np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])))
    data[at % len(data)] = byte
    decoded_or_refused({"$type": "ndarray", "blob": 0}, [data])


def header(text, data=b"", version=1):
    body = text.encode()
    size = len(body).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + body + data


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8), "not accepted"),
        (header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}", b"\0" * 8), "not accepted"),
        (header("{'descr': '(1000000000,)f8', 'fortran_order': False, 'shape': (0,)}"), "not accepted"),
        (header("{'descr': 'i4,f8', 'fortran_order': False, 'shape': (1,)}", b"\0" * 12), "not accepted"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", b"\0" * 8), "of shape"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", b"\0" * 8), "shape"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", b"\0" * 8), "shape"),
        (header("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}"), "no size"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,) }", b"\0" * 17), "of shape"),
        (header("__import__('os')"), "cannot be read"),
        (header("[" * 60_000), "cannot be read"),
        (header("{'descr': '<f8'}"), "npy file"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", version=2)[:20], "longer"),
        (b"\x93NUMPY\x01\x00\xff\xff", "npy format"),
        (b"\x80\x04cos\nsystem\n", "npy format"),
        (b"", "npy format"),
    ],
    ids=range(16),
)
def test_tricks_in_the_header_of_an_array(blob, why):
    with pytest.raises(ResultsError, match=why):
        decoder.decode({"$type": "ndarray", "blob": 0}, [blob])


def collide(number):
    return [{"$type": "int", "value": hex(1 + step * (2**61 - 1))} for step in range(number)]


@pytest.mark.parametrize(
    ("document", "blobs", "why"),
    [
        ([{"$type": "bytes", "blob": 0}] * 2, [b"x"], "used twice"),
        ({"$type": "bytes", "blob": 1}, [b"x"], "no blob 1"),
        ({"$type": "bytes", "blob": True}, [b"x", b"y"], "no blob"),
        ({"$type": "bytes", "blob": -1}, [b"x"], "no blob"),
        ({"$type": ["ndarray"]}, [], "kind"),
        ({"$type": "pickle", "value": "gASVBgAAAA=="}, [], "kind"),
        ({"$type": "strings", "blob": 0}, [(2**60).to_bytes(8, "little")], "more than it does"),
        ({"$type": "set", "items": [[1]]}, [], "not hashable"),
        ({"$type": "set", "items": collide(2000)}, [], "same hash"),
        ({"$type": "dict", "items": [[key, 1] for key in collide(2000)]}, [], "same hash"),
        ({"$type": "dict", "items": [[1]]}, [], "pairs"),
        ({"$type": "Fraction", "numerator": 1, "denominator": 0}, [], "rebuilt"),
        ({"$type": "Decimal", "value": "1" * 200_000}, [], "too long"),
        ({"$type": "scalar", "dtype": "<f8", "value": "1"}, [], "not a numpy scalar"),
        ({"$type": "scalar", "dtype": "|i1", "value": 300}, [], "rebuilt"),
        ({"$type": "objects", "shape": [2**40], "items": [1]}, [], "shape"),
        ({"$type": "objects", "shape": [0, 2**61], "items": [1]}, [], "shape"),
        (
            {
                "$type": "DataFrame",
                "data": [],
                "columns": {"$type": "RangeIndex", "start": 0, "stop": 0, "step": 1, "name": None},
                "index": {"$type": "RangeIndex", "start": 0, "stop": 10**15, "step": 1, "name": None},
            },
            [],
            "rows",
        ),
        ({"$type": "Strings", "dtype": "object", "values": ["a"]}, [], "something else"),
    ],
    ids=range(19),
)
def test_lies_in_a_document(document, blobs, why):
    with pytest.raises(ResultsError, match=why):
        decoder.decode(document, blobs)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1" * 30, '{"a":', "\x00", '"\ud800"', "[" * 200_000])
def test_only_strict_json(word):
    with pytest.raises(ResultsError):
        decoder.parse_document(word.encode("utf-8", "surrogatepass"))


def test_nesting_is_bounded():
    document: list = []
    for _ in range(600):
        document = [document]
    with pytest.raises(ResultsError, match="deep"):
        decoder.decode(document, [])


def test_sizes_are_bounded():
    with pytest.raises(ResultsError, match=r"limits\.results"):
        decoder.decode(None, [bytes(2000)], limits=Limits(results=1000))
    with pytest.raises(ResultsError, match="300000"):
        decoder.parse_document(b"[" + b"[]," * 500_000 + b"[]]")
    with pytest.raises(ResultsError, match="8 MiB"):
        decoder.parse_document(b'"' + b"x" * 9 * 2**20 + b'"')


def test_results_are_a_dict_with_names():
    for raw in (b"[]", b"1", b'{"$type": "dict", "items": [[1, 2]]}', b'{"$type": "dict", "items": [["\\ud800", 2]]}'):
        with pytest.raises(ResultsError):
            decoder.decode_results(raw, [], limits=Limits())


HEAVIEST = """
import resource
from osprey_executor.errors import ResultsError
from osprey_executor.results import decoder
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for raw in (b"[" + b"{}," * 299_000 + b"1.5," * 1_800_000 + b"0]", b'{"a":[' + b'"",' * 2_500_000 + b'0]}'):
    decoder.decode(decoder.parse_document(raw), [])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_the_heaviest_document_stays_small():
    ran = subprocess.run([sys.executable, "-c", HEAVIEST], capture_output=True, text=True, timeout=100, check=True)
    assert int(ran.stdout) < 250, "MiB"
