# SPDX-License-Identifier: LGPL-2.1-or-later
"""The token helper as a process: datagrams that are no requests, what its
workers hold, socket activation, Pin=ask."""

import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

from token_conformance import DATA, children
from token_lab import HELPER, PIN, Failed, SoftHsm, equal, main, within
from token_wire import DATA_MAX, REQUEST, Closed, Helper, Reply, request

STRANGER = 61199


def ready(p, **changes):
    h = p.start(stderr=subprocess.DEVNULL, **changes)
    equal(h.generate("k", "ES256").result, "OK", "generate")
    return h


def bad_datagrams():
    good = dict(op="SIGN", ident=7, label="k", alg="ES256", data=DATA)
    change = lambda **c: request(**dict(good, **c))
    whole = change()
    yield "one octet", b"x"
    yield "half a header", whole[:REQUEST.size // 2]
    yield "a header without its data", whole[:REQUEST.size]
    yield "an octet less", whole[:-1]
    yield "an octet more", whole + b"x"
    yield "more than there may be", change(data=b"x" * (DATA_MAX + 1))
    yield "version 0", change(version=0)
    yield "version 2", change(version=2)
    yield "operation 0", change(op=0)
    yield "operation 9", change(op=9)
    yield "an operation far off", change(op=0xffffffff)
    yield "the reserved field", change(reserved=1)
    yield "no algorithm", change(alg=0)
    yield "algorithm 5", change(alg=5)
    yield "no label", change(label="")
    yield "a long label", change(label="x" * 121)
    yield "a label without end", change(label="x" * 128)
    yield "a label and more", change(label="k\0k")
    yield "nothing to sign", change(data=b"")
    yield "bits for a signature", change(alg="RS256") [:24] + \
        struct.pack("=I", 2048) + change(alg="RS256")[28:]
    yield "status with a label", request("STATUS", 7, "k")
    yield "status with data", request("STATUS", 7, data=b"x")
    yield "status with an algorithm", request("STATUS", 7, alg="ES256")
    yield "a list without its range", request("LIST", 7, "k")
    yield "find with data", request("FIND", 7, "k", data=b"x")
    yield "a URI with a label", request("FIND_URI", 7, "k", data=b"pkcs11:")
    yield "a long URI", request("FIND_URI", 7, data=b"x" * 1025)
    yield "RSA of 1024 bits", request("GENERATE", 7, "n", "RS256", 1024)
    yield "RSA of 0 bits", request("GENERATE", 7, "n", "RS256", 0)
    yield "bits for EC", request("GENERATE", 7, "n", "ES256", 256)
    yield "data for a new key", request("GENERATE", 7, "n", "ES256", data=b"x")
    yield "destroy with an algorithm", request("DESTROY", 7, "k", "ES256")
    yield "unlock with data", request("UNLOCK", 7, data=b"x")
    yield "noise", os.urandom(len(whole))


def what_is_no_request_ends_its_connection(p):
    ready(p).stop()
    for name, datagram in bad_datagrams():
        with p.start(stderr=-3) as h:
            r = h.raw(datagram)
            equal((r.result, r.data), ("PROTOCOL", b""), name)
            if h.wait() == 0:
                raise Failed(f"{name}: the helper ended with success")


def the_same_while_there_is_no_token(p):
    for name, datagram in bad_datagrams():
        with p.start(stderr=-3, Token="pkcs11:token=none") as h:
            equal(h.status().result, "NO_TOKEN", "status")
            r = h.raw(datagram)
            equal((r.result, r.data), ("PROTOCOL", b""), name)
            if h.wait() == 0:
                raise Failed(f"{name}: the helper ended with success")


def an_empty_datagram_ends_it(p):
    with ready(p) as h:
        h.sock.send(b"")
        try:
            h.receive()
            raise Failed("it was answered")
        except Closed:
            pass
        h.wait()


def requests_sent_early_are_answered(p):
    with p.start() as h:
        sent = [h.send("STATUS") for _ in range(20)]
        equal(sorted(h.receive().id for _ in sent), sent, "answers")


def a_peer_that_is_gone_ends_it(p):
    with ready(p) as h:
        equal(h.stop(30), 0, "at rest")
    with p.start() as h:
        equal(h.stop(15), 0, "while starting")
    with p.start(stderr=-3, Token="pkcs11:token=none") as h:
        equal(h.status().result, "NO_TOKEN", "status")
        equal(h.stop(30), 0, "without a token")
    with p.start() as h:
        for _ in range(50):
            h.send("SIGN", "k", "ES256", data=DATA)
        equal(h.stop(30), 0, "with answers under way")


def status_file(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def workers_hold_no_more_than_they_need(p):
    env = dict(os.environ, SECRET_OF_THE_CALLER="x", LD_DEBUG_OUTPUT="/x")
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    with p.start(env=env, Processes=2) as h:
        within("two", lambda: h.status().processes == 2)
        workers = children(h.process.pid)
        for pid in [h.process.pid, *workers]:
            equal(status_file(pid)["NoNewPrivs"], "1", "no_new_privs")
            equal(status_file(pid)["Seccomp"], "2", "a filter")
            limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
            core = next(line.split()[4:6] for line in limits.splitlines()
                        if line.startswith("Max core file size"))
            equal(core, ["0", "0"], "limits of core dumps")
            equal(os.stat(f"/proc/{pid}/mem").st_uid, 0, "owner of mem")
            maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
            equal("softhsm" in maps, pid in workers, "the module is loaded")
        for pid in workers:
            names = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
            targets = {n: os.readlink(f"/proc/{pid}/fd/{n}") for n in names}
            # 3 connection, 4 control, 5 watchdog, 6 how PINs are kept apart
            if any(t == "/dev/null" and n > 2 for n, t in targets.items()):
                raise Failed(f"inherited descriptors: {targets}")
            sockets = [t for t in targets.values() if t.startswith("socket:")]
            equal(len(sockets), 2, f"sockets of {targets}")
    os.close(extra)


def the_environment_is_what_the_settings_say(p):
    p.run("cc", "-shared", "-fPIC", "-xc", "-o", p.folder / "env.so",
          write_env_module(p))
    env = dict(os.environ, SECRET_OF_THE_CALLER="x")
    with p.start(env=env, stderr=-3, Module=p.folder / "env.so") as h:
        h.status()
    have = set((p.folder / "env").read_text().splitlines())
    equal(have, {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                 *p.environment}, "environment of the module")


def write_env_module(p):
    source = p.folder / "env.c"
    source.write_text("""
        #include <stdio.h>
        extern char **environ;
        unsigned long C_GetFunctionList(void **list) {
            FILE *f = fopen("%s", "w");
            for (char **e = environ; *e; e++) fprintf(f, "%%s\\n", *e);
            fclose(f);
            return 5;
        }
    """ % (p.folder / "env"))
    return source


# What a module may want, and what comes of it.
TRIES = r"""
    #define _GNU_SOURCE
    #include <errno.h>
    #include <sched.h>
    #include <stdio.h>
    #include <sys/mman.h>
    #include <sys/ptrace.h>
    #include <sys/socket.h>
    #include <sys/wait.h>
    #include <unistd.h>
    static FILE *out;
    static void say(const char *what, long r) {
        fprintf(out, "%s %d\n", what, r < 0 ? errno : 0);
    }
    static long both(void) {
        void *p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? -1 : 0;
    }
    static long run(void) {
        int status = 1;
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", NULL);
            _exit(errno);
        }
        waitpid(pid, &status, 0);
        errno = WEXITSTATUS(status);
        return errno ? -1 : 0;
    }
    unsigned long C_GetFunctionList(void **list) {
        out = fopen("OUT", "w");
        say("inet", socket(AF_INET, SOCK_STREAM, 0));
        say("packet", socket(AF_PACKET, SOCK_RAW, 0));
        say("namespace", unshare(CLONE_NEWUTS));
        say("program", run());
        say("code", both());
        fclose(out);
        return 5;
    }
"""


def tries(p, **settings):
    out = p.folder / "tried"
    (p.folder / "tries.c").write_text(TRIES.replace("OUT", str(out)))
    p.run("cc", "-shared", "-fPIC", "-o", p.folder / "tries.so",
          p.folder / "tries.c")
    out.unlink(missing_ok=True)
    with p.start(stderr=-3, Module=p.folder / "tries.so", **settings) as h:
        h.status()
    return {w: int(n) for w, n in map(str.split, out.read_text().splitlines())}


def modules_make_the_calls_that_the_settings_allow(p):
    ENOSYS = 38
    refused = dict.fromkeys(("packet", "namespace", "program"), ENOSYS)
    if b"__asan_init" in pathlib.Path(HELPER).read_bytes():
        refused["program"] = 0  # the leak checker's, in such builds alone
    usual = tries(p)
    if usual.pop("code") == 0:
        raise Failed("writable code")
    equal(usual, {"inet": 0, **refused}, "by default")
    more = tries(p, SystemCalls="unshare execve")
    equal((more["namespace"], more["program"], more["packet"]), (0, 0, ENOSYS),
          "SystemCalls=unshare execve")
    everything = tries(p, SystemCalls="all")
    if everything.pop("code") == 0:
        raise Failed("writable code")
    equal(set(everything.values()), {0}, f"SystemCalls=all: {everything}")
    equal(tries(p, WritableCode="yes"), {"inet": 0, **refused, "code": 0},
          "WritableCode=yes")


def swappable_secrets_are_refused(p):
    drop = ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock",
            "prlimit", "--memlock=0:0", str(HELPER)]
    p.write()
    script = p.folder / "helper"
    script.write_text("#!/bin/sh\nexec " + " ".join(drop) + ' "$@"\n')
    script.chmod(0o755)
    with Helper(script, p.config, "t", stderr=-3) as h:
        s = h.status()
        if s.result == "OK" or "lock" not in s.text:
            raise Failed(f"{s.result} {s.text}")
    conf = p.config / "guardian.conf"
    conf.write_text(conf.read_text().replace(
        "[Guardian]", "[Guardian]\nAllowSwappableSecrets=yes"))
    with Helper(script, p.config, "t", stderr=-3) as h:
        equal(h.status().result, "OK", "AllowSwappableSecrets=yes")


def the_command_line_is_checked(p):
    p.write()
    for arguments, code in ((["t", "u"], 64), ([], 64), (["--fd", "x", "t"], 64),
                            (["--fd", "2", "t"], 64), (["--bogus", "t"], 64),
                            (["--config", p.config, "u"], 78),
                            (["--config", p.folder / "no", "t"], 78),
                            (["--config", p.config, "t"], 77),
                            (["--config", p.config, "--fd", "9", "t"], 77),
                            (["--help"], 0), (["--version"], 0)):
        done = subprocess.run([HELPER, *map(str, arguments)], check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        equal(done.returncode, code, f"exit code with {arguments}")
        if code and not done.stderr:
            raise Failed(f"{arguments}: not a word")


@contextlib.contextmanager
def activated(p, *options):
    """systemd-socket-activate in front of the helper."""
    path = p.folder / "t.sock"
    p.write()
    path.unlink(missing_ok=True)
    process = subprocess.Popen(
        ["systemd-socket-activate", "--seqpacket", *options, "-l", path,
         HELPER, "--config", p.config, "t"], stderr=subprocess.DEVNULL)
    try:
        within("socket", path.exists)
        path.chmod(0o777)
        yield process, path
    finally:
        process.kill()
        process.wait()


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(60)
    sock.connect(str(path))
    return sock


def ask(sock):
    sock.send(request("STATUS", 1))
    answer = sock.recv(1 << 16)
    if not answer:
        raise Closed
    return Reply(answer).result


def an_activated_socket_is_served(p):
    with activated(p) as (process, path):
        sock = connect(path)
        equal(ask(sock), "OK", "status")
        sock.close()
        equal(process.wait(30), 0, "exit code after one connection")
    with activated(p, "--accept") as (process, path):
        sock = connect(path)
        equal(ask(sock), "OK", "status over an accepted connection")
        sock.close()


def connections_given_up_are_passed_over(p):
    """What the daemon left in the queue while the helper could not start."""
    with activated(p) as (process, path):
        os.kill(process.pid, signal.SIGSTOP)
        given_up = connect(path)
        given_up.send(request("STATUS", 1))
        given_up.close()
        connect(path).close()
        sock = connect(path)
        os.kill(process.pid, signal.SIGCONT)
        equal(ask(sock), "OK", "status")
        sock.close()
        equal(process.wait(30), 0, "exit code")


def without_a_living_connection_it_ends(p):
    """The socket starts it again; one that waited would outlive its socket."""
    with activated(p) as (process, path):
        os.kill(process.pid, signal.SIGSTOP)
        connect(path).close()
        os.kill(process.pid, signal.SIGCONT)
        equal(process.wait(15), 0, "exit code")


def a_bad_configuration_turns_away_who_waits(p):
    """Else systemd would start the helper again at once, for ever."""
    for text in ("[Tokn t]\n", ""):
        with activated(p) as (process, path):
            os.kill(process.pid, signal.SIGSTOP)
            (p.config / "guardian.conf").write_text(text)
            waiting = connect(path)
            os.kill(process.pid, signal.SIGCONT)
            equal(waiting.recv(1), b"", f"{text!r}: to who waits")
            equal(connect(path).recv(1), b"", f"{text!r}: to who comes")
            equal(process.wait(10), 78, f"{text!r}: exit code")


def strangers_are_refused(p):
    for options in ((), ("--accept",)):
        with activated(p, *options) as (_, path):
            equal(as_user(STRANGER, path), "closed", "a stranger")
        with activated(p, *options) as (_, path):
            os.chown(path, STRANGER, STRANGER)
            equal(as_user(STRANGER, path), "OK", "the socket's owner")


def as_user(uid, path):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = "closed"
        with contextlib.suppress(Exception):
            os.setresuid(uid, uid, uid)
            result = ask(connect(path))
        os.write(write, result.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return f.read()


class Agent(threading.Thread):
    """Answers systemd-ask-password as a password agent does."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.asked = 0
        self.seen = set()
        self.ended = False
        pathlib.Path("/run/systemd/ask-password").mkdir(parents=True,
                                                        exist_ok=True)

    def run(self):
        while not self.ended:
            for path in pathlib.Path("/run/systemd/ask-password").glob("ask.*"):
                with contextlib.suppress(OSError):
                    self.look(path)
            time.sleep(0.02)

    def look(self, path):
        text = path.read_text()
        if "Id=acme-guardian:t" not in text or path.name in self.seen:
            return
        self.seen.add(path.name)
        self.asked += 1
        if not self.answers:
            return
        target = next(line.split("=", 1)[1] for line in text.splitlines()
                      if line.startswith("Socket="))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"+" + self.answers.pop(0).encode(), target)


def a_person_is_asked_for_the_pin(p):
    agent = Agent([])
    agent.start()
    with p.start(stderr=-3, Pin="ask") as h:
        s = h.status()
        equal(s.result, "PIN_MISSING", "while nobody answers")
        if "waiting" not in s.text:
            raise Failed(s.text)
        within("asked", lambda: agent.asked == 1)
        equal(h.unlock().result, "PIN_MISSING", "unlock while asking")
        equal(h.stop(30), 0, "exit code while asking")
    agent.answers = ["wrong-pin-of-mine", PIN]
    with p.start(stderr=-3, Pin="ask", Processes=1) as h:
        within("the wrong answer", lambda: h.status().result == "PIN_WRONG")
        time.sleep(0.6)
        equal(agent.asked, 2, "times asked")
        h.unlock()
        within("the right answer", lambda: h.status().result == "OK")
        equal(agent.asked, 3, "times asked")
    agent.ended = True


TESTS = [what_is_no_request_ends_its_connection,
         the_same_while_there_is_no_token, an_empty_datagram_ends_it,
         requests_sent_early_are_answered, a_peer_that_is_gone_ends_it,
         workers_hold_no_more_than_they_need,
         the_environment_is_what_the_settings_say,
         modules_make_the_calls_that_the_settings_allow,
         swappable_secrets_are_refused, the_command_line_is_checked,
         an_activated_socket_is_served, connections_given_up_are_passed_over,
         without_a_living_connection_it_ends,
         a_bad_configuration_turns_away_who_waits, strangers_are_refused,
         a_person_is_asked_for_the_pin]

if __name__ == "__main__":
    main(TESTS, [SoftHsm])
