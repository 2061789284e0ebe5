"""What a comment may show of a value, and what a spreadsheet did to ids: no number and no name of a person is shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from features.feeds.proposal.words import Words, folded, words_in

_PHONE = re.compile(r"(?<!\d)(?:\+?86)?1[3-9]\d{9}(?!\d)")
_DIGITS = re.compile(r"\+?\(?\d(?:[ ().-]{0,2}\d){6,}[Xx]?")
_PERSONAL = (
    "姓名", "名字", "名称", "联系", "地址", "住址", "身份证", "证件", "户主", "机主", "昵称", "客户经理", "经办",
    "坐席", "处理人", "责任人", "name", "address", "mail", "passport", "idcard", "agent", "owner", "manager",
    "assignee", "caller", "contact", "employee", "staff", "openedby", "closedby", "resolvedby", "createdby",
    "updatedby",
)  # fmt: skip
_NOT_PERSONAL = (
    "plan", "pack", "套餐", "product", "产品", "campaign", "活动", "city", "service", "channel", "type", "reason",
)  # fmt: skip
_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任"
    "姜范方石姚谭廖邹熊陆郝孔崔康邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚"
)
_TWO_NAMES = re.compile(r"[^\W\d_a-z][^\W\d_]+(?:[ ,]+[^\W\d_a-z][^\W\d_]*\.?){1,3}")
_NOT_NAMES = frozenset(["no", "yes", "not", "internet", "service", "card", "contract", "plan", "type", "call"])
_SCIENTIFIC = re.compile(r"[+-]?\d(\.\d+[eE]\+?|[eE]\+)\d{1,3}")
_OF_ID = ("id", "no", "number", "phone", "mobile", "msisdn", "imsi", "iccid", "account")
_OF_ID_ZH = ("编号", "编码", "流水", "单号", "标识", "号码", "手机号", "账号", "卡号")


def names_an_id(header: str, words: Words) -> bool:
    """Tells whether a header is one of identifiers or numbers. Example: `用户编号`, `user_id`, `Phone`."""
    latin = words_in(header)
    return (
        any(words.means(header, column) for column in ("customer_id", "number", "event_id"))
        or any(word in _OF_ID for word in latin)
        or header.strip().endswith(_OF_ID_ZH)
    )


def damage_of(header: str, values: Sequence[str], words: Words) -> str:
    """Returns what a spreadsheet did to a column's ids, with how many values show it, or an empty string."""
    is_id = names_an_id(header, words)
    lost = sum(bool(_SCIENTIFIC.fullmatch(v)) and (is_id or int(re.split("[eE]", v)[1]) >= 10) for v in values)
    if lost:
        lost_of = f"{lost:,} of {len(values):,} different ids"
        return f"{lost_of} are written as 9.99E+99 and have lost digits; deliver them as text"
    pointed = sum(bool(re.fullmatch(r"\d+\.0+", value)) for value in values)
    if is_id and values and pointed == len(values):
        return "ids end in .0: a spreadsheet made numbers of them, leading zeros are gone; deliver them as text"
    wrapped = sum(value.startswith(('="', "'")) for value in values)
    if is_id and wrapped:
        return f'{wrapped:,} ids are wrapped as ="..." or begin with a quote sign; deliver them as text'
    return ""


def is_phone_like(header: str, values: Sequence[str], words: Words) -> bool:
    """Tells whether values are phone numbers: 7 to 15 digits, by the header or by the way they are written."""
    if not values or not all(re.fullmatch(r"\+?[\d ().-]{7,24}(?:\.0)?", value.strip()) for value in values):
        return False
    digits = [re.sub(r"\D", "", value.strip().removesuffix(".0")) for value in values]
    if not all(7 <= len(number) <= 15 for number in digits):
        return False
    named = words.means(header, "number") or any(
        part in folded(header) for part in ("phone", "mobile", "msisdn", "手机", "号码", "电话")
    )
    written = all(re.search(r"^\+|\d[ ().-]+\d", value.strip().removesuffix(".0")) for value in values)
    return named or written or all(_PHONE.fullmatch(number) for number in digits)


def masked(value: str, header: str, kind: str = "text") -> str:
    """Returns a value as a comment may show it: on one line, short, without a number or a name of a person.

    Of a text that may name somebody the first character stays; of free text and ids only the shape (`9999-AAAAA`).
    """
    if kind in ("date", "period", "instant", "clock", "flag"):
        return _on_one_line(value)
    name = folded(header)
    if any(word in name for word in _PERSONAL) and not any(word in name for word in _NOT_PERSONAL):
        return (value[:1] + "***") if value else value
    if kind == "number" and not re.match(r"[+-]?\d{7}", value):
        return value
    shown = _DIGITS.sub(lambda match: re.sub(r"\D", "", match[0])[:3] + "****", value)
    if kind in ("category", "words"):
        return value[:1] + "***" if kind == "category" and _names_somebody(value) else _on_one_line(shown)
    return _on_one_line(shown if kind in ("integer", "number") else _shape(shown))


def _names_somebody(value: str) -> bool:
    plain = value.strip()
    if "@" in plain or (plain[:1] in _SURNAMES and 2 <= len(plain) <= 4 and all("一" <= c <= "鿿" for c in plain)):
        return True
    return bool(_TWO_NAMES.fullmatch(plain)) and not set(plain.lower().split()) & _NOT_NAMES


def _shape(text: str) -> str:
    """Returns digits as 9, letters as a or A, Chinese characters beyond the first as ***."""

    def of(char: str) -> str:
        return "9" if char.isdigit() else "A" if char.isupper() else "a" if char.isalpha() else char

    first = text[:1] if text[:1] >= "⺀" else of(text[:1])
    return first + re.sub(r"[⺀-\uffff]+", "***", "".join(of(c) if c < "⺀" else c for c in text[1:]))


def _on_one_line(text: str) -> str:
    line = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    return line if len(line) <= 28 else line[:25] + "..."
