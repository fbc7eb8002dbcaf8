import pytest

from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, read_rows, write_rows
from chaos.experiments.problems import FolderInvalid

SEEN = WorkloadRow(1_790_000_000.25, "gateway", 3, 2, 3, None)


def test_rows_come_back_as_they_were(tmp_path):
    rows = (SEEN, WorkloadRow(1_790_000_001.25, "gateway", 3, 3, 3, 2))
    write_rows(tmp_path / "w.csv", WorkloadRow, rows[:1])
    write_rows(tmp_path / "w.csv", WorkloadRow, rows[1:])

    assert read_rows(tmp_path / "w.csv", WorkloadRow) == rows


def test_an_unknown_value_is_an_empty_field(tmp_path):
    rows = (ServiceRow(5.0, "cart", 1.5, None, None, 20.0), ServiceRow(10.0, "cart", None, None, None, None))
    write_rows(tmp_path / "s.csv", ServiceRow, rows)

    assert (tmp_path / "s.csv").read_text().splitlines()[2] == "10,cart,,,,"
    assert read_rows(tmp_path / "s.csv", ServiceRow) == rows


@pytest.mark.parametrize("torn", ["1790000002,gate", "1790000002,gateway,3,x,3,", "17900"])
def test_a_line_torn_at_the_end_is_left_out(tmp_path, torn):
    write_rows(tmp_path / "w.csv", WorkloadRow, (SEEN,))
    with (tmp_path / "w.csv").open("a") as out:
        out.write(torn)

    assert read_rows(tmp_path / "w.csv", WorkloadRow) == (SEEN,)


def test_a_broken_line_in_the_middle_is_refused(tmp_path):
    write_rows(tmp_path / "w.csv", WorkloadRow, (SEEN,))
    with (tmp_path / "w.csv").open("a") as out:
        out.write("nonsense\n")
    write_rows(tmp_path / "w.csv", WorkloadRow, (SEEN,))

    with pytest.raises(FolderInvalid, match="line 3"):
        read_rows(tmp_path / "w.csv", WorkloadRow)


def test_rows_of_another_kind_are_refused(tmp_path):
    write_rows(tmp_path / "w.csv", WorkloadRow, (SEEN,))

    with pytest.raises(FolderInvalid, match="the columns are not"):
        read_rows(tmp_path / "w.csv", PodRow)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FolderInvalid, match=r"w\.csv: cannot be read"):
        read_rows(tmp_path / "w.csv", WorkloadRow)
