"""A night with faults: they come together, their alerts fire, each is mended by its page, and it is seen to be over."""

from __future__ import annotations

import math
import operator
import re
import time
from collections.abc import Sequence

from tests.box.box import Box, Failed
from tests.box.runbooks.faults import Fault, Hand
from tests.box.runbooks.pages import Page, hastened, page
from tests.box.runbooks.watch import fired, firing, samples

FIRES_WITHIN = 90.0
OVER_WITHIN = 150.0
"""An hour of the rules is one minute; retries of deliveries have their own pace."""
ELSEWHERE = re.compile(r"https://|smartctl|openssl|dmesg|journalctl -k|systemd-cgtop")
"""Lines of Diagnosis about the Internet, a disk, a kernel or control groups that the box does not have."""
COMPARED = {"==": operator.eq, "<": operator.lt, ">": operator.gt}


def spend(box: Box, faults: Sequence[Fault]) -> None:
    """Raises Failed, with the name of the alert, at the first thing that is not as the page says."""
    began = time.monotonic()
    # Nights are days apart: what was started in the one before does not count.
    box.run("systemctl reset-failed")
    for fault in faults:
        if fault.inject:
            box.run(*fault.inject)
    for line in dict.fromkeys(line for fault in faults for line in page(fault.alert).look):
        look(box, line)
    await_alerts(box, {fault.alert for fault in faults}, began)
    for fault in faults:
        mend(box, fault, page(fault.alert))
    await_ends(box, [fault for fault in faults if not fault.lasts])


def await_ends(box: Box, faults: Sequence[Fault]) -> None:
    """It is over for each, as its page says."""
    for fault in faults:
        await_end(box, fault, page(fault.alert))


def look(box: Box, line: str) -> None:
    """A line of Diagnosis can be run also while something is broken; it may well find something, or nobody.

    `hxp tail` waits for events, which is how its reader learns that none come.
    """
    if ELSEWHERE.search(line):
        return
    bounded = f"timeout 3 {line} || true" if line.startswith("hxp tail") else hastened(line)
    output = box.run(f"timeout 20 sh -c {quoted(bounded)} || echo status=$?")
    if re.search(r"status=(124|126|127)$|^Usage: |parse error|bad_data", output, re.MULTILINE):
        raise Failed(f"Diagnosis: {line}: {output}")


def quoted(line: str) -> str:
    """A line of shell as one word of another."""
    return "'" + line.replace("'", "'\\''") + "'"


def await_alerts(box: Box, wanted: set[str], began: float) -> None:
    """Each has fired since then."""
    end = time.monotonic() + FIRES_WITHIN
    while silent := wanted - fired(box, time.monotonic() - began):
        if time.monotonic() > end:
            raise Failed(f"these alerts do not fire: {sorted(silent)}")
        time.sleep(0.3)


def mend(box: Box, fault: Fault, runbook: Page) -> None:
    """The steps, each of them as it stands on the page or the work of hands that the page describes."""
    for step in fault.mend:
        if not isinstance(step, Hand) and step not in runbook.mend:
            raise Failed(f"{fault.alert}: Mitigation does not say {step!r}")
        box.run(step)


def await_end(box: Box, fault: Fault, runbook: Page) -> None:
    """ "Verify it is over" says so, and the alert does not fire."""
    end = time.monotonic() + OVER_WITHIN
    if len(runbook.verify) != len(fault.over):
        raise Failed(f"{fault.alert}: {len(fault.over)} expectations of {runbook.verify}")
    while trouble := still(box, fault, runbook):
        if time.monotonic() > end:
            raise Failed(f"{fault.alert} is not over: {trouble}")
        time.sleep(0.3)


def still(box: Box, fault: Fault, runbook: Page) -> str:
    """What shows that it is not over; empty when it is."""
    for line, wanted in zip(runbook.verify, fault.over, strict=True):
        for words, instead in fault.named:
            line = line.replace(words, instead)
        output = box.run(f"{hastened(line)} || true")
        if not holds(output, wanted):
            return f"{line} says {output!r}, not {wanted!r}"
    return "it fires" if fault.alert in firing(box) and not fault.machine else ""


def holds(output: str, wanted: str) -> bool:
    """A comparison, `< 0.1`, of all values, of which there must be one; else words that are there.

    Not a number is what a quantile of nothing is.
    """
    if found := re.fullmatch(r"(==|<|>) ([\d.]+)", wanted):
        values = samples(output)
        return bool(values) and all(math.isnan(each) or COMPARED[found[1]](each, float(found[2])) for each in values)
    return re.search(wanted, output, re.MULTILINE) is not None
