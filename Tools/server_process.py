"""Starts `retort serve`, `serve-apis` or `serve-passages` on a free port, and stops it again."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
import json

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = os.environ.get("RETORT", str(ROOT / ".build/release/retort"))


class Server:
    """A server that ends with its `with` block; its log is kept until then."""

    def __init__(self, *arguments, command="serve", environment=None, patience=120, port=0):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [RETORT, command, *map(str, arguments), "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log,
            text=True, env={**os.environ, **(environment or {})})
        line, end = "", time.time() + patience
        while not (found := re.search(r"(http://\S+)/(?:v1|virtual|retrieve)", line)):
            line = self.process.stdout.readline()
            if not line and (self.process.poll() is not None or time.time() > end):
                self.stop()
                raise SystemExit(f"the server did not start:\n{self.errors()}")
        self.address = found[1]
        self.pid = self.process.pid

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=30) as reply:
            return reply.read().decode()

    def health(self):
        return json.loads(self.get("/health"))

    def settle(self, seconds=10):
        """Waits until nothing runs; returns whether that came about."""
        end = time.time() + seconds
        while time.time() < end:
            health = self.health()
            if not any(health[kind][state] for kind in ("generations", "agents") for state in ("running", "waiting")):
                return True
            time.sleep(0.05)
        return False

    def memory(self):
        """Resident memory in MiB."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def errors(self):
        self.log.seek(0)
        return self.log.read()[-4000:]

    def stop(self, seconds=60):
        """Asks it to stop in good order; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
