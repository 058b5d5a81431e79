# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the crash matrix runs: each way that a rotation can take.

drive(world) is what an operator does, and says what came of it; whatever ends
meanwhile is no failure of it. calm(world) makes the CA a good one again.
"""

import contextlib
import threading

from crash_lab import AT_ONCE, BoundWorld, CrashWorld
from https_peer import Answer
from lab import Failed, wait_for
from rotation_lab import KEY_CHANGE, Cut


LATE_S = 20


def is_by_chance(point):
    """Of 128 keys one has a coordinate that begins with a zero octet: it is
    destroyed and another one made, which the next run does not do again."""
    return point.state == "planned" and (
        point.what == "C_DestroyObject" or
        (point.what == "C_GenerateKeyPair" and point.nth > 1))


def neither(w, request):
    """The answer of a CA that takes no key of ours."""
    if request.path == KEY_CHANGE:
        return Cut()
    if request.path in ("/dir", "/nonce-plz"):
        return None
    return Answer.problem(400, "malformed", "JWS verification error",
                          [w.relay.fresh_nonce()])


class Scenario:
    name, ends, keeps = None, "done", False
    world = CrashWorld

    def drive(self, w):
        """Returns what was said."""
        with contextlib.suppress(Failed, OSError, ConnectionError):
            return self.run(w)
        return "cut off"

    def run(self, w):
        raise NotImplementedError

    def calm(self, w):
        w.relay.change = None

    def wants(self, point):
        """Where the CA is asked again and again, the first times count."""
        return point.state != "gone" and (
            point.nth <= 3 or point.state not in (
                "unresolved", "records-published"))

    def again(self, point):
        """Is it to be tried although another scenario has had it?"""
        return False

    def start(self, w, *more):
        return w.operate("rotate", "start", "main", *AT_ONCE, *more, *w.ca)

    def place(self, w, state, **more):
        """As far as @state, without guardianctl."""
        w.must("RotationStart", account="main", settle=0, cacheTime=0,
               orderDrain=0, grace=0, **more)
        for _ in range(6):
            if w.state() == state:
                return
            w.must("RotationStep", account="main")
        raise Failed(f"{w.state()}, not {state}")


class Plain(Scenario):
    name = "plain"

    def run(self, w):
        return self.start(w)


class Refused(Scenario):
    """The CA does not want the new key."""
    name, ends = "refused", "aborted"

    def run(self, w):
        def change(request, _):
            if request.path == KEY_CHANGE:
                return Answer.problem(403, "unauthorized", "no",
                                      [w.relay.fresh_nonce()])
            return None

        w.relay.change = change
        return self.start(w)


class Lost(Scenario):
    """The CA's answer does not arrive, once."""
    name = "lost"

    def run(self, w):
        left = [1]

        def change(request, forward):
            if request.path != KEY_CHANGE or not left:
                return None
            left.pop()
            forward()
            return Cut()

        w.relay.change = change
        return self.start(w)


class Late(Scenario):
    """The CA's answer does not arrive, and 20 s later the CA does it after all,
    or would, had its nonce not been spent."""
    name, ends = "late", "aborted"

    def run(self, w):
        def late(forward):
            answer = forward()
            if answer.status == 200:
                w.wrong.append("a late keyChange was done after all")

        def change(request, forward):
            if request.path != KEY_CHANGE:
                return None
            timer = threading.Timer(LATE_S, late, (forward,))
            timer.daemon = True
            timer.start()
            return Cut()

        w.relay.change = change
        return self.start(w)


class Caches(Scenario):
    """The CA says yes at once, and for 20 s takes the old key alone."""
    name = "caches"

    def run(self, w):
        def change(request, forward):
            if request.path != KEY_CHANGE:
                return None
            timers.append(threading.Timer(LATE_S, forward))
            timers[0].start()
            return Answer(headers=[w.relay.fresh_nonce()])

        timers = []
        w.relay.change = change
        try:
            return self.start(w)
        finally:
            for t in timers:
                t.join()

    def wants(self, point):
        return False

    def again(self, point):
        """Points that are like none of a run in which the CA knew at once."""
        return point.state == "switched" and point.side == "after" and \
            point.nth == 1


class Lied(Scenario):
    """The CA says yes and has done nothing."""
    name, ends = "lied", "aborted"

    def run(self, w):
        w.relay.change = lambda request, _: Answer(
            headers=[w.relay.fresh_nonce()]) if request.path == KEY_CHANGE \
            else None
        return self.start(w)

    def wants(self, point):
        return False

    def again(self, point):
        """At the way back only: the rest is like other ways."""
        return point.what == "commit" and point.nth == 1 and \
            point.state == "unresolved"


class Thief(Scenario):
    """For a time the CA takes neither key."""
    name, ends = "thief", "aborted"

    def run(self, w):
        w.relay.change = lambda request, _: neither(w, request)
        said = self.start(w)
        w.relay.change = None
        return said, w.operate("rotate", "resume", "main", *w.ca)


class Abort(Scenario):
    ends = "aborted"

    def __init__(self, state):
        self.state, self.name = state, f"abort-in-{state}"

    def run(self, w):
        self.place(w, self.state)
        return w.operate("rotate", "abort", "main", *w.ca)


class HoldEnds(Scenario):
    """The daemon ends while signing is held and nothing is sent."""
    name = "hold-ends"

    def run(self, w):
        self.place(w, "switching")
        w.end_daemon()
        wait_for("the daemon and its token", w.is_ready)
        return w.operate("rotate", "resume", "main", *w.ca)


class Copy(Scenario):
    """The registry is one from before a switch, and that rotation is aborted."""
    name, keeps = "copy", True

    def run(self, w):
        self.place(w, "draining", keepOldKey=True)
        before = self.files(w)
        said = [w.operate("rotate", "resume", "main", *w.ca)]
        with w.guard:
            w.kill_daemon()
            for f in (w.lab.dir / "state").glob("registry.db*"):
                f.write_bytes(before.get(f, b""))
            w.spawn_daemon()
        wait_for("the daemon and its token", w.is_ready)
        return [*said, w.operate("rotate", "abort", "main", *w.ca)]

    @staticmethod
    def files(w):
        with w.guard:
            w.kill_daemon()
            found = {f: f.read_bytes() for f in
                     (w.lab.dir / "state").glob("registry.db*")}
            w.spawn_daemon()
        wait_for("the daemon and its token", w.is_ready)
        return found


class Compromised(Scenario):
    """At once, after the CA has said that the old key is still good."""
    name = "compromised"

    def run(self, w):
        return self.start(w, "--compromised")


class Stolen(Scenario):
    """It is not, as it seems; and then it is."""
    name = "stolen"

    def run(self, w):
        w.relay.change = lambda request, _: neither(w, request)
        said = self.start(w, "--compromised")
        w.relay.change = None
        return said, w.operate("rotate", "resume", "main", *w.ca)


class Moved(Scenario):
    """Another account at the CA takes the place of the one there was."""
    name = "moved"

    def run(self, w):
        return w.operate("account", "move", "main", *AT_ONCE, "--agree-terms",
                         *w.ca)

    def again(self, point):
        """Where it is not as when a key changes."""
        return point.nth == 1 and point.state.partition("+")[0] in (
            "key-generated", "switching", "switched")


class Bound(Plain):
    """Records of the new key are published before, of the old removed after."""
    name, world = "bound", BoundWorld


class BoundMoved(Moved):
    """And its records name another account's key then."""
    name, world = "bound-moved", BoundWorld

    def again(self, point):
        return False


class BoundAbort(Abort):
    world = BoundWorld

    def __init__(self, state):
        super().__init__(state)
        self.name = f"bound-{self.name}"

    def run(self, w):
        stop_in(w, self.state)
        return w.operate("rotate", "abort", "main", *w.ca)


class BoundOvertakes(Scenario):
    """An emergency while servers are waited for."""
    name, world = "bound-overtakes", BoundWorld

    def run(self, w):
        stop_in(w, "records-published")
        return self.start(w, "--compromised")


class BoundAdds(Scenario):
    """A record is added when those that were there are seen everywhere."""
    world = BoundWorld

    def __init__(self, state):
        self.state, self.name = state, f"bound-adds-in-{state}"

    def run(self, w):
        stop_in(w, self.state)
        added = w.operate("records", "add", "main", next(w.domains))
        return added, w.operate("rotate", "resume", "main", *w.ca)


def stop_in(w, state):
    """guardianctl ends when the rotation gets there."""
    w.gate.on_enter = state, w.end_ctl
    said = w.operate("rotate", "start", "main", *AT_ONCE, *w.ca)
    if w.state() != state:
        raise Failed(f"{w.state()}, not {state}: {said}")


SCENARIOS = [Plain(), Refused(), Lost(), Late(), Caches(), Lied(), Thief(),
             Compromised(), Stolen(), Moved(),
             *[Abort(s) for s in ("planned", "key-generated", "draining",
                                  "switching")],
             HoldEnds(), Copy(), Bound(), BoundMoved(), BoundOvertakes(),
             *[BoundAbort(s) for s in ("records-published",
                                       "records-verified")],
             *[BoundAdds(s) for s in ("records-verified", "draining")]]
