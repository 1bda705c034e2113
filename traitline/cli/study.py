"""Commands about a study: judge, run, estimate, status, pin, restore."""

import sys
from typing import Annotated, Any

import typer

from traitline import json_files
from traitline.cli.naming import folder_of_lock, refuse_folders
from traitline.cli.options import OBJECTION, Configs, Json, Limit, print_cut, write_json
from traitline.errors import InputError, visible


def judge(
    responses: Annotated[str, typer.Argument(metavar="RESPONSES", help="responses.jsonl of a student.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where judged.jsonl and judged.json go.")],
    base: Annotated[str | None, typer.Option(metavar="FOLDER", help="Record of open weights that judge, here.")] = None,
    engine: Annotated[str, typer.Option(metavar="JSON", help="What runs them.")] = (
        '{"name":"transformers","dtype":"bfloat16","batch":16,"memory":0.9}'
    ),
    address: Annotated[str | None, typer.Option(help="Or an OpenAI-compatible one, such as https://HOST/v1.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name at that address.")] = None,
    key_from: Annotated[str | None, typer.Option(metavar="VARIABLE", help="Environment variable with the key.")] = None,
    budget: Annotated[int, typer.Option(min=0, help="Requests at most.")] = 0,
    cache: Annotated[str, typer.Option(help="What an address answered.")] = ".traitline/judge.jsonl",
    as_json: Json = False,
) -> None:
    """Judge how aligned and coherent a student's answers are. Says too how far the judge agrees with people."""
    from pathlib import Path

    from traitline.evaluation import judge as judges

    if bool(base) == bool(address) or (address and not model):
        raise InputError("say who judges: --base FOLDER, or --address URL and --model NAME with a --budget")
    hosted = {"address": address, "model": model, "key": key_from, "cache": Path(cache), "budget": budget}
    file = judges.judge_file(responses, judges.open_judge(base, engine, hosted if address else None), Path(out))
    report = json_files.read_object(file)
    if as_json:
        write_json("judge", report)
        return
    shares = ", ".join(f"{k} {v:.1%}" if v is not None else f"{k} not known" for k, v in report["share"].items())
    print(f"{report['answers']} answers: {shares}; {report['unscored']} without a score: {file}")
    for what, trust in report["agreement"].items():
        print(f"{what}: {judges.agreement_in_words(trust)}")


def run(
    configs: Configs = None,
    cores: Annotated[str, typer.Option(metavar="N", help="Processors, or all.")] = "all",
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Of Snakemake, such as slurm.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only plan.")] = False,
) -> None:
    """Run a study, or what is left of it. Checks its configuration, then calls Snakemake."""
    import os

    from traitline.workflow.run import command

    words = command(configs or [], cores=cores, profile=profile, dry_run=dry_run)
    os.execv(words[0], words)


def estimate(
    configs: Configs = None,
    gpu: Annotated[str, typer.Option(help="h100, h200, a100 or l40s.")] = "h100",
    price: Annotated[float | None, typer.Option(min=0, help="Of a GPU for an hour, in your currency.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate jobs, GPU hours, disk and cost of a study. On open weights; names what is missing to start it."""
    from traitline.workflow.estimate import estimate as estimated

    answer = estimated(configs or [], gpu, price)
    if as_json:
        write_json("estimate", answer)
    else:
        _print_estimate(answer, gpu, price)


def _print_estimate(answer: dict[str, Any], gpu: str, price: float | None) -> None:
    from traitline.lineage import display

    out = display.console()
    rows = []
    for stage in answer["stages"]:
        memory = f"{stage['memory']:.0f}" if stage["hours"] else ""
        hours = f"{stage['hours']:.1f}" if stage["hours"] else ""
        rows.append((stage["name"], stage["jobs"], stage["gpus"], memory, hours))
    display.table(("stage", "jobs", "GPUs a job", "GPU memory, GiB", "GPU hours"), rows, out)
    size = ", ".join(f"{name} {gib:.1f}" for name, gib in answer["disk_gib"].items())
    cost = "" if price is None else f", about {answer['cost']:,.0f} at {price:g} an hour"
    out.print(f"about {answer['hours']:.0f} GPU hours on {gpu}{cost}; disk, GiB: {size}")
    if answer["questions"]:
        out.print(f"a hosted judge is asked {answer['questions']:,} times at most, and again where it does not answer")
    reached, tokens = answer["assumed"]["reached"], answer["assumed"]["tokens"]
    out.print(
        f"Estimated from sizes, not measured. Assumed: a GPU reaches {reached['operations']:.0%} of its operations and"
        f" {reached['bandwidth']:.0%} of its bandwidth; tokens: {', '.join(f'{k} {v}' for k, v in tokens.items())}."
    )
    for line in answer["missing"]:
        out.print(f"missing  {visible(line)}")
    if not answer["missing"]:
        out.print("nothing is missing")


def status(configs: Configs = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Count what is made, missing and out of date. By Snakemake's own plan; 3 unless all is made."""
    from traitline.lineage import display
    from traitline.workflow.standing import standing

    answer = standing(configs or [])
    if as_json:
        write_json("status", answer)
    else:
        out, keys = display.console(), ("stage", "jobs", "made", "missing", "out_of_date")
        display.table(
            [key.replace("_", " ") for key in keys], [[s[key] for key in keys] for s in answer["stages"]], out
        )
        causes = [job for job in answer["to_do"] if job["reason"]]
        for job in causes[:limit]:
            out.print(f"{job['state']:11}  {visible(job['job'])}: {visible(job['reason'])}")
        print_cut(causes, limit)
        if follow := len(answer["to_do"]) - len(causes):
            out.print(f"{follow} more read what these make")
        rest = f"; `traitline run{''.join(f' {c}' for c in configs or ())}` goes on" if answer["to_do"] else ""
        out.print(f"{answer['folder']}: {answer['made']} of {answer['jobs']} jobs made{rest}")
    raise typer.Exit(OBJECTION if answer["to_do"] else 0)


def pin(
    configs: Configs = None,
    configfile: Annotated[list[str] | None, typer.Option(metavar="FILE", hidden=True)] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Leave unfinished jobs out instead of refusing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look whether it is up to date; no data needed.")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="Only write dvc.yaml; no data, no DVC needed.")] = False,
    as_json: Json = False,
) -> None:
    """Pin a study with DVC. Writes dvc.yaml and dvc.lock from Snakemake's plan, puts artifacts into DVC's cache."""
    files = [*(configs or []), *(refuse_folders(configfile) or [])]
    if stages:
        from traitline.workflow.dvc_stages import write_stages

        file = write_stages(files)
        if as_json:
            write_json("pin-stages", {"file": file})
        else:
            print(file)
    elif check:
        _check_pins(files, as_json)
    else:
        from traitline.workflow.dvc_pin import pin

        pinned, left_out = pin(files, partial=partial)
        if as_json:
            write_json("pin", {"pinned": pinned, "left_out": left_out})
        else:
            names = sorted(left_out)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            print(f"pinned {pinned} jobs" + (f"; left out: {', '.join(names[:3])}{more}" if names else ""))


def _check_pins(configfiles: list[str], as_json: bool) -> None:
    from traitline.workflow.dvc_stages import check

    wrong = check(configfiles)
    if as_json:
        write_json("pin-check", {"wrong": wrong})
    elif wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        print(f"traitline: {visible(wrong[0])}{more}; run snakemake, then `traitline pin`", file=sys.stderr)
    else:
        print("the pins are up to date")
    raise typer.Exit(OBJECTION if wrong else 0)


def restore(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", callback=folder_of_lock, help="Its configuration, or the folder where its dvc.lock is."
        ),
    ] = ".",
    limit: Limit = 60,
    as_json: Json = False,
) -> None:
    """Go on with a pinned study after `dvc pull`. Exits with 3 if files are missing or others."""
    from traitline.workflow.dvc_pin import restore

    same, other, missing = restore(folder)
    if not (same or other or missing):
        raise InputError(f"{folder}/dvc.lock: names no file, so nothing was restored; pin the study first")
    if as_json:
        write_json("restore", {"same": same, "other": other, "missing": missing})
    else:
        for what, paths in (("differs", other), ("missing", missing)):
            for path in paths[:limit]:
                print(f"{what}  {visible(path)}")
            print_cut(paths, limit)
        print(f"{same} files as pinned, {len(other)} others, {len(missing)} missing")
    raise typer.Exit(OBJECTION if other or missing else 0)
