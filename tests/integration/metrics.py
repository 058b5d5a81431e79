#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl metrics against a real daemon: what happened is what it says, and
Prometheus' own tools take it."""

import json
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.request

from lab import (DAEMON_UID, GUARDIANCTL, OTHER_UID, ROOT, Lab, expect,
                 free_port, port_open, run_cases, wait_for)
from pebble_lab import ISSUER
from rotation_lab import NAME, SIGNER, RotationCases, Signing

P = "acme_guardian_"
MONITOR_UID = 61120


def read(text):
    """Samples by name and labels, and the families' types."""
    samples, types = {}, {}
    for line in text.splitlines():
        m = re.fullmatch(r"# TYPE (\w+) (\w+)", line)
        if m:
            expect(m.group(1) not in types, f"a family twice: {line}")
            types[m.group(1)] = m.group(2)
        if line.startswith("#"):
            continue
        m = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? '
                         r"(-?[0-9.]+)", line)
        expect(m, f"no sample: {line}")
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"',
                                         m.group(2) or "")))
        expect((m.group(1), labels) not in samples, f"twice: {line}")
        samples[m.group(1), labels] = float(m.group(3))
    return samples, types


class Cases(RotationCases):
    def __init__(self, lab):
        lab.file("etc/guardian.conf.d/roles.conf",
                 f"[Roles]\nMonitorUser={MONITOR_UID}\n")
        super().__init__(lab)

    def metrics(self):
        return read(self.w.ctl("metrics"))[0]

    def one(self, family, samples=None, /, **labels):
        samples = samples or self.metrics()
        return samples.get((P + family, tuple(sorted(labels.items()))))

    def decisions(self, verdict, reason="", operation="order"):
        return self.one("decisions_total", operation=operation,
                        verdict=verdict, reason=reason) or 0

    def ask(self, name):
        client = Signing(self.w, self.ca.directory_url)
        client.get(client.directory["newNonce"], "HEAD")
        return client.sign(client.directory["newOrder"], client.nonce,
                           json.dumps({"identifiers": [
                               {"type": "dns", "value": name}]}))

    def test_promtool_likes_it(self):
        self.ask(NAME)
        r = subprocess.run(["promtool", "check", "metrics"],
                           input=self.w.ctl("metrics"), text=True,
                           capture_output=True, check=False)
        expect(r.returncode == 0 and not r.stdout.strip(),
               f"{r.returncode}: {r.stdout}{r.stderr}")

    def test_every_decision_is_counted_by_its_reason(self):
        before = [self.decisions("allowed"),
                  self.decisions("denied", "identifier-not-allowed"),
                  self.decisions("malformed", "bad-dns-name", "unset")]
        count = self.one("signing_duration_seconds_count")
        expect(not self.ask(NAME)[0], "an order is signed")
        expect(self.ask("www.example.net")[0], "another is not")
        expect(self.ask("UPPER.example.net")[0], "nor one that cannot be")
        after = [self.decisions("allowed"),
                 self.decisions("denied", "identifier-not-allowed"),
                 self.decisions("malformed", "bad-dns-name", "unset")]
        expect([b - a for a, b in zip(before, after)] == [1, 1, 1],
               f"{before} {after}")
        expect(self.one("signing_duration_seconds_count") == count + 1,
               "one more took its time")

    def test_the_histogram_adds_up(self):
        samples, types = read(self.w.ctl("metrics"))
        name = "signing_duration_seconds"
        buckets = [(dict(l)["le"], v) for (n, l), v in samples.items()
                   if n == P + name + "_bucket"]
        values = [v for _, v in buckets]
        expect(values == sorted(values) and buckets[-1][0] == "+Inf",
               str(buckets))
        expect(values[-1] == samples[P + name + "_count", ()], str(buckets))
        expect(0 < samples[P + name + "_sum", ()] < 600, "seconds")
        expect(types[P + name] == "histogram", str(types))

    def test_what_is_wrong_shows(self):
        w = self.w
        expect(self.one("ready") == 1 and self.one("up") == 1, "ready")
        w.ctl("suspend", "account", "main")
        expect(self.one("suspended", scope="account", name="main") == 1 and
               self.one("account_suspended", account="main") == 1, "suspended")
        w.ctl("resume", "account", "main")
        expect(self.one("suspended", scope="account", name="main") is None,
               "not any more")
        policy = self.lab.dir / "etc/policy.d/test.policy"
        good = policy.read_text()
        policy.write_text(good + "[Nonsense]\n")
        w.ctl("reload", code=78)
        expect(self.one("policy_current") == 0 and self.one("ready") == 0,
               "a policy that cannot be read")
        policy.write_text(good)
        w.ctl("reload")
        expect(self.one("policy_current") == 1, "read again")
        expect(self.one("token_state", token="lab", state="ok") == 1, "token")
        expect(self.one("audit_writable") == 1, "audit")
        expect(self.one("build_info", version=self.version()) == 1, "version")

    def version(self):
        return self.w.ctl("--version").split()[1]

    def test_records_and_keys_have_their_times(self):
        w = self.w
        created = self.one("key_since_timestamp_seconds", account="main")
        expect(abs(created - time.time()) < 3600, f"now: {created}")
        expect(self.one("key_rotate_seconds", account="main") is None,
               "without Rotate=")
        w.must("AccountSetSchedule", name="main", rotate=864000)
        expect(self.one("key_rotate_seconds", account="main") == 864000,
               "with it")
        w.ctl("account", "issuers", "main", ISSUER)
        w.ctl("account", "prove", "main", *w.ca)
        until = int(time.time()) + 5000
        for name, more in ((NAME, ["--persist-until", f"@{until}"]),
                           ("later.apps.example.com",
                            ["--persist-until", f"@{until + 9000}"]),
                           ("always.apps.example.com", [])):
            w.ctl("records", "add", "main", name, "--issuer", ISSUER, *more)
        expect(self.one("records", account="main") == 3, "three records")
        expect(self.one("record_next_expiry_timestamp_seconds",
                        account="main") == until, "the soonest")
        expect(self.one("records_expired", account="main") == 0, "none yet")

    def test_a_rotation_that_waits_shows_for_whom(self):
        self.place("draining")
        samples = self.metrics()
        since = self.one("rotation_since_timestamp_seconds", samples,
                         account="main", kind="planned", state="draining",
                         actor="ops")
        expect(since and abs(since - time.time()) < 3600, str(samples))
        self.w.resume()
        expect(not any(n == P + "rotation_since_timestamp_seconds"
                       for n, _ in self.metrics()), "it is over")

    def test_one_line_of_the_audit_log_for_each_call(self):
        before = len(self.w.audit())
        self.metrics()
        lines = [l["operation"] for l in self.w.audit()[before:]
                 if l["type"] == "admin"]
        expect(lines == ["Metrics", "MetricsAccounts"], str(lines))

    def as_user(self, uid, *args):
        return subprocess.run(
            [*self.lab.as_user(uid), GUARDIANCTL, "--config", self.w.etc,
             *args], capture_output=True, text=True, check=False,
            cwd=self.lab.dir, timeout=300)

    def test_the_role_monitor_is_enough_and_needed(self):
        r = self.as_user(OTHER_UID, "metrics")
        expect(r.returncode == 77 and not r.stdout, f"without the role: {r}")
        r = self.as_user(MONITOR_UID, "metrics")
        expect(r.returncode == 0 and (P + "ready", ()) in read(r.stdout)[0],
               f"with it: {r}")
        r = self.as_user(MONITOR_UID, "suspend", "all")
        expect(r.returncode == 77, f"and it is not for more: {r}")

    def test_a_node_exporter_serves_the_file(self):
        w = self.w
        ours = self.lab.folder("textfile", MONITOR_UID)
        theirs = self.lab.folder("node-exporter")
        path = ours / "acme-guardian.prom"
        # As acme-guardian-metrics.service does; the docs link to it.
        r = self.as_user(MONITOR_UID, "metrics", "--file", path)
        expect(r.returncode == 0 and r.stdout == "", str(r))
        expect(stat.S_IMODE(path.stat().st_mode) == 0o644 and
               [p.name for p in ours.iterdir()] == [path.name], "one file")
        (theirs / path.name).symlink_to(path)
        port = free_port()
        self.lab.start("node-exporter", [
            "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
            "--collector.disable-defaults", "--collector.textfile",
            f"--collector.textfile.directory={theirs}"], DAEMON_UID)
        wait_for("the node exporter", lambda: port_open(port))

        def scrape():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics",
                                        timeout=30) as r:
                return r.read().decode()
        text = scrape()
        expect(f"{P}up 1" in text and f'{P}account_state{{account="main"' in
               text and "node_textfile_scrape_error 0" in text, text[-3000:])
        # A daemon that does not answer is not as good as before.
        self.lab.stop(w.daemon)
        r = self.as_user(MONITOR_UID, "metrics", "--file", path)
        expect(r.returncode == 69 and path.read_text().endswith(f"{P}up 0\n"),
               f"{r}: {path.read_text()}")
        expect(f"{P}up 0" in scrape() and f"{P}ready" not in scrape(),
               "only that")
        w.start_daemon()

    def test_the_rules_fire_for_what_they_are_for(self):
        for what, path in (("check", "examples/prometheus/acme-guardian.rules"
                            ".yml"), ("test", "tests/metrics/alerts.yml")):
            r = subprocess.run(["promtool", what, "rules", ROOT / path],
                               capture_output=True, text=True, check=False)
            expect(r.returncode == 0, f"{path}: {r.stdout}{r.stderr}")
        # They speak of families that there are.
        rules = (ROOT / "examples/prometheus/acme-guardian.rules.yml"
                 ).read_text()
        _, types = read(self.w.ctl("metrics"))
        for name in set(re.findall(rf"{P}\w+", rules)):
            base = re.sub(r"_bucket$", "", name)
            expect(base in types, f"there is no {name}")


def main():
    for program in ("promtool", "prometheus-node-exporter"):
        if not shutil.which(program):
            print(f"{program} is not there")
            return 77
    with Lab("metrics") as lab:
        c = Cases(lab)
        return run_cases([getattr(c, n) for n in dir(Cases)
                          if n.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
