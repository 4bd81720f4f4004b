"""The commands about jobs: parse, jobs, cancel."""

from typing import Any
from urllib.parse import quote

import click

from daemon.options import Target, daemon_options, fail, show

LONGEST_WAIT = 600
LISTED = 20
STATES = ("queued", "running", "success", "failed", "cancelled")
KINDS = ("user", "all", "schedule", "backfill", "verify")


@click.command()
@click.argument("user_id", type=click.IntRange(1, 2**63 - 1), required=False)
@click.option("--all", "everyone", is_flag=True, help="Parse the channels of all users, each once.")
@click.option(
    "--wait",
    type=click.FloatRange(0, LONGEST_WAIT),
    help="Wait that many seconds for the end; exit 1 if it fails or isn't done by then.",
)
@daemon_options
def parse(target: Target, user_id: int | None, wait: float | None, *, everyone: bool, as_json: bool) -> None:
    """Collect what is new in the channels of USER_ID, or of all users.

    Without --wait it starts the parse and says its job's id. A parse that runs already is not started again.
    """
    if everyone == (user_id is not None):
        raise click.UsageError("give either a USER_ID or --all")
    path = "/parse/all" if everyone else f"/parse/user/{user_id}"
    given = None if wait is None else f"{wait:.3f}"
    job = target.daemon().post(path, query={"wait": given}, timeout=30.0 + (wait or 0)).document
    tell(job, as_json=as_json)
    check_end(job, wait)


@click.command()
@click.argument("job_id", required=False)
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--kind", type=click.Choice(KINDS), help="Only those of this kind.")
@click.option("--limit", type=click.IntRange(1, 1000), help="At most so many, the newest. Default: 20.")
@daemon_options
def jobs(
    target: Target, job_id: str | None, state: str | None, kind: str | None, limit: int | None, *, as_json: bool
) -> None:
    """List jobs, the newest last, or say how far JOB_ID is."""
    if job_id is not None:
        if (state, kind, limit) != (None, None, None):
            raise click.UsageError("give either a JOB_ID or what to list")
        tell(target.daemon().get(f"/jobs/{quote(job_id, safe='')}").document, as_json=as_json)
        return
    document = target.daemon().get("/jobs", {"state": state, "kind": kind, "limit": limit or LISTED}).document
    if as_json:
        show(document)
        return
    for each in reversed(document["jobs"]):
        click.echo(_line(each))


@click.command()
@click.argument("job_id")
@daemon_options
def cancel(target: Target, job_id: str, *, as_json: bool) -> None:
    """End a parse, a backfill or a verification.

    What it has brought stays. JOB_ID stands in the line that began it.
    """
    tell(target.daemon().post(f"/jobs/{quote(job_id, safe='')}/cancel").document, as_json=as_json)


def tell(job: dict[str, Any], *, as_json: bool) -> None:
    """One line of a job, or all of it."""
    if as_json:
        show(job)
        return
    if "channels_total" in job:
        done = f"channels={job['channels_done']}/{job['channels_total']}, posts_added={job['posts_added']}"
        click.echo(f"Job {job['job_id']}: {job['state']}, {done}, posts_edited={job['posts_edited']}")
        return
    total = "unknown" if job["ids_total"] is None else job["ids_total"]
    click.echo(f"Job {job['job_id']}: {job['state']}, ids={job['ids_done']}/{total}, posts_added={job['posts_added']}")


def check_end(job: dict[str, Any], wait: float | None) -> None:
    """Exit 1 unless the job was only started, or is done well. Raises: ``Failure``."""
    what = "backfill" if job["kind"] == "backfill" else "parse"
    match job["state"]:
        case "failed":
            fail(f"the {what} failed: {job['error']}")
        case "cancelled":
            fail(f"the {what} was cancelled; what it brought stays")
        case "queued" | "running" if wait is not None:
            fail(f"the {what} isn't done after {wait:g} s; it goes on in the daemon")


def _line(job: dict[str, Any]) -> str:
    began = "" if job["started_at"] is None else f"{job['started_at'][:19]}Z "
    whose = f" of user {job['user_id']}" if job["user_id"] else ""
    what = f" by schedule {job['schedule']}" if job["schedule"] else ""
    where = f" of channel {job['channel_id']} ({job['asked']})" if job["channel_id"] else ""
    error = f": {job['error']}" if job["error"] else ""
    return (
        f"{began}Job {job['job_id']}, {job['kind']}{whose}{what}{where}: {job['state']}, "
        f"posts_added={job['posts_added']}{error}"
    )
