"""Everything that runs on a reader compiles with mpy-cross."""

from tools.compile_firmware import complaints


def test_a_file_that_is_not_micropython_is_named(tmp_path):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "good.py").write_text("x = 1\n")
    (tmp_path / "firmware" / "bad.py").write_text("match x:\n    case 1:\n        pass\n")
    count, size_bytes, found = complaints(tmp_path)
    assert (count, len(found)) == (2, 1)
    assert size_bytes > 0
    assert "bad.py" in found[0]


def test_this_repository(repo_root):
    count, _, found = complaints(repo_root)
    assert count > 0
    assert found == []
