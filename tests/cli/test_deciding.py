"""Which whole word approves what: where two things can be approved, `approve` alone approves neither."""

from __future__ import annotations

import pytest

from osprey_executor.interfaces.cli.deciding import chosen_digest
from osprey_executor.models import Envelope

from .conftest import Cli
from .fake_service import DIGEST, RUN, card

ENVELOPE = Envelope(digest="ef" * 32, channels=(), seconds=1.0)


@pytest.mark.parametrize(
    ("word", "alone", "beside"),
    [
        ("approve", DIGEST, None),
        ("yes", DIGEST, None),
        ("plan", None, DIGEST),
        ("envelope", None, ENVELOPE.digest),
        ("e", None, None),
        ("", None, None),
    ],
)
def test_words(word: str, alone: str | None, beside: str | None) -> None:
    assert chosen_digest(card(), word) == alone
    assert chosen_digest(card().model_copy(update={"envelope": ENVELOPE}), word) == beside


def test_an_envelope_that_is_not_on_the_card_cannot_be_approved(cli: Cli) -> None:
    said = cli("approve", RUN, "--envelope", "--digest", DIGEST)
    assert said.code == 2
    assert f"the card of run {RUN} has no envelope" in said.err
