"""coterie chat: piped and on a pseudo-terminal, its commands, and sessions that survive a restart."""
import json
import os
import pathlib
import pty
import select
import signal
import stat
import subprocess
import tempfile
import termios
import time

import support
from support import ENDLESS, PROGRAM, TINY, environment

SESSIONS = pathlib.Path(support.STATE, "coterie/sessions")


def saved(name="last"):
    return json.loads((SESSIONS / f"{name}.json").read_text(encoding="utf-8"))


class Piped(support.Case):
    def chat(self, lines, *args, code=0):
        result = support.run("chat", TINY, "-n", "6", "--temp", "0", *args, stdin="\n".join(lines) + "\n")
        self.assertEqual(result.code, code, result.err)
        return result

    def test_the_first_reply_is_that_of_run(self):
        said = self.ok("run", TINY, "Hello", "-n", "6", "--temp", "0").out
        self.assertEqual(self.chat(["Hello"]).out, said)

    def test_turns_are_kept_and_the_cache_with_them(self):
        out = self.chat(["Hello", "and more", "/tokens"]).out
        self.assertIn("4 messages", out)
        self.assertRegex(out, r"last reply: [1-9]\d* tokens of the prompt were in the cache")
        self.assertEqual([m["role"] for m in saved()["messages"]], ["user", "assistant"] * 2)

    def test_many_lines(self):
        self.chat(["one \\", "two", '"""three', "four", 'five"""', '"""six"""'])
        asked = [m["content"] for m in saved()["messages"] if m["role"] == "user"]
        self.assertEqual(asked, ["one \ntwo", "three\nfour\nfive", "six"])

    def test_regenerating_replaces_the_answer(self):
        self.chat(["/set temp 1", "Hello", "/save before"])
        self.chat(["/set temp 1", "Hello", "/regen", "/save after"])
        before, after = saved("before")["messages"], saved("after")["messages"]
        self.assertEqual(len(after), 2)
        self.assertNotEqual(before[1], after[1])

    def test_thinking_can_be_switched(self):
        self.chat(["/think off", "Hello"])
        self.assertNotIn("reasoning", saved()["messages"][1])
        self.chat(["/think on", "Hello"])
        self.assertIn("reasoning", saved()["messages"][1])

    def test_settings(self):
        out = self.chat(["/set top-k 5", "/set", "/help"]).out
        self.assertRegex(out, r"top-k +5\n")
        self.assertIn("/regen", out)
        for line in ["/set temp hot", "/set temp -1", "/set tmep 1", "/bogus", "/regen", "/think maybe", "/load nothing",
                     "/save ../x", "/save .x", "/load /etc/passwd", "/set top-k 1.5"]:
            self.assertRegex(self.chat([line], code=1).err, r"\A[^\n]+\n\Z", line)
        self.assertIn("found -1, expected a number from 0 to 100\n", self.chat(["/set temp -1"], code=1).err)
        self.assertIn("did you mean temp?", self.chat(["/set tmep 1"], code=1).err)
        self.assertIn("did you mean /tokens?", self.chat(["/tokns"], code=1).err)

    def test_a_system_message(self):
        self.chat(["/system Be brief.", "Hello"])
        self.assertEqual(saved()["messages"][0], {"role": "system", "content": "Be brief."})
        self.chat(["Hello"], "--system", "Be brief.")
        self.assertEqual(saved()["messages"][0]["content"], "Be brief.")

    def test_exit_leaves_and_clear_forgets(self):
        self.assertNotIn("messages", self.chat(["/exit", "/tokens"]).out)
        self.assertIn("0 messages", self.chat(["Hello", "/clear", "/tokens"]).out)

    def test_what_goes_wrong_with_a_session_does_not_end_the_chat(self):
        SESSIONS.mkdir(parents=True, exist_ok=True)
        good = {"version": 1, "model": TINY, "think": None, "messages": [{"role": "user", "content": "x"}]}
        for bad in [{}, [], {**good, "version": 2}, {**good, "model": 5}, {**good, "messages": {"a": 1}},
                    {**good, "messages": [{"role": "boss", "content": "x"}]}]:
            (SESSIONS / "bad.json").write_text(json.dumps(bad))
            result = self.chat(["/load bad", "Hello", "/tokens"], code=1)
            self.assertRegex(result.err, r"\A[^\n]*bad.json: [^\n]+\n\Z")
            self.assertIn("2 messages", result.out)
            self.fails(1, "chat", "--resume", "--session", "bad")
        (SESSIONS / "kept.json.partial").mkdir()  # so that nothing can be saved there
        result = self.chat(["Hello", "and more", "/tokens"], "--session", "kept", code=1)
        self.assertIn("4 messages", result.out)
        self.assertEqual(result.err.count("kept.json"), 2)

    def test_a_home_that_is_no_path_is_none(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([PROGRAM, "chat", TINY], input=b"Hello\n", capture_output=True, cwd=folder,
                                  env={**environment(), "XDG_STATE_HOME": "", "HOME": ""})
            self.assertEqual((done.returncode, os.listdir(folder)), (1, []), done.stderr)

    def test_a_question_that_does_not_fit_is_not_kept(self):
        result = self.chat(["Hello", "x " * 300, "/tokens"], "--ctx", "64", code=1)
        self.assertIn("too long", result.err)
        self.assertIn("2 messages", result.out)

    def test_it_goes_on_after_a_restart_with_the_same_words(self):
        whole = self.chat(["Hello", "and more", "once more"], "--session", "whole").out
        first = self.chat(["Hello", "and more"], "--session", "parts").out
        second = support.run("chat", "--resume", "--session", "parts", "-n", "6", "--temp", "0", stdin="once more\n")
        self.assertEqual(second.code, 0, second.err)
        self.assertEqual(first + second.out, whole)
        self.assertEqual(saved("parts")["messages"], saved("whole")["messages"])
        loaded = self.chat(["/load parts", "/tokens"]).out
        self.assertIn("6 messages", loaded)

    def test_sessions_are_private_and_whole(self):
        self.chat(["Hello"], "--session", "private")
        path = SESSIONS / "private.json"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(SESSIONS.stat().st_mode), 0o700)
        self.assertEqual([p for p in os.listdir(SESSIONS) if p.endswith(".partial")], [])
        path.write_text('{"version": 1}')
        self.fails(1, "chat", "--resume", "--session", "private")
        self.usage_error("chat", "--resume", "--session", "nothing")


class Terminal(support.Case):
    """A pseudo-terminal with a person at it."""

    child = 0

    def start(self, *args, **env):
        self.child, self.fd = pty.fork()
        if self.child == 0:
            os.execve(PROGRAM, [PROGRAM, "chat", TINY, *args], environment(**{"TERM": "xterm", "LC_ALL": "C.UTF-8", **env}))
        self.text = ""

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        while what not in self.text:
            left = end - time.monotonic()
            self.assertGreater(left, 0, f"{what!r} did not come: {self.text!r}")
            if select.select([self.fd], [], [], left)[0]:
                self.text += os.read(self.fd, 1 << 16).decode("utf-8", "replace")
        before, _, self.text = self.text.partition(what)
        return before

    def wait_for_prompt(self):
        """libedit prints its prompt just before it takes over the terminal; what is typed in between would be lost."""
        self.wait_for(">>> ")
        for _ in range(1000):
            if not termios.tcgetattr(self.fd)[3] & termios.ICANON:
                return
            time.sleep(0.01)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def finish(self):
        """Ctrl-D, and everything read until the program has gone."""
        self.type("\x04")
        end = time.monotonic() + 10
        while time.monotonic() < end and select.select([self.fd], [], [], 10)[0]:
            try:
                if not os.read(self.fd, 1 << 16):
                    break
            except OSError:  # the other side is closed
                break
        return self.end()

    def end(self):
        """The exit code; what is still there after a while is killed."""
        os.close(self.fd)
        for _ in range(1000):
            child, status = os.waitpid(self.child, os.WNOHANG)
            if child:
                self.child = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        self.child = 0
        return None

    def tearDown(self):
        if self.child:
            self.end()

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        self.start("--temp", "1", *ENDLESS)
        self.wait_for_prompt()
        self.type("/set max-tokens 40000\n")
        self.wait_for_prompt()
        self.type("H\u00e9llo\n")
        self.wait_for("\x1b[2m")  # reasoning is dimmed
        time.sleep(0.2)
        self.type("\x03")
        self.wait_for("(stopped)")
        self.wait_for_prompt()
        self.type("half a line\x03")
        self.wait_for("(Ctrl-D or /exit leaves)")
        self.wait_for_prompt()
        self.type("/tokens\n")
        self.wait_for("2 messages")
        self.wait_for_prompt()
        self.assertEqual(self.finish(), 0)
        self.assertEqual(saved()["messages"][0]["content"], "H\u00e9llo")

    def test_a_terminal_without_a_locale_is_one_of_utf8(self):
        self.start("-n", "3", LC_ALL="C")
        self.wait_for_prompt()
        self.type("\u4f60\u597d\n")
        self.wait_for_prompt()
        self.assertEqual(self.finish(), 0)
        self.assertEqual(saved()["messages"][0]["content"], "\u4f60\u597d")

    def test_history_and_no_colour(self):
        self.start("-n", "3", NO_COLOR="1")
        self.wait_for_prompt()
        self.type("remember me\n")
        self.wait_for("<think>")
        self.wait_for_prompt()
        self.assertEqual(self.finish(), 0)
        history = pathlib.Path(support.STATE, "coterie/history")
        if not history.exists():
            self.assertEqual(self.ok("doctor", "--json").json()["line_editing"], "none")
            return
        self.assertEqual(stat.S_IMODE(history.stat().st_mode), 0o600)
        self.start("-n", "3", NO_COLOR="1")
        self.wait_for_prompt()
        self.type("\x1b[A")  # up
        self.wait_for("remember me")
        self.type("\n")
        self.wait_for("<think>")
        self.wait_for_prompt()
        self.assertEqual(self.finish(), 0)


if __name__ == "__main__":
    support.main()
