# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ACME server that is broken in one way at a time: bad input from a CA.

    ca = BrokenCa(lab)
    ca.fault = "lacks-newOrder"        any of FAULTS; None is sound
    ca.limits["/newAccount"] = [2, "120"]     two 429 with that Retry-After

All but the named fault is sound, so that whatever is refused is refused for it.
"""

import json

from fake_acme import ENDPOINTS, FakeAcme
from https_peer import Answer

ELSEWHERE = "https://elsewhere.example"


def _meta(**more):
    def change(d):
        d["meta"].update(more)
        return d
    return change


def _endpoint(name, value):
    def change(d):
        return {k: value if k == name else v for k, v in d.items()}
    return change


def _lacks(name):
    return lambda d: {k: v for k, v in d.items() if k != name}


def _text(make):
    return lambda d: Answer(body=make(json.dumps(d)).encode(), headers=[
        ("Content-Type", "application/json")])


def _repeats(name, value):
    """The member twice: the reader decides which one counts."""
    return _text(lambda t: t[:-1] + f', "{name}": {json.dumps(value)}}}')


def _same(name, as_name):
    return lambda d: {**d, name: d[as_name]}


def _answered(**more):
    return lambda d: Answer(body=json.dumps(d).encode(), headers=[
        ("Content-Type", "application/json")], **more)


def _status(status, *headers):
    return lambda d: Answer(status, b"not now", list(headers))


# What the directory is with each fault.
FAULTS = {
    # Not JSON, or not an object.
    "html": lambda d: Answer(body=b"<html>welcome</html>", headers=[
        ("Content-Type", "text/html")]),
    "empty": _text(lambda t: ""),
    "cut": _text(lambda t: t[:-20]),
    "trailing": _text(lambda t: t + " {}"),
    "array": lambda d: [d],
    "latin-1": lambda d: Answer(body=b'{"newNonce": "\xe9"}', headers=[
        ("Content-Type", "application/json")]),
    "huge": _meta(padding="x" * (8 << 20)),
    "deep": _text(lambda t: t[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 +
                  "}"),
    # Endpoints.
    **{f"lacks-{e}": _lacks(e) for e in ENDPOINTS},
    **{f"repeats-{e}": _repeats(e, f"{ELSEWHERE}/{e}") for e in ENDPOINTS},
    **{f"other-origin-{e}": _endpoint(e, f"{ELSEWHERE}/{e}")
       for e in ENDPOINTS},
    "same-url": _same("newOrder", "newAccount"),
    "http": lambda d: {**d, "newOrder": d["newOrder"].replace("https", "http")},
    "endpoint-number": _endpoint("newOrder", 7),
    "endpoint-relative": _endpoint("newOrder", "/newOrder"),
    "endpoint-userinfo": lambda d: {**d, "newOrder": d["newOrder"].replace(
        "https://", "https://user@")},
    "endpoint-dots": lambda d: {**d, "newOrder": d["newOrder"].replace(
        "/newOrder", "/x/../newOrder")},
    # Metadata of dns-persist-01.
    "meta-array": lambda d: {**d, "meta": []},
    "prefix-semicolon": _meta(accountHashPrefix="https://ca.example/a;b/"),
    "prefix-space": _meta(accountHashPrefix="https://ca.example/a b/"),
    "prefix-control": _meta(accountHashPrefix="https://ca.example/\n/"),
    "prefix-relative": _meta(accountHashPrefix="/account-hash/"),
    "prefix-http": _meta(accountHashPrefix="http://ca.example/"),
    "prefix-long": _meta(accountHashPrefix="https://ca.example/" + "a" * 500),
    "prefix-number": _meta(accountHashPrefix=1),
    "issuer-not-in-caa": _meta(issuerDomainNames=["other.example"],
                               caaIdentities=["ca.lab.example"]),
    "issuer-no-name": _meta(issuerDomainNames=["not a name"]),
    "issuer-twice": _meta(issuerDomainNames=["ca.lab.example"] * 2),
    "issuer-17": _meta(issuerDomainNames=[f"ca{i}.example"
                                          for i in range(17)]),
    # Answers.
    "404": _status(404),
    "500": _status(500),
    "503-retry": _status(503, ("Retry-After", "30")),
    "redirect": _status(302, ("Location", f"{ELSEWHERE}/directory")),
    "short-body": _answered(short=100),
    "slow": _answered(delay_s=3),
    "date-late": _answered(date=3600),
    "date-early": _answered(date=-3600),
    "date-near": _answered(date=50),
    "no-date": _answered(date=None),
}


class BrokenCa(FakeAcme):
    def __init__(self, lab, host="ca.localhost", address="127.0.0.1"):
        self.fault, self.limits = None, {}
        super().__init__(lab, host, address)
        self.ca_file = lab.tls() / "ca.pem"

    def directory(self):
        sound = super().directory()
        sound["meta"] = {**sound["meta"]}
        return FAULTS[self.fault](sound) if self.fault else sound

    def answer(self, request):
        limit = self.limits.get(request.path)
        if limit and limit[0] > 0:
            limit[0] -= 1
            return self.with_nonce(Answer.problem(
                429, "rateLimited", "too many requests of this account",
                [("Retry-After", limit[1])]))
        return super().answer(request)
