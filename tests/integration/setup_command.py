#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl setup, as an administrator meets it, on a host without systemd:
with options and at a terminal, for SoftHSM2, a TPM (swtpm), a sealed store and
a token of somebody else's; twice; killed anywhere and run again; on hosts that
are installed half. What a booted systemd adds is in tests/system/test_setup.py.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

from lab import (GUARDIANCTL, OTHER_UID, SOFTHSM, TOKEN_UID, Lab, expect,
                 run_cases)
from setup_lab import (CREDSTORE, ETC, PASSPHRASE, TOKENS, Host, Terminal,
                       decrypt, enter, there, traced, tree)
from swtpm_lab import Swtpm

POLICY = ("--client-user", "www-data", "--domain", "www.lab.example",
          "--domain", "lab.example", "--account", "le")
STATES = ("made", "already there", "would be made", "done", "left to you")


def steps(done):
    """[(state, step)] of what was printed."""
    found = []
    for line in done.stdout.splitlines():
        for state in STATES:
            if line.startswith(f"{state:<14} "):
                found.append((state, line[15:]))
    return found


def made(done):
    return [step for state, step in steps(done) if state == "made"]


def softhsm(*more):
    return ("--token", "hsm", "--backend", "softhsm", *more)


def recovery(h):
    return ("--recovery-passphrase-file", h.passphrase)


def token_files(name):
    return [p for p in there(TOKENS / name) if p.is_file()]


def secrets_nowhere(h, name):
    """Neither PIN nor passphrase is in any file."""
    words = [PASSPHRASE.encode(), decrypt(name)]
    for top in (ETC, CREDSTORE, TOKENS, pathlib.Path("/var/log"),
                pathlib.Path("/var/lib/acme-guardian")):
        for path in there(top):
            if path.is_file():
                for word in words:
                    expect(word not in path.read_bytes(),
                           f"{path} holds a secret in the clear")


def complete(h, name, backend):
    """Everything is there, of the right owner and mode."""
    for path, uid, mode in (
            (ETC / "guardian.conf", 0, 0o100644),
            (ETC / f"guardian.conf.d/token-{name}.conf", 0, 0o100644),
            (ETC / "policy.d/le.policy", 0, 0o100644),
            (CREDSTORE, 0, 0o40700),
            (CREDSTORE / f"acme-guardian-{name}", 0, 0o100600),
            (TOKENS, 0, 0o40755), (TOKENS / name, TOKEN_UID, 0o40700)):
        st = path.lstat()
        expect((st.st_uid, st.st_mode) == (uid, mode),
               f"{path}: uid {st.st_uid}, mode {st.st_mode:o}")
    for path in there(TOKENS / name):
        st = path.lstat()
        expect(st.st_uid == TOKEN_UID and not st.st_mode & 0o077,
               f"{path}: uid {st.st_uid}, mode {st.st_mode:o}")
    for top in (ETC, CREDSTORE, TOKENS):
        for path in there(top):
            expect(path.name not in (".guardianctl-setup.new", ".new",
                                     "init-token.begun"), f"{path} is left")
    secrets_nowhere(h, name)
    expect(len(token_files(name)) > 0, f"{backend}: the token's files")


def ends_well(h, name):
    """With the daemon started: the audit key once, and the self-test."""
    h.start(name)
    done = h.setup("--token", name)
    key = re.findall(r"^    ([0-9a-f]{64})$", done.stdout, re.M)
    expect(len(key) == 1, f"the audit key is shown: {done.stdout}")
    expect(f"token {name}: made a key, signed, verified" in done.stdout,
           done.stdout)
    for words in ("policy: 1 rule sets, 2 names", "audit log: lines 1 to",
                  "status: ready, separated", "account create"):
        expect(words in done.stdout, f"{words}: {done.stdout}")
    before = tree()
    again = h.setup("--token", name)
    expect(key[0] not in again.stdout and "with who took it" in again.stdout,
           f"only once: {again.stdout}")
    expect(made(again) == [], f"nothing is made: {again.stdout}")
    changed = {p for p, v in tree().items() if before.get(p) != v and
               not p.startswith(str(TOKENS))}
    expect(not changed, f"changed: {changed}")
    return key[0]


# ---- SoftHSM2, a TPM, a sealed store ----

def test_softhsm_from_nothing_to_a_signature(h):
    h.clean()
    first = h.setup(*softhsm(), *recovery(h), *POLICY)
    expect(len(made(first)) == 8, first.stdout)
    complete(h, "hsm", "softhsm")
    before = tree()
    # Without the options too: what is there says it all.
    for args in (softhsm(*recovery(h), *POLICY), ("--token", "hsm")):
        again = h.setup(*args)
        expect(made(again) == [], again.stdout)
        expect(tree() == before, "nothing has changed")
    expect("systemctl enable --now acme-guardian-token@hsm.socket" in
           again.stdout, again.stdout)
    ends_well(h, "hsm")


def test_sealed_from_nothing_to_a_signature(h):
    h.clean()
    args = ("--token", "soft", "--backend", "sealed")
    # The passphrase from stdin, for once.
    h.setup(*args, "--recovery-passphrase-file", "-", *POLICY,
            stdin=PASSPHRASE + "\n")
    complete(h, "soft", "sealed")
    before = tree()
    expect(made(h.setup(*args, *recovery(h), *POLICY)) == [], "twice")
    expect(tree() == before, "nothing has changed")
    ends_well(h, "soft")


def test_tpm_from_nothing_to_a_signature(h):
    h.clean()
    tpm = Swtpm(h.lab.folder("tpm"))
    try:
        args = ("--token", "tpm", "--backend", "tpm", "--tcti", tpm.tcti)
        h.setup(*args, *recovery(h), *POLICY)
        complete(h, "tpm", "tpm")
        before = tree()
        expect(made(h.setup(*args, *recovery(h), *POLICY)) == [], "twice")
        expect(tree() == before, "nothing has changed")
        ends_well(h, "tpm")
        h.stop()
    finally:
        tpm.stop()


def test_a_tpm_device_is_let_into_the_unit(h):
    h.clean()
    done = h.setup("--token", "tpm", "--backend", "tpm", "--tcti",
                   "device:/dev/tpm-of-nobody", "--no-policy", "--no-recovery",
                   code=69)
    dropin = pathlib.Path("/etc/systemd/system/"
                          "acme-guardian-token@tpm.service.d/tpm.conf")
    expect("DeviceAllow=/dev/tpmrm0" in dropin.read_text(), done.stdout)
    example = pathlib.Path(__file__).parents[2] / "systemd/examples/tpm.conf"
    expect(dropin.read_text() == example.read_text(), "as the example")


def test_a_module_of_somebody_else(h):
    h.clean()
    env = h.lab.softhsm(TOKEN_UID, label="theirs")
    conf = env["SOFTHSM2_CONF"]
    pin = h.lab.file("their-pin", "1234\n", mode=0o600)
    # SoftHSM2's default configuration: what names another has no option here.
    pathlib.Path("/etc/softhsm").mkdir(exist_ok=True)
    pathlib.Path("/etc/softhsm/softhsm2.conf").write_text(
        pathlib.Path(conf).read_text())
    os.chmod("/etc/softhsm", 0o755)
    os.chmod("/etc/softhsm/softhsm2.conf", 0o644)
    args = ("--token", "hsm", "--backend", "module", "--module", SOFTHSM,
            "--token-uri", "pkcs11:token=theirs", *POLICY)
    h.setup(*args, code=64, says="--pin-file")
    expect(not (ETC / "guardian.conf").exists(), "nothing was made")
    done = h.setup(*args, "--pin-file", pin)
    expect("token hsm: that it is initialised" in done.stdout, done.stdout)
    expect(decrypt("hsm") == b"1234", "the PIN that was given")
    ends_well(h, "hsm")


def test_a_wrong_pin_is_found_and_sent_once(h):
    h.clean()
    h.lab.softhsm(TOKEN_UID, label="more")
    pin = h.lab.file("their-pin", "4321\n", mode=0o600)
    h.setup("--token", "hsm", "--backend", "module", "--module", SOFTHSM,
            "--token-uri", "pkcs11:token=more", "--pin-file", pin, *POLICY)
    h.start("hsm")
    h.setup("--token", "hsm", code=69, says="token hsm: pin-wrong")


# ---- answers ----

def test_what_is_missing_is_named_and_nothing_is_made(h):
    h.clean()
    before = tree()
    full = [*softhsm(), *recovery(h), *POLICY]

    def without(option):
        i = full.index(option)
        return full[:i] + full[i + 2:]

    for args, says in (
            ((), "setup needs --token"),
            (("--token", "hsm"), "setup needs --backend"),
            (without("--backend"), "setup needs --backend"),
            (without("--recovery-passphrase-file"),
             "--recovery-passphrase-file or --no-recovery"),
            (without("--client-user"), "setup needs --client-user"),
            (without("--account"), "setup needs --account"),
            ((*softhsm(), *recovery(h), "--client-user", "x", "--account",
              "y"), "setup needs --domain"),
            ((*softhsm(), *recovery(h)), "or --no-policy"),
            (("--token", "h", "--backend", "module", "--no-policy"),
             "setup needs --module"),
            (("--token", "h", "--backend", "module", "--module", SOFTHSM,
              "--no-policy"), "setup needs --token-uri")):
        h.setup(*args, code=64, says=says)
    expect(tree() == before, "nothing was made")


def test_what_is_wrong_is_refused_and_nothing_is_made(h):
    h.clean()
    before = tree()
    good = dict(zip(("--token", "--backend"), ("hsm", "softhsm")))

    def setup(says, *more, code=64, **changes):
        args = [w for k, v in {**good, **changes}.items() for w in (k, v)]
        h.setup(*args, *(more or (*recovery(h), *POLICY)), code=code,
                says=says)

    setup("--token: a name is", **{"--token": "HSM"})
    setup("--token: a name is", **{"--token": "../x"})
    setup("--backend: one of", **{"--backend": "yubikey"})
    setup("--module: ", **{"--module": "relative.so"})
    setup("no such file", **{"--module": "/nowhere.so"})
    setup("--token-uri does not go with", **{"--token-uri": "pkcs11:token=x"})
    setup("--tcti does not go with", **{"--tcti": "device:/dev/tpm0"})
    setup("exclude each other", *recovery(h), "--no-recovery", *POLICY)
    setup("--no-policy goes with none", *recovery(h), "--no-policy", *POLICY)
    setup("--domain: ", *recovery(h), "--client-user", "x", "--account", "a",
          "--domain", "WWW.lab.example")
    setup("--domain: ", *recovery(h), "--client-user", "x", "--account", "a",
          "--domain", "*.lab.example")
    setup("--client-user: ", *recovery(h), "--client-user", "a b", "--account",
          "a", "--domain", "lab.example")
    setup("--account: ", *recovery(h), "--client-user", "x", "--account",
          "a/b", "--domain", "lab.example")
    h.setup("--token", "h", "--backend", "module", "--module", SOFTHSM,
            "--token-uri", "pkcs11:token=x?pin-value=1", "--no-policy",
            "--pin-file", h.passphrase, code=64, says="--token-uri")
    h.setup("--token", "h", "--backend", "sealed", "--pin-file", h.passphrase,
            "--no-recovery", "--no-policy", code=64, says="--pin-file")
    expect(tree() == before, "nothing was made")


def test_dry_run_makes_nothing(h):
    h.clean()
    before = tree()
    done = h.setup(*softhsm(), *recovery(h), *POLICY, "--dry-run")
    expect({state for state, _ in steps(done)} == {"would be made"},
           done.stdout)
    expect(len(steps(done)) == 7, done.stdout)
    expect(tree() == before, "nothing was made")


def test_json_is_one_document(h):
    h.clean()
    done = h.setup(*softhsm(), *recovery(h), *POLICY, "--json")
    answer = json.loads(done.stdout)
    expect(answer["ok"] and len(answer["steps"]) > 7, answer)
    h.start("hsm")
    answer = json.loads(h.setup("--token", "hsm", "--json").stdout)
    expect(re.fullmatch("[0-9a-f]{64}", answer["auditKey"]), answer)
    answer = json.loads(h.setup("--token", "hsm", "--json").stdout)
    expect("auditKey" not in answer and answer["ok"], answer)
    done = h.setup("--token", "HSM", "--json", code=64)
    expect(json.loads(done.stdout) == {"ok": False, "steps": []}, done.stdout)


# ---- what is there ----

def test_nothing_that_is_there_is_overwritten(h):
    h.clean()
    mine = {
        ETC / "guardian.conf": "# mine\n[Guardian]\nAuditKeep=7\n",
        ETC / "softhsm2-hsm.conf": "directories.tokendir = "
                                   f"{TOKENS}/hsm/softhsm2\n",
        ETC / "policy.d/le.policy": "[Client]\nUser=me\n[Allow]\nAccount=le\n"
                                    "Domain=mine.example\n",
    }
    for path, text in mine.items():
        path.write_text(text)
    h.setup(*softhsm(), *recovery(h), *POLICY)
    for path, text in mine.items():
        expect(path.read_text() == text, f"{path} is as it was")
    # A token's section that stands elsewhere is that token.
    h.setup("--token", "hsm", "--backend", "sealed", code=78,
            says="token-hsm.conf:2: [Token hsm] is there, and it is softhsm")
    # And a policy is only asked for where there is none.
    h.setup("--token", "two", "--backend", "sealed", "--no-recovery")


def test_a_token_that_was_written_by_hand(h):
    h.clean()
    pin = h.lab.file("hand-pin", "0123456789abcdef\n", TOKEN_UID, 0o600)
    (ETC / "guardian.conf").write_text(
        "[Token soft]\nBackend=sealed\n"
        f"Pin=file:{pin}\nHelperSocket=/run/acme-guardian/token/soft.sock\n")
    done = h.setup("--token", "soft", *recovery(h), "--no-policy")
    expect(("left to you", f"Pin= of {ETC}/guardian.conf:1") in steps(done),
           done.stdout)
    expect(not CREDSTORE.exists(), "no credential was made")
    expect((TOKENS / "soft/store.header").exists(), done.stdout)


def test_settings_that_do_not_load_stop_it_first(h):
    for path, text, says in (
            (ETC / "guardian.conf", "[Guardian]\nNo=1\n", "guardian.conf:2:"),
            (ETC / "guardian.conf.d/a.conf", "[Token x]\n", "a.conf:1:"),
            (ETC / "guardian.conf.d/token-hsm.conf", "# mine\n",
             "is there without a [Token hsm]")):
        h.clean()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        before = tree()
        h.setup(*softhsm(), *recovery(h), *POLICY, code=78, says=says)
        expect(tree() == before, "nothing was made")
    h.clean()
    (ETC / "guardian.conf.d").mkdir()
    os.chmod(ETC / "guardian.conf.d", 0o775)
    before = tree()
    h.setup(*softhsm(), *recovery(h), *POLICY, code=78, says="guardian.conf.d")
    expect(tree() == before, "nothing was made")


def test_a_policy_that_does_not_load_stops_it_first(h):
    h.clean()
    (ETC / "guardian.conf").write_text("[Deny]\nDomain=not..a.name\n")
    before = tree()
    h.setup(*softhsm(), *recovery(h), *POLICY, code=78, says="not..a.name")
    expect(tree() == before, "nothing was made")


def test_half_installed_hosts_are_named(h):
    h.clean()
    passwd = pathlib.Path("/etc/passwd")
    text = passwd.read_text()
    for user in ("acme-guardian", "acme-guardian-token"):
        passwd.write_text("\n".join(
            l for l in text.splitlines() if not l.startswith(user + ":")))
        h.setup(*softhsm(), *recovery(h), *POLICY, code=78,
                says=[f"there is no user {user}:", "systemd-sysusers"])
    passwd.write_text(text)
    h.setup("--config", "/etc/nowhere", code=78, says="installed half")
    h.setup(*softhsm(), code=77, uid=OTHER_UID, says="run it as root")


def test_directories_of_others_are_not_used(h):
    h.clean()
    (TOKENS / "hsm").mkdir(parents=True)
    os.chown(TOKENS / "hsm", OTHER_UID, OTHER_UID)
    h.setup(*softhsm(), *recovery(h), *POLICY, code=78,
            says="must belong to acme-guardian-token")
    h.clean()
    TOKENS.mkdir()
    os.chmod(TOKENS, 0o777)
    h.setup(*softhsm(), *recovery(h), *POLICY, code=78,
            says="must belong to acme-guardian-token")
    h.clean()
    TOKENS.mkdir()
    (TOKENS / "hsm").symlink_to("/etc")
    h.setup(*softhsm(), *recovery(h), *POLICY, code=78)
    expect(pathlib.Path("/etc").stat().st_uid == 0, "links are not followed")


def test_where_nothing_can_be_encrypted_it_says_so(h):
    h.clean()
    secret = os.environ.pop("SYSTEMD_CREDENTIAL_SECRET")
    try:
        h.setup(*softhsm(), *recovery(h), *POLICY, code=69,
                says="could not encrypt the PIN")
    finally:
        os.environ["SYSTEMD_CREDENTIAL_SECRET"] = secret
    expect(not (CREDSTORE / "acme-guardian-hsm").exists(), "no credential")
    h.setup(*softhsm(), *recovery(h), *POLICY)
    complete(h, "hsm", "softhsm")


# ---- secrets ----

def test_no_secret_is_in_argv_or_environment(h):
    h.clean()
    pin = h.lab.file("pin", "a-pin-that-was-given\n", mode=0o600)
    trace = h.lab.dir / "trace"
    h.setup(*softhsm("--pin-file", pin), *recovery(h), *POLICY,
            before=["strace", "-f", "-v", "-s", "65536", "-e", "trace=execve",
                    "-o", trace], env=traced())
    text = trace.read_text()
    expect("init-token" in text and "encrypt" in text, "what it ran")
    for word in (PASSPHRASE, "a-pin-that-was-given"):
        expect(word not in text, f"{word} was given to a program")
    expect(decrypt("hsm") == b"a-pin-that-was-given", "and yet it arrived")


def test_the_helper_runs_as_its_user_and_without_groups(h):
    h.clean()
    trace = h.lab.dir / "trace-ids"
    h.setup(*softhsm(), *recovery(h), *POLICY,
            before=["strace", "-f", "-e", "trace=execve,setresuid,setresgid,"
                    "setgroups", "-o", trace], env=traced())
    calls = [l.split(None, 1)[1] for l in trace.read_text().splitlines()]
    helper = next(i for i, c in enumerate(calls) if "init-token" in c)
    before = " ".join(calls[:helper])
    for call in ("setgroups(0", f"setresgid({TOKEN_UID}, {TOKEN_UID}",
                 f"setresuid({TOKEN_UID}, {TOKEN_UID}"):
        expect(call in before, f"{call}: {before}")


def test_a_weak_passphrase_stops_and_the_next_run_goes_on(h):
    h.clean()
    weak = h.lab.file("weak", "short\n", mode=0o600)
    h.setup(*softhsm(), "--recovery-passphrase-file", weak, *POLICY, code=2,
            says="shorter than 12")
    # The section is there now, so nothing asks for the option; the token does.
    h.setup("--token", "hsm", code=2, says="no passphrase was given")
    done = h.setup("--token", "hsm", *recovery(h))
    expect(made(done) == ["token hsm (softhsm)"], done.stdout)
    complete(h, "hsm", "softhsm")


def recovers(h, name, *args):
    h.clean()
    h.setup("--token", name, *args, *recovery(h), *POLICY)
    h.start(name)
    h.setup("--token", name)
    h.run("account", "create", "le", "--token", name, "--directory",
          "https://ca.lab.example/dir")
    key = json.loads(h.run("--json", "account", "show", "le").stdout)
    h.stop()
    # The host's key, or its TPM's state, is another now.
    credential = CREDSTORE / f"acme-guardian-{name}"
    credential.write_text(credential.read_text()[::-1])
    h.setup("--token", name, "--recover", *recovery(h), code=78,
            says=["cannot be decrypted", "setup --recover"])
    credential.unlink()
    wrong = h.lab.file("wrong", "wrong horse battery\n", mode=0o600)
    h.setup("--token", name, "--recover", "--recovery-passphrase-file", wrong,
            code=1)
    h.setup("--token", name, "--recover", *recovery(h))
    h.start(name)
    h.setup("--token", name)
    now = json.loads(h.run("--json", "account", "show", "le").stdout)
    expect(now["account"]["thumbprint"] == key["account"]["thumbprint"], now)
    h.run("token", "check", name)


def test_a_lost_credential_costs_no_key(h):
    recovers(h, "hsm", "--backend", "softhsm")
    recovers(h, "soft", "--backend", "sealed")
    h.setup("--token", "soft", "--recover", "--no-recovery", code=64,
            says="--recover")


# ---- the audit key ----

def test_the_audit_key_in_a_file(h):
    h.clean()
    h.setup(*softhsm(), *recovery(h), *POLICY)
    h.start("hsm")
    out = h.lab.dir / "audit.key"
    # Of a run that was killed before it had the key.
    out.write_text("\n" * 65)
    done = h.setup("--token", "hsm", "--audit-key-out", out)
    expect(re.fullmatch(r"[0-9a-f]{64}\n", out.read_text()), out.read_text())
    expect(out.stat().st_mode & 0o777 == 0o600, "its mode")
    expect(out.read_text().strip() not in done.stdout, "not shown as well")
    before = out.read_text()
    done = h.setup("--token", "hsm", "--audit-key-out", out)
    expect(("already there", str(out)) in steps(done), done.stdout)
    expect("audit log: lines 1 to" in done.stdout, "and it is used")
    expect(out.read_text() == before, "as it was")
    # One that is not this log's.
    out.write_text("0" * 64 + "\n")
    h.setup("--token", "hsm", "--audit-key-out", out, code=1,
            says="audit.jsonl")


# ---- at a terminal ----

def test_at_a_terminal(h):
    h.clean()
    t = Terminal("setup")
    t.answer("Name of the token [main]: ", "Main", "")
    t.answer("Backend [", "yubikey", "softhsm")
    t.answer("empty: no policy yet): ", "two words", "www-data")
    t.answer("Which names may it order: ", "", "www.lab.example UP.example",
             "www.lab.example lab.example")
    t.answer("[letsencrypt]: ", "le")
    t.answer("Go on [yes]: ", "perhaps", "")
    t.answer("12 characters or more): ", "short")
    t.answer("again: ", "short")
    t.expect("shorter than 12")
    t.answer("12 characters or more): ", PASSPHRASE)
    t.answer("again: ", "another horse battery")
    t.expect("differ")
    t.answer("12 characters or more): ", PASSPHRASE)
    t.answer("again: ", PASSPHRASE)
    seen = t.end()
    expect(PASSPHRASE not in seen and "another horse" not in seen,
           "nothing that was typed is shown")
    complete(h, "main", "softhsm")
    text = (ETC / "policy.d/le.policy").read_text()
    expect("Domain=www.lab.example lab.example\n" in text, text)
    ends_well(h, "main")


def test_no_is_no(h):
    h.clean()
    before = tree()
    t = Terminal("setup", "--token", "soft", "--backend", "sealed")
    t.answer("empty: no policy yet): ", "")
    t.answer("Go on [yes]: ", "no")
    expect("nothing was done" in t.end(code=1), t.seen)
    expect(tree() == before, "nothing was made")


def test_a_pin_is_asked_for_at_a_terminal(h):
    h.clean()
    t = Terminal("setup", "--backend", "module", "--yes", "--no-policy")
    t.answer("Name of the token [main]: ", "card")
    t.answer("Path of the PKCS#11 module: ", "libx.so", SOFTHSM)
    t.answer("pkcs11:token=LABEL: ", "token=x", "pkcs11:token=theirs")
    t.answer("PIN of the token: ", "secret-pin-1")
    t.answer("again: ", "secret-pin-2")
    t.expect("two different")
    t.answer("PIN of the token: ", "secret-pin-1")
    t.answer("again: ", "secret-pin-1")
    expect("secret-pin" not in t.end(), "it is not shown")
    expect(decrypt("card") == b"secret-pin-1", "it is kept")


# ---- killed anywhere ----

def killed_at(call, n, args):
    """False when there is no n-th call of that name."""
    done = subprocess.run(
        ["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e",
         f"inject={call}:signal=KILL:when={n}", GUARDIANCTL, "setup",
         *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=120, env={**os.environ, **traced()})
    expect(done.returncode in (0, -9, 137), f"{call} {n}: {done}")
    return done.returncode != 0


def test_killed_anywhere_and_run_again(h):
    args = (*softhsm(), *recovery(h), *POLICY)
    places = 0
    for call in ("renameat2", "mkdirat", "unlinkat", "fchown", "fsync",
                 "clone", "wait4"):
        n = 0
        h.clean()
        while killed_at(call, n + 1, args):
            n += 1
            done = h.setup(*args)
            complete(h, "hsm", "softhsm")
            expect(made(h.setup(*args)) == [], f"{call} {n}: {done.stdout}")
            h.clean()
        expect(n > 0, f"{call} is never called")
        places += n
    expect(places > 25, f"only {places} places to be killed at")


def test_killed_with_a_daemon_and_run_again(h):
    """The second half. Only who had the audit key can have lost it."""
    for call, least in (("connect", 5), ("fsync", 2), ("pwrite64", 2)):
        n = 0
        while True:
            h.clean()
            h.setup(*softhsm(), *recovery(h), *POLICY)
            h.start("hsm")
            out = h.lab.dir / f"audit-{call}-{n}.key"
            args = ("--token", "hsm", "--audit-key-out", out)
            if not killed_at(call, n + 1, args):
                break
            n += 1
            done = h.setup(*args)
            expect("verified" in done.stdout, done.stdout)
            blank = out.exists() and not out.read_text().strip()
            expect(not blank, "a blank file is no key")
        expect(n >= least, f"{call}: only {n} places")


def main():
    enter()
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    with Lab("setup") as lab:
        h = Host(lab)
        cases = [v for k, v in globals().items() if k.startswith("test_") and
                 (len(sys.argv) < 2 or k in sys.argv[1:])]
        status = run_cases(cases, h)
        h.stop()
        return status


if __name__ == "__main__":
    sys.exit(main())
