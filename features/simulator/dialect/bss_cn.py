"""The dialect `bss_cn` as a table: which extract holds which feed, under which headers, in which forms.

`configs/sources/bss_cn.yaml` reads what is written here; that both agree is tested, not generated.
"""

from __future__ import annotations

from features.simulator.dialect.extract import Extract, Form, Rhythm, words

SNAPSHOT: Rhythm = "snapshot"
CHANGED: Rhythm = "changed"
EVENTS: Rhythm = "events"
LATE: Rhythm = "late"

ID, PERSON, TEXT = Form("identifier"), Form("person"), Form("text")
DAY, NO_END, MONTH, AT, NO_END_AT = Form("day"), Form("no_end"), Form("month"), Form("at"), Form("no_end_at")
LI, FEN, YUAN, MB = Form("li"), Form("fen"), Form("yuan"), Form("mb")
YES = words({"true": "是", "false": "否"})
BIT = words({"true": "1", "false": "0"})
CHANNEL = words(
    {"app": "掌厅", "web": "网厅", "hall": "营业厅", "ivr": "自助语音", "message": "短信", "hotline": "热线"}
)
TOPIC = words(
    {
        "network": "网络质量", "data_plan": "套餐流量", "unknown_charge": "不知情扣费", "billing": "账单费用",
        "broadband_tv": "宽带电视", "roaming": "漫游", "attitude": "服务态度", "porting": "携号转网",
        "cancelling": "销户", "contract": "合约", "recharge": "缴费充值", "other": "其他",
    }
)  # fmt: skip
USER = ("用户标识", "customer_id", ID)
HAPPENED = ("发生时间", "event_at", AT)
OF_MONTH = ("统计月份", "_month", MONTH)
STORED = ("入库时间", "known_at", AT)
VALID = (("生效日期", "valid_from", DAY), ("失效日期", "valid_until", NO_END))
USE = (
    ("通话时长（秒）", "voice_seconds", TEXT), ("计费时长（分钟）", "billed_minutes", TEXT),
    ("网间通话时长（秒）", "offnet_seconds", TEXT), ("流量（MB）", "data_kb", MB),
    ("闲时流量（KB）", "night_data_kb", TEXT), ("短信条数", "sms_count", TEXT),
)  # fmt: skip
QUALITY = (
    USER, ("日期", "day", DAY), ("掉话次数", "drops", TEXT), ("卡顿次数", "stalls", TEXT),
    ("弱覆盖时长（分钟）", "weak_signal_minutes", TEXT), ("常驻小区", "cell_id", TEXT),
)  # fmt: skip

EXTRACTS = (
    Extract("customers", "user_info", SNAPSHOT, (
        OF_MONTH, USER, ("变更时间", "event_at", AT), ("入网日期", "activated_on", DAY),
        ("用户类型", "kind", words({"consumer": "个人", "corporate": "集团", "machine": "物联网"})),
        ("用户状态", "status", words({
            "active": "正常", "suspended_arrears": "欠费停机", "suspended_request": "主动停机",
            "suspended_authority": "管理停机", "closed": "销户",
        })),
        ("省份", "province", TEXT), ("地市", "city", TEXT), ("网格", "grid", TEXT), ("出生年份", "birth_year", TEXT),
        ("客户等级", "vip_tier", words({
            "none": "普通", "silver": "银卡", "gold": "金卡", "platinum": "白金卡", "diamond": "钻石卡",
        })),
        ("终端制式", "device_generation", TEXT), ("终端启用日期", "device_since", DAY),
        ("服务语种", "language", words({"zh": "中文", "en": "英文"})),
    ), key="customer_id"),
    Extract("persons", "cust_user_rel", SNAPSHOT, (
        OF_MONTH, USER, HAPPENED, ("客户编号", "person_id", PERSON), ("账户编号", "account_id", PERSON),
        ("角色", "role", words({"main": "主卡", "secondary": "副卡"})), ("称谓", "form_of_address", TEXT), *VALID,
        ("是否已故", "is_deceased", YES),
    ), key="customer_id, person_id, valid_from"),
    Extract("numbers", "msisdn_info", SNAPSHOT, (
        OF_MONTH, ("手机号码", "number", TEXT), USER, HAPPENED, ("启用时间", "valid_from", AT),
        ("停用时间", "valid_until", NO_END_AT), ("携入日期", "ported_in_on", DAY), ("携出日期", "ported_out_on", DAY),
        ("是否实名", "is_verified", YES),
    ), key="number, customer_id, valid_from"),
    Extract("subscriptions", "prod_order", EVENTS, (
        USER, HAPPENED, ("套餐编码", "plan_id", TEXT), ("受理时间", "ordered_at", AT),
        ("生效日期", "effective_on", DAY),
        ("合约类型", "contract_type", words({
            "none": "无合约", "handset": "终端合约", "discount": "优惠合约", "bundle": "融合合约",
        })),
        ("合约开始", "contract_start", DAY), ("合约到期", "contract_end", NO_END), ("优惠到期", "discount_end", NO_END),
        ("优惠金额（分）", "discount_amount", FEN),
    )),
    Extract("bills", "acct_bill", CHANGED, (
        USER, ("账期", "period", MONTH), ("套餐编码", "plan_id", TEXT), ("套餐月费（厘）", "plan_fee", LI),
        ("套外费用（厘）", "overage_fee", LI), ("流量包费（分）", "pack_fee", FEN), ("漫游费（厘）", "roaming_fee", LI),
        ("增值业务费（分）", "value_added_fee", FEN), ("增值业务名称", "value_added_item", TEXT),
        ("优惠（分）", "discount", FEN), ("应收合计（元）", "total", YUAN), ("缴费截止时间", "due_at", AT),
        ("缴清时间", "paid_at", AT), ("欠费（元）", "arrears", YUAN), STORED,
    ), key="customer_id, period"),
    Extract("usage_daily", "cdr_day", EVENTS, (USER, ("日期", "day", DAY), *USE), delimiter=","),
    Extract("usage_daily", "cdr_day_late", LATE, (USER, ("日期", "day", DAY), *USE, STORED), delimiter=","),
    Extract("usage_monthly", "cdr_month", EVENTS, (
        USER, ("账期", "period", MONTH), *USE, ("是否限速", "is_throttled", BIT),
    ), delimiter=","),
    Extract("port_requests", "mnp_step", EVENTS, (
        USER, HAPPENED,
        ("携转环节", "step", words({"enquiry": "咨询", "application": "申请", "code": "取码", "completed": "完成"})),
    )),
    Extract("fixed_services", "fixed_state", EVENTS, (
        USER, HAPPENED, ("业务", "service", words({"broadband": "宽带", "tv": "电视"})),
        ("状态", "status", words({"active": "在用", "closed": "拆机"})), ("签约速率（kbps）", "contracted_kbps", TEXT),
        ("实测速率（kbps）", "measured_kbps", TEXT), ("最近活跃日期", "last_active_on", DAY),
        ("报障次数", "faults", TEXT),
    )),
    Extract("pack_orders", "pack_order", EVENTS, (
        USER, HAPPENED, ("流量包编码", "pack_id", TEXT), ("流量（MB）", "data_kb", MB), ("价格（分）", "price", FEN),
        ("渠道", "channel", CHANNEL),
    )),
    Extract("hotline_calls", "hotline_cdr", EVENTS, (
        USER, ("呼入时间", "event_at", AT), ("流水号", "call_id", TEXT), ("语音导航（秒）", "ivr_seconds", TEXT),
        ("排队（秒）", "wait_seconds", TEXT), ("通话（秒）", "talk_seconds", TEXT), ("来电原因", "topic", TOPIC),
        ("是否人工", "agent", BIT), ("是否解决", "resolved", BIT), ("是否转接", "transferred", BIT),
    )),
    Extract("channel_contacts", "channel_touch", EVENTS, (
        USER, HAPPENED, ("渠道", "channel", CHANNEL),
        ("目的", "purpose", words({"query": "查询", "recharge": "充值", "order": "办理"})),
        ("是否成功", "succeeded", BIT),
    ), delimiter=","),
    Extract("roaming_sessions", "roam_cdr", EVENTS, (
        USER, HAPPENED, ("漫游地", "area", TEXT), ("是否国际", "international", BIT),
        ("通话时长（秒）", "seconds", TEXT), ("流量（KB）", "data_kb", TEXT), ("费用（厘）", "fee", LI),
        ("是否有包", "with_pack", BIT),
    ), delimiter=","),
    Extract("network_experience", "net_quality", EVENTS, QUALITY, delimiter=","),
    Extract("network_experience", "net_quality_late", LATE, (*QUALITY, STORED), delimiter=","),
    Extract("network_faults", "net_fault", EVENTS, (
        ("故障编号", "fault_id", TEXT), HAPPENED, ("网格", "grid", TEXT), ("预计修复日期", "expected_repair_on", DAY),
        ("修复时间", "repaired_at", AT),
    )),
    Extract("tickets", "work_order", EVENTS, (
        USER, HAPPENED, ("工单号", "ticket_id", TEXT),
        ("类型", "kind", words({"complaint": "投诉", "enquiry": "咨询", "request": "办理", "fault": "报障"})),
        ("主题", "topic", TOPIC), ("渠道", "channel", CHANNEL), ("内容", "text", TEXT),
        ("环节", "status", words({"open": "受理", "closed": "办结", "reopened": "重开"})), ("责任班组", "owner", TEXT),
        ("受理时间", "opened_at", AT), ("时限", "due_at", AT), ("办结时间", "closed_at", AT),
        ("满意度（分）", "satisfaction", TEXT),
    )),
    Extract("surveys", "satisfaction", EVENTS, (
        USER, ("答复时间", "event_at", AT), ("问卷", "survey", words({"relationship": "关系满意度"})),
        ("得分", "score", TEXT), ("意见", "comment", TEXT),
    )),
    Extract("consents", "consent", EVENTS, (
        USER, HAPPENED,
        ("用途", "purpose", words({
            "marketing": "营销", "retention": "维系", "service": "服务", "personalisation": "个性化",
        })),
        ("渠道", "channel", words({"all": "全部"})), ("是否同意", "granted", YES),
    )),
    Extract("contacts", "campaign_touch", EVENTS, (
        USER, HAPPENED, ("触点编号", "contact_id", TEXT), ("活动", "campaign", TEXT), ("动作", "action", TEXT),
        ("渠道", "channel", words({"call": "外呼", "message": "短信"})),
        ("组别", "arm", words({"treated": "实验组", "control": "对照组"})), ("投放概率", "propensity", TEXT),
    )),
    Extract("outcomes", "campaign_result", EVENTS, (
        USER, HAPPENED, ("触点编号", "contact_id", TEXT), ("结果", "outcome", TEXT), ("是否接受", "accepted", BIT),
        ("订单号", "order_reference", TEXT),
    )),
    Extract("terminations", "off_net", EVENTS, (
        USER, ("离网时间", "event_at", AT),
        ("离网原因", "reason", words({
            "cancel": "主动销户", "port_out": "携出", "arrears": "欠费拆机", "deceased": "身故", "other": "其他",
        })),
        ("是否主动", "voluntary", YES), ("最后使用日期", "last_used_on", DAY),
    )),
    Extract("plans", "plan_dict", SNAPSHOT, (
        OF_MONTH, ("套餐编码", "plan_id", TEXT), ("套餐名称", "name_zh", TEXT), ("英文名称", "name_en", TEXT),
        ("制式", "generation", TEXT), ("月租费（厘）", "monthly_fee", LI), ("语音（分钟）", "voice_minutes", TEXT),
        ("流量（MB）", "data_kb", MB), ("短信条数", "sms_count", TEXT), ("语音单价（厘）", "voice_overage_price", LI),
        ("流量单价（分）", "data_overage_price", FEN), ("计费块（KB）", "data_block_kb", TEXT),
        ("短信单价（厘）", "sms_overage_price", LI), ("流量封顶（元）", "overage_cap", YUAN),
        ("限速阈值（MB）", "throttle_after_kb", MB), ("结转月数", "rollover_months", TEXT),
        ("保底消费（元）", "minimum_spend", YUAN), ("副卡数", "shared_lines", TEXT),
        ("合约月数", "contract_months", TEXT),
        ("违约金（元）", "early_exit_fee", YUAN), ("优惠金额（分）", "discount_amount", FEN),
        ("优惠月数", "discount_months", TEXT),
        ("适用人群", "audience", words({
            "all": "全部", "new": "新用户", "senior": "老年", "student": "学生", "legacy": "老用户",
        })),
        ("生效方式", "effective", words({"immediate": "立即", "next_month": "次月"})),
        ("上架日期", "on_sale_from", DAY), ("下架日期", "on_sale_until", NO_END), *VALID,
    ), key="plan_id, valid_from"),
    Extract("packs", "pack_dict", SNAPSHOT, (
        OF_MONTH, ("流量包编码", "pack_id", TEXT), ("流量包名称", "name_zh", TEXT), ("英文名称", "name_en", TEXT),
        ("范围", "scope", words({"domestic": "国内", "roaming": "漫游"})), ("流量（MB）", "data_kb", MB),
        ("价格（分）", "price", FEN), ("是否续订", "renews", YES), ("上架日期", "on_sale_from", DAY),
        ("下架日期", "on_sale_until", NO_END), *VALID,
    ), key="pack_id, valid_from"),
)  # fmt: skip
