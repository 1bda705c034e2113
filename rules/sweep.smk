"""sweep: table and figures of the classifier experiment.

in   mlp/{point}/accuracy.json of every point
out  mlp/accuracy.csv, mlp.svg, sweeps.svg, sweep.manifest.json
"""

if STUDY.classifier:

    rule sweep:
        input:
            accuracy=expand("<results>/mlp/{point}/accuracy.json", point=STUDY.classifier.points),
        output:
            table=report("<results>/mlp/accuracy.csv", caption="../report/classifier.rst", category="Classifier"),
            figures=report(
                expand("<results>/mlp/{name}.svg", name=CLASSIFIER_FIGURES),
                caption="../report/classifier.rst",
                category="Classifier",
            ),
            manifest="<results>/mlp/sweep.manifest.json",
        log:
            "<logs>/sweep/sweep.log",
        benchmark:
            "<benchmarks>/sweep/sweep.tsv"
        localrule: "sweep" in STUDY.execution.local
        conda:
            environment("sweep")
        threads: STUDY.execution.threads
        resources:
            **hardware("sweep"),
        params:
            classifier=STUDY.classifier.text,
            folder=subpath(output.manifest, parent=True),
            code=digest("sweep"),
        shell:
            "python -m scripts.sweep"
            " --classifier {params.classifier:q}"
            " --folder {params.folder:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
