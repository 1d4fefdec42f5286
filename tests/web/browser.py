"""A real browser, driven by browser.mjs. What that needs of npm is put into build/web at the first
use, as the package-lock.json beside this file says."""

import json
import pathlib
import shutil
import subprocess
import unittest

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
MODULES = REPOSITORY / "build/web"
OUT_OF_REACH = 77  # as tools/packages says


class BrowserFault(Exception):
    pass


def install():
    """The driver beside its packages, for Node looks for packages from the file's own folder up."""
    done = subprocess.run(["bash", "-c", ". tools/packages && install_web_packages"],
                          cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, timeout=600)
    if done.returncode == OUT_OF_REACH:
        raise unittest.SkipTest(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise BrowserFault(done.stderr)
    shutil.copy(HERE / "browser.mjs", MODULES)


class Browser:
    def __init__(self):
        install()
        self.process = subprocess.Popen(["node", MODULES / "browser.mjs"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def act(self, act, **given):
        self.process.stdin.write(json.dumps({"act": act, **given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BrowserFault(f"the browser ended during {act} {given}")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserFault(f"{act} {given}: {answer['error']}")
        return answer["value"]

    def open(self, **options):
        return Tab(self, self.act("open", **options))

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Tab:
    """A page with storage, size and language of its own."""

    def __init__(self, browser, number):
        self.browser, self.number = browser, number

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.act("close")

    def act(self, act, **given):
        return self.browser.act(act, tab=self.number, **given)

    def goto(self, url):
        return self.act("goto", url=url)

    def evaluate(self, code):
        return self.act("evaluate", code=code)

    def wait(self, code, within=10.0):
        """Until the expression is true in the page."""
        self.act("wait", code=code, within=within * 1000)

    def text(self, selector):
        """Of the first that is there, white space as single spaces; None: there is none."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})"
                             "?.textContent.replace(/\\s+/g, ' ').trim()")

    def texts(self, selector):
        return self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})]"
                             ".map(e => e.textContent.replace(/\\s+/g, ' ').trim())")

    def click(self, selector):
        self.act("click", selector=selector)

    def fill(self, selector, text):
        self.act("fill", selector=selector, text=text)

    def press(self, key):
        self.act("press", key=key)

    def scroll_to(self, selector):
        self.act("scroll", selector=selector)

    def picture(self, path, **how):
        self.act("picture", path=str(path), **how)

    def serious_findings(self):
        return self.act("axe")

    @property
    def said(self):
        return self.act("heard")["said"]

    @property
    def asked(self):
        return self.act("heard")["asked"]
