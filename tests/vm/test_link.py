"""Numbers for names, in all files at once: first whatever must not be touched, then what goes."""

import ast
import subprocess

import pytest

from simulator.vm import image
from simulator.vm.link import inline

A = "A = 5\nB = 6\ndef f(): return A\n"

# Programs in which a name is more than the number that it was given once, or in which somebody
# looks for it by its letters. Each prints what a wrong number or a missing name would change.
LEFT_ALONE = {
    "assigned twice": {"main": "A = 1\nA = 2\nprint(A)"},
    "assigned in a branch": {"main": "A = 1\nif A:\n    A = 2\nprint(A)"},
    "only in a branch": {"main": "if id:\n    A = 1\nelse:\n    B = 1\nprint(A)"},
    "counted up": {"main": "A = 1\nA += 1\nprint(A)"},
    "global": {"main": "A = 1\ndef f():\n    global A\n    A = 2\nf()\nprint(A)"},
    "a local": {"main": "A = 1\ndef f():\n    A = 2\n    return A\nprint(A, f())"},
    "an argument": {"main": "A = 1\ndef f(A):\n    return A\nprint(A, f(3))"},
    "a class attribute": {"main": "A = 1\nclass C:\n    A = 2\nprint(A, C.A)"},
    "a loop variable": {"main": "A = 1\nfor A in range(3):\n    pass\nprint(A)"},
    "in a comprehension": {"main": "A = 1\nprint([A for A in range(3)], A)"},
    "an exception": {
        "main": "A = 1\ntry:\n    0 // 0\nexcept ZeroDivisionError as A:\n    print(A)"
    },
    "deleted": {"main": "A = 1\ndel A\nprint('A' in globals())"},
    "a function too": {"main": "A = 1\ndef A(): pass\nprint(A is 1)"},
    "an import too": {"main": "A = 1\nimport a as A\nprint(A.__name__)", "a": "x = 'x'"},
    "in an f-string": {"main": "A = 1\nprint(f'{A}')"},
    "looked for": {"main": "A = 1\nprint(globals()['A'])"},
    "set by its letters": {"main": "A = 1\nglobals()['A'] = 2\nprint(A)"},
    "evaluated": {"main": "A = 1\nprint(eval('A'))"},
    "no integer": {"main": "A = True\nB = 1.5\nC = 'x'\nD = A + A\nprint(A, B, C, D)"},
    "mutable": {"main": "A = [1]\nB = {}\nC = bytearray(b'x')\nC[0] = A[0]\nprint(A, B, C)"},
    "long": {"main": "A = b'x' * 257\nB = A[0]\nprint(A, B)"},
    "a type error": {
        "main": "try:\n    from a import A\nexcept TypeError:\n    print('type')",
        "a": "A = b'x' + 1",
    },
    "no arithmetic": {"main": "A = len('x')\nB = C = 1\nD, E = id, 2\nprint(A, B, C, E)"},
    "fails where it stands": {
        "main": "try:\n    from a import A\nexcept ZeroDivisionError:\n    print('zero')",
        "a": "A = 1 // 0",
    },
    "set from outside": {"main": "import a\na.A = 7\nprint(a.A, a.f())", "a": A},
    "set through a value": {"main": "import a\nm = a\nm.A = 7\nprint(a.A, a.f())", "a": A},
    "set by setattr": {"main": "import a\nsetattr(a, 'A', 7)\nprint(a.A, a.f())", "a": A},
    "module as a value": {"main": "import a\nprint(getattr(a, 'A'), a.B)", "a": A},
    "module in a package as a value": {
        "main": "from p import a as x\nprint([m.A for m in (x,)])",
        "p": "",
        "p.a": "A = 5",
    },
    "module by its full name": {"main": "import p.a\nprint(p.a.A)", "p": "", "p.a": "A = 5"},
    "module by a string": {"main": "a = __import__('a')\nprint(a.A)", "a": "A = 5"},
    "a module's module": {
        "main": "import a\nprint(a.b.B)",
        "a": "import b",
        "b": "B = 6",
    },
    "a module's name of another": {
        "main": "import a\nprint(getattr(a, 'B'))",
        "a": "from b import B",
        "b": "B = 6",
    },
    "all of it": {"main": "from a import *\nprint(A)", "a": "A = 5"},
    "imported, then changed": {"main": "from a import A\nA += 1\nprint(A)", "a": "A = 5"},
    "either import": {
        "main": "def f():\n    import a as m\n    return m.A\n"
        "def g():\n    import b as m\n    return m.A\nprint(f(), g())",
        "a": "A = 5",
        "b": "A = 6",
    },
}

# What becomes of a file beside others.
REWRITTEN = [
    ("A = 1", {}, "pass"),
    ("A = 1  # why", {}, "pass  # why"),
    ("A, B = 0x10, -2\nf(A, B)", {}, "pass\nf(16, (-2))"),
    ("A = 1 << 3 | 2\nB = A * ~A % 7\nf('é', B)", {}, "pass\npass\nf('é', 2)"),
    ("A = (\n    1\n)\nf(A)", {}, "pass\n\n\nf(1)"),
    ("A = 5\nx = A.real, -A, A ** 2", {}, "pass\nx = (5).real, -5, 5 ** 2"),
    ("A = -1\nx = A ** 2", {}, "pass\nx = (-1) ** 2"),
    (r"A = b'\0' * 3; B = A + b'\xc3'; f(B)", {}, r"pass; pass; f(b'\x00\x00\x00\xc3')"),
    ("A = 1\nf(A=A).A", {}, "pass\nf(A=1).A"),
    ("A = 1\ndef f(x=A): return x", {}, "pass\ndef f(x=1): return x"),
    ("from a import A\nf(A)", {"a": "A = 5"}, "pass\nf(5)"),
    ("from a import A as X, f\nf(X)", {"a": "A = 5"}, "from a import f\nf(5)"),
    ("from a import (\n    A,\n    f,\n)\nf(A)", {"a": "A = 5"}, "from a import f\n\n\n\nf(5)"),
    ("import a\nf(a.A)", {"a": "A = 5"}, "pass\nf(5)"),
    ("import a\na.f(a.A)", {"a": "A = 5"}, "import a\na.f(5)"),
    ("import a, b\na.f(b.B)", {"a": "", "b": "B = 6"}, "import a\na.f(6)"),
    ("from p import a as m, x\nf(m.A)", {"p": "", "p.a": "A = 5"}, "from p import x\nf(5)"),
    (
        "def f():\n    from a import A\n    return A",
        {"a": "A = 5"},
        "def f():\n    pass\n    return 5",
    ),
    (
        "from a import A\nB = A + 1\nf(B)",
        {"a": "from b import A", "b": "A = 5"},
        "pass\npass\nf(6)",
    ),
    ("import a\nf(a.A)", {"a": "import b\nA = b.B * 2", "b": "B = 6"}, "pass\nf(12)"),
    # An import that nothing is read of may be there for what it does.
    ("import a", {"a": "A = 5"}, "import a"),
    # Of two names the one goes.
    ("A, B = 1, 2\nf(A, f'{B}')", {}, "B = 2\nf(1, f'{B}')"),
]


def run(micropython, folder, sources):
    """What MicroPython prints when it runs `main` of a program."""
    for module, source in sources.items():
        is_package = any(other.startswith(module + ".") for other in sources)
        path = folder.joinpath(*module.split("."))
        path = path / "__init__.py" if is_package else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    command = [micropython, "main.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("sources", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_a_name_that_means_more_stays(sources, micropython, tmp_path):
    linked = inline(sources)
    expected = run(micropython, tmp_path / "as_written", sources)
    assert expected
    assert run(micropython, tmp_path / "linked", linked) == expected


@pytest.mark.parametrize("name", [n for n, files in LEFT_ALONE.items() if len(files) == 1])
def test_one_file_in_doubt_is_not_touched(name):
    assert inline(LEFT_ALONE[name]) == LEFT_ALONE[name]


@pytest.mark.parametrize(("source", "others", "expected"), REWRITTEN)
def test_numbers_take_the_place_of_names(source, others, expected):
    linked = inline({"main": source, **others})
    assert linked["main"] == expected
    assert linked["main"].count("\n") == source.count("\n")


def test_a_name_goes_when_its_last_reader_has_the_number():
    assert (
        inline({"main": "import a\nprint(a.A)", "a": A})["a"] == "pass\npass\ndef f(): return 5\n"
    )


def test_a_file_that_runs_as_source_gets_what_it_asks_for():
    """And so do those on the way: it asks `a`, which has it from `b`."""
    sources = {
        "main": "import a\nprint(a.A)",
        "a": "from b import A, B\nf(A, B)",
        "b": "A, B = 1, 2",
    }
    assert inline(sources, as_source=["main"]) == {
        "main": sources["main"],
        "a": "from b import A\nf(1, 2)",
        "b": "A = 1",
    }


def test_in_an_open_program_only_private_names_go():
    source = {"main": "_A = 1\nB = _A + 1\nf(_A, B)"}
    assert inline(source, is_open=True) == {"main": "pass\nB = 1 + 1\nf(1, 2)"}


def test_a_relative_import_is_refused():
    """Nobody here writes one, and what it reaches would have to be known."""
    with pytest.raises(SyntaxError, match="relative import"):
        inline({"p": "", "p.main": "from . import a", "p.a": "A = 5"})


def test_no_line_of_the_firmware_moves_and_no_number_keeps_its_name(repo_root):
    paths = image.modules(repo_root, image.ROOMS)
    sources = {module: path.read_text() for module, path in paths.items()}
    linked = inline(sources, as_source=[image.BOOT, image.MAIN])
    assert len(numbers_with_a_name(sources)) > 300
    assert numbers_with_a_name(linked) == []
    for module, source in sources.items():
        assert linked[module].count("\n") == source.count("\n"), module
        compile(linked[module], module, "exec")


def numbers_with_a_name(sources):
    """`module.NAME` for each statement that gives one number to one name."""
    return [
        f"{module}.{statement.targets[0].id}"
        for module, source in sources.items()
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
        and type(statement.value.value) is int
    ]
