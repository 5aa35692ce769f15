"""The rules for Prometheus and the dashboard for Grafana: whole, and about metrics and outcomes that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.errors import ErrorCode
from server import errors
from tests.support.examples import HOME
from tests.support.running import Running
from tests.support.scraping import Scrape, scrape

RULES = yaml.safe_load((HOME / "docs" / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((HOME / "docs" / "dashboard.json").read_text(encoding="utf-8"))
GUIDE = (HOME / "docs" / "operating.md").read_text(encoding="utf-8")

ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
TARGETS: list[str] = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + TARGETS

FUNCTIONS = {"sum", "rate", "histogram_quantile", "topk"}
OF_PROMETHEUS = {"up", "job", "instance"}
"""What Prometheus itself adds: a metric, and labels of all."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    server = Running(tmp_path_factory.mktemp("monitored") / "data")
    server.start()
    yield scrape(server)
    server.end()


def metrics(expression: str) -> set[str]:
    """The names of metrics in an expression: what is neither a function nor in braces, brackets or behind `by`."""
    text = re.sub(r'"[^"]*"', '""', expression)
    text = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]|\bby\s*\([^()]*\)", " ", text)
    return set(re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", text)) - FUNCTIONS


def labels(expression: str) -> set[str]:
    """The labels that are selected by or kept."""
    inside = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    kept = [name.strip() for names in re.findall(r"\bby\s*\(([^()]*)\)", expression) for name in names.split(",")]
    return {*inside, *kept}


def is_balanced(expression: str) -> bool:
    pairs, waiting = {")": "(", "]": "[", "}": "{"}, []
    for sign in re.sub(r'"[^"]*"', "", expression):
        if sign in pairs.values():
            waiting.append(sign)
        elif sign in pairs and (not waiting or waiting.pop() != pairs[sign]):
            return False
    return not waiting


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_whole_and_names_what_there_is(expression: str, found: Scrape) -> None:
    assert is_balanced(expression)
    named = metrics(expression)
    assert named
    assert named <= found.names | {"up"}
    assert set(re.findall(r"(\w+)\s*\(", expression)) <= FUNCTIONS | {"by"}
    for counter in re.findall(r"rate\((\w+)", expression):
        assert counter.endswith(("_total", "_bucket", "_count", "_sum")), "only what is counted has a rate"


def test_labels_are_those_of_the_metrics(found: Scrape) -> None:
    known = {label for _, has, _ in found.samples for label in has} | OF_PROMETHEUS
    # Of what has no sample before something was asked.
    known |= {"kind", "name", "outcome", "route", "status", "call", "le"}
    for expression in EXPRESSIONS:
        assert labels(expression) <= known, expression


def test_outcomes_are_codes_of_errors() -> None:
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    codes |= {code.name for code in ErrorCode} | {"HTTP_5.."}
    for expression in EXPRESSIONS:
        for wanted in re.findall(r'outcome=~?"([^"]*)"', expression):
            assert set(wanted.split("|")) <= codes


def test_the_reader_of_expressions_can_tell() -> None:
    assert metrics('sum by (a, b) (rate(x_total{c="d_e"}[5m])) / 2 > y') == {"x_total", "y"}
    assert labels('sum by (a, b) (rate(x_total{c="d_e",f=~"g"}[5m]))') == {"a", "b", "c", "f"}
    assert not is_balanced("sum(rate(x[5m])")
    assert not is_balanced("sum(x])")


def test_an_alert_has_all_that_prometheus_and_a_person_need() -> None:
    assert set(RULES) == {"groups"}
    for rule in ALERTS:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names)
    assert re.findall(r"^\| `(Recollect\w+)` ", GUIDE, re.MULTILINE) == names, "the guide says what to do about each"


def test_panels_have_places_of_their_own() -> None:
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]}
    ids = {panel["id"] for panel in DASHBOARD["panels"]}
    assert len(places) == len(ids) == len(DASHBOARD["panels"])
    assert DASHBOARD["uid"] == "recollect"


def test_every_metric_is_told_and_no_other(found: Scrape) -> None:
    told = set(re.findall(r"^\| `(recollect_\w+)` ", GUIDE, re.MULTILINE))
    assert told == {re.sub(r"_(bucket|count|sum)$", "", name) for name in found.names if name.startswith("recollect_")}


def test_every_file_of_the_guide_is_there() -> None:
    for name in ("alerts.yml", "dashboard.json"):
        assert f"({name})" in GUIDE
        assert Path(HOME / "docs" / name).is_file()
