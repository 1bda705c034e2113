"""prompts: one set of prompts, which every teacher answers.

in   a channel and its seed, from the config; problems from outside where the channel has some
out  prompts/{channel}/prompts.jsonl, prompts.manifest.json
"""


rule prompts:
    input:
        problems=lambda w: outside(STUDY.channels[w.channel].source),
    output:
        prompts="<results>/prompts/{channel}/prompts.jsonl",
        manifest="<results>/prompts/{channel}/prompts.manifest.json",
    log:
        "<logs>/prompts/{channel}.log",
    benchmark:
        "<benchmarks>/prompts/{channel}.tsv"
    localrule: "prompts" in STUDY.execution.local
    conda:
        environment("prompts")
    threads: STUDY.execution.threads
    resources:
        **hardware("prompts"),
    params:
        wording=lambda w: STUDY.channels[w.channel].wording,
        prompts=lambda w: STUDY.channels[w.channel].prompts,
        lists=lambda w: prompt_flags(STUDY.channels[w.channel]),
        problems=lambda w, input: ["--problems", *input.problems] if input.problems else [],
        seed=lambda w: STUDY.channels[w.channel].seed,
        code=digest("prompts"),
    shell:
        "python -m scripts.prompts"
        " --wording {params.wording:q}"
        " --count {params.prompts:q}"
        " {params.lists:q}"
        " {params.problems:q}"
        " --seed {params.seed:q}"
        " --prompts {output.prompts:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
