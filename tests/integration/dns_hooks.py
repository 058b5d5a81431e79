#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publishing by a program of the host's: what it is told, what it says, and whose
it has to be."""

import os
import sys

from bind_lab import Bind
from dns_lab import FOREIGN, LABEL, OLD, OURS, Place, owner, run, states
from lab import ROOT, expect


def hook_place(lab, name, text, user="nobody", mode=0o755):
    bind = Bind(lab, name)
    bind.zone("example.test", [f'{LABEL} TXT "{OLD}"'])
    bind.start()
    p = Place(lab, name)
    p.bind = bind
    hook = lab.file(f"hook-{name}", text, 0, mode)
    p.zone("example.test", Publisher="hook", Hook=hook, HookUser=user,
           Servers=bind.address, TTL="10min")
    return p


def test_what_a_hook_is_told(lab):
    out = lab.folder("hook-out", 65534)
    p = hook_place(lab, "told", "#!/bin/sh\n{ id -u; id -G; printf '%s\\n' "
                   f'"$@"; cat; env | sort; }} >{out}/$1\n')
    plan = p.publish({"example.test": [OURS]},
                     env={"SECRET": "x", "HOME": "/root"})
    expect(states(plan) == [("example.test", False, "done"),
                            ("example.test", True, "done")], plan)
    for verb, value in (("add", OURS), ("remove", OLD)):
        lines = (out / verb).read_text().splitlines()
        expect(lines[:5] == ["65534", "65534", verb, owner("example.test"),
                             value], lines)
        names = {x.split("=")[0] for x in lines[5:]} - {"_", "PWD", "SHLVL"}
        expect(names == {"PATH", "LC_ALL", "ZONE", "TTL"}, names)
        expect("ZONE=example.test" in lines and "TTL=600" in lines, lines)


def test_what_a_hook_says(lab):
    for code, want, word in ((0, "done", ""), (75, "later", "later"),
                             (1, "failed", "exit status 1")):
        p = hook_place(lab, f"says{code}", f"#!/bin/sh\nexit {code}\n")
        plan = p.publish({"example.test": [OURS, OLD]})
        expect(states(plan) == [("example.test", False, want)], plan)
        expect(word in plan["changes"][0]["text"], plan)
    p = hook_place(lab, "stops", "#!/bin/sh\nexit 75\n")
    plan = p.publish({"example.test": [OURS], "www.example.test": [OURS]})
    expect({c["state"] for c in plan["changes"]} == {"later"} and
           "not tried" in plan["changes"][1]["text"], plan)


def test_hooks_that_are_not_run(lab):
    text = "#!/bin/sh\nexit 0\n"
    for name, user, mode, word in (("writable", "nobody", 0o777, "writable"),
                                   ("plain", "nobody", 0o644, "cannot be run"),
                                   ("nouser", "no-such-user", 0o755,
                                    "no such user")):
        p = hook_place(lab, name, text, user, mode)
        plan = p.publish({"example.test": [OURS, OLD]})
        expect(states(plan) == [("example.test", False, "failed")] and
               word in plan["changes"][0]["text"], plan)


def test_who_can_move_a_hook_can_change_it(lab):
    """A path that only root can change, as a whole and through links."""
    p = hook_place(lab, "moved", "#!/bin/sh\nexit 0\n")
    folder = lab.folder("hooks")
    lab.file("hooks/hook", "#!/bin/sh\nexit 0\n", 0, 0o755)
    (lab.dir / "link").symlink_to(folder / "hook")

    def run(hook):
        p.zone("example.test", Publisher="hook", Hook=hook, HookUser="nobody",
               Servers=p.bind.address)
        return p.publish({"example.test": [OURS, OLD]})

    for hook in (folder / "hook", lab.dir / "link"):
        for uid, mode, want in ((0, 0o755, "done"), (0, 0o775, "failed"),
                                (65534, 0o755, "failed"),
                                (0, 0o1777, "done")):
            os.chown(folder, uid, 0)
            folder.chmod(mode)
            plan = run(hook)
            expect(states(plan) == [("example.test", False, want)],
                   f"{hook} {uid} {mode:o}: {plan}")
            expect(want == "done" or str(folder) in plan["changes"][0]["text"],
                   plan)


def test_the_example_hook(lab):
    """examples/publish-hook, with a folder and a reload of this lab's."""
    records = lab.folder("acme-records", 65534)
    reload = lab.file("reload", f"#!/bin/sh\necho \"$1\" >>{records}/reloads\n",
                      mode=0o755)
    text = (ROOT / "examples/publish-hook").read_text()
    for line, new in (("DIR=/var/lib/acme-records", f"DIR={records}"),
                      ('RELOAD="rndc reload"', f'RELOAD="{reload}"')):
        expect(line in text, line)
        text = text.replace(line, new)
    p = hook_place(lab, "example", text)
    odd = OURS + '; x="\\' + "y" * 300
    lab.file("acme-records/example.test.records",
             f'{owner("example.test")}. 60 IN TXT "{OLD}"\n'
             f'{owner("example.test")}. 60 IN TXT "{FOREIGN}"\n', 65534)
    plan = p.publish({"example.test": [OURS, odd]})
    expect({c["state"] for c in plan["changes"]} == {"done"}, plan)
    shown = Bind(lab, "included")
    shown.zone("example.test",
               [f"$INCLUDE {records}/example.test.records"])
    shown.start()
    p.zone("example.test", Servers=shown.address)
    v = p.view(owner("example.test"))
    expect(sorted(v["values"]) == sorted([OURS, odd, FOREIGN]), v)
    expect((records / "reloads").read_text() == "example.test\n" * 3,
           "read again for each change")
    r = lab.run(["setpriv", "--reuid=65534", "--regid=65534",
                 "--clear-groups", "--", lab.dir / "hook-example", "add",
                 owner("example.test")], stdin=OURS + "\n",
                env={"ZONE": "example.test", "TTL": "600"})
    expect((records / "reloads").read_text() == "example.test\n" * 3,
           f"nothing to do, nothing done: {r.stderr}")


if __name__ == "__main__":
    sys.exit(run(globals()))
