#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""init-token and reset-pin: a PKCS#11 token is made once, finished after a
crash, never overwritten, and gets a new PIN by its recovery passphrase. On
SoftHSM2 and on a TPM 2.0."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from swtpm_lab import TPM2_PKCS11, Swtpm  # noqa: E402
from token_lab import (HELPER, PIN, Failed, Faulty, SoftHsm,  # noqa: E402
                       equal, main)
from token_served import destroy_and_begin_anew  # noqa: E402

PASSPHRASE = "correct horse battery"


class Making:
    """What the kinds of tokens share: nothing is initialised yet."""

    def init(self, *options, command="init-token", stdin=PASSPHRASE + "\n",
             code=0, words=(), pass_fds=()):
        self.write()
        done = subprocess.run(
            [HELPER, command, "--config", self.config, *options, "t"],
            input=stdin, text=True, capture_output=True, check=False,
            pass_fds=pass_fds)
        text = done.stdout + done.stderr
        equal(done.returncode, code, f"{command} {options}: {text}")
        for secret in (PASSPHRASE, self.pin_file.read_text().strip()):
            if secret in text:
                raise Failed(f"{secret} is shown: {text}")
        for word in words:
            if word not in text:
                raise Failed(f"{word!r} is not in: {text}")
        return done.stdout

    def begun(self):
        return self.state / "token/t/init-token.begun"

    def works(self):
        with self.start() as h:
            status = h.status()
            equal(status.result, "OK", status.text)
            if h.find("k").result != "OK":
                self.make_key(h, "k", "ES256")
            reply = h.sign("k", "ES256", b"header.payload")
            equal(reply.result, "OK", reply.text)

    def faulty(self, *words):
        with self.start() as h:
            status = h.status()
            for word in words:
                if word not in f"{status.result} {status.text}":
                    raise Failed(f"{word!r}: {status.result} {status.text}")


class NewSoftHsm(Making, SoftHsm):
    def init_token(self, label):
        pass


class NewFaulty(Making, Faulty):
    def init_token(self, label):
        pass


class NewTpm(Making, SoftHsm):
    module = TPM2_PKCS11

    def make(self):
        self.tpm = Swtpm(self.folder)
        self.tokens = self.folder / "store"
        self.tokens.mkdir()
        self.environment = [f"TPM2_PKCS11_STORE={self.tokens}",
                            f"TPM2_PKCS11_TCTI={self.tpm.tcti}",
                            "TPM2_PKCS11_BACKEND=esysdb"]
        self.settings["Module"] = self.module
        self.settings["Timeout"] = "60s"

    def write(self, **changes):
        # A TPM has few sessions, and one process at a time is quickest.
        super().write(Sessions=1, **changes)

    def destroy(self, helper, label):
        destroy_and_begin_anew(self, helper, label)

    def close(self):
        self.tpm.stop()


def files(p):
    return {f: f.read_bytes() for f in sorted(p.tokens.rglob("*"))
            if f.is_file()}


def a_token_is_made_once(p):
    said = p.init()
    if "initialised" not in said:
        raise Failed(said)
    equal(p.begun().exists(), False, "begun and done")
    before = files(p)
    p.init(code=1, words=["never overwritten"])
    equal(p.init("--if-needed", stdin=""), "", "nothing to say")
    equal(files(p), before, "the token's files")
    p.works()


def what_is_typed_wrong_makes_nothing(p):
    for text in ("", "\n", "elevenchars\n"):
        p.init(stdin=text, code=2)
    equal(p.begun().exists(), False, "begun")
    p.faulty("NO_TOKEN")
    p.init()
    p.works()


def an_interrupted_one_is_finished(p):
    p.init()
    # As a crash between C_InitToken and C_InitPIN leaves it.
    p.begun().touch()
    p.set_pin("another-pin-that-is-long")
    p.init(stdin="wrong horse battery\n", code=2,
           words=["another recovery passphrase"])
    equal(p.begun().exists(), True, "still begun")
    p.init("--if-needed", words=["initialised"])
    equal(p.begun().exists(), False, "begun and done")
    p.works()


def a_lost_pin_is_set_anew_and_the_keys_stay(p):
    p.init()
    p.works()
    with p.start() as h:
        spki = key_of(h)
    p.set_pin("another-pin-that-is-long")
    p.faulty("PIN_WRONG")
    p.init(command="reset-pin", stdin="wrong horse battery\n", code=1,
           words=["wrong recovery passphrase"])
    p.faulty("PIN_WRONG")
    p.init(command="reset-pin", words=["token unlock t"])
    p.works()
    with p.start() as h:
        equal(key_of(h), spki, "the key of before")


def key_of(helper):
    reply = helper.find("k")
    equal(reply.result, "OK", reply.text)
    return reply.data


def without_recovery_an_interrupted_one_is_finished_too(p):
    p.init("--no-recovery", stdin="", words=["nothing replaces it"])
    p.begun().touch()
    p.init("--no-recovery", stdin="")
    p.works()


def the_pin_may_come_through_a_descriptor(p):
    r, w = os.pipe()
    os.write(w, PIN.encode() + b"\n")
    os.close(w)
    p.pin_file.rename(p.folder / "away")
    p.pin_file.write_text("unreadable-here")  # 0644: would be refused
    p.init("--pin-fd", str(r), pass_fds=[r])
    os.close(r)
    (p.folder / "away").rename(p.pin_file)
    p.works()
    r, w = os.pipe()
    os.close(w)
    p.init("--pin-fd", str(r), pass_fds=[r], command="reset-pin", code=78,
           words=["--pin-fd"])
    os.close(r)
    p.init("--pin-fd", "2", code=64)
    p.init("--pin-fd", "x", code=64)


def a_tpm_has_more_keys_than_room(p):
    """It holds three objects at a time, and tpm2-pkcs11 lets none go."""
    p.init()
    with p.start() as h:
        equal(h.status().result, "OK")
        labels = [f"acme-guardian:{i}" for i in range(5)]
        for label in labels:
            p.make_key(h, label, "ES256")
        for label in labels * 2:
            reply = h.sign(label, "ES256", b"header.payload")
            equal(reply.result, "OK", f"{label}: {reply.text}")
        # A key that signs often is begun with ahead of the next request.
        for label in labels[:3]:
            for _ in range(40):
                equal(h.sign(label, "ES256", b"header.payload").result, "OK")
            p.make_key(h, f"acme-guardian:{label}:new", "ES256")
    with p.start() as h:
        for _ in range(5):
            p.make_key(h, "acme-guardian:x", "ES256")
            reply = h.sign("acme-guardian:x", "ES256", b"header.payload")
            equal(reply.result, "OK", reply.text)
            p.destroy(h, "acme-guardian:x")


def a_crash_within_is_finished(p):
    p.rules("C_InitPIN segv")
    p.write()
    done = subprocess.run([HELPER, "init-token", "--config", p.config, "t"],
                          input=PASSPHRASE + "\n", text=True, check=False,
                          capture_output=True)
    if done.returncode >= 0:
        raise Failed(f"it should have crashed: {done}")
    equal(p.begun().exists(), True, "begun")
    p.rules("C_InitPIN rv=0x5")
    p.init(code=69, words=["C_InitPIN failed"])
    p.rules("# none")
    p.init()
    equal(len([l for l in p.trace("C_InitPIN")]), 2, "calls that came back")
    p.works()


def a_token_that_hangs_ends_it(p):
    p.settings["Timeout"] = "1s"
    p.rules("C_GetSlotList hang")
    p.init(code=69, words=["does not answer"])
    p.rules("# none")
    p.settings["Timeout"] = "100ms"  # six times that for making a token
    p.rules("C_InitPIN hang")
    p.init(code=69, words=["does not answer"])


def a_foreign_token_is_left_alone(p):
    """Initialised by somebody, PIN or not: its keys are not ours to destroy."""
    p.run("softhsm2-util", "--init-token", "--free", "--label", "t1",
          "--so-pin", "87654321", "--pin", PIN, **p.softhsm_env)
    before = files(p)
    p.init(code=1, words=["never overwritten"])
    equal(files(p), before, "the token's files")
    p.works()


def what_cannot_be_made_is_refused(p):
    p.settings["Token"] = "pkcs11:manufacturer=SoftHSM%20project"
    p.init(code=69, words=["token=LABEL"])
    p.settings["Token"] = "pkcs11:token=t1;slot-id=77"
    p.init(code=69, words=["not initialised yet"])
    p.settings["Token"] = "pkcs11:token=t1"
    p.set_pin("abc")
    p.init(code=2, words=["octets", "Pin="])
    p.set_pin(PIN)
    p.init(stdin="x" * 300 + "\n", code=2, words=["recovery passphrase"])
    equal(p.begun().exists(), False, "begun")
    p.init(command="reset-pin", code=69, words=["0 initialised tokens"])
    p.settings["Pin"] = "none"
    p.init(code=78, words=["needs Pin="])
    p.settings["Pin"] = "credential:x"
    p.init(code=78, words=["systemd-creds encrypt"])
    p.settings["Pin"] = f"file:{p.pin_file}"
    p.init("--bad", code=64)
    p.init("--no-recovery", command="reset-pin", code=64)
    p.init(command="init-sealed", code=78, words=["not Backend=sealed"])
    p.init()
    p.works()


COMMON = [a_token_is_made_once, what_is_typed_wrong_makes_nothing,
          an_interrupted_one_is_finished,
          a_lost_pin_is_set_anew_and_the_keys_stay,
          without_recovery_an_interrupted_one_is_finished_too]

bad = main(COMMON, [NewSoftHsm, NewTpm], leave=False)
bad += main([the_pin_may_come_through_a_descriptor,
             a_foreign_token_is_left_alone, what_cannot_be_made_is_refused],
            [NewSoftHsm], leave=False)
bad += main([a_tpm_has_more_keys_than_room], [NewTpm], leave=False)
bad += main([a_crash_within_is_finished, a_token_that_hangs_ends_it],
            [NewFaulty], leave=False)
print(f"{bad} failed" if bad else "all held")
sys.exit(1 if bad else 0)
