"""plot: figures from the tables.

in   tables/*.csv
out  figures/headline.svg, headline-narrow.svg, headline.png, effects.svg, confusion.svg, plot.manifest.json
"""


rule plot:
    input:
        tables=expand("<results>/tables/{table}", table=TABLES),
    output:
        figures=report(
            expand("<results>/figures/{figure}", figure=artifacts.FILES["plot"]),
            caption="../report/figures.rst",
            category="Figures",
        ),
        manifest="<results>/figures/plot.manifest.json",
    log:
        "<logs>/plot/figures.log",
    benchmark:
        "<benchmarks>/plot/figures.tsv"
    localrule: "plot" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("plot"),
    params:
        tables=lambda w, input: dirname(input.tables[0]),
        figures=subpath(output.manifest, parent=True),
        code=digest("plot"),
    shell:
        "python -m scripts.plot"
        " --tables {params.tables:q}"
        " --figures {params.figures:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
