"""With ONECARD_CI=1 a skip for want of something fails the run; any other skip does not."""

import os
import subprocess
import sys

import pytest

MISSING = {
    "fixture": "@pytest.fixture\ndef vm():\n    pytest.skip('needs one')\n\ndef test(vm): pass\n",
    "mark": "@pytest.mark.skipif(True, reason='needs two')\ndef test(): pass\n",
    "module": "pytest.skip('needs three', allow_module_level=True)\n",
    "library": "pytest.importorskip('no_such_module_here')\n",
}
REASONS = ("needs one", "needs two", "needs three", "no_such_module_here")
OTHER = {"other": "@pytest.mark.skip(reason='not on this system')\ndef test(): pass\n"}


def run(tmp_path, repo_root, sources, ci):
    """Run the given tests, and one that passes, under our conftest in a pytest of its own."""
    conftest = (repo_root / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    for name, source in (sources | {"passes": "def test(): pass\n"}).items():
        (tmp_path / f"test_{name}.py").write_text(f"import pytest\n\n{source}")
    environment = {name: value for name, value in os.environ.items() if name != "ONECARD_CI"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "."]
    return subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | ({"ONECARD_CI": "1"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", MISSING)
def test_one_missing_thing_fails_the_run_in_ci(tmp_path, repo_root, name):
    done = run(tmp_path, repo_root, {name: MISSING[name]}, ci=True)
    assert done.returncode == 1
    assert "skipped although ONECARD_CI=1" in done.stdout
    assert REASONS[list(MISSING).index(name)] in done.stdout


def test_missing_things_pass_at_home(tmp_path, repo_root):
    done = run(tmp_path, repo_root, MISSING, ci=False)
    assert done.returncode == 0
    assert "4 skipped" in done.stdout


def test_another_skip_passes_in_ci(tmp_path, repo_root):
    assert run(tmp_path, repo_root, OTHER, ci=True).returncode == 0
