"""Annex 1 from the books: what they have stands where the original has it, the rest is blank."""

import stat
import time
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from ledger import people, signatures
from ledger.lifecycle import Act
from ledger.temporary import Application
from tests.ledger.lives import BY
from tests.ledger.readers import Reader, open_ledger
from tests.ledger.staff import cheap, staffed, token_of  # noqa: F401 - cheap is a fixture
from tools.annex_form import TITLE
from tools.cli import app
from tools.session import keep

DAY = 20_783  # 2026-11-26
NOON_S = DAY * 86_400 + 4 * 3600
SCRIPT = "<script>x</script>"


class Cells(HTMLParser):
    """The text of each cell and paragraph, and which elements there were."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.elements = [], set()
        self.feed(page)
        self.cells = [" ".join(cell.split()) for cell in self.cells]

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        if tag in ("td", "th", "p", "h1"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON_S)
    store = open_ledger(Reader(3001), path=str(tmp_path / "ledger.sqlite"))
    store.path = tmp_path / "ledger.sqlite"
    yield store
    store.close()


def applied(
    store,
    category=3,
    valid_to=DAY + 9,
    relation="同事",
    applicant="T1",
    user="S1",
    department="总务处",
):
    form = Application(applicant, user, relation, category, department, DAY, valid_to)
    return store.temporaries.apply(form, NOON_S)


def printed(store, number, *words):
    out = store.path.with_name("form.html")
    words = [
        "ledger",
        "temporary",
        "form",
        store.path,
        "--application",
        number,
        "--out",
        out,
        *words,
    ]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    return Cells(out.read_text(encoding="utf-8"))


def test_what_nobody_has_signed_is_a_form_to_sign(store):
    found = printed(store, applied(store), "--school", "某学院")
    assert found.cells[0] == f"某学院{TITLE}"
    by_head = dict(zip(found.cells, found.cells[1:], strict=False))
    boxes = "临时用工人员 ☐ 职工家属 ☐ 物业公司 ☑ 校内经营业主 ☐ 培训学员 ☐ 其他人员 ☐"
    assert by_head["用户类别"] == boxes
    text = "".join(found.cells)
    assert "1. 2026年11月26日至2026年12月5日" in text and "长期 ☐" in text
    for head in ("申请人部门负责人意见", "财务处部门负责人意见"):
        assert "＿＿" in by_head[head]
    assert [cell for cell in found.cells if cell == "延期"] == []
    assert found.cells[-1].startswith("备注：1. 外来人员必须写明用卡期限；2. 临时卡到期前 10 天内")


def test_what_is_signed_handed_out_and_extended_says_by_whom_and_when(store):
    number = applied(store)
    store.temporaries.approve(number, 1, "赵", NOON_S)
    store.temporaries.approve(number, 2, "钱", NOON_S + 86_400)
    store.holders.issue(40, NOON_S)
    store.temporaries.hand_out(number, 40, NOON_S, BY)
    proof = Act(evidence="renewal-proof", person="孙")
    store.temporaries.extend(40, "总务处", DAY + 99, DAY + 5, NOON_S + 5 * 86_400, proof)
    found = printed(store, number)
    by_head = dict(zip(found.cells, found.cells[1:], strict=False))
    assert "签字(盖章)：赵 2026年11月26日" in by_head["申请人部门负责人意见"]
    assert "签字(盖章)：钱 2026年11月27日" in by_head["财务处部门负责人意见"]
    assert "＿＿" not in by_head["财务处部门负责人意见"]
    assert by_head["延期"] == (
        "由 2026年12月5日 延至 2027年3月5日，凭 总务处 续卡证明，经办 孙，2026年12月1日"
    )
    assert "40" in found.cells and "同事" in found.cells
    # The card in its place is of the same form.
    store.cards.set("lose", 40, NOON_S + 6 * 86_400)
    store.holders.issue(41, NOON_S)
    store.reissues.reissue(40, 41, NOON_S + 7 * 86_400, "id-card", BY)
    store.temporaries.extend(41, "总务处", DAY + 150, DAY + 95, NOON_S + 95 * 86_400, proof)
    assert printed(store, number).cells.count("延期") == 2


def test_numbers_are_masked_but_for_who_signs_and_says_so(store):
    number = applied(store, applicant="T20260317", user="S20250042")
    page = " ".join(printed(store, number).cells)
    assert "T2*****17" in page and "S2*****42" in page
    assert "T20260317" not in page and "S20250042" not in page
    why = "--because", "to sign"
    page = " ".join(printed(store, number, *why, "--by", "zhao").cells)
    assert "T20260317" in page and "S20250042" in page


@pytest.mark.usefixtures("cheap")
def test_a_head_signs_for_the_own_department(store, monkeypatch):
    monkeypatch.setenv("ONECARD_SESSION", str(store.path.with_name("session")))
    number = applied(store, applicant="T20260317", department=people.GENERAL)
    staffed(store, NOON_S)
    out = store.path.with_name("form.html")
    words = ["ledger", "temporary", "form", str(store.path), "--application", str(number)]
    words += ["--out", str(out), "--because", "to sign"]
    for login, code in (("stella", 2), ("hes", 2), ("hua", 0)):
        keep(token_of(store, login, NOON_S))
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code, done.output
        assert out.exists() is (code == 0)
    assert "T20260317" in out.read_text(encoding="utf-8")
    acts = [one for one in signatures.acts(store.database, 1_000) if one.verb == "personal.form"]
    assert [(one.login, one.reason) for one in acts] == [
        ("stella", people.NOT_FOR_ROLE),
        ("hes", people.OTHER_DEPARTMENT),
        ("hua", 0),
    ]


def test_who_may_stay_has_the_other_box(store):
    text = "".join(printed(store, applied(store, category=2, valid_to=65_535)).cells)
    assert "长期 ☑" in text and "年 月 日至 年 月 日" in text


def test_what_people_have_written_is_text(store):
    found = printed(store, applied(store, relation=SCRIPT), "--school", SCRIPT)
    assert SCRIPT in found.cells and found.cells[0] == SCRIPT + TITLE
    assert "script" not in found.elements


def test_an_application_that_there_is_not_writes_nothing(store):
    out = store.path.with_name("form.html")
    words = [
        "ledger",
        "temporary",
        "form",
        str(store.path),
        "--application",
        "9",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "no application 9" in done.output and not out.exists()
