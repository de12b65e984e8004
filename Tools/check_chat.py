#!/usr/bin/env python3
"""Talks to an agent in a terminal as a person would: asks, stops it with Ctrl-C, goes on, goes back twice, types ahead, quits.

    Tools/check_chat.py [RUN] [--retort BINARY] [--seconds S]

RUN is a finished run (runs/demo). Ends with code 1 when something that should show up does not within S seconds (120).
"""
import argparse
import os
import pathlib
import pty
import re
import select
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Terminal:
    """A program in a terminal of its own, and what it has written there."""

    def __init__(self, command, seconds):
        self.seconds, self.text, self.seen = seconds, "", 0
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.execv(command[0], command)

    def read(self, patience):
        """Takes in what is written within a time; False at the end."""
        if not select.select([self.master], [], [], patience)[0]:
            return True
        try:
            piece = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)

    def expect(self, pattern, what):
        """Waits for something that has not been seen before."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            found = re.compile(pattern, re.S).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                print(f"ok    {what}")
                return
            if not self.read(0.2):
                break
        print(f"FAIL  {what}; the terminal showed:\n{self.text[-2000:]}")
        os.kill(self.process, signal.SIGKILL)
        sys.exit(1)

    def type(self, text):
        os.write(self.master, text.encode())

    def ends(self, what):
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                print(f"{'ok   ' if code == 0 else 'FAIL '} {what} (code {code})")
                sys.exit(0 if code == 0 else 1)
            self.read(0.2)
        print(f"FAIL  {what}: it is still there")
        os.kill(self.process, signal.SIGKILL)
        sys.exit(1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", nargs="?", default="runs/demo")
    arguments.add_argument("--retort", default=str(ROOT / ".build/release/retort"))
    arguments.add_argument("--seconds", type=float, default=120)
    arguments = arguments.parse_args()
    chat = Terminal([arguments.retort, "chat", arguments.run], arguments.seconds)
    chat.expect("For example: (.*?)\r\n", "the agent introduces itself with a question of its tests")
    question = re.search("For example: (.*?)\r\n", chat.text).group(1)
    chat.expect("› ", "a prompt")
    chat.type(question + "\r")
    chat.expect(r"\[1\] Thought", "the first step shows while it is written")
    chat.type("\x03")
    chat.expect("stopped; /go goes on", "Ctrl-C stops the work and not the program")
    chat.type("/go\r")
    chat.expect(r"(Answer:|gave up|ended).*› ", "/go brings it to its end")
    for time_ in ["once", "twice"]:
        chat.type("/back 1\r")
        chat.expect(r"\[1\].*(Answer:|gave up|ended).*› ", f"/back takes another way, {time_}")
    chat.type("/nonsense\r/save\r")
    chat.expect("/back N .words..*saved in .*› ", "lines typed ahead are taken one after the other")
    chat.type("/quit\r")
    chat.ends("/quit ends it")


main()
