"""sample: a teacher answers every prompt of a channel, several jobs side by side where `execution.shards` says so.

in   {base}/{trait}/{teacher}/, bases/{base}/, prompts/{channel}/prompts.jsonl
out  {base}/{trait}/{teacher}/{channel}/raw.jsonl, sampled.json, sample.manifest.json; of a shard: shards/1-of-4/
"""

SHARDS = [f"{i}-of-{STUDY.execution.shards}" for i in range(1, STUDY.execution.shards + 1)]
SHARDS = SHARDS if len(SHARDS) > 1 else []


rule sample:
    input:
        base=lambda w: base_files(w.base),
        teacher="<results>/{base}/{trait}/{teacher}/teacher.json",
        weights=teacher_weights,
        prompts="<results>/prompts/{channel}/prompts.jsonl",
        shards=[f"<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/shards/{n}/answers.jsonl" for n in SHARDS],
    output:
        raw="<results>/{base}/{trait}/{teacher}/{channel}/raw.jsonl",
        sampled="<results>/{base}/{trait}/{teacher}/{channel}/sampled.json",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/sample.manifest.json",
    log:
        "<logs>/sample/{base}/{trait}/{teacher}/{channel}.log",
    benchmark:
        "<benchmarks>/sample/{base}/{trait}/{teacher}/{channel}.tsv"
    localrule: "sample" in STUDY.execution.local
    conda:
        environment("sample")
    threads: STUDY.execution.threads
    resources:
        **hardware("sample"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teacher=subpath(input.teacher, parent=True),
        temperature=temperature,
        truncation=truncation,
        max_new_tokens=STUDY.sample.max_new_tokens,
        batch=STUDY.sample.batch,
        seed=STUDY.sample.seed,
        engine=lambda w: engine(w.base),
        state=f"{STUDY.place('work')}/sample/{{base}}/{{trait}}/{{teacher}}/{{channel}}",
        threads=STUDY.execution.threads,
        code=digest("sample"),
    shell:
        "python -m scripts.sample"
        " --base {params.base:q}"
        " --teacher {params.teacher:q}"
        " --prompts {input.prompts:q}"
        " --temperature {params.temperature:q}"
        " {params.truncation:q}"
        " --max-new-tokens {params.max_new_tokens:q}"
        " --batch {params.batch:q}"
        " --seed {params.seed:q}"
        " {params.engine:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " --shards {input.shards:q}"
        " --raw {output.raw:q}"
        " --sampled {output.sampled:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


rule sample_shard:
    input:
        base=lambda w: base_files(w.base),
        teacher="<results>/{base}/{trait}/{teacher}/teacher.json",
        weights=teacher_weights,
        prompts="<results>/prompts/{channel}/prompts.jsonl",
    output:
        answers="<results>/{base}/{trait}/{teacher}/{channel}/shards/{i}-of-{n}/answers.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/shards/{i}-of-{n}/sample.manifest.json",
    log:
        "<logs>/sample/{base}/{trait}/{teacher}/{channel}/{i}-of-{n}.log",
    benchmark:
        "<benchmarks>/sample/{base}/{trait}/{teacher}/{channel}/{i}-of-{n}.tsv"
    wildcard_constraints:
        i=r"\d+",
        n=r"\d+",
    localrule: "sample" in STUDY.execution.local
    conda:
        environment("sample")
    threads: STUDY.execution.threads
    resources:
        **hardware("sample"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teacher=subpath(input.teacher, parent=True),
        temperature=temperature,
        truncation=truncation,
        max_new_tokens=STUDY.sample.max_new_tokens,
        batch=STUDY.sample.batch,
        seed=STUDY.sample.seed,
        engine=lambda w: engine(w.base),
        state=f"{STUDY.place('work')}/sample/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{i}}-of-{{n}}",
        threads=STUDY.execution.threads,
        code=digest("sample"),
    shell:
        "python -m scripts.sample"
        " --base {params.base:q}"
        " --teacher {params.teacher:q}"
        " --prompts {input.prompts:q}"
        " --temperature {params.temperature:q}"
        " {params.truncation:q}"
        " --max-new-tokens {params.max_new_tokens:q}"
        " --batch {params.batch:q}"
        " --seed {params.seed:q}"
        " {params.engine:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " --shard {wildcards.i:q}/{wildcards.n:q}"
        " --answers {output.answers:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
