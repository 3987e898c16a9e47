from benchmarks.lib import tables


def test_table_is_markdown_with_figures_to_the_right() -> None:
    text = tables.table(("bank", "ms"), [["exact", "24.1"], ["k-means", "9.0"]])
    assert text.splitlines() == ["| bank | ms |", "| --- | ---: |", "| exact | 24.1 |", "| k-means | 9.0 |"]


def test_a_figure_that_is_not_there_is_a_dash() -> None:
    assert tables.number(None, 2) == "–"
    assert tables.number(1234.567, 1) == "1,234.6"


def test_frames_by_stage_are_summed() -> None:
    text = tables.by_stage({"stages_ms": {"1": {"decode": 1.0, "search": 2.5}}}, "threads")
    assert text.splitlines()[-1] == "| 1 | 1.00 | 2.50 | 3.5 |"


def test_the_floor_is_a_share_of_the_measured_time() -> None:
    floor = {"gflop": 0.5, "mb": 10.0, "compute_ms": 4.0, "memory_ms": 1.0, "floor_ms": 4.0}
    text = tables.roofline({"search": floor}, {"stages_ms": {"search": 16.0}})
    assert text.splitlines()[-1].endswith("| 4.00 | 16.00 | 25 % |")


def test_readme_says_how_the_search_alone_did() -> None:
    search = {"ratio": 112.4, "faiss_ms": {"p50": 1015.0}, "ours_ms": {"p50": 9.06}}
    assert tables.readme_search(search, {"ratio": 17.3, "recall": 0.942}).endswith(
        "faiss's brute force takes 112 times as long (1,015 ms, ours 9.1); hnswlib 17 times, for a recall of 0.94.\n\n"
    )
    assert tables.readme_search({}, {}) == ""
