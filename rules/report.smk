"""report: one self-contained page.

in   tables/*.csv, figures/*.svg, what the other branches made, template and style, and every manifest below results/
out  report.html, lineage.html (the graph of origins), students.html (every run, to browse), report.manifest.json
"""


rule report:
    input:
        tables=expand("<results>/tables/{table}", table=TABLES),
        figures=expand("<results>/figures/{figure}", figure=artifacts.FILES["plot"]),
        declared="<results>/preregistered.json",
        branches=[*BRANCH_FILES, *(["<results>/targets.csv"] if STUDY.side_folders else [])],
        template="report/report.html.jinja",
        parts=expand("report/{part}", part=["branches.html.jinja", "intro.html.jinja", "voices.html.jinja"]),
        students=expand("report/students.{part}", part=["html.jinja", "js"]),
        responses=distinct(
            f"{dirname(path)}/responses.jsonl"
            for path in [*(run.scores for run in STUDY.runs), *baselines(STUDY).values()]
        ),
        style="report/report.css",
        drawing=expand("traitline/lineage/templates/lineage.{part}", part=["html.jinja", "js", "css"]),
        layout="traitline/lineage/templates/dagre.min.js",
    output:
        page=report("<results>/report.html", caption="../report/report.rst", category="Report"),
        lineage="<results>/lineage.html",
        browser="<results>/students.html",
        manifest="<results>/report.manifest.json",
    log:
        "<logs>/report/report.log",
    benchmark:
        "<benchmarks>/report/report.tsv"
    localrule: "report" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("report"),
    params:
        study=STUDY_WORD,
        results=subpath(output.page, parent=True),
        tables=lambda w, input: dirname(input.tables[0]),
        figures=lambda w, input: dirname(input.figures[0]),
        code=digest("report"),
    shell:
        "python -m scripts.report"
        " --study {params.study:q}"
        " --results {params.results:q}"
        " --tables {params.tables:q}"
        " --figures {params.figures:q}"
        " --template {input.template:q}"
        " --style {input.style:q}"
        " --report {output.page:q}"
        " --lineage {output.lineage:q}"
        " --students {output.browser:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
