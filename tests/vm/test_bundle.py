"""Many files as a few: these do what they did, no more is left, what cannot be is refused."""

import ast
import random
import subprocess
import traceback

import pytest

from simulator.vm import image
from simulator.vm.bundle import FUNCTIONS_MAX, bundle
from simulator.vm.line_map import untangled
from simulator.vm.link import inline
from simulator.vm.program import CannotLink

# Programs that one file instead of many, a short name or a missing one could change: each prints
# what it would change. "p" is a package where there is a "p.something".
PROGRAMS = {
    "the same names in two files": {
        "main": "import a, b\nprint(a.f(), b.f(), a.T[0], b.T[0], a.C().m(), b.C().m())",
        "a": "T = ['a']\ndef f(): return T\nclass C:\n    def m(self): return f()",
        "b": "T = ['b']\ndef f(): return T\nclass C:\n    def m(self): return f()",
    },
    "under other names": {
        "main": "from a import f as g, x\nimport a as h\nprint(g(), x(), h.x(), h.g())",
        "a": "import b as c\nfrom b import f, f as x\ndef g(): return c.f() + 1",
        "b": "def f(): return 5",
    },
    "in packages": {
        "main": "from p import a\nfrom p.q.b import f\nprint(a.f(), f())",
        "p.a": "from p.q import b\ndef f(): return b.f() + b.N[0]",
        "p.q.b": "N = [1]\ndef f(): return N[0]",
    },
    "in the order of their imports": {
        "main": "print('main')\nimport a\nprint(a.L)",
        "a": "from b import L\nimport c\nprint('a')\nL.append('a')\nprint('a ends')",
        "b": "import d\nL = []\nprint('b')\nd.L.append(1)",
        "c": "import b\nprint('c')\nb.L.append('c')",
        "d": "L = []\nprint('d')",
    },
    "a class and its child in another file": {
        "main": "import b\nx = b.B(1, 2)\nprint(x.sum(), x.own(), x.both())",
        "a": "class A:\n    def __init__(self, p):\n        self._p = p\n        self._n = 10\n"
        "    def sum(self): return self._p + self._n",
        "b": "from a import A\nclass B(A):\n    def __init__(self, p, q):\n"
        "        A.__init__(self, p)\n        self._q = q\n        self._r = 100\n"
        "    def own(self): return self._q + self._r\n"
        "    def both(self): return (self._p, self._n, self._q, self._r)",
    },
    "grandchildren in three files": {
        "main": "import c\nprint(c.C().all())",
        "a": "class A:\n    def __init__(self): self._a = 1",
        "b": "from a import A\nclass B(A):\n    def __init__(self):\n"
        "        super().__init__()\n        self._b = 2",
        "c": "from b import B\nclass C(B):\n    def __init__(self):\n"
        "        super().__init__()\n        self._c = 3\n"
        "    def all(self): return self._a, self._b, self._c",
    },
    "set from outside": {
        "main": "import a, b\nx = a.A()\nb.put(x)\nprint(b.got(x), x.all())",
        "a": "class A:\n    def __init__(self): self.one, self.two, self.three = 1, 2, 3\n"
        "    def all(self): return self.one, self.two, self.three",
        "b": "def put(x): x.alien = 7\ndef got(x): return x.alien",
    },
    "found by its letters": {
        "main": "import a\nprint(a.get(a.A(), 'x'), a.A().call())",
        "a": "class A:\n    def __init__(self):\n        for name in ('x', 'yy'):\n"
        "            setattr(self, name, name * 2)\n    def hidden(self): return 'called'\n"
        "    def call(self): return getattr(self, 'hidden')(), self.yy\n"
        "def get(x, name): return getattr(x, name)",
    },
    "arguments by name": {
        "main": "import a\nprint(a.f(1, c=3), a.g(key=4, other=5), a.h())",
        "a": "def f(a, b=2, c=0): return a, b, c\n"
        "def g(**fields): return sorted(fields.items())\n"
        "def h(): return k(z=1, y=2)\ndef k(y, z): return y, z",
    },
    "functions within functions": {
        "main": "import a\nprint(a.outer(1, 2)(3), a.sort([3, 1, 2]), a.late(4)())",
        "a": "def g(x): return x * 10\n"
        "def outer(p, q):\n    def inner(r):\n        return p, q, r, g(r)\n    return inner\n"
        "def sort(them): return sorted(them, key=lambda one: -g(one)), [g(x) for x in them]\n"
        "def late(n):\n    def add():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return add",
    },
    "locals and globals of one name": {
        "main": "import a\nprint(a.f(), a.g(2), a.x(), [x for x in range(2)])",
        "a": "def x(): return 'global'\ndef f():\n    x = 1\n    return x\ndef g(x): return x\n"
        "y = [x for x in range(3)]",
    },
    "counted up": {
        "main": "import a\na.up()\na.up()\nprint(a.count())",
        "a": "n, m = [0], 1\nk = 0\ndef up():\n    global k, m\n    k += 1\n    m = m * 2\n"
        "def count(): return k, m",
    },
    "what only one of two ports has": {
        "main": "import a\nprint(a.f())",
        "a": "try:\n    from hmac import digest\nexcept ImportError:\n    digest = None\n"
        "try:\n    import gc as memory\nexcept ImportError:\n    memory = None\n"
        "def f(): return digest is None or bool(digest), memory is None",
    },
    "defined in a branch": {
        "main": "import a\nprint(a.f(), a.T)",
        "a": "if len('x') == 1:\n    def f(): return 1\n    T = [1]\n"
        "else:\n    def f(): return 2\n    T = [2]",
    },
    "special methods": {
        "main": "import a\nx = a.A()\nprint(x, len(x), x[3], 2 in x, x == 1, list(x))",
        "a": "class A:\n    def __str__(self): return 'A!'\n    def __len__(self): return 4\n"
        "    def __getitem__(self, n): return n * 2\n    def __contains__(self, n): return True\n"
        "    def __eq__(self, other): return other == 1\n"
        "    def __iter__(self): return iter((1,))",
    },
    "properties": {
        "main": "import a\nprint(a.A().x)",
        "a": "class A:\n    @property\n    def dead(self): return 1\n"
        "    @property\n    def x(self): return self.z\n    @property\n    def z(self): return 2",
    },
    "methods that C calls": {
        "main": "import a\nprint('hello', file=a.A())",
        "a": "import io\nclass A(io.IOBase):\n    def write(self, data):\n"
        "        print(bytes(data))\n        return len(data)\n    def helper(self): return 1",
    },
    "names that types have too": {
        "main": "import a\nx = a.A()\nx.append(1)\nprint(x.items, x.index(2), a.f([1], {2: 3}))",
        "a": "class A:\n    def __init__(self): self.items = []\n"
        "    def append(self, n): self.items.append(n)\n    def index(self, n): return n\n"
        "    def keys(self): return 1\ndef f(a, b):\n"
        "    a.append(2)\n    return a, list(b.keys())",
    },
    "errors": {
        "main": "import a\ntry:\n    a.f()\nexcept a.E as error:\n"
        "    print(error.code, error.args, str(error))\nprint(a.g())",
        "a": "class E(Exception):\n    def __init__(self, code):\n"
        "        super().__init__(code, 'x')\n        self.code = code\n"
        "    def __str__(self): return 'E%d' % self.code\n"
        "def f(): raise E(7)\n"
        "def g():\n    try:\n        f()\n    except (OSError, E) as error:\n"
        "        return error.code\n    finally:\n        print('done')",
    },
    "f-strings": {
        "main": "import a\nprint(a.f(1, 2), a.A().m())",
        "a": "def f(x, y): return f'{x} {y!r:>4}' + str(y)\n"
        "class A:\n    def __init__(self): self.v = 3\n    def m(self): return f'{self.v}'",
    },
    "class bodies": {
        "main": "import a\nprint(a.A.size, a.A().m(), a.A().n(), a.A().two)",
        "a": "def g(): return 9\nN = [4]\nclass A:\n    size = N\n    two = size[0] * 2\n"
        "    def m(self, n=N, f=g): return n, f()\n    def n(self): return self.m(n=1)",
    },
    "names without values": {
        "main": "import a\ntry:\n    a.f()\nexcept NameError:\n    print('no name')\n"
        "try:\n    a.A().g()\nexcept AttributeError:\n    print('no attribute')",
        "a": "def f(): return nowhere\nclass A:\n    def g(self): return self.nothing",
    },
    "of the port": {
        "main": "import a\nprint(a.f(), a.g(b'12'))",
        "a": "import struct\nfrom struct import pack, unpack as pack_off\nimport b\n"
        "class A:\n    def calcsize(self): return 'ours'\n    def pack(self): return 1\n"
        "def f(): return struct.calcsize('<I'), A().calcsize(), b.pack(), A().pack()\n"
        "def g(x): return pack('<H', pack_off('<H', x)[0])",
        "b": "from binascii import hexlify as pack_it\ndef pack(): return pack_it(b'1')",
    },
}

# A program -> words that must be gone from it, and words that must not.
DROPPED = {
    "a function": ("import a\na.f()", "def f(): 'used'\ndef g(): 'unused'", ["unused"]),
    "one that calls itself": (
        "import a\na.f()",
        "def f(): 'used'\ndef g(): g('unused')",
        ["unused"],
    ),
    "two that call each other": (
        "import a\na.f()",
        "def f(): 'used'\ndef g(): h('gone 1')\ndef h(): g('gone 2')",
        ["gone 1", "gone 2"],
    ),
    "what only they need": (
        "import a\na.f()",
        "import struct\nT = ['gone 1']\nU = bytes('gone 2')\ndef f(): 'used'\n"
        "def g(): return T, U, struct",
        ["gone 1", "gone 2", "struct"],
    ),
    "a class": (
        "import a\na.f()",
        "def f(): 'used'\nclass A:\n    def f(self): 'unused'\nclass B(A): pass",
        ["unused", "class"],
    ),
    "a method": (
        "import a\na.A().f()",
        "class A:\n    def f(self): 'used'\n    def g(self): self.g('unused')\n"
        "    @property\n    def h(self): return 'unused too'",
        ["unused", "unused too", "property"],
    ),
    "a method of a class that is not made": (
        "import a\na.f(None)",
        "def f(x): return x.g('used')\nclass A:\n    def g(self): 'unused'",
        ["unused"],
    ),
    "a file": ("print('used')", "print('unused')", ["unused"]),
}

REFUSED = {
    "a module as a value": ({"main": "import a\nm = a", "a": ""}, "main.*:2: a module as a value"),
    "in a list": ({"main": "import b", "b": "import a\nL = [a]", "a": ""}, "b:2: a module as"),
    "asked for by getattr": (
        {"main": "import a\ngetattr(a, 'f')", "a": "def f(): pass"},
        "a module as a value",
    ),
    "behind something": (
        {"main": "import b", "b": "x = f()\nimport a", "a": ""},
        "b:2: an import",
    ),
    "relative": (
        {"main": "import p.a as a", "p": "", "p.a": "from . import b"},
        "p.a:1: relative",
    ),
    "all of it": ({"main": "from a import *", "a": "x = 1"}, "an import that may not be one"),
    "not always": ({"main": "if 1:\n    import a", "a": ""}, "an import that may not be one"),
    "in a function": (
        {"main": "import b", "b": "def f():\n    import a", "a": ""},
        "b:2: an import that may not be one",
    ),
    "twice": ({"main": "import a\na = 1", "a": ""}, "an import that may not be one"),
    "set": ({"main": "import a\na.x = 2", "a": "x = [1]"}, "a name of another module is set"),
    "changing": (
        {"main": "from a import n\nprint(n)", "a": "n = 1\ndef f():\n    global n\n    n = 2"},
        "a changes n",
    ),
    "missing": ({"main": "import a\na.y()", "a": "x = [1]"}, "a has no y"),
    "asks for its names": ({"main": "import a", "a": "print(globals())"}, "a:1: globals"),
    "asks who it is": ({"main": "import a", "a": "print(__name__)"}, "a:1: __name__"),
    "of the class or of the file": (
        {"main": "import a\na.A", "a": "x = [1]\nclass A:\n    x = 2\n    y = x"},
        "a:4: x of the class or of the file",
    ),
    "a global in an f-string": (
        {"main": "import a\na.f()", "a": "x = [1]\ndef f(): return f'{x}'"},
        "a:2: x in an f-string",
    ),
    "a name of ours": ({"main": "import a", "a": "_0 = [1]"}, "_0 is a name of the linker"),
    "many modules": ({"main": "import p.a\np.a.f()", "p": "", "p.a": ""}, "an import of many"),
}


def linked(sources, functions_max=FUNCTIONS_MAX):
    """The bundle of a program, as the image has it: without its numbers."""
    main, others = (
        sources["main"],
        {name: text for name, text in sources.items() if name != "main"},
    )
    inlined = inline({**others, "(main)": main}, as_source=["(main)"])
    return bundle(inlined.pop("(main)"), inlined, functions_max=functions_max)


def reader(made):
    """All parts of a bundle as one text."""
    return "".join(made.parts.values())


def packages(sources):
    """With what makes a folder a package."""
    folders = {name.rpartition(".")[0] for name in sources} - {""}
    return {**dict.fromkeys(folders, ""), **sources}


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


@pytest.mark.parametrize("sources", PROGRAMS.values(), ids=PROGRAMS)
def test_few_files_do_what_many_did(sources, micropython, tmp_path):
    """All in one part, and each file in a part of its own."""
    sources = packages(sources)
    expected = run(micropython, tmp_path / "as_written", sources)
    assert expected
    for functions_max in (FUNCTIONS_MAX, (1, 1)):
        made = linked(sources, functions_max)
        folder = tmp_path / f"linked_{functions_max[1]}"
        assert run(micropython, folder, {"main": made.main, **made.parts}) == expected
    assert len(linked(sources).parts) == 1


def test_a_part_has_no_more_functions_than_it_may(repo_root):
    main, sources = firmware(repo_root)
    counts = {}
    for functions_max in ((100, 100), (300, 100), FUNCTIONS_MAX):
        made = bundle(main, sources, functions_max=functions_max)
        counts[functions_max] = len(made.parts)
        for number, text in enumerate(made.parts.values()):
            tree = ast.parse(text)
            kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
            count = sum(isinstance(node, kinds) for node in ast.walk(tree))
            assert count <= functions_max[number > 0]
    assert counts[100, 100] > counts[300, 100] > counts[FUNCTIONS_MAX] > 1


@pytest.mark.parametrize(("main", "other", "gone"), DROPPED.values(), ids=DROPPED)
def test_what_nobody_uses_is_gone(main, other, gone):
    made = linked({"main": main, "a": other})
    said = {node.value for node in ast.walk(ast.parse(reader(made) + made.main)) if is_text(node)}
    assert "used" in said
    for word in gone:
        assert word not in reader(made), reader(made)


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize(("sources", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(sources, why):
    with pytest.raises(CannotLink, match=why):
        bundle(sources["main"], {name: text for name, text in sources.items() if name != "main"})


def test_what_does_something_stays():
    made = linked({"main": "import a", "a": "x = []\nx.append(f())\nprint('seen')\ny = f()"})
    assert "print('seen')" in reader(made) and reader(made).count("f()") == 2


def test_words_that_are_there_anyhow_are_names_too():
    sources = {
        "main": "import a\na.f().seek(at=0)",
        "a": "import sys\ndef f(): return g()\ndef g(): return h()\ndef h(): return sys.stdin",
    }
    tree = ast.parse(reader(linked(sources)))
    assert {part.name for part in tree.body if isinstance(part, ast.FunctionDef)} <= {
        *("_0", "_1", "stdin"),
    }


def test_names_are_few():
    """Two files without anything in common, of 20 names each, are 20 names and not 40."""
    body = "class {0}:\n    def __init__(self):\n" + "".join(
        f"        self.{{0}}{number} = {number}\n" for number in range(20)
    )
    made = linked(
        {"main": "import a, b\na.A()\nb.B()", "a": body.format("A"), "b": body.format("B")}
    )
    tree = ast.parse(reader(made))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert names == {f"_{number}" for number in range(20)}


def firmware(repo_root):
    """(main, sources) of the reader, as written."""
    paths = image.modules(repo_root, image.ROOMS)
    sources = {name: path.read_text() for name, path in paths.items() if name != image.BOOT}
    return sources.pop(image.MAIN), sources


def test_no_line_moves(repo_root):
    main, sources = firmware(repo_root)
    made = bundle(main, sources)
    rows = [row.split() for row in made.line_map.splitlines()]
    seen = set()
    for part, text in made.parts.items():
        lines = text.split("\n")
        starts = [(int(row[1]), row[3]) for row in rows if row[0] == part and row[2] == "1"]
        for (start, path), (end, _) in zip(starts, [*starts[1:], (len(lines), "")], strict=True):
            seen.add(path)
            source = sources[path.removesuffix(".py").replace("/", ".")].split("\n")
            ours = lines[start - 1 : end - 1]
            assert len(ours) == max(len(source) - 1, 1)
            # What is left of a line begins as deep as it did.
            for old, new in zip(source, ours, strict=False):
                if new.strip():
                    depths = [len(line) - len(line.lstrip()) for line in (old, new)]
                    assert depths[0] == depths[1]
        compile(text, part, "exec")
    assert len(seen) > 40


def test_no_two_things_have_one_name(repo_root):
    main, sources = firmware(repo_root)
    inlined = inline({**sources, "(main)": main}, as_source=["(main)"])
    tree = ast.parse(reader(bundle(inlined.pop("(main)"), inlined)))
    defined = [part.name for part in tree.body if isinstance(part, ast.FunctionDef | ast.ClassDef)]
    assert len(defined) == len(set(defined)) > 200


def test_tracebacks_tell_the_source():
    sources = {
        "a": "def f(x):\n    return 1 // x\n\n\nclass A:\n    def m(self):\n"
        "        def inner():\n            return f(0)\n\n        return (\n            1,\n"
        "            inner(),\n        )\n\n\nL = [0]\n",
        "b": "import a\n\n\ndef dead():\n    pass\n\n\ndef g():\n    a.A().m()\n",
    }
    expected = [("b", 9, "g"), ("a", 12, "m"), ("a", 8, "inner"), ("a", 2, "f")]
    told = [f'File "{name}.py", line {line}, in {function}' for name, line, function in expected]
    for functions_max in (FUNCTIONS_MAX, (1, 1)):
        made = linked({"main": "import b\nb.g()", **sources}, functions_max)
        said = traceback_of(made)
        assert said != untangled(said, made.line_map)
        assert [line.strip() for line in untangled(said, made.line_map).splitlines()] == told
        assert untangled(said, "") == said


def traceback_of(made):
    """As MicroPython prints it: one line for each call inside the reader."""
    names = {}
    for part, text in made.parts.items():
        text = text.replace("from reader_0 import", "#")
        exec(compile(text, f"/rom/{part}.mpy", "exec"), names)  # noqa: S102
    try:
        exec(made.main.partition("\n")[2], names)  # noqa: S102
    except ZeroDivisionError as error:
        frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith("/rom/")]
    return "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in ours)


def test_the_order_of_the_files_given_does_not_matter(repo_root):
    main, sources = firmware(repo_root)
    shuffled = list(sources.items())
    random.Random(1).shuffle(shuffled)
    assert bundle(main, dict(shuffled)) == bundle(main, sources)
