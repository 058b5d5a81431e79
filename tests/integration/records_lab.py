# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records, proofs and directories of a daemon, in a line each."""

import contextlib
import json
import sqlite3

import daemon_lab as D
import lab as L

DAY = 24 * 3600
ISSUER = "ca.example"
META = {"externalAccountRequired": False, "issuerDomainNames": [],
        "caaIdentities": [], "profiles": []}
PREFIX = "https://ca.example/h/"


def set_meta(g, name="test", ends=None, **meta):
    return g.must("AccountSetDirectory", {
        "name": name, "endpoints": ends or D.ENDPOINTS,
        "meta": {**META, **meta}})["changes"]


def prove(g, name="test", uid=0):
    a = g.must("AccountShow", {"name": name})["account"]
    return g.must("AccountProven", {
        "name": name, "url": a["url"], "thumbprint": a["thumbprint"]},
        uid)["account"]


def typed(g, name="test", issuers=(ISSUER,)):
    return g.must("AccountSetIssuers", {"name": name,
                                        "issuers": list(issuers)})["account"]


def record(domain, account="test", issuer=ISSUER, **more):
    return {"account": account, "domain": domain, "issuer": issuer, **more}


def add(g, *records):
    return g.must("RecordAdd", {"records": list(records)})


def pages(ask, method, member, parameters=None):
    items, n, after = [], 0, {}
    while True:
        answer = ask(method, {**(parameters or {}), **after})
        items += answer[member]
        n += 1
        if not answer.get("next"):
            return items, n
        after = {"after": answer["next"]}


def values(g, **parameters):
    return pages(g.must, "RecordValues", "values", parameters)[0]


def ready(g):
    typed(g)
    prove(g)


def admin_lines(g, operation):
    return [x for x in g.audit_lines() if x["type"] == "admin"
            and x["operation"] == operation]


def in_registry(g, *statements):
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        for s in statements:
            db.execute(*s)
        db.commit()


def registry(g):
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        return list(db.iterdump())


def binding(g, kid="kid-1", url=None, jwk=None, alg="HS256"):
    def enc(x):
        return L.b64url(json.dumps(x).encode())
    return {"protected": enc({"alg": alg, "kid": kid, "url":
                              url or D.ENDPOINTS["newAccount"]}),
            "payload": enc(jwk or g.account["jwk"]),
            "signature": L.b64url(b"x" * 32)}
