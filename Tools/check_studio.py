#!/usr/bin/env python3
"""Tries `retort studio` with a browser: headless Chromium, driven by playwright.

    make build
    python3 -m venv /tmp/browser && /tmp/browser/bin/pip install playwright
    /tmp/browser/bin/python Tools/check_studio.py --run runs/quickstart [--shots FOLDER] [--domain examples/wiki-search]

A run is watched from its start to its end, a trajectory found among 100,000 made ones, two systems compared, an agent talked to and taken another
way, a label given that then filters, a domain tried. No page may log an error or ask for anything elsewhere. With --shots each page is
kept as a picture, at three widths, light and dark. CHROMIUM names another browser than /usr/bin/chromium, RETORT another binary than the
release build's. Ends with code 1 when anything fails.
"""
import argparse
import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
RETORT = os.environ.get("RETORT", str(ROOT / ".build/release/retort"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
failures = []

TINY = """
name: watched
seed: 3
validation: none
domain: {world: {seed: 2, people: 200, train: {factual: 24, math: 24}}}
students: [{name: 1m, base: seedlings/1m}]
training: {agent: {epochs: 3, learningRate: 1.0e-3}}
evaluation: {systems: [agent], tasks: 4, maxTokens: 80}
"""


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{'  ' + str(detail) if detail != '' else ''}", flush=True)
    if not passed:
        failures.append(name)


def make_many(folder, count):
    """A store of made-up trajectories, by way of `retort import`."""
    records = folder / "many.jsonl"
    words = ["harbour", "lantern", "meadow", "granite", "willow", "copper", "thistle", "ember"]
    with records.open("w") as file:
        for number in range(count):
            word, other = words[number % 8], words[number // 8 % 8]
            messages = [
                {"role": "user", "content": f"Where is the {word} of house {number}, and whose {other} is it?"},
                {"role": "assistant", "content": f"I look for the {word} first.", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "find" if number % 3 else "open",
                                                                  "arguments": json.dumps({"name": f"{word}-{number}"})}}]},
                {"role": "tool", "tool_call_id": "c1", "content": f"{word}-{number} stands beside the {other}, in row {number % 977}."},
                {"role": "assistant", "content": f"In row {number % 977}."},
            ]
            if number == 4_321:
                messages[1]["content"] = "The unmistakable quicksilver clue is here."
            file.write(json.dumps({"messages": messages}) + "\n")
    store = folder / "many" / "trajectories.sqlite"
    store.parent.mkdir()
    start = time.time()
    subprocess.run([RETORT, "import", records, "--store", store, "--set", "made"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    print(f"     {count} trajectories made and imported in {time.time() - start:.0f} s", flush=True)
    records.unlink()
    return store.parent


class Studio:
    def __init__(self, places, *options):
        self.process = subprocess.Popen(
            [RETORT, "studio", *map(str, places), "--port", "0", *map(str, options)], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=sys.stderr)
        # Also when a check breaks off.
        atexit.register(self.process.kill)
        while not (found := re.search(r"(http://\S+?)/\?token=\S+", line := self.process.stdout.readline())):
            if not line and self.process.poll() is not None:
                raise SystemExit("the studio did not start")
        self.entry, self.address = found[0], found[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


class Browser:
    """A page that notes what it should not do."""

    def __init__(self, chromium, studio, **options):
        self.context = chromium.new_context(**options)
        self.page = self.context.new_page()
        self.errors, self.strangers = [], []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.strangers.append(request.url)
                     if not request.url.startswith(studio.address) else None)
        self.page.goto(studio.entry)

    def see(self, address, path):
        self.page.goto(address + path)


def server_time(page, address):
    """How long the server took to answer, in milliseconds: the median of five."""
    times = []
    for _ in range(5):
        response = page.request.get(address)
        assert response.status == 200, response.status
        page.goto(address)
        timing = page.evaluate("(() => { const t = performance.getEntriesByType('navigation')[0]; return t.responseStart - t.requestStart; })()")
        times.append(timing)
    return statistics.median(times)


def poll(condition, seconds):
    """Waits for something, without a script in the page: its policy forbids those of others."""
    end = time.time() + seconds
    while not (met := condition()) and time.time() < end:
        time.sleep(0.2)
    return met


def find_among_many(browser, studio, many):
    page, base = browser.page, f"{studio.address}/runs/{many.name}/trajectories?set=made"
    page.goto(base)
    check("a hundred thousand trajectories are listed", "100\u202f000 trajectories" in page.content(), page.locator(".found").inner_text())
    for name, query in [("words that one has", "&q=quicksilver+unmistak"), ("words that many have", "&q=harbour"), ("a tool", "&tool=open"),
                        ("a length and a tool", "&least=2&most=9&tool=find"), ("the last page", "&page=2000"), ("no filter", "")]:
        took = server_time(page, base + query)
        check(f"found within 300 ms on the server: {name}", took < 300, f"{took:.0f} ms, {page.locator('.found').inner_text()}")
    page.goto(base)
    page.fill("#find", "quicksilver clue")
    page.press("#find", "Enter")
    page.wait_for_url("**q=quicksilver*")
    check("the one that was meant is found", page.locator("tbody tr").count() == 1 and "house 4321" in page.content())
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".reading .step")
    check("and opened with the keyboard", "quicksilver clue" in page.content())


def look_at_run(browser, studio, run):
    page = browser.page
    browser.see(studio.address, f"/runs/{run}")
    check("a run has its figures with intervals", page.locator("section h2", has_text="Accuracy").count() == 1 and "–" in page.content())
    page.locator("h2", has_text="Against each other").wait_for()
    page.locator("section", has=page.locator("h2", has_text="Against each other")).locator("tbody a").first.click()
    page.wait_for_selector(".versus")
    rows = page.locator("tbody tr").count()
    check("two systems are compared, with the tasks on which they differ", rows > 0, f"{rows} tasks")
    compared = page.url
    page.locator("tbody tr th a").first.click()
    page.wait_for_selector(".pair .step")
    check("and one of these shows both runs beside each other", page.locator(".pair > .column").count() == 2)
    return compared, page.url


def label(browser, studio, run, set_name):
    page = browser.page
    listing = f"{studio.address}/runs/{run}/trajectories?set={urllib.parse.quote(set_name)}"
    page.goto(listing + "&outcome=wrong")
    page.locator("tbody tr th a").first.click()
    page.wait_for_selector(".reading .step")
    trajectory = page.url
    check("a failed run says where it went wrong", page.locator(".where").count() > 0, page.locator(".outcome .where").first.inner_text())
    page.fill("input[name=note]", "guessed <b>the</b> answer")
    page.keyboard.press("Tab")
    page.locator("button[value=bad]").click()
    page.wait_for_selector("button[value=bad][aria-pressed=true]")
    page.goto(listing + "&label=bad")
    check("a label is given, and then filters", page.locator("tbody tr").count() == 1, page.locator(".found").inner_text())
    page.goto(trajectory)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    page.wait_for_selector("button[value=good][aria-pressed=true]")
    page.goto(listing + "&label=bad")
    check("and a key changes it", page.locator("tbody tr").count() == 0)
    page.goto(trajectory)
    page.locator("button[value=none]").click()
    page.wait_for_load_state()
    return trajectory


def talk(browser, studio, agent, question):
    page = browser.page
    browser.see(studio.address, "/talk")
    page.select_option("select[name=agent]", label=agent)
    page.locator("button", has_text="Begin").click()
    page.wait_for_selector(".say textarea")
    page.fill(".say textarea", question)
    page.press(".say textarea", "Enter")
    page.wait_for_selector(".turn .outcome", timeout=240_000)
    steps = page.locator(".turn .step").count()
    # An agent that was trained for a minute may end without an answer.
    check("an agent answers, step by step", steps > 0, f"{steps} steps: {page.locator('.turn .outcome').first.inner_text()!r}")
    page.locator(".way summary").first.click()
    page.locator(".way form button").first.click()
    page.wait_for_timeout(1500)
    poll(lambda: page.locator(".doing .dot").count() == 0 and page.locator(".turn .outcome").count() == 1, 240)
    page.wait_for_selector(".options", timeout=60_000)
    check("it goes back and takes another way, and what was tried is kept", page.locator(".options summary").count() >= 1)
    page.locator(".doing button", has_text="save").first.click()
    page.wait_for_selector("text=saved as")
    where = page.url
    browser.see(studio.address, "/")
    check("the talk is saved, and stands among the runs", page.locator("tbody th a", has_text="talks").count() == 1)
    return where


def try_domain(browser, studio, domain):
    page = browser.page
    browser.see(studio.address, f"/try?domain={domain.name}")
    page.fill("input[name=query]", "first")
    page.locator("button", has_text="Search").click()
    page.wait_for_selector(".deed")
    check("documents are searched", page.locator(".deed pre").count() == 1)
    form = page.locator(".tool form").first
    for field in form.locator("input:not([type=hidden])").all():
        field.fill("second")
    form.locator("button").click()
    check("a tool is called by a form made from its schema", poll(lambda: page.locator(".deed").count() == 2, 60), page.locator(".deed h2").first.inner_text())
    page.fill("textarea[name=answer]", "surely not this")
    page.locator("button", has_text="Grade").click()
    page.wait_for_selector(".deed .verdict")
    check("a typed answer is graded", page.locator(".deed .verdict .mark.bad").count() == 1, page.locator(".deed .verdict").first.inner_text())
    return page.url


def watch(browser, studio, runs):
    """A run from its start to its end, without loading the page again."""
    page = browser.page
    recipe = runs.parent / "tiny.yaml"
    recipe.write_text(TINY)
    work = subprocess.Popen([RETORT, "run", recipe, "--folder", runs / "watched"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (runs / "watched" / "trajectories.sqlite").exists() and work.poll() is None:
        time.sleep(0.2)
    seen, shown, end = set(), False, time.time() + 400
    # The store's first moments are told of by a page that looks again by itself.
    while page.goto(f"{studio.address}/runs/watched").status != 200 and time.time() < end:
        time.sleep(0.3)
    browser.errors.clear()
    page.evaluate("window.unchanged = true")
    while time.time() < end and not ("done" in (states := page.locator("#live .stage .state").all_inner_texts()) and len(states) >= 4
                                     and all(state == "done" for state in states) and work.poll() is not None):
        seen |= set(states)
        if page.locator("#live progress").count() and page.locator("#live figure").count():
            shown = True
        time.sleep(0.3)
    check("a run is watched from start to end, on one page", work.wait() == 0 and page.evaluate("window.unchanged === true")
          and "running" in seen, sorted(seen))
    check("its progress and losses are shown as they happen", shown)


def hostile(browser, studio):
    page = browser.page
    for path, status in [("/nothing", 404), ("/runs/none", 404)]:
        check(f"{path} is refused as a page", page.goto(studio.address + path).status == status)
    stranger = browser.context.browser.new_context()
    check("without the token nothing is shown", stranger.new_page().goto(studio.address + "/").status == 401)
    stranger.close()
    browser.errors.clear()


def shoot(chromium, studio, shots, places):
    for scheme in ["light", "dark"]:
        for width, height in [(1360, 900), (820, 1100), (390, 844)]:
            browser = Browser(chromium, studio, color_scheme=scheme, viewport={"width": width, "height": height})
            for name, url in places.items():
                browser.page.goto(url)
                browser.page.wait_for_timeout(250)
                wide = browser.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 1:
                    check(f"{name} fits {width} pixels", False, f"{wide} too wide")
                browser.page.screenshot(path=shots / f"{name}-{width}-{scheme}.png")
            browser.context.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", default="runs/quickstart", type=pathlib.Path)
    parser.add_argument("--domain", default="examples/wiki-search", type=pathlib.Path)
    parser.add_argument("--set", default=None, help="a set of the run with wrong answers")
    parser.add_argument("--agent", default=None, help="the agent to talk to, as the page lists it")
    parser.add_argument("--question", default="Who founded the oldest university, and when?")
    parser.add_argument("--shots", type=pathlib.Path)
    parser.add_argument("--many", default=100_000, type=int)
    parser.add_argument("--made", type=pathlib.Path, help="a store's folder from before with a set 'made' of so many")
    parser.add_argument("--skip", nargs="*", default=[], help="many, watch, talk, try")
    given = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-studio-"))
    runs = folder / "runs"
    runs.mkdir()
    shutil.copytree(given.run, runs / given.run.name, symlinks=True)
    many = None if "many" in given.skip else given.made or make_many(folder, given.many)
    studio = Studio([runs, *([many] if many else []), given.domain], "--talks", folder / "talks")
    places = {"runs": studio.address + "/"}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser = Browser(chromium, studio)
        run = given.run.name
        compared, pair = look_at_run(browser, studio, run)
        places |= {"run": f"{studio.address}/runs/{run}", "compare": compared, "beside": pair}
        wrong = given.set or urllib.parse.parse_qs(urllib.parse.urlparse(pair).query)["set"][0]
        places["trajectory"] = label(browser, studio, run, wrong)
        places["trajectories"] = f"{studio.address}/runs/{run}/trajectories?set={urllib.parse.quote(wrong)}"
        if many:
            find_among_many(browser, studio, many)
        if "watch" not in given.skip:
            watch(browser, studio, runs)
            places["watched"] = f"{studio.address}/runs/watched"
        if "talk" not in given.skip:
            browser.see(studio.address, "/talk")
            agents = browser.page.locator("select[name=agent] option").all_inner_texts()
            places["talk"] = talk(browser, studio, given.agent or next((name for name in agents if name.startswith("watched:")), agents[0]), given.question)
        if "try" not in given.skip:
            places["try"] = try_domain(browser, studio, given.domain)
        check("no error in the console", not browser.errors, browser.errors[:5])
        hostile(browser, studio)
        check("no request to anywhere else", not browser.strangers, browser.strangers[:5])
        if given.shots:
            given.shots.mkdir(parents=True, exist_ok=True)
            shoot(chromium, studio, given.shots, places)
        chromium.close()
    check("the studio ends when it is told to", studio.stop() == 0)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failed" if failures else "all passed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
