"""`insight map` on layouts that no contract knows: no ids, wide months, six-digit days, what a spreadsheet broke."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.feeds.proposal.propose import propose
from features.feeds.proposal.seen.personal import damage_of, masked
from features.feeds.proposal.text import yaml_text
from features.feeds.proposal.words import load_words
from features.kit.cli import create_app
from features.kit.home import Home

DECIDED = {
    "time_zone: TODO": "time_zone: Europe/Berlin", "code: TODO": "code: EUR",
    "snapshot_at: TODO": "snapshot_at: 2024-09-30T23:00:00", "TIMESTAMP 'TODO'": "TIMESTAMP '2024-10-15 12:00:00'",
    "DATE 'TODO'": "DATE '2024-06-01'",
}  # fmt: skip


@pytest.fixture
def mapped(tmp_path):
    """Returns a function that writes files, decides every TODO alike and lands what `insight map` proposes."""

    def run(**files):
        folder = tmp_path / "delivery"
        folder.mkdir()
        for name, rows in files.items():
            out = io.StringIO()
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
            (folder / f"{name}.csv").write_text(out.getvalue(), encoding="utf-8")
        proposal = propose(folder)
        text = yaml_text(proposal)
        for todo, value in DECIDED.items():
            text = text.replace(todo, value)
        (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
        land(load_source(tmp_path / "m.yaml"), folder, Home(tmp_path / "home"))
        return proposal, Feeds.open(Home(tmp_path / "home")).connect()

    return run


def people(**columns):
    """Returns 40 rows of a customer list; each column is a function of the row's number."""
    same = {"plan": lambda n: "ABC"[n % 3], "age": lambda n: 20 + n % 9, "churn": lambda n: ["Yes", "No"][n % 4 > 0]}
    return [{name: make(n) for name, make in (columns | same).items()} for n in range(40)]


def test_without_any_id_the_row_is_the_customer(mapped):
    """File and row stand for the customer in every feed, so that attributes and departures meet."""
    proposal, landed = mapped(churn=people(tenure=lambda n: n % 7))
    assert any("no column names the customer" in todo for todo in proposal.plans[0].todos)
    assert landed.execute("SELECT count(*), min(customer_id) FROM customers").fetchone() == (40, "churn.csv:1")
    joined = "SELECT count(*) FROM terminations JOIN attributes USING (customer_id) WHERE tenure IS NOT NULL"
    assert landed.execute(joined).fetchone() == (10,)


@pytest.mark.parametrize("write", ["382-{:04}", "+44 7700 90{:04}", "1380000{:04}"])
def test_a_unique_number_is_the_customer_and_no_comment_shows_it(mapped, write):
    """Where no header names a customer the phone number does, with a warning; it is no attribute."""
    proposal, landed = mapped(subscribers=people(**{"phone number": write.format}))
    assert proposal.views[0].customer == "phone number"
    assert landed.execute("SELECT count(DISTINCT customer_id) FROM customers").fetchone() == (40,)
    comments = [line for line in yaml_text(proposal).splitlines() if line.lstrip().startswith("#")]
    assert not any(write.format(n) in line for line in comments for n in range(40))
    assert "an id of your own is better" in " ".join(comments)


@pytest.mark.parametrize("name", ["{}_{}", "{}_m{}", "{}_M-{}", "2024{1:02}_{0}", "{0}_2024-{1:02}"])
def test_wide_months_become_monthly_feeds(mapped, name):
    """One column a month, by any way of naming months: a row a month in bills and usage, in the months' order."""
    months = {f"{name.format(what, 9 - at if '-{}' in name else 6 + at)}": (what, at)
              for what in ("bill", "data_mb") for at in range(3)}  # fmt: skip
    columns = {header: (lambda n, at=at: 100 * at + n) for header, (_, at) in months.items()}
    proposal, landed = mapped(wide=people(user_id=lambda n: n, **columns))
    bills = landed.execute("SELECT period::VARCHAR, total FROM bills WHERE customer_id = '7' ORDER BY 1").fetchall()
    assert bills == [("2024-06-01", 700), ("2024-07-01", 10700), ("2024-08-01", 20700)]
    used = landed.execute("SELECT data_kb FROM usage_monthly WHERE customer_id = '7' ORDER BY period").fetchall()
    assert used == [(7 * 1024,), (107 * 1024,), (207 * 1024,)]
    assert not {attribute.header for attribute in proposal.attributes} & set(columns)
    assert landed.execute("SELECT min(event_at)::DATE::VARCHAR FROM attributes").fetchone() == ("2024-08-31",)


@pytest.mark.parametrize("name", ["{:02}月账单金额", "bill_{}"])
def test_months_without_a_year_run_over_its_end(tmp_path, name):
    """November, December, January are three months in this order, wherever their columns stand."""
    row = people(user_id=lambda n: n, **{name.format(month): (lambda n: n) for month in (1, 12, 11)})
    (tmp_path / "wide.csv").write_text(
        "\n".join([",".join(row[0]), *(",".join(map(str, one.values())) for one in row)]), "utf-8"
    )
    select = next(plan.select for plan in propose(tmp_path).plans if plan.feed.name == "bills")
    order = [f"'months': {place}, 'total': \"{name.format(month)}\"" for place, month in enumerate((11, 12, 1))]
    assert [line in select for line in order] == [True] * 3


def test_an_empty_month_gives_no_row_and_numbered_answers_are_no_months(mapped):
    """A month without a value is no bill; `q_1 .. q_3` are questions, since their stem is nothing of a month."""
    row = people(user_id=lambda n: n, bill_1=lambda n: n, bill_2=lambda n: "", bill_3=lambda n: n,
                 q_1=lambda n: n % 5, q_2=lambda n: n % 4, q_3=lambda n: n % 3)  # fmt: skip
    proposal, landed = mapped(wide=row)
    assert landed.execute("SELECT count(*) FROM bills").fetchone() == (80,)
    assert {"q_1", "q_2", "q_3"} <= {attribute.header for attribute in proposal.attributes}


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [("240501", "09:05:07", "2024-05-01 07:05:07"), ("240501", "9:05", "2024-05-01 07:05:00"),
     ("20240501", "090507", "2024-05-01 07:05:07"), ("240501 09:05", "x", "2024-05-01 07:05:00")],
)  # fmt: skip
def test_a_day_and_the_clock_beside_it_are_one_moment(mapped, day, time, expected):
    """`240501` is the first of May 2024, no month of the year 2405; calls are calls although no column is their id."""
    calls = [{"user_id": n, "call_date": day, "call_time": time, "wait_sec": n, "talk_sec": 2 * n} for n in range(40)]
    _, landed = mapped(users=people(user_id=lambda n: n, joined_on=lambda n: f"23{1 + n % 12:02}11"), hotline=calls)
    found = landed.execute("SELECT count(*), min(event_at)::VARCHAR, max(event_at)::VARCHAR FROM hotline_calls")
    assert found.fetchone() == (40, expected, expected)
    assert landed.execute("SELECT max(activated_on)::VARCHAR FROM customers").fetchone() == ("2023-12-11",)


def test_six_digits_stay_a_month_or_a_number_where_they_are_one(tmp_path):
    """`202405` beside a clock time is a month, and an area code such as 110101 is no day."""
    rows = "".join(f"{n},202405,09:{n:02}:00,1101{1 + n % 12:02}\n" for n in range(40))
    (tmp_path / "x.csv").write_text("n,month,time,area\n" + rows, encoding="utf-8")
    kinds = {column.name: column.kind for column in propose(tmp_path).views[0].columns}
    assert kinds == {"n": "integer", "month": "period", "time": "clock", "area": "integer"}


def test_customers_that_only_events_name_are_taken_from_them(mapped):
    """Without a list of customers each is one since its first row."""
    use = [{"user_id": n % 9, "month": f"20240{1 + n // 9}", "amount": n} for n in range(45)]
    proposal, landed = mapped(bills=use)
    assert proposal.plans[0].feed.name == "customers"
    found = landed.execute("SELECT count(*), min(event_at)::VARCHAR, count(DISTINCT customer_id) FROM customers")
    assert found.fetchone() == (9, "2023-12-31 23:00:00", 9)


@pytest.mark.parametrize(
    ("header", "values", "said"),
    [("user_id", ["1.38E+10", "13800000001"], "1 of 2"), ("x", ["8.6E+17", "1"], "lost digits"),
     ("客户编号", ["1001.0", "1002.0"], "end in .0"), ("phone", ['="0171"', '="0172"'], "wrapped"),
     ("amount", ["1.5E+3", "2.0"], ""), ("user_id", ["A1", "12E5"], ""), ("mean_fee", ["1.0", "2.0"], "")],
)  # fmt: skip
def test_what_a_spreadsheet_did_to_ids_is_said(header, values, said):
    """Ids only, and numbers too large for anything else; amounts may be written in any way."""
    found = damage_of(header, values, load_words())
    assert said in found
    assert bool(said) == bool(found)


def test_broken_ids_are_said_at_once(tmp_path):
    """On the terminal and at the head of the proposal, not when half of the customers are gone."""
    rows = "".join(f"{n / 7 + 1:.2f}E+10,{n % 3},a,b\n" for n in range(40))
    (tmp_path / "customers.csv").write_text("user_id,x,y,z\n" + rows, encoding="utf-8")
    said = CliRunner().invoke(create_app(), ["map", "--data", str(tmp_path), "--out", str(tmp_path / "m.yaml")]).stdout
    assert "user_id: 40 of 40 different ids are written as 9.99E+99" in said
    assert "have lost digits" in (tmp_path / "m.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "header", "kind"),
    [("Maria Lopez", "who", "category"), ("王小明", "备用", "category"), ("Maria", "account manager", "category"),
     ("Maria Lopez wants money back", "note", "text"), ("maria@x.org", "c", "category"), ("Tel 0171-5550101", "c", "category"),
     ("4917155501011", "x", "integer"), ("13800001234.0", "x", "number"), ("110101199003070011", "证件", "text"),
     ("13800001234", "用户编号", "integer"), ("+49 171 5550101", "x", "text")],
)  # fmt: skip
def test_no_comment_shows_a_number_or_a_name(value, header, kind):
    """Whatever the header is called: the value is not readable any more."""
    shown = masked(value, header, kind)
    assert not any(secret in shown for secret in ("Lopez", "aria", "小明", "5550101", "55501011", "00001234", "199003"))


@pytest.mark.parametrize(
    ("value", "kind"),
    [("Month-to-month", "category"), ("Credit card (automatic)", "category"), ("北京", "category"), ("0.02257143", "number"),
     ("2024-05-01 10:00:00", "instant"), ("120450", "integer"), ("DSL", "category")],
)  # fmt: skip
def test_what_a_person_needs_to_see_is_shown(value, kind):
    """Words, measures and times are what the comments are for."""
    assert masked(value, "x", kind) == value


def test_a_foreign_vocabulary_is_another_column(tmp_path):
    """`state` with the states of a country is a place; with our words it is how a customer stands."""
    columns = {}
    for name, words in {"usa": ("KS", "OH"), "ours": ("active", "closed")}.items():
        (tmp_path / name).mkdir()
        rows = "".join(f"{n},{words[n % 2]},{n % 7}\n" for n in range(40))
        (tmp_path / name / "customers.csv").write_text("user_id,state,x\n" + rows, encoding="utf-8")
        columns[name] = propose(tmp_path / name).found["customers"][0].columns
    assert columns["usa"]["province"] == "state"
    assert columns["ours"]["status"] == "state"


def test_the_guide_shows_how_wide_months_are_unpivoted():
    """The guide's own SELECT runs as it stands there."""
    guide = Path("configs/sources/README.md").read_text(encoding="utf-8")
    select = guide.split("### Months that stand side by side")[1].split("select: |")[1].split("    known_after")[0]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE wide AS SELECT 'f' _file, 1 _row, 'a' id, '10' amount_1, NULL::VARCHAR amount_2"
        )
        assert connection.execute(select).fetchall()[0][2:] == ("a", date(2026, 1, 1), "10")


def test_every_column_about_leaving_is_left_out(tmp_path):
    """A second answer under another name, a score and a reason of leaving are no attributes; the first answer is used."""
    header = "user_id,fee,Churn Label,Churn Value,Churn Score,Churn Category,Attrition_Flag,left,流失标识,distance"
    answers = ("Yes,1,88,price,1,True.,是", "No,0,12,,0,False.,否")
    rows = [f"{8800000000 + n},{n},{answers[n % 2]},{n % 9}" for n in range(60)]
    (tmp_path / "users.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    proposal = propose(tmp_path)
    assert [plan.header for plan in proposal.attributes] == ["fee", "distance"]
    assert """WHERE "Churn Label" = 'Yes'""" in next(p for p in proposal.plans if p.feed.name == "terminations").select
