"""What suites found out: cases, a table of them, and the same as JSON."""

import dataclasses
import json
import sys

PASS, FAIL, SKIP, EXCUSED = "pass", "FAIL", "skip", "excused"


@dataclasses.dataclass
class Case:
    """One promise that was looked at. `measures` holds numbers worth keeping, by name."""

    suite: str
    name: str
    status: str
    detail: str = ""
    measures: dict = dataclasses.field(default_factory=dict)


class Report:
    """Cases in the order in which they ended; each is printed at once."""

    def __init__(self, quiet=False):
        self.cases = []
        self.quiet = quiet
        self.suite = ""

    def add(self, name, good, detail="", **measures):
        """Adds what was looked at; `good` is a truth value or one of the statuses."""
        status = good if isinstance(good, str) else PASS if good else FAIL
        case = Case(self.suite, name, status, " ".join(str(detail).split())[:400], measures)
        self.cases.append(case)
        if not self.quiet:
            shown = "" if status == PASS and not measures else case.detail
            print(f"{status:8}{case.suite:11}{name:58} {shown}".rstrip(), flush=True)
        return status != FAIL

    def run(self, name, check, *arguments):
        """Adds what a function says: nothing or a detail if all is well; it raises if not."""
        try:
            detail = check(*arguments)
        except Exception as error:  # Whatever goes wrong in a case is the result of that case.
            return self.add(name, False, f"{type(error).__name__}: {error}")
        return self.add(name, True, detail or "")

    def same(self, name, direct, through):
        """Adds whether a dialogue with the origin and one through the proxy are the same."""
        return self.add(name, direct == through, difference(direct, through))

    def failed(self):
        """Whether a case went wrong."""
        return any(case.status == FAIL for case in self.cases)

    def summary(self):
        """Counts by suite, as a table."""
        statuses = (PASS, FAIL, SKIP, EXCUSED)
        lines = ["", f"{'suite':12}" + "".join(f"{status:>9}" for status in statuses)]
        for suite in dict.fromkeys(case.suite for case in self.cases):
            own = [case.status for case in self.cases if case.suite == suite]
            lines.append(f"{suite:12}" + "".join(f"{own.count(status):9}" for status in statuses))
        return "\n".join(lines)

    def json(self, **about):
        """Everything for machines."""
        cases = [dataclasses.asdict(case) for case in self.cases]
        return json.dumps({**about, "failed": self.failed(), "cases": cases}, indent=2, default=str)


def difference(direct, through):
    """The first place in which two values differ, in words; empty if they do not."""
    if direct == through:
        return ""
    if isinstance(direct, dict) and isinstance(through, dict):
        keys = [key for key in {**direct, **through} if direct.get(key) != through.get(key)]
        return f"{keys[0]}: {difference(direct.get(keys[0]), through.get(keys[0]))}"
    if isinstance(direct, (list, tuple)) and isinstance(through, (list, tuple)) and len(direct) == len(through):
        index = next(i for i, pair in enumerate(zip(direct, through)) if pair[0] != pair[1])
        return f"[{index}]: {difference(direct[index], through[index])}"
    return f"direct {shorten(direct)}, through the proxy {shorten(through)}"


def shorten(value):
    """A value as text that fits a line."""
    text = repr(value)
    return text if len(text) <= 150 else f"{text[:100]}...({len(text)} characters)"


def note(text):
    """A line for people, beside the report."""
    print(text, file=sys.stderr, flush=True)
