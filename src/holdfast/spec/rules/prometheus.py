"""Rules about where verdicts read their counters.

Source: Prometheus, Querying basics, the grammar of instant vector selectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.production.observability import Prometheus
from holdfast.spec.rules.finding import Finding

_PATH = ("observability", "prometheus")
_MATCHER = r'[a-zA-Z_]\w*\s*(=~|!~|!=|=)\s*"([^"\\\n]|\\[^\n])*"'
_MATCHERS = rf"\{{\s*({_MATCHER}\s*(,\s*{_MATCHER}\s*)*,?)?\s*\}}"
_SELECTOR = re.compile(rf"[a-zA-Z_:][\w:]*\s*({_MATCHERS})?|{_MATCHERS}", re.A)
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.A)
#: Keys that mean nothing alone, and what they need.
_PAIRS = (
    ("username", "password_file"),
    ("cert_file", "key_file"),
    ("requests", "errors"),
    ("timed", "within"),
)
_SELECTORS = ("requests", "errors", "timed", "within")


def check(service: Service) -> Iterator[Finding]:
    given = service.observability.prometheus
    yield from _address(given)
    yield from _pairs(given)
    yield from _expressions(given)
    if given.timeout < 0.01:
        yield Finding((*_PATH, "timeout"), "less than 10ms", "10ms or more")
    least = 2 * service.observability.scrape
    if given.url and given.stale_after < least:
        yield Finding(
            (*_PATH, "stale_after"), f"{given.stale_after:g}s", f"{least:g}s or more",
            "two scrapes of observability.scrape: samples cannot be younger",
            (("observability", "scrape"),),
        )  # fmt: skip


def _address(given: Prometheus) -> Iterator[Finding]:
    if given.url and not _is_address(given.url):
        wanted = "an address such as https://mimir.example.com/prometheus"
        hint = "credentials go into token_file, or username and password_file"
        yield Finding((*_PATH, "url"), repr(one_line(given.url)), wanted, hint)
    if not given.tenant.isascii() or not given.tenant.isprintable():
        yield Finding((*_PATH, "tenant"), repr(one_line(given.tenant)), "printable ASCII")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and named and plain and url.isprintable()


def _pairs(given: Prometheus) -> Iterator[Finding]:
    for pair in _PAIRS:
        there = [name for name in pair if getattr(given, name)]
        if len(there) == 1:
            (missing,) = set(pair) - set(there)
            wanted = f"{there[0]} and {missing}, or neither"
            yield Finding((*_PATH, there[0]), f"{there[0]} alone", wanted)
    if given.token_file and given.username:
        found = "token_file and username"
        yield Finding((*_PATH, "username"), found, "one of them", also=((*_PATH, "token_file"),))
    if given.requests and not given.release_label:
        wanted = "release_label beside it"
        hint = "requests of one's own have a label of one's own by which releases differ"
        yield Finding((*_PATH, "requests"), "no release_label", wanted, hint)


def _expressions(given: Prometheus) -> Iterator[Finding]:
    for name in _SELECTORS:
        value = getattr(given, name)
        if value and not _SELECTOR.fullmatch(value):
            wanted = 'a selector such as shop_requests_total{code=~"5.."}'
            hint = "no function, range or offset: counters are read as they are"
            yield Finding((*_PATH, name), repr(one_line(value)), wanted, hint)
    if given.release_label and not _LABEL.fullmatch(given.release_label):
        found = repr(one_line(given.release_label))
        yield Finding((*_PATH, "release_label"), found, "a label's name, such as version")
