"""The worked cases of domain.md 8, put to the oracle and to the core."""

from __future__ import annotations

import pytest

from tests import bridge, oracle, shipped
from tests.worked import MICROS, Case, cases, differences

CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_oracle(case: Case) -> None:
    assert differences(case.expect, oracle.decide(case.record, case.ask, case.at, case.freshness)) == {}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_core(case: Case) -> None:
    book = shipped.book()
    decision = bridge.decided(bridge.tenant(case.record, book), book, bridge.ask(case.ask), case.at, case.freshness)
    assert differences(case.expect, bridge.plain(decision)) == {}
    if "remedies" in case.expect:
        shown = [[a.remedy.value, *filter(None, [a.quantity, a.amount // MICROS])] for a in decision.remedies]
        assert shown == case.expect["remedies"]
