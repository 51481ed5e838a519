"""The file of limits: Osprey's as it stands, ours with its own keys, and every mistake with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osprey_executor.control import channel_name, limits_words
from osprey_executor.control.limits._database import Breach, LimitsDatabase, fits
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._file import LimitsFile
from osprey_executor.control.limits._reader import database_of
from osprey_executor.errors import ConfigurationError

OSPREY = Path(__file__).parent / "data" / "channel_limits.json"

EVERY_KEY = """
allow_unlisted_channels: false
on_violation: skip
defaults: {max_step: 1.0, restorable: true, verification: {level: readback, tolerance_percent: 1}}
M1:SP:
  _why: a remark
  min_value: -5
  max_value: 1e1
  max_step: 0.5
  max_rate: 2
  max_excursion: 3.5
  verification: {read_back: M1:RB.VAL, tolerance_absolute: 0.01, settle_time: 1.5}
  stop_action: {channel: M1:STOP, value: 1}
M1:MODE.VAL: {states: ['Off', 'Standby', 2], max_step: null, stop_action: {value: 'Off'}}
M1:SP.DRVH: {max_value: 20, max_step: null}
M1:LATCH: {readable: false, read_side_effect: true}
M1:RPC: {call: query}
patterns:
  "M[2]:*": {max_value: 3}
  "M?:SP": {max_value: 4}
"""


def read(text: str, name: str = "limits.yml") -> LimitsDatabase:
    return database_of(text.encode(), Path(name))


def entry(database: LimitsDatabase, name: str) -> ChannelLimits:
    found = database.of(channel_name(name))
    assert isinstance(found, ChannelLimits)
    return found


def why(database: LimitsDatabase, name: str) -> str:
    found = database.of(channel_name(name))
    assert isinstance(found, Breach)
    return found.reason


def test_ospreys_file_as_it_stands() -> None:
    database = database_of(OSPREY.read_bytes(), OSPREY)
    assert list(database.exact) == [
        "SR:MAG:HCM[01]:CURRENT:SP",
        "SR:MAG:QF:01:CURRENT:SP",
        "SR:BPM:01:X",
        "SR:VALVE:01",
    ]
    assert (database.allow_unlisted, database.skip) == (False, False)
    corrector = entry(database, "SR:MAG:HCM[01]:CURRENT:SP")
    assert (corrector.min_value, corrector.max_value, corrector.max_step) == (-12.0, 12.0, None)
    assert corrector.verification.tolerance(-4.0) == pytest.approx(0.02)
    assert entry(database, "SR:MAG:QF:01:CURRENT:SP").verification.tolerance(50.0) == 0.1
    assert not entry(database, "SR:BPM:01:X").writable
    assert why(database, "SR:MAG:HCM1:CURRENT:SP") == "not in the limits database"


def test_where_osprey_keeps_its_policy_it_counts_and_the_file_has_the_last_word() -> None:
    raw = OSPREY.read_bytes()
    database = database_of(raw, OSPREY, allow_unlisted=True, on_violation="skip")
    assert (database.allow_unlisted, database.skip) == (True, True)
    document = json.loads(raw) | {"allow_unlisted_channels": False, "on_violation": "error"}
    database = database_of(json.dumps(document).encode(), OSPREY, allow_unlisted=True, on_violation="skip")
    assert (database.allow_unlisted, database.skip) == (False, False)


@pytest.mark.parametrize("form", ["limits.yml", "limits.json"])
def test_every_key_of_ours_in_both_forms(form: str) -> None:
    text = EVERY_KEY if form.endswith("yml") else json.dumps(yaml.safe_load(EVERY_KEY.replace("1e1", "10.0")))
    database = read(text, form)
    setpoint = entry(database, "M1:SP")
    assert (setpoint.min_value, setpoint.max_value, setpoint.max_step) == (-5.0, 10.0, 0.5)
    assert (setpoint.max_rate, setpoint.max_excursion, setpoint.restorable) == (2.0, 3.5, True)
    assert setpoint.verification.level == "readback"
    assert (setpoint.verification.read_back, setpoint.verification.settle_time) == ("M1:RB", 1.5)
    assert setpoint.verification.tolerance(100.0) == 0.01
    assert setpoint.stop_action is not None
    assert (setpoint.stop_action.channel, setpoint.stop_action.value) == ("M1:STOP", 1.0)
    mode = entry(database, "M1:MODE")
    assert (mode.states, mode.max_step) == (("Off", "Standby", 2.0), None)
    assert entry(database, "M1:RPC").call == "query"
    assert entry(database, "M1:LATCH").readable is False
    assert database.skip


@pytest.mark.parametrize(
    "target",
    ["", "Y: {min_value: 0, max_value: 3}", "Y: {states: [2, Halt]}", "Y: {states: [Halt]}", "Y: {max_step: 1}"],
)
def test_a_stop_action_writes_what_its_channel_may_have(target: str) -> None:
    stop = entry(read(f"X.VAL: {{stop_action: {{channel: Y, value: 2}}}}\n{target}"), "X").stop_action
    assert stop is not None
    assert (stop.channel, stop.value) == ("Y", 2.0)


def test_an_exact_entry_wins_over_patterns_and_fields_need_one() -> None:
    database = read(EVERY_KEY)
    assert entry(database, "M1:SP.VAL").max_value == 10.0
    assert entry(database, "M3:SP").max_value == 4.0
    assert entry(database, "M[2]:SP").max_value == 3.0
    assert entry(database, "M1:SP.DRVH").max_value == 20.0
    for field in ("M1:SP.DRVL", "M3:SP.DRVH", "M[2]:SP.PROC"):
        assert "exact entry" in why(database, field)
    assert why(database, "M2:X") == "not in the limits database"


def test_two_patterns_that_fit_are_no_entry() -> None:
    database = read("patterns: {'A*': {max_value: 1}, '*:SP': {max_value: 2}}\nA:1:SP: {max_value: 3}\n")
    assert "more than one pattern" in why(database, "A:2:SP")
    assert entry(database, "A:1:SP").max_value == 3.0


def test_unlisted_channels_have_the_defaults_and_never_a_field() -> None:
    database = read("allow_unlisted_channels: true\ndefaults: {max_value: 7}\nX: {max_value: null}\n")
    assert entry(database, "Y").max_value == 7.0
    assert entry(database, "X").max_value is None
    assert "exact entry" in why(database, "Y.DRVH")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("groups: [X]", "groups must be a mapping"),
        ("groups: {g: {max_channels: 1}}", r"groups\.g\.channels must be a list of channels or patterns"),
        ("X: {}\ngroups: {g: {channels: [X]}}", r"line 2: groups\.g needs max_total_excursion or max_channels"),
        ("X: {}\ngroups: {g: {channels: [X, Y], max_channels: 1}}", r"groups\.g\.channels names Y, which has no entry"),
        ("X: {}\ngroups: {g: {channels: [1], max_channels: 1}}", r"groups\.g\.channels holds what cannot be a channel"),
        ("X: {}\ngroups: {g: {channels: ['X.*'], max_channels: 1}}", r"groups\.g ends in a field"),
        ("X: {}\ngroups: {g: {channels: [X], max_channels: 0}}", r"groups\.g\.max_channels must be greater than"),
        ("X: {}\ngroups: {g: {channels: [X], max_channels: true}}", r"groups\.g\.max_channels must be a valid integer"),
        ("X: {}\ngroups: {g: {channels: [X], max_total_excursion: -1}}", r"max_total_excursion must be greater than 0"),
        ("X: {}\ngroups: {g: {channels: [X], max_total: 1}}", r"max_total is not a key; did you mean max_total_exc"),
        ("X: {min: 1}", r"line 1: X\.min is not a key; did you mean min_value\?"),
        ("\nX:\n  max_vlaue: 1", r"line 3: X\.max_vlaue is not a key; did you mean max_value\?"),
        ("X: {tolerance_percent: 1}", r"did you mean verification\.tolerance_percent\?"),
        ("X: {colour: red}", "colour is not a key; known are writable, "),
        ("X: {verification: {levle: readback}}", r"X\.verification\.levle .*did you mean verification\.level\?"),
        ("X: {min_value: 2, max_value: 1}", "X min_value 2 is above max_value 1"),
        ("defaults: {min_value: 2}\nX: {max_value: 1}", "line 2: X min_value 2 is above max_value 1"),
        ("X: {min_value: .nan}", r"X\.min_value must be a finite number"),
        ("X: {min_value: -.inf}", r"X\.min_value must be a finite number"),
        ("X: {min_value: 1" + "0" * 400 + "}", r"X\.min_value must be a finite number"),
        ("X: {min_value: true}", r"X\.min_value must be a number"),
        ("X: {min_value: '1'}", r"X\.min_value must be a number"),
        ("X: {min_value: [1]}", r"X\.min_value must be a number"),
        ("X: {max_step: 0}", r"X\.max_step must be greater than 0"),
        ("X: {max_rate: -1}", r"X\.max_rate must be greater than 0"),
        ("X: {writable: 'no'}", r"X\.writable must be true or false"),
        ("X: {states: [On, Off]}", r"X\.states must be .*in quotes"),
        ("X: {states: []}", r"X\.states must be a list"),
        ("X: {states: On}", r"X\.states must be a list"),
        ("X: {verification: {read_back: Y}}", r"X\.verification needs level: readback"),
        ("X: {verification: {level: maybe}}", r"X\.verification\.level must be 'none', 'callback' or 'readback'"),
        (
            "X: {verification: {level: readback, read_back: 'Y Z'}}",
            r"X\.verification\.read_back 'Y Z' is not a channel",
        ),
        ("X: {stop_action: {channel: Y}}", r"X\.stop_action\.value is missing"),
        ("X: {max_value: 1, stop_action: {value: 2}}", "stop_action writes 2, which is outside"),
        (
            "X: {stop_action: {channel: Y, value: 2}}\nY: {max_value: 1}",
            r"line 1: X\.stop_action writes 2 to Y, which is outside its min_value",
        ),
        ("X: {stop_action: {channel: Y, value: 2}}\nY: {writable: false}", "to Y, which is not writable"),
        ("X: {stop_action: {channel: Y, value: 2}}\npatterns: {'Y*': {min_value: 3}}", "to Y, which is outside"),
        ("X: {stop_action: {channel: Y, value: Run}}\nY: {states: [Halt]}", "Run to Y, which is none of its states"),
        ("X: {readable: false, writable: true}", r"X\.writable needs a channel that may be read"),
        ("X: {call: maybe}", r"X\.call must be 'write' or 'query'"),
        ("X: {}\nX: {}", "line 2: X stands twice"),
        ("X: {}\nX.VAL: {}", r"line 2: X\.VAL is the same channel as X"),
        ("X: 5", "line 1: X must be a mapping"),
        ("allow_unlisted: true", r"did you mean allow_unlisted_channels\?"),
        ("allow_unlisted_channels: 1", "allow_unlisted_channels must be true or false"),
        ("on_violation: warn", "on_violation must be error or skip"),
        ("X*: {}", r"patterns stand under patterns:"),
        ("X Y: {}", "cannot be a channel"),
        ("X{}.VAL: {}", "cannot be a channel"),
        ("defaults: 5", "defaults must be a mapping"),
        ("defaults: {mni_value: 1}\nX: {}", r"line 1: defaults\.mni_value is not a key"),
        ("defaults: {verification: {level: readback, read_back: Y}}", "belongs to one channel"),
        ("patterns: {'X*': {stop_action: {channel: Y, value: 1}}}", "belongs to one channel"),
        ("patterns: {'X*.DRVH': {}}", "a pattern is for values only"),
        ("patterns: {'X*.VAL': {}}", "a pattern is for values only"),
        ("patterns: {'X Y*': {}}", "is no pattern of channel names"),
        ("- X", "the top level is a list"),
        ("X: {min_value: !!python/name:os.system }", "tag"),
        ("X: &x {min_value: 1}\nY: *z", "valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as error:
        read(text)
    assert str(error.value).startswith("limits.yml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"X": {\n"min_value": 1,\n"min_valeu": 2}}', r"line 3: X\.min_valeu is not a key"),
        ('{"X": {},\n"X": {}}', "line 2: X stands twice"),
        ('{"X": {"min_value": 1, "min_value": 2}}', "min_value stands twice"),
        ('{"X": {"min_value": NaN}}', "holds NaN"),
        ('{"X": {"max_value": -Infinity}}', "holds -Infinity"),
        ('{"X": {"max_value": 1e999}}', "must be a finite number"),
        ('{"X": ', "line 1: is not valid JSON"),
        ("[]", "the top level must be an object"),
        ("[" * 100_000, "too large"),
        ('{"X": {"min_value": ' + "9" * 5000 + "}}", "too large"),
    ],
)
def test_a_mistake_in_json_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read(text, "limits.json")


def test_a_few_problems_are_told_at_once_and_not_all() -> None:
    with pytest.raises(ConfigurationError) as error:
        read("".join(f"X{number}: {{min: 1}}\n" for number in range(50)))
    assert str(error.value).count("did you mean") == 5
    assert str(error.value).endswith("; and more")


def test_aliases_that_stand_for_billions_end_early() -> None:
    lines = ["a: &a {min_value: 1}"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigurationError, match="aliases count each time"):
        read("\n".join(lines))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    for make, told in (
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "UTF-8"),
        (lambda path: path.write_bytes(b"#" * (8 * 2**20 + 1)), "larger than 8 MiB"),
    ):
        path = tmp_path / told.replace(" ", "") / "limits.yml"
        path.parent.mkdir()
        make(path)
        limits = LimitsFile(path).now()
        assert limits.database is None
        assert told in (limits.report.problem or "")
        assert str(path) in (limits.shut or "")


def test_the_file_is_read_anew_whenever_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "limits.yml"
    path.write_text("X: {max_value: 1}\n")
    file = LimitsFile(path)
    first = file.now()
    assert file.now() == first
    path.write_text("X: {max_value: 2}\n")
    second = file.now()
    assert first.report.digest != second.report.digest
    assert second.database is not None
    assert entry(second.database, "X").max_value == 2.0
    path.write_text("X: {max_value: 2\n")
    assert file.now().database is None


@pytest.mark.parametrize(
    ("pattern", "name", "whether"),
    [
        ("*", "anything", True),
        ("A*C", "ABC", True),
        ("A*C", "ABCD", False),
        ("A?C", "ABC", True),
        ("A?C", "AC", False),
        ("A[1]*", "A[1]:SP", True),
        ("A[1]*", "A1:SP", False),
        ("*" * 50 + "b", "a" * 200, False),
        ("a", "A", False),
    ],
)
def test_patterns(pattern: str, name: str, whether: bool) -> None:
    assert fits(pattern, name) is whether


def test_words_for_the_card(tmp_path: Path) -> None:
    path = tmp_path / "limits.yml"
    path.write_text(EVERY_KEY)
    limits = LimitsFile(path).now()
    words: dict[str, Any] = {
        "M1:SP": "-5 to 10, step 0.5, 2 a second, 3.5 from the start, read back from M1:RB",
        "M1:MODE.VAL": "one of Off, Standby, 2, read back from itself",
        "M3:*": "each by its own entry",
        "M9:X": "refused: not in the limits database",
        "M1:LATCH": "refused: it is not to be read",
        "M1:SP.PROC": "refused: a field",
        "M 1": "refused: not a channel name",
    }
    for channel, told in words.items():
        assert limits_words(limits, channel).startswith(told), channel
    path.write_text("X: [")
    assert limits_words(LimitsFile(path).now(), "M1:SP") == "refused: the limits database cannot be used"


KEYS = st.sampled_from(
    [*ChannelLimits.model_fields, "level", "read_back", "channel", "value", "_why", "mni", "X.VAL", ""]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("readback"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TOP = st.sampled_from(
    [
        "X",
        "X.VAL",
        "X.DRVH",
        "Y[1]",
        "defaults",
        "patterns",
        "allow_unlisted_channels",
        "on_violation",
        "_x",
        "A*",
        "\x1b",
    ]
)


def outcome(raw: bytes, name: str) -> LimitsDatabase | str:
    """Return the database, or the sentence that says what is wrong; any other exception is a failure."""
    try:
        return database_of(raw, Path(name))
    except ConfigurationError as error:
        return str(error)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=st.dictionaries(TOP, PLAIN | st.dictionaries(TOP, PLAIN, max_size=2), max_size=4), form=st.booleans())
def test_any_document_is_a_database_or_one_sentence(document: dict[str, Any], form: bool) -> None:
    name, text = ("l.json", json.dumps(document)) if form else ("l.yml", yaml.safe_dump(document))
    found = outcome(text.encode(), name)
    if isinstance(found, str):
        assert found.startswith(name)
        assert "\x1b" not in found
    else:
        for one in (*found.exact.values(), *found.patterns.values(), found.defaults):
            assert one.min_value is None or one.max_value is None or one.min_value <= one.max_value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.binary(max_size=60) | st.text(alphabet="{}[]:,-&*!|>%@`'\"#? \nXa1.eE\t", max_size=60).map(str.encode))
def test_any_bytes_are_a_database_or_one_sentence(raw: bytes) -> None:
    for name in ("l.json", "l.yml"):
        found = outcome(raw, name)
        assert not isinstance(found, str) or found.startswith(name)
