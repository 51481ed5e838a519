"""The digest changes with any change of any part, and with nothing else."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osprey_executor.approval import digest_of
from osprey_executor.approval.digest import canonical

_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.binary(max_size=10)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
_PARTS = st.dictionaries(st.text(max_size=8), _VALUES, min_size=1, max_size=5)

# A busy machine is no reason to fail.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(one: Any, two: Any) -> bool:
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return one.hex() == two.hex() if isinstance(one, float) else one == two


@_PATIENT
@given(_PARTS, _PARTS)
def test_equal_exactly_where_the_parts_are_equal(one: dict[str, Any], two: dict[str, Any]):
    assert (digest_of(one) == digest_of(two)) is same(one, two)


@_PATIENT
@given(_PARTS, st.data())
def test_any_change_of_any_part_changes_it(parts: dict[str, Any], data: st.DataObject):
    changed = copy.deepcopy(parts)
    key = data.draw(st.sampled_from(sorted(changed)))
    changed[key] = data.draw(_VALUES.filter(lambda value: not same(value, parts[key])))
    assert digest_of(changed) != digest_of(parts)


@_PATIENT
@given(_PARTS, st.randoms())
def test_the_order_of_keys_does_not(parts: dict[str, Any], random: Any):
    keys = list(parts)
    random.shuffle(keys)
    assert digest_of({key: parts[key] for key in keys}) == digest_of(parts)


def test_text_is_taken_as_it_is():
    assert digest_of({"code": "é"}) != digest_of({"code": "e\u0301"})
    assert digest_of({"code": "\udcff"}) != digest_of({"code": "?"})


def test_kinds_are_not_confused():
    told = [1, 1.0, True, "1", b"1", [1], {"1": None}, None, "None", ["float", "0x1.0p+0"], -0.0, 0.0, 0]
    assert len({canonical({"x": value}) for value in told}) == len(told)


def test_it_is_a_sha_256_of_a_known_text():
    assert canonical({"b": [1, 2.5], "a": "ü"}) == b'{"a":"\\u00fc","b":["list",1,["float","0x1.4000000000000p+1"]]}'
    assert len(digest_of({})) == 64


@pytest.mark.parametrize("value", [object(), {1, 2}, {1: "x"}])
def test_what_has_no_form_is_refused(value: object):
    with pytest.raises(TypeError):
        digest_of({"x": value})
