"""Hooks into Snakemake: stages as targets, shorter reasons, one line for every failed job, the last lines of a run.

in   STUDY, CAUSES and LOCKED, Snakemake's log records
out  all rules of a stage for `-R train`, `--until train`, `--omit-from train`; .traitline/launches/; a screen of the run
"""

import dataclasses
import logging
import subprocess
from pathlib import Path
from types import SimpleNamespace

from snakemake.settings.enums import RerunTrigger

from traitline.workflow import commit, launch_record, replanning, run_progress, screen, succession, warm_start


def stage_rules():
    """Stage -> names of its rules with jobs, which a file of rules holds."""
    rules_of = defaultdict(set)
    for each in workflow.rules:
        if each.shellcmd:
            rules_of[Path(each.snakefile).stem].add(each.name)
    return rules_of


def expand_stages(names, rules_of):
    """Replace stages among names of rules and files by their rules."""
    return set().union(*(rules_of.get(name, {name}) for name in names))


def prepare_with_stages(prepare):
    """Let Snakemake take a stage for all of its rules, such as `-R train` for train_lora, train_lora_2, train_biases.

    Rules made in a loop have a number for a name's end, so nobody could name them all. Snakemake reads these options
    after the Snakefile and right before it prepares the plan.
    """

    def prepared(*args, **kwargs):
        if workflow.is_main_process and workflow.execution_settings is not None and not workflow.dryrun:
            try:
                succession.succeed(STUDY)
            except InputError as error:
                sys.exit(f"traitline: error: {error}")
            open_screen()
        rules_of, settings = stage_rules(), workflow.dag_settings
        chosen = {name: getattr(settings, name) for name in ("forcerun", "until", "omit_from")}
        expanded = {name: expand_stages(rules, rules_of) for name, rules in chosen.items()}
        workflow.dag_settings = dataclasses.replace(settings, **expanded, **by_content(settings))
        return prepare(*args, **kwargs)

    return prepared


def by_content(settings):
    """Settings with which contents decide, not times, and a killed run goes on.

    A newer input of the same bytes reruns nothing, whatever its size: a study may have been copied without its times.
    A job whose launcher died runs again: its outputs appear whole or not at all, and its manifest last.
    """
    return {
        "max_checksum_file_size": max(settings.max_checksum_file_size or 0, 10**10),
        "force_incomplete": True,
    }


workflow._prepare_dag = prepare_with_stages(workflow._prepare_dag)


def looked_after(build):
    """Let Snakemake plan what it takes for finished and what is not so; see `traitline.workflow.replanning`."""

    def built(*args, **kwargs):
        build(*args, **kwargs)
        if not workflow.is_main_process or workflow.execution_settings is None or workflow.touch:
            return
        look = replanning.Replanning(ARTIFACTS, settings=RerunTrigger.PARAMS in workflow.rerun_triggers)
        dag, reasons = workflow.dag, {}
        for job in (job for level in dag.toposorted() for job in level if job.output and not dag.needrun(job)):
            if why := look.reason(job, recorded=workflow.persistence.has_metadata(job)):
                reasons[" ".join([job.rule.name, *job.wildcards])] = why
                dag.forcefiles.update(job.output)
        look.save()
        if reasons:
            print(replanning.announce(reasons), file=sys.stderr, flush=True)
            workflow.async_run(dag.update_needrun())

    return built


workflow._build_dag = looked_after(workflow._build_dag)


class ShortReasons(logging.Filter):
    """Cut the reason of a job where it lists hundreds of files."""

    def filter(self, record):
        reason = str(getattr(record, "reason", None) or "")
        if len(reason) > 400:
            shown = reason[:400].rpartition(",")[0] or reason[:400]
            record.reason = f"{shown}, and {reason.count(',', len(shown))} more"
        return True


class Failures(logging.Filter):
    """Watch Snakemake's log: record where a launch through Slurm begins, explain every failed job of it in one line."""

    launched = None
    explained = set()  # logs of jobs whose failure was printed

    def filter(self, record):
        message = str(record.msg)
        if message.startswith("SLURM run ID: "):
            Failures.launched = launch_record.begin(STUDY, message.removeprefix("SLURM run ID: "), LOCKED)
        elif getattr(record, "event", None) == "job_error" and not hasattr(record, "seen"):
            record.seen = True
            if self.launched:
                self.explain(record)
            else:
                print_failure(record.log[0].split(" (")[0])
            self.explained.update(str(path).split(" (")[0] for path in record.log)
        return True

    def explain(self, record):
        """Print and record why a job failed. It runs again only where another attempt can help."""
        job = next(job for job in workflow.dag.jobs if workflow.dag.jobid(job) == record.jobid)
        logs = [str(path).split(" (")[0] for path in record.log]
        number = (record.aux or {}).get("external_jobid")
        facts = slurm.facts(number) if number else {}
        cause = failure_cause(record, number, facts, logs)
        where = f"Slurm job {number} on {facts.get('NodeList') or 'no node'}: " if number else ""
        line = f"{job.rule.name} {'/'.join(job.wildcards)}".strip() + f": {where}{slurm.WORDS[cause]}"
        refusal = slurm.refusal(str(record.rule_msg or "")) if cause == "submission" else None
        attempt, again = job.attempt, next_attempt(job, cause, refusal)  # the latter may raise the number
        line += f"{limit(job, cause)}, attempt {attempt}{again}; {refusal or last_words(record, logs)}"
        screen.print_whole(line)
        with open(self.launched.failures, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def failure_cause(record, number, facts, logs):
    """Why a job failed, as `slurm.cause`; a job without a number was never submitted."""
    if number:
        said = [*slurm.tail(logs[0], 20), *refusals(logs)]
        log = [line for path in logs[1:] for line in slurm.tail(path, 20)]
        return slurm.cause(facts, "\n".join(said), "\n".join(log))
    return "submission" if slurm.refusal(str(record.rule_msg or "")) else "program"


def limit(job, cause):
    """Memory or minutes of a job that ran out of them."""
    return {"memory": f" ({job.resources.mem_mb} MB)", "time": f" ({job.resources.runtime} minutes)"}.get(cause, "")


def next_attempt(job, cause, refusal):
    """Announce another attempt where it can help, and see to it that there is none elsewhere.

    A job that sbatch refused is submitted again only where the controller was busy: not to an account that is wrong.
    """
    if job.attempt > job.restart_times:
        return ""
    if cause not in slurm.AGAIN or (refusal and not slurm.BUSY.search(refusal)):
        job.attempt = job.restart_times + 1  # the last one: nothing is tried again blindly
        return ""
    if cause in slurm.GROWS:
        CAUSES[job.rule.name, tuple(job.wildcards)].append(cause)
    doubled = {
        "memory": f" with {2 * job.resources.mem_mb} MB",
        "time": f" with {2 * job.resources.runtime} minutes",
    }
    return f"; trying again{doubled.get(cause, '')}"


def refusals(logs):
    """Lines in which a job refused to run its program."""
    return [line for path in logs[1:] for line in slurm.tail(path, 20) if line.startswith("traitline: error")]


def last_words(record, logs):
    """A job's log and its last lines; of a job that refused to run, the log and the line that says so."""
    if refused := refusals(logs):
        return f"{logs[-1]}: {refused[-1]}"
    for path in logs:
        if lines := slurm.tail(path):
            return f"{path}: {' | '.join(lines)}"
    message = str(record.rule_msg or "").strip().replace("\n", " ")
    return f"{logs[0]}: {message}"


class Header(logging.Filter):
    """Leave out what Snakemake says before it plans: host, user, versions, file system. The file of its log has them."""

    def filter(self, record):
        said = getattr(record, "event", None) == "workflow_started" or str(record.msg).startswith(FILE_SYSTEM)
        return not said or workflow.output_settings.verbose


FILE_SYSTEM = "Assuming unrestricted shared filesystem usage"
RECORDS = logging.getLogger("snakemake.logging")
SCREENS = []  # the one of this run; none where somebody asked Snakemake for its own lines
FILTERS = [ShortReasons(), Failures()]
for handler in RECORDS.handlers:
    for each in [*FILTERS, *([Header()] if handler.name == screen.REPLACED else [])]:
        handler.addFilter(each)


def open_screen():
    """Show the run on one screen, unless somebody asked for more lines of Snakemake, for fewer or for other ones."""
    asked = workflow.output_settings
    if asked.verbose or asked.printshellcmds or asked.debug_dag or asked.quiet:
        return
    stage_of = {name: stage for stage, names in stage_rules().items() for name in names}
    progress = run_progress.RunProgress(stage_of, STUDY.place("logs"))
    if opened := screen.take_over(RECORDS, progress, f"study {STUDY.study}"):
        SCREENS.append(opened)
        for each in FILTERS:
            opened.addFilter(each)


def close_screen():
    """Make room for the lines at the end of a run."""
    for opened in SCREENS:
        opened.stop()


def print_headline(results):
    """Print the main table of the report, and where its page is."""
    done = subprocess.run([sys.executable, "-m", "scripts.report", "--headline", results], check=False)
    if done.returncode == 0 and Path(results, "report.html").exists():
        print(f"report: {results}/report.html", flush=True)


def print_failure(path):
    """Print the log of a failed job and the log's last line."""
    lines = slurm.tail(path, 1)
    screen.print_whole(f"failed  {path}: {lines[0] if lines else 'the job ended without a word'}")


def print_failures(snakemake_logs):
    """Print why jobs failed of which nothing was printed, and how to go on."""
    text = "".join(Path(path).read_text(encoding="utf-8", errors="replace") for path in snakemake_logs)
    for path in distinct(re.findall(r"^ *log: (\S+) \(check log file", text, re.M)):
        if path not in Failures.explained:
            print_failure(path)
    if Failures.explained:
        print("mend it, then run the same command: it goes on", file=sys.stderr, flush=True)


def pin_study(overlays):
    """Pin the study where this is a DVC repository (`dvc init`), unless DVC runs us."""
    if not Path(".dvc").is_dir() or "DVC_STAGE" in os.environ:
        return
    options = [word for file in overlays for word in ("--configfile", str(file))]
    subprocess.run([sys.executable, "-m", "traitline.cli", "pin", "--partial", *options], check=False)


onstart:
    # With a limit on starts (by default 100 a second) Snakemake plans again a second after every planning. These
    # plannings add up with every job until it does nothing else. Without a limit it plans when a job ends.
    workflow.scheduler.job_rate_limiter = None
    # What Snakemake's shell knows as `subprocess`. Jobs elsewhere start as ever: they come here without hooks.
    sys.modules[shell.__module__].sp = SimpleNamespace(**{**vars(subprocess), "Popen": warm_start.Starter().start})
    if why := commit.why_unknown():
        print(f"traitline: manifests will not name the commit of this code: {why}", file=sys.stderr, flush=True)
    if not Failures.launched:
        launch_record.begin(STUDY, "", LOCKED)


def remember_finished():
    """Remember which parameters the manifests of this launch are of."""
    dag = workflow.dag
    replanning.Replanning(ARTIFACTS).finished(job for job in dag.jobs if job.output and dag.finished(job))


onsuccess:
    close_screen()
    remember_finished()
    print_headline(STUDY.results)
    pin_study(workflow.overwrite_configfiles)


onerror:
    close_screen()
    remember_finished()
    print_failures(log)
