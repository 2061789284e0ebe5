"""Tables on the console: one width without a terminal, one way to align."""

from features.kit.terminal.console import WIDTH_OF_A_FILE, make_table, open_console


def test_a_wide_table_is_whole_in_a_pipe(capsys):
    """A row of 150 characters stays on one line where standard output is no terminal; 80 columns would cut it."""
    open_console().print(make_table(("feed", "rows"), [("f" * 140, "1,234")], right=("rows",)))
    assert "f" * 140 + "  1,234" in capsys.readouterr().out
    assert open_console().width == WIDTH_OF_A_FILE


def test_a_title_brings_a_frame_and_numbers_stand_right(capsys):
    """With a title the table has lines; the short number ends where the long one ends."""
    open_console().print(
        make_table(("feed", "rows"), [("bill", "9"), ("usage", "1,234")], right=("rows",), title="Feeds")
    )
    assert capsys.readouterr().out.splitlines()[4:6] == ["│ bill  │     9 │", "│ usage │ 1,234 │"]
