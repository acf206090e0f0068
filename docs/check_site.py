"""Opens the built site in a headless Chromium and reads it as a visitor does: python docs/check_site.py build/docs/html

From the first page it clicks through to a page of the gallery, searches, and opens what is found. A console error, a
request that fails and a picture that is not there or has no alternative text are errors; so is, on every page of the
site, a link to a page or a place in one that does not exist. Links to other sites are not followed.

The browser is asked over a pipe, in the DevTools protocol, so that nothing but Chromium is needed.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

#: Seconds that a page may take; the machine may be busy.
PATIENCE = 60


class Browser:
    """One tab of a headless Chromium, and what went wrong in it."""

    def __init__(self, program, profile):
        to_browser, self._asked = os.pipe()
        self._answered, from_browser = os.pipe()

        def pipes():  # Chromium reads from 3 and writes to 4
            own = os.dup(to_browser), os.dup(from_browser)
            os.dup2(own[0], 3)
            os.dup2(own[1], 4)

        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1250,1000",
            f"--user-data-dir={profile}",
        ]
        self._process = subprocess.Popen(
            [program, *options, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers, self._buffer, self._session, self._is_loaded = itertools.count(1), b"", None, False
        self.errors = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._asked)
        os.close(self._answered)

    def ask(self, method, **params):
        """The answer to a command; what happens meanwhile is noted."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._asked, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for answer in self._messages(1.0):
                if answer.get("id") == number:
                    if "error" in answer:
                        raise RuntimeError(f"{method}: {answer['error']['message']}")
                    return answer["result"]
        raise TimeoutError(f"Chromium has not answered {method} within {PATIENCE} s")

    def _messages(self, seconds):
        """Messages that have come, or come within so many seconds."""
        if b"\0" not in self._buffer and select.select([self._answered], [], [], seconds)[0]:
            read = os.read(self._answered, 1 << 20)
            if not read:
                raise RuntimeError("Chromium has ended")
            self._buffer += read
        while b"\0" in self._buffer:
            message, _, self._buffer = self._buffer.partition(b"\0")
            message = json.loads(message)
            self._note(message.get("method"), message.get("params"))
            yield message

    def _note(self, event, said):
        if event == "Page.loadEventFired":
            self._is_loaded = True
        elif event == "Runtime.exceptionThrown":
            self.errors.append(f"exception: {said['exceptionDetails'].get('text')}")
        elif event == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.errors.append(f"console: {[own.get('value') for own in said['args']]}")
        elif event == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(f"log: {said['entry']['text']} {said['entry'].get('url', '')}")
        elif event == "Network.responseReceived" and said["response"]["status"] >= 400:
            self.errors.append(f"{said['response']['status']}: {said['response']['url']}")

    def run(self, script):
        """The value of an expression of JavaScript, awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, script, what):
        """The first value of an expression that is true."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                value = self.run(script)
            except RuntimeError:  # a page that is just being left answers nothing
                value = None
            if value:
                return value
            time.sleep(0.1)
        raise TimeoutError(f"{what} is not there after {PATIENCE} s, at {self.run('location.href')}")

    def open(self, address):
        self._is_loaded = False
        self.ask("Page.navigate", url=address)
        self.wait_until_loaded()

    def wait_until_loaded(self):
        deadline = time.monotonic() + PATIENCE
        while not self._is_loaded:
            for _ in self._messages(0.2):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"no page was loaded within {PATIENCE} s")

    def click(self, element, what, leads_on=True):
        """Click into the middle of what an expression finds; with `leads_on` to another page."""
        place = f"(() => {{ const found = {element}; if (!found) return null; found.scrollIntoView({{block: 'center', "
        place += "behavior: 'instant'}); const box = found.getBoundingClientRect(); "
        place += "return box.width ? {x: box.x + box.width / 2, y: box.y + box.height / 2} : null; })()"
        where = self.wait_for(place, what)
        self._is_loaded = False
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)
        if leads_on:
            self.wait_until_loaded()

    def follow(self, text):
        """Click the link of this text, or the card that it covers."""
        links = f"[...document.querySelectorAll('a')].filter(a => a.textContent.trim() == {json.dumps(text)})"
        seen = f"{links}.map(a => a.closest('.sd-card') || a).find(own => own.getBoundingClientRect().height)"
        self.click(seen, f"the link {text!r}")

    def type(self, text):
        self.ask("Input.insertText", text=text)
        self._is_loaded = False
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    def check_pictures(self, at_least):
        """Raise where a picture of the page is not there, or says nothing to those who do not see it."""
        pictures = self.run("""(async () => {
            const all = [...document.images];
            all.forEach(image => { image.loading = 'eager'; });
            await Promise.all(all.map(image => image.complete ? null : new Promise(done => {
                image.onload = image.onerror = done; })));
            const named = image => image.alt || image.closest('.sphx-glr-thumbcontainer')?.innerText || '';
            return all.map(image => [image.currentSrc || image.src, image.naturalWidth, named(image)]); })()""")
        address = self.run("location.pathname")
        assert len(pictures) >= at_least, f"{address} has {len(pictures)} pictures, not {at_least}"
        for source, width, alt in pictures:
            assert width > 0, f"{address}: the picture {source} is not there"
            assert len(alt) > 3, f"{address}: the picture {source} has no alternative text"


class Page(HTMLParser):
    """What a page refers to, and the places in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        self.targets += [given[name] for name in ("href", "src") if given.get(name)]


def broken_links(site):
    """Links on all pages to pages, files and places of the site that do not exist."""
    # not the theme's templates, nor listings, whose links back know one home only of a module with two
    paths = [path for path in site.rglob("*.html") if path.relative_to(site).parts[0] not in ("_static", "_modules")]
    pages = {path: Page(path.read_text(errors="replace")) for path in paths}
    for path, page in pages.items():
        for target in page.targets:
            if target.startswith(("http:", "https:", "mailto:", "data:", "javascript:", "//", "#__")):
                continue
            address, place = urldefrag(urljoin(path.as_uri(), target))
            found = Path(unquote(address.removeprefix("file://").partition("?")[0]))
            if not found.exists():
                yield f"{path.relative_to(site)} links to {target}, which does not exist"
            elif place and found in pages and unquote(place) not in pages[found].places:
                yield f"{path.relative_to(site)} links to {target}, a place that is not there"


def visit(browser, address):
    """The way of a visitor."""
    browser.open(f"{address}/index.html")
    assert "mixfast" in browser.run("document.title")
    browser.check_pictures(at_least=1)
    browser.follow("User guide")
    browser.follow("Cluster a table")
    assert "plot_01_cluster_a_table" in browser.run("location.pathname")
    browser.check_pictures(at_least=1)
    button = "[...document.querySelectorAll('.search-button__button')].find(own => own.getBoundingClientRect().width)"
    browser.click(button, "the button of the search", leads_on=False)
    browser.wait_for("document.activeElement.matches('input[type=search]')", "the field of the search")
    browser.type("von Mises-Fisher")
    browser.wait_until_loaded()
    browser.wait_for("location.pathname.endsWith('search.html')", "the page of the search")
    found = "[...document.querySelectorAll('#search-results a')].find(a => a.href.includes('VonMisesFisherMixture'))"
    browser.click(found, "a result of the search")
    assert "mixfast.VonMisesFisherMixture" in browser.run("location.pathname")
    assert browser.run("document.body.innerText.includes('mean_directions_')")
    browser.open(f"{address}/gallery/index.html")
    browser.check_pictures(at_least=10)


def main(site):
    site = Path(site).resolve()
    if not (site / "index.html").exists():
        sys.exit(f"There is no site in {site}: run `make docs` first.")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit(
            "Chromium is missing, in which the site is opened: install it, on Debian by `apt-get install chromium`."
        )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            visit(browser, f"http://127.0.0.1:{server.server_port}")
        finally:
            browser.close()
            server.shutdown()
    wrong = [*browser.errors, *broken_links(site)]
    print(*wrong, sep="\n")
    n_pages = len(list(site.rglob("*.html")))
    print(f"the site: {n_pages} pages, {len(wrong)} errors")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:] or ["build/docs/html"])
