#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl before anything is done: its words, its settings, sockets where nobody
listens, and callers without a role."""

import shutil
import socket
import sys
import threading

from guardianctl_lab import STRANGER_UID, run
from lab import GUARDIANCTL, OTHER_UID, ROOT, expect


def test_usage_is_64_and_says_what(w):
    for args, says in [
            ((), "which command?"),
            (("acount", "list"), "unknown command: acount"),
            (("account", "frobnicate"), "unknown command: account frobnicate"),
            (("account",), "account needs another word"),
            (("account", "create"), "account create needs NAME"),
            (("account", "create", "x", "--token", "lab"),
             "account create needs --ca NAME, or --directory URL"),
            (("account", "create", "x", "--token", "lab", "--directory",
              "https://ca.example/", "--rsa-bits", "2048"),
             "--rsa-bits goes with --alg RS256"),
            (("account", "deactivate", "x"), "account deactivate needs --yes"),
            (("account", "register", "x", "--timeout", "0"),
             "--timeout takes a number from 1 to 600, not 0"),
            (("suspend", "some"), "suspend takes all, account NAME"),
            (("suspend", "account"), "suspend account needs a NAME"),
            (("suspend", "all", "x"), "suspend all takes no name"),
            (("suspend", "client", "root"), "a client is a numeric uid"),
            (("sign", "--nonce", "x"), "sign needs --url URL"),
            (("sign", "--url", "https://ca.example/"),
             "sign needs --nonce NONCE"),
            (("key-authorization", "t", "--for", "dns-02"), "--for takes"),
            (("audit", "verify"), "audit verify needs --key-file FILE"),
            (("audit", "tail", "--lines", "x"), "--lines takes a number"),
            (("status", "--jason"), "unknown option --jason"),
            (("status", "now"), "one argument too many: now")]:
        w.ctl(*args, code=64, says=says)


def test_completion_comes_from_the_same_table(w):
    script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_guardianctl; echo "${COMPREPLY[*]}"')
    for line, want in [
            (("to",), "token"),
            (("account", ""), "adopt create deactivate directory issuers list "
             "move prove register show update"),
            (("--json", "audit", "v"), "verify"),
            (("account", "create", "x", "--al"),
             "--alg --allow-query --allow-http-loopback"),
            (("status", "--ver"), "--version"), (("bogus", ""), "")]:
        r = w.lab.run(["bash", "-c", script, "bash",
                       ROOT / "client-shim/guardianctl.bash", GUARDIANCTL,
                       *line])
        expect(r.stdout.strip() == want, f"{line}: {want}: {r.stdout}")


def test_zsh_completes_from_it_too(w):
    if not shutil.which("zsh"):
        return
    # zsh's own two functions only tell what they were given.
    script = ('_describe() { print -rl -- ${(P)4} }; _files() { print files }; '
              'file=$1; shift; words=("$@"); CURRENT=$#; source $file')
    for line, want in [
            (("",), ["reload:read the policy again, all or nothing",
                     "account:...", "metrics:figures for Prometheus"]),
            (("account", ""), ["show:everything about an account"]),
            (("--json", "audit", "v"),
             ["take-key:the first key, given out once\\: keep it elsewhere"]),
            (("account", "create", "x", "--al"),
             ["--allow-query:the CA's URLs may have a query",
              "--help:show this and exit"]),
            (("account", "create", "x", "--alg", ""), ["files"]),
            (("bogus", ""), [])]:
        r = w.lab.run(["zsh", "-fc", script, "zsh",
                       ROOT / "client-shim/guardianctl.zsh", GUARDIANCTL,
                       *line], ok=(0, 1))
        said = r.stdout.splitlines()
        expect(all(x in said for x in want) and bool(said) == bool(want) and
               not r.stderr, f"{line}: {want}: {r.stdout}{r.stderr}")


def test_no_daemon_is_69(w):
    there = ["--admin-socket", w.lab.dir / "none", "--socket",
             w.lab.dir / "none"]
    for args in [("status",), ("reload",), ("suspend", "all"),
                 ("resume", "all"), ("token", "list"),
                 ("token", "check", "lab"), ("token", "unlock", "lab"),
                 ("token", "self-test", "lab"),
                 ("account", "list"), ("account", "list", "--mine"),
                 ("account", "show", "main"),
                 ("account", "create", "x", "--token", "lab", "--directory",
                  "https://ca.example/dir"),
                 ("account", "register", "x", "--agree-terms"),
                 ("account", "deactivate", "x", "--yes"),
                 ("account", "update", "x", "--no-contacts"),
                 ("account", "prove", "x"), ("account", "directory", "x"),
                 ("account", "issuers", "x", "ca.example"),
                 ("apply",), ("apply", "--dry-run"),
                 ("sign", "--url", "https://ca.example/", "--nonce", "x"),
                 ("jwk",), ("key-authorization", "t"),
                 ("audit", "rotate"), ("audit", "take-key"),
                 ("audit", "tail", "-f")]:
        w.ctl(*args, *there, code=69, says="nobody listens there")
    w.ctl("status", "--admin-socket", w.lab.file("plain", "") / "none",
          code=69, says="Not a directory")
    out = w.lab.dir / "not-made"
    w.ctl("audit", "take-key", "--out", out, *there, code=69)
    expect(not out.exists(), "no file is left where no key came")


def test_a_socket_that_hangs_up_or_talks_nonsense_is_69(w):
    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n\0"):
        path = w.lab.dir / "odd.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
            s.listen(1)

            def serve(listener=s, data=answer):
                c, _ = listener.accept()
                with c:
                    c.recv(100)
                    c.sendall(data)

            t = threading.Thread(target=serve, daemon=True)
            t.start()
            w.ctl("status", "--admin-socket", path, code=69)
            t.join()


def test_broken_settings_are_78_with_file_and_line(w):
    w.lab.file("bad/guardian.conf", "[Guardian]\nStateDirectry=/x\n")
    w.ctl("--config", w.lab.dir / "bad", "status", config=False, code=78,
          says="bad/guardian.conf:2: ")
    w.ctl("--config", w.lab.dir / "nowhere", "status", config=False, code=78,
          says="nowhere: ")
    # Who names the socket needs no settings.
    w.ctl("--config", w.lab.dir / "nowhere", "--admin-socket", w.admin,
          "account", "list", config=False)


def test_without_a_role_everything_of_the_admin_is_77(w):
    for args in [("status",), ("reload",), ("suspend", "all"),
                 ("token", "list"), ("account", "list"),
                 ("account", "register", "x", "--agree-terms"),
                 ("audit", "rotate"), ("audit", "take-key")]:
        w.ctl(*args, uid=STRANGER_UID, code=77, says="not permitted")
    w.ctl("account", "list", uid=OTHER_UID)
    w.ctl("reload", uid=OTHER_UID, code=77, says="needs the role: ops")
    w.ctl("audit", "tail", uid=STRANGER_UID, code=77)


if __name__ == "__main__":
    sys.exit(run(globals()))
