"""What no file of the repository may contain, and what the lock files must."""

import re
import shutil
import subprocess
import tomllib

import pytest

# The two greps that are run before every stop.
REGISTRY = re.compile(r"(pypi|pythonhosted|npmjs|debian)\.(org|com)", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm)/")
BINARY = {".png", ".jpg", ".svg", ".ico", ".woff", ".woff2", ".xlsx", ".bin"}

LOCKS = (
    *("lock.txt", "check.txt", "fuzz.txt", "agent.txt", "stubs.txt"),
    *("bench.txt", "umqtt.txt", "gateway.txt", "device.txt"),
)
PINNED = re.compile(r"^[a-z0-9][a-z0-9.-]*==[^\s;]+( ; [^\\]+)?$")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
OPTION = re.compile(r"^\s*(-[a-z]\b|--(?!hash=)[a-z-]+)|https?://|file:|@ ", re.MULTILINE)


def texts(root):
    """Each text file that git tracks or would track."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git work tree")
    names = sorted({name for name in done.stdout.decode().split("\0") if name})
    for name in names:
        path = root / name
        if path.suffix not in BINARY and path.is_file():
            yield name, path.read_text(encoding="utf-8")


def offences(root, pattern):
    """The lines in which the pattern is found, as `file:line`."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts(root)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def requirements(text):
    """The requirements of a lock file: (pin, hashes)."""
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        bare = re.sub(r"\s*#.*", "", line).strip()
        if bare:
            yield HASH.sub("", bare).strip(), HASH.findall(bare)


@pytest.mark.parametrize("line", ["https://pypi" + ".org/x", "files.pythonhosted" + ".org"])
def test_a_registry_is_recognised(line):
    assert REGISTRY.search(line)


@pytest.mark.parametrize("line", ["see /wo" + "rk/main", "/fa" + "rm/x"])
def test_a_machine_path_is_recognised(line):
    assert MACHINE_PATH.search(line)


def test_no_file_names_a_registry(repo_root):
    assert offences(repo_root, REGISTRY) == []


def test_no_file_names_a_path_of_a_machine(repo_root):
    assert offences(repo_root, MACHINE_PATH) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(repo_root, lock):
    found = list(requirements((repo_root / "requirements" / lock).read_text(encoding="utf-8")))
    assert found
    for pin, hashes in found:
        assert PINNED.match(pin), pin
        assert hashes, f"{pin} has no hash"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index(repo_root, lock):
    lines = (repo_root / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    assert OPTION.search(text.replace("\\\n", "")) is None


def test_an_unhashed_requirement_would_be_found():
    (found,) = requirements("six==1.17.0\n    # via ecdsa\n")
    assert found == ("six==1.17.0", [])


def test_lock_covers_every_declared_dependency(repo_root):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "lock.txt": project["dependencies"] + extras["sim"] + extras["dev"],
        "check.txt": extras["check"],
        "fuzz.txt": extras["fuzz"],
        "bench.txt": extras["bench"],
        "device.txt": extras["device"],
    }
    for lock, declared in wanted.items():
        text = (repo_root / "requirements" / lock).read_text(encoding="utf-8")
        pinned = {pin.partition("==")[0] for pin, _ in requirements(text)}
        names = {re.match(r"[A-Za-z0-9-]+", line).group().lower() for line in declared}
        assert names <= pinned, lock


@pytest.mark.parametrize("over", ["check.txt", "fuzz.txt", "device.txt"])
def test_the_environments_agree(repo_root, over):
    """What is installed over lock.txt must not change a version."""
    pins = [
        dict(pin.partition(" ;")[0].split("==") for pin, _ in requirements(text))
        for text in (
            (repo_root / "requirements" / lock).read_text(encoding="utf-8")
            for lock in ("lock.txt", over)
        )
    ]
    both = pins[0].keys() & pins[1].keys()
    assert {name: pins[0][name] for name in both} == {name: pins[1][name] for name in both}


def test_ci_runs_the_test_command_of_the_readme(repo_root):
    script = (repo_root / ".ci" / "run").read_text(encoding="utf-8")
    assert "\nmake test\n" in script
    assert "ONECARD_CI=1" in script
    assert "make test" in (repo_root / "README.md").read_text(encoding="utf-8")
