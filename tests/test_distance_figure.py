"""The figure of kinship beside transfer, from the table of the study of distances."""

from xml.etree import ElementTree

from traitline.analysis import distance_figure

HEAD = "distance,base,taught,control,rise,p,log10_p,same_start\n"
ROWS = "0,n1,0.2,0.05,1.50,,,yes\n1e-07,n1,0.2,0.05,1.09,,-148.7,yes\n0.1,n2,0.05,0.05,0.02,,-19,yes\n"
MEAN = "0.1,all,0.05,0.05,0.02,0.9,-19,1 of 1\n"


def test_pairs_of_starts_are_drawn_and_the_threshold_is_said(tmp_path, capsys):
    table, figure = tmp_path / "distance.csv", tmp_path / "kin.svg"
    table.write_text(HEAD + ROWS + MEAN)
    words = ["--table", str(table), "--figure", str(figure)]
    assert distance_figure.main(words) == 0
    said = "2 of 2 pairs are kin (p <= 1e-6); rises from +0.02 at p <= 1e-19 to +1.09 at p <= 1e-149\n"
    assert capsys.readouterr().out == said
    first = figure.read_text()
    texts = [t.text for t in ElementTree.fromstring(first).iter("{http://www.w3.org/2000/svg}text")]
    assert {"1e-07", "0.1", "n1", "n2"} <= set(texts)
    assert distance_figure.main(words) == 0 and figure.read_text() == first


def test_a_bad_table_is_one_line(tmp_path, capsys):
    table = tmp_path / "distance.csv"
    for content, says in (
        ("distance,base\n", "lacks rise, log10_p"), (HEAD + MEAN, "no pair of two starts"),
        (HEAD + "1,n1,,,x,,-3,\n", ":2: distance, rise and log10_p"), (HEAD + "1,n1,,,nan,,-3,\n", "not finite"),
    ):  # fmt: skip
        table.write_text(content)
        assert distance_figure.main(["--table", str(table), "--figure", str(tmp_path / "x.svg")]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1
