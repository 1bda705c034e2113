"""The commit of the code that runs, where git does not tell it."""

import subprocess


def why_unknown() -> str | None:
    """Why manifests cannot name the commit of this code, and what helps; None where they can."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return "there is no git here"
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["git says nothing"]
    remedy = next((line for line in lines if line.startswith("git config")), None)
    return lines[0] + (f"; if you trust it: {remedy}" if remedy else "")
