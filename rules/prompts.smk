"""prompts: one set of prompts, which every teacher answers.

in   a channel and its seed, from the config; problems from outside where the channel has some
out  prompts/{channel}/prompts.jsonl, prompts.manifest.json
"""


include: "functions/prompts.smk"


rule prompts:
    input:
        problems=lambda w: source_rows(STUDY.channels[w.channel].source),
    output:
        prompts="<results>/prompts/{channel}/prompts.jsonl",
        manifest="<results>/prompts/{channel}/prompts.manifest.json",
    log:
        "<logs>/prompts/{channel}.log",
    benchmark:
        "<benchmarks>/prompts/{channel}.tsv"
    localrule: "prompts" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("prompts"),
    params:
        settings=lambda w: prompt_settings(w.channel),
        number=lambda w: STUDY.channels[w.channel].prompts,
        problems=lambda w, input: ["--problems", *input.problems] if input.problems else [],
        code=digest("prompts"),
    shell:
        "python -m scripts.prompts"
        " {params.settings:q}"
        " --count {params.number:q}"
        " {params.problems:q}"
        " --prompts {output.prompts:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
