# SPDX-License-Identifier: LGPL-2.1-or-later
"""dns-persist-01 of draft 02 in front of a real Pebble, which has draft 01.

No public CA serves key-bound records yet. The adapter is a reverse proxy that
changes what is said, and Pebble's name server that changes what is found:

  client -- ACME --> adapter -- ACME, Host kept --> Pebble
                        ^                              |
  lab's DNS <-- TXT ----+------------ TXT -------------+

It adds the draft's metadata to the directory, renames the challenge's
"issuer-domain-names", and learns from newAccount and keyChange, once Pebble has
taken them, which keys an account has had. When Pebble asks for the TXT records
of a name, the adapter reads them, and those of the parents, from the lab's DNS,
computes the hashes on its own from the draft's formula, and answers with draft
01 records: the account's URL for a hash that fits, an account that is nobody's
for all else. Syntax, policy, persistUntil, and the states of authorizations
and orders stay Pebble's own judgement.

Switches, at any time:
  retain         earlier keys' records are valid (the draft demands it)
  parents        a parent's policy=wildcard record is valid below it
  reusable       the hash over "*" is valid everywhere (the draft demands it)
  key_change_s   keyChange is answered at once and done at the CA so many
                 seconds later: until then only the old key is accepted
  new_records_s  a new key's records are valid only so long after the change
"""

import json
import threading
import time

from acme_client import key_bound, unb64
from acme_relay import Relay
from https_peer import Answer
from lab import thumbprint
from pebble_lab import Pebble
from tiny_dns import NOERROR, NXDOMAIN, TxtAnswerer, ask_txt

LABEL = "_validation-persist."
NOBODY = "urn:not-this-account:"


class Draft02Adapter(Relay):
    def __init__(self, lab, dns, host="ca.localhost", address="127.0.0.1",
                 **pebble):
        """@dns is the lab's name server; more options are Pebble's."""
        self.dns = dns
        self.retain = self.parents = self.reusable = True
        self.key_change_s = self.new_records_s = 0
        self.lock = threading.Lock()
        self.keys = {}     # account URL -> [(thumbprint, since), ...]
        self.errors = []   # of keyChanges that were answered in advance
        self.translator = TxtAnswerer(self.translate)
        self.pebble = Pebble(lab, self.translator.address, "pebble-draft02",
                             **pebble)
        super().__init__(lab, self.pebble, host, address)
        self.prefix = self.url("/account-hash/")
        self.ca_file = self.pebble.ca_file

    def close(self):
        super().close()
        self.translator.close()

    # ACME.

    def answer(self, request):
        if request.path == "/rollover-account-key" and self.key_change_s:
            return self._change_key_later(request)
        answer = self.forward(request)
        if request.path == "/sign-me-up" and answer.status in (200, 201):
            jwk = _header(request)["jwk"]
            self._learn(answer.header("Location"), thumbprint(jwk))
        elif request.path == "/rollover-account-key" and answer.status == 200:
            self._learn_change(request)
        return self._draft02(request, answer)

    def _learn(self, url, print43):
        with self.lock:
            known = self.keys.setdefault(url, [])
            if print43 not in [k for k, _ in known]:
                known.append((print43, time.monotonic()))

    def _learn_change(self, request):
        inner = json.loads(unb64(request.json()["payload"]))
        jwk = json.loads(unb64(inner["protected"]))["jwk"]
        self._learn(_header(request)["kid"], thumbprint(jwk))

    def _change_key_later(self, request):
        def change():
            answer = self.forward(request)
            if answer.status == 200:
                self._learn_change(request)
            else:
                self.errors.append(answer)

        timer = threading.Timer(self.key_change_s, change)
        timer.daemon = True
        timer.start()
        return Answer(headers=[self.fresh_nonce()])

    def _draft02(self, request, answer):
        kind = answer.header("Content-Type") or ""
        if not kind.startswith("application/json") or not answer.body:
            return answer
        value = answer.json()
        if request.path == "/dir":
            value["meta"].update({"accountHashPrefix": self.prefix,
                                  "issuerDomainNames": self.pebble.issuers})
        for challenge in [value, *value.get("challenges", [])]:
            names = challenge.pop("issuer-domain-names", None)
            if names is not None:
                challenge["issuerDomainNames"] = names
        answer.body = json.dumps(value).encode()
        return answer

    # DNS, as Pebble sees it.

    def translate(self, owner):
        if not owner.startswith(LABEL):
            return NOERROR, []
        domain = owner.removeprefix(LABEL)
        rcode, values = self._read(domain)
        found = [self._translated(v, domain, False) for v in values]
        if self.parents:
            for parent in _parents(domain):
                found += [self._translated(v, parent, True)
                          for v in self._read(parent)[1]]
        found = [v for v in found if v is not None]
        return (NOERROR if found else rcode), found

    def _read(self, domain):
        rcode, records = ask_txt(self.dns, LABEL + domain)
        if rcode not in (NOERROR, NXDOMAIN):
            return rcode, []
        return rcode, [b"".join(strings) for strings in records]

    def _translated(self, value, domain, parent):
        """The record in draft 01's words; None when it says nothing here."""
        issuer, *parameters = value.split(b";")
        if issuer.strip(b" \t").decode("latin-1") not in self.pebble.issuers:
            return None if parent else value
        pairs = [[x.strip(b" \t") for x in p.split(b"=", 1)]
                 for p in parameters]
        if parent and [b"policy", b"wildcard"] not in [
                [x.lower() for x in p] for p in pairs]:
            return None
        accounts = self._accepted(domain)
        for i, pair in enumerate(pairs):
            if pair[0].lower() == b"accounturi" and pair[1:] and pair[1]:
                uri = pair[1].decode("latin-1")
                mine = accounts.get(uri, NOBODY + uri).encode("latin-1")
                parameters[i] = b" accounturi=" + mine
        return b";".join([issuer, *parameters])

    def _accepted(self, domain):
        """{accounturi: account URL} of all that is valid at @domain now."""
        accepted, now = {}, time.monotonic()
        with self.lock:
            for url, known in self.keys.items():
                valid = [k for i, (k, since) in enumerate(known)
                         if i == 0 or now >= since + self.new_records_s]
                for print43 in valid if self.retain else valid[-1:]:
                    for d in (domain, "*") if self.reusable else (domain,):
                        uri = key_bound(self.prefix, d, print43, url)
                        accepted[uri] = url
        return accepted


def _header(request):
    return json.loads(unb64(request.json()["protected"]))


def _parents(domain):
    """Names above @domain of two labels or more, nearest first."""
    labels = domain.split(".")
    return [".".join(labels[i:]) for i in range(1, len(labels) - 1)]
