# SPDX-License-Identifier: LGPL-2.1-or-later
"""seeds.py SOURCE SEEDS STAMP DEPFILE: seeds for the fuzz targets, made of the
vectors and examples that are there for other tests, and of a few lines here.
"""

import base64
import json
import pathlib
import re
import shutil
import struct
import sys


class Seeds:
    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        self.read = []

    def file(self, name):
        path = self.source / name
        self.read.append(path)
        return path.read_bytes()

    def glob(self, pattern):
        paths = sorted(self.source.glob(pattern))
        return [(p.name, self.file(p.relative_to(self.source)))
                for p in paths]

    def put(self, target, name, data):
        folder = self.folder / target
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(data, str):
            data = data.encode()
        (folder / re.sub(r"[^A-Za-z0-9._-]", "-", str(name))).write_bytes(data)


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(url, **more):
    h = {"alg": "ES256", "kid": "https://ca.example/acct/123",
         "nonce": "oFvnlFP1wIhRlYS2jTaXbA", "url": url}
    return json.dumps({**h, **more}, separators=(",", ":"))


def requests(seeds):
    cases = []
    for name in ("requests", "csr"):
        cases += json.loads(seeds.file(f"tests/vectors/{name}.json"))["cases"]
    for case in cases:
        head, payload = case["protected"], case["payload"]
        seeds.put("request", case["id"] + "-encoded", f"2{head}\n{payload}")
        try:
            text, inner = unb64(head), unb64(payload)
        except ValueError:
            continue
        flag = b"0" if payload else b"8"
        if b"\n" not in text:
            seeds.put("request", case["id"], flag + text + b"\n" + inner)
        seeds.put("lacme", case["id"],
                  text.replace(b"\n", b" ") + b"\t" + inner + b"\n"
                  if b"\n" not in inner else f"{head}.{payload}\r\n")
        csr_seeds(seeds, case["id"], inner)
    seeds.put("request", "members", "1" + header("https://ca.example/chall/1")
              + '\n{"token":"x","keyAuthorization":"x.y"}')
    seeds.put("request", "query", "1" + header("https://other.example/o?x=1")
              + '\n{}')
    order = '{"identifiers":[{"type":"dns","value":"example.com"}]}'
    line = header("https://ca.example/acme/new-order") + "\t" + order + "\n"
    seeds.put("lacme", "two", line + line)
    seeds.put("lacme", "pieces", line[:30] + "\x01" + line[30:] + "\x01" + line)
    seeds.put("lacme", "no-line-end", "abc.def")


def der_value(data, at=0):
    """Start of the content and end of the value at `at`."""
    n, at = data[at + 1], at + 2
    if n & 0x80:
        octets = n & 0x7f
        n, at = int.from_bytes(data[at:at + octets], "big"), at + octets
    return at, at + n


def der_wrap(tag, content):
    n = len(content)
    if n < 0x80:
        length = bytes([n])
    else:
        octets = (n.bit_length() + 7) // 8
        length = bytes([0x80 | octets]) + n.to_bytes(octets, "big")
    return bytes([tag]) + length + content


def csr_seeds(seeds, name, payload):
    """Requests whole, and what they sign with the key left out."""
    try:
        members = json.loads(payload)
        der = unb64(members["csr"])
        certificate = False
    except (ValueError, KeyError, TypeError):
        try:
            der = unb64(json.loads(payload)["certificate"])
            certificate = True
        except (ValueError, KeyError, TypeError):
            return
    seeds.put("csr", name, (b"c" if certificate else b"r") + der)
    if certificate:
        return
    try:
        tbs, _ = der_value(der)
        at, end = der_value(der, tbs)
        parts = []
        while at < end:
            _, after = der_value(der, at)
            parts.append(der[at:after])
            at = after
        stub_seeds(seeds, name, parts[2])
        parts[2] = b"\x05\x00"
    except IndexError:
        return
    for letter in b"pe":
        seeds.put("csr", f"{name}-{chr(letter)}",
                  bytes([letter]) + der_wrap(0x30, b"".join(parts)))


def stub_seeds(seeds, name, spki):
    """A stub for the key of a request."""
    der = der_wrap(0x30, der_wrap(2, b"\1")
                   + der_wrap(0x0c, b"/run/acme-guardian/client.sock")
                   + der_wrap(0x0c, b"letsencrypt") + spki)
    text = base64.encodebytes(der).decode()
    label = "ACME GUARDIAN ACCOUNT-----\n"
    seeds.put("stub", name, b"d" + der)
    seeds.put("stub", name + "-text",
              f"tFor people.\n-----BEGIN {label}{text}-----END {label}")


def clients(seeds):
    for i, text in enumerate((
            "CA_KEY_HASH='abc'\nexport CA_EMAIL=\"a@b.example\"\n",
            "# x\n  CA_KEY_HASH=abc # y\nCA_KEY_HASH=$(id)\n",
            "CA_KEY_HASH=\"a\\\"b\"\nif true; then CA_KEY_HASH=1; fi\n")):
        seeds.put("client", f"shell-{i}", "s" + text)
    seeds.put("client", "json", 'j{"registration":{"uri":'
              '"https://ca.example/acct/1","body":{}},"email":""}')
    for i, text in enumerate((
            "acme-v02.api.letsencrypt.org/directory/0123",
            "aHR0cHM6Ly9hY21lLXYwMi5hcGkubGV0c2VuY3J5cHQub3JnL2RpcmVjdG9yeQo",
            "localhost_14000/a@b.example", "acme.zerossl.com/v2/DV90")):
        seeds.put("client", f"name-{i}", "n" + text)
    jwk = {"kty": "EC", "crv": "P-256",
           "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
           "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
           "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}
    seeds.put("client", "jwk", "k" + json.dumps(jwk))
    lines = re.findall(r'^\s+"([^"\\]+)\\n"', seeds.file(
        "tests/fuzz/fuzz-csr-input.c").decode(), re.M)
    seeds.put("client", "pem", "k" + "\n".join(lines) + "\n")
    seeds.put("client", "der", b"k" + base64.b64decode("".join(lines[1:-1])))


def configuration(seeds):
    for name, text in seeds.glob("tests/policy/*.policy"):
        seeds.put("policy", name, text)
    for name, text in seeds.glob("systemd/examples/*.conf"):
        seeds.put("config", name, b"g" + text)
    # Every example of the manual pages.
    for page, letter in (("guardian.conf.5", "g"),
                         ("acme-guardian.account.5", "a"),
                         ("acme-guardian.zone.5", "z")):
        text = seeds.file(f"man/{page}.rst").decode()
        for i, block in enumerate(re.findall(
                r"::\n\n((?:    .*\n|\n)+)", text)):
            block = re.sub(r"^    ", "", block, flags=re.M)
            if "=" in block:
                seeds.put("config", f"{page}-{i}", letter + block)
    seeds.put("config", "token", """g[Guardian]
RequestsPerMinute=10
[Token hsm]
Module=/usr/lib/softhsm/libsofthsm2.so
Token=pkcs11:token=lab
Pin=credential:pin
Timeout=20s
Environment=A=B C=D
[Token soft]
Backend=sealed
[Lacme x]
Account=x
[Roles]
AdminGroups=
MonitorUsers=prometheus 1000
[Deny]
Domain=example.com
""")
    seeds.put("config", "account", """a[Account]
Ca=letsencrypt
Token=hsm
KeyType=rsa-2048
Contact=mailto:a@example.com
AgreeTerms=yes
EabKid=k
EabKey=file:/etc/eab
Origins=https://other.example
""")
    seeds.put("config", "zone", """z[Zone]
Name=example.test
Publisher=rfc2136
Server=192.0.2.1
TsigName=k1
TsigKey=file:/etc/key
TTL=5min
Verify=both
Servers=[2001:db8::1]:53 192.0.2.2
Resolver=::1
""")


def txt(seeds):
    for case in json.loads(seeds.file("tests/vectors/dns-persist-check.json")):
        values = ["".join(strings) for strings in case["records"]]
        letter = "*" if case["wildcard"] else "."
        seeds.put("txt", case["id"], letter + "\n".join(values))
        joined = b"".join(bytes([len(s.encode())]) + s.encode()
                          for strings in case["records"][:1] for s in strings
                          if len(s.encode()) < 256)
        seeds.put("txt", case["id"] + "-rdata", b"r" + joined)
    for i, case in enumerate(json.loads(seeds.file(
            "tests/vectors/dns-persist-accounturi.json"))):
        seeds.put("txt", f"prefix-{i}", "p" + case["prefix"])


DIRECTORY = """{"newNonce":"https://ca.example/n",
"newAccount":"https://ca.example/a","newOrder":"https://ca.example/o",
"revokeCert":"https://ca.example/r","keyChange":"https://ca.example/k",
"renewalInfo":"https://ca.example/i","Zx8":"https://community.example/t",
"meta":{"termsOfService":"https://ca.example/tos","website":"https://ca.example",
"externalAccountRequired":true,"accountHashPrefix":"https://ca.example/h/",
"issuerDomainNames":["ca.example"],"caaIdentities":["ca.example","b.example"],
"profiles":{"classic":"x","tlsserver":"y"}}}"""


def answers(seeds):
    pem = "-----BEGIN CERTIFICATE-----\nMAAw\n-----END CERTIFICATE-----\n"
    for letter, name, body in (
            ("d", "directory", DIRECTORY),
            ("a", "account", '{"status":"valid","contact":["mailto:a@b.c"],'
             '"key":{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV7'
             '6e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'
             '"},"orders":"https://ca.example/orders"}'),
            ("o", "order", '{"status":"pending","expires":"2030-01-01T00:00:00Z'
             '","identifiers":[{"type":"dns","value":"example.com"}],'
             '"authorizations":["https://ca.example/z/1"],"finalize":'
             '"https://ca.example/f/1","certificate":"https://ca.example/c/1",'
             '"error":{"type":"urn:ietf:params:acme:error:caa","detail":"x"}}'),
            ("z", "authz", '{"status":"pending","identifier":{"type":"dns",'
             '"value":"example.com"},"wildcard":true,"challenges":[{"type":'
             '"dns-persist-01","status":"pending","url":"https://ca.example/ch"'
             ',"accounturi":"https://ca.example/acct/123","issuer-domain-names"'
             ':["ca.example"]},{"type":"http-01","url":"x","token":"t"}]}'),
            ("c", "challenge", '{"type":"dns-persist-01","status":"invalid",'
             '"url":"https://ca.example/ch","error":{"type":"urn:x","detail":'
             '"no","subproblems":[{"type":"y","detail":"z"}]}}'),
            ("p", "chain", pem + "\n" + pem),
            ("r", "renewal", '{"suggestedWindow":{"start":"2030-01-01T00:00:00Z'
             '","end":"2030-01-02T00:00:00Z"},"explanationURL":'
             '"https://ca.example/why"}'),
            ("m", "problem", '{"type":"urn:ietf:params:acme:error:badNonce",'
             '"detail":"JWS has an invalid anti-replay nonce","status":400}'),
            ("R", "retry", "120"),
            ("R", "retry-date", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("D", "date", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("L", "links", '<https://ca.example/c/1/1>;rel="alternate", '
             '<https://ca.example/dir>;rel="index"')):
        seeds.put("directory", name, letter + body)


def dns_name(name):
    return b"".join(bytes([len(x)]) + x.encode()
                    for x in name.split(".")) + b"\0"


def dns(seeds):
    owner = dns_name("_validation-persist.example.com")
    at_owner = b"\xc0\x0c"

    def message(flags, answer, authority=()):
        rrs = [*answer, *authority]
        return (struct.pack(">HHHHHH", 7, flags, 1, len(answer),
                            len(authority), 0)
                + owner + struct.pack(">HH", 16, 1)
                + b"".join(at_owner + struct.pack(">HHIH", t, 1, 300, len(d))
                           + d for t, d in rrs))
    value = b"ca.example; accounturi=https://ca.example/acct/123"
    record = (16, bytes([len(value)]) + value)
    soa = (6, dns_name("ns.example.com") + dns_name("host.example.com")
           + struct.pack(">IIIII", 1, 2, 3, 4, 5))
    cname = (5, dns_name("x.persist.example.com"))
    caa = (257, b"\x00\x05issueca.example")
    address = (1, bytes([192, 0, 2, 1]))
    signature = (46, struct.pack(">HBBIIIH", 16, 8, 2, 300, 2, 1, 3)
                 + dns_name("example.com") + b"x" * 16)
    for name, m in (
            ("txt", message(0x8400, [record])),
            ("two", message(0x8400, [record, record, signature])),
            ("nothing", message(0x8400, [], [soa])),
            ("nxdomain", message(0x8403, [], [soa])),
            ("cname", message(0x8400, [cname])),
            ("caa", message(0x8400, [caa, address])),
            ("referral", message(0x8000, [], [(2, dns_name("ns.example.net"))])),
            ("refused", message(0x8405, []))):
        seeds.put("dns", name, b"m" + m)
    seeds.put("dns", "update", b"u" + message(0xa800, []))
    # What goes between guardianctl and its child, with wrong values.
    seeds.put("dns", "wire", b"w" + struct.pack("<IIIII", 4, 1, 1, 0, 1) * 4)
    seeds.put("dns", "wire-request",
              b"q" + struct.pack("<IIIII", 1, 1, 0, 0, 0) * 4)


def varlink(seeds):
    name = "org.acmeguardian.Fuzz"

    def call(method, **more):
        return json.dumps({"method": f"{name}.{method}", **more}) + "\0"
    for i, text in enumerate((
            call("Echo", parameters={"a": [1, 2.5, "x", None]}),
            call("Hold") + call("Echo"),
            call("Stream", more=True) + call("Stream"),
            call("Echo", oneway=True) + call("Missing") + call("Nothing"),
            call("Echo")[:9] + "\x01" + call("Echo")[9:] + "\x01"
            + call("Hold", parameters={}) + call("Hold"),
            json.dumps({"method": "org.varlink.service.GetInfo"}) + "\0"
            + json.dumps({"method": "org.varlink.service.GetInterfaceDescription"
                          , "parameters": {"interface": name}}) + "\0",
            call("Echo", upgrade=True) + "{}\0" + call("Echo"))):
        seeds.put("varlink", i, text)


def wire(seeds):
    def request(op, label=b"", alg=0, bits=0, data=b"", version=1):
        r = struct.pack("<IIQIIII", version, op, 77, alg, bits, len(data), 0)
        r += label.ljust(128, b"\0") + data
        return struct.pack("<H", len(r)) + r
    for i, text in enumerate((
            request(1), request(2, b"ours", data=struct.pack("<II", 0, 0)),
            request(3, b"ours:a:b:1"), request(4, data=b"pkcs11:object=x"),
            request(5, b"ours:none:b:1", 1), request(6, b"ours:a:b:1", 4,
                                                     data=b"header.payload"),
            request(5, b"ours:none:b:1", 3, 2048),
            request(7, b"ours:a:b:1"), request(8), request(1, version=2))):
        seeds.put("wire", i, b"\0" + text)
        seeds.put("wire", f"{i}-failing", b"\x0b" + text)
    seeds.put("wire", "all", b"\0" + request(1) + request(3, b"ours:a:b:1")
              + request(6, b"ours:a:b:1", 4, data=b"x") * 9 + request(8))
    seeds.put("wire", "bad-signature",
              b"\x20" + request(6, b"ours:a:b:1", 4, data=b"x") * 2)


def token(seeds):
    """Answers of a token helper: length, flags, datagram."""
    def reply(flags, result=1, data=b"", text=b""):
        r = struct.pack("<IIQII", 1, result, 1, len(data), 0)
        r += text.ljust(256, b"\0") + data
        return struct.pack("<HB", len(r), flags) + r
    works, ours, signs = 16, 3, 32
    for i, text in enumerate((
            reply(works) + reply(ours | signs, data=b"x" * 64) * 3,
            reply(ours, 8, text=b"no token") * 2 + reply(works),
            reply(works) + reply(0), reply(works | signs) + reply(4),
            reply(ours, data=b"y" * 600) + reply(works | signs) * 4,
            reply(works) + reply(ours | signs, 14, text=b"z" * 256) * 2)):
        seeds.put("token", i, text)


def main():
    source, folder, stamp, depfile = map(pathlib.Path, sys.argv[1:])
    shutil.rmtree(folder, ignore_errors=True)
    seeds = Seeds(source, folder)
    for make in (requests, configuration, txt, answers, dns, varlink, wire,
                 token, clients):
        make(seeds)
    stamp.write_text("")
    depfile.write_text(f"{stamp.name}: {__file__} "
                       + " ".join(map(str, seeds.read)) + "\n")


if __name__ == "__main__":
    main()
