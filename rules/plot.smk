"""plot: figures from the tables.

in   tables/*.csv
out  figures/*.svg, plot.manifest.json
"""


rule plot:
    input:
        tables=expand("<results>/tables/{table}.csv", table=["effects", "runs", "filters", "confusion"]),
    output:
        figures=report(
            expand("<results>/figures/{figure}.svg", figure=["effects", "confusion"]),
            category="Figures",
        ),
        manifest="<results>/figures/plot.manifest.json",
    log:
        "<logs>/plot/figures.log",
    benchmark:
        "<benchmarks>/plot/figures.tsv"
    conda:
        environment("plot")
    threads: STUDY.execution.threads
    resources:
        **hardware("plot"),
    params:
        tables=f"{STUDY.results}/tables",
        figures=f"{STUDY.results}/figures",
        code=digest("plot"),
    shell:
        "python -m scripts.plot"
        " --tables {params.tables:q}"
        " --figures {params.figures:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
