# ruff: noqa: E501 -- one mistake a line: as a table it can be read
"""Policy files with one mistake each: what it is, the text, the place it must be told at, and words it must be told in."""

from __future__ import annotations

from textwrap import dedent

HEAD = "apiVersion: deskgate/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n"
"""Four lines, so what follows begins on line 5."""
RULES = HEAD + "  rules:\n    - id: r\n      actions: [a]\n"
"""Seven lines of a rule; its other fields begin on line 8, column 7."""
DENY = RULES + "      effect: deny\n      reason: OVER_QUOTA\n"
"""Nine lines of a rule that denies."""
ALLOW = RULES + "      effect: allow\n"


def spec(text: str) -> str:
    return HEAD + "".join(f"  {line}\n" for line in dedent(text).strip().splitlines())


BAD = [
    # the file as such
    ("empty", "", "1:1", "the file is empty"),
    ("only a comment", "# nothing\n", "1:1", "the file is empty"),
    ("only dashes", "---\n", "2:1", "the policy: expected a mapping, got nothing"),
    ("a text", "hello\n", "1:1", "expected a mapping, got 'hello'"),
    ("a list", "- a\n", "1:1", "expected a mapping, got a list"),
    ("tab", HEAD + "\trules: []\n", "5:1", "the line holds a tab (use spaces"),
    ("tabs", HEAD + "  rules:\t[]\n\t#\n", "5:9", "so do 1 more lines"),
    ("not UTF-8", b"apiVersion: deskgate/v1\nkind: \xff\n", "2:7", "the file is not UTF-8 (save it as UTF-8)"),
    ("UTF-16", "apiVersion: x".encode("utf-16"), "1:1", "not UTF-8"),
    ("control character", HEAD + "  # \x07\n", "5:5", "this is not YAML: "),
    ("too large", HEAD + "#" * 262_144, "1:1", "larger than 256 KiB"),
    ("not YAML", HEAD + "  rules: [\n", "6:1", "this is not YAML: "),
    ("not YAML either", HEAD + "  rules: 'a\n", "6:1", "end of stream while scanning a quoted scalar"),
    ("bad indentation", HEAD + "  rules: []\n terms: {}\n", "6:2", "this is not YAML: "),
    ("too deep", "a: " + "[" * 16 + "]" * 16 + "\n", "1:19", "nested more than 16 deep"),
    ("two documents", ALLOW + "---\na: b\n", "9:1", "a second document starts here (one file holds one policy"),
    # YAML that may surprise
    ("anchor", HEAD + "  rules: &x []\n", "5:10", "anchors are not allowed: &x (write the value out"),
    ("alias", ALLOW + "      description: *x\n", "9:20", "rule r: aliases are not allowed: *x"),
    ("tag", ALLOW.replace("allow", "!!str allow"), "8:15", "tags are not allowed: tag:yaml.org,2002:str"),
    ("own tag", HEAD + "  rules: !include x\n", "5:10", "tags are not allowed: !include"),
    ("merge key", ALLOW + "      <<: {}\n", "9:7", "a key must be text, and YAML reads '<<' as a merge"),
    ("duplicate key", ALLOW + "      effect: deny\n", "9:7", "rule r: duplicate key 'effect' (it is given on line 8"),
    ("boolean key", HEAD + "  on: {}\n", "5:3", "YAML reads 'on' as a boolean (write \"on\")"),
    ("true key", HEAD + "  true: {}\n", "5:3", "YAML reads 'true' as a boolean"),
    ("number key", HEAD + "  1: {}\n", "5:3", "YAML reads '1' as a number (write \"1\")"),
    ("list as key", HEAD + "  [a]: {}\n", "5:3", "a key must be text (a list or mapping cannot be one)"),
    ("no for text", spec("rules: [{id: no, actions: [a], effect: allow}]"), "5:16", 'got the boolean no (for the text, write "no")'),
    ("yes for true", ALLOW + "      licensed: yes\n", "9:17", "expected true or false, got the boolean yes (write true)"),
    ("off for false", ALLOW + "      licensed: off\n", "9:17", "got the boolean off (write false)"),
    ("text for true", ALLOW + '      licensed: "true"\n', "9:17", "licensed: expected true or false, got 'true'"),
    ("date for text", ALLOW + "      description: 2026-01-31\n", "9:20", 'got the date 2026-01-31 (for the text, write "2026'),
    ("number for text", HEAD.replace("name: p", "name: 7") + "  rules: []\n", "3:18", 'got the number 7 (for the text, write "7")'),
    ("true for text", ALLOW + "      keys: [true]\n", "9:14", "keys[0]: expected text, got the boolean true"),
    ("nothing", ALLOW + "      phase:\n", "9:13", "phase: expected a list, got nothing"),
    ("null", ALLOW + "      when: null\n", "9:13", "when: expected text, got nothing"),
    # shape
    ("wrong apiVersion", ALLOW.replace("v1", "v2"), "1:13", "apiVersion: expected deskgate/v1, got 'deskgate/v2' (did you"),
    ("wrong kind", ALLOW.replace("Policy", "policy"), "2:7", "kind: expected Policy, got 'policy' (did you mean 'Policy'?)"),
    ("no spec", HEAD.replace("spec:\n", ""), "1:1", "spec is missing"),
    ("empty spec", HEAD, "4:6", "spec: expected a mapping, got nothing"),
    ("no id", spec("rules: [{actions: [a], effect: allow}]"), "5:11", "id is missing"),
    ("unknown top field", ALLOW + "specs: {}\n", "9:1", "unknown field 'specs' (did you mean 'spec'?)"),
    ("unknown spec field", HEAD + "  rule: []\n", "5:3", "unknown field 'rule' (did you mean 'rules'?)"),
    ("unknown rule field", ALLOW + "      phases: [TRIAL]\n", "9:7", "rule r: unknown field 'phases' (did you mean 'phase'?)"),
    ("unknown dashed field", ALLOW + "      judge-by: x\n", "9:7", "(did you mean 'judge_by'?)"),
    ("unlike any field", spec("cuts: {c: {from: term_end, for: P1D, zzz: 1}}"), "5:40", "'zzz' (there are for or from)"),
    ("unknown warning field", RULES + "      warnings: [{code: X, messages: {en: x}, message: {en: x}}]\n", "8:28", "'messages' (did you mean"),
    ("unknown phase", ALLOW + "      phase: [TRIAL, ACTVE]\n", "9:22", "phase[1]: expected ACTIVE, TRIAL, GRACE, PENDING, EXPIRED or"),
    ("meant phase", ALLOW + "      phase: [active]\n", "9:15", "got 'active' (did you mean 'ACTIVE'?)"),
    ("unknown effect", RULES + "      effect: DENY\n", "8:15", "effect: expected allow or deny, got 'DENY' (did you mean 'deny'?)"),
    ("unknown group", ALLOW + "      action_groups: [spends]\n", "9:23", "(did you mean 'spend'?)"),
    ("unknown remedy", DENY + "      remedies: [topup]\n", "10:18", "(did you mean 'top_up'?)"),
    ("enumeration as number", ALLOW + "      usage: [1]\n", "9:15", "usage[0]: expected uncounted, within or over, got the number 1"),
    ("text for list", ALLOW + "      keys: shared_desk\n", "9:13", "keys: expected a list, got 'shared_desk' (write [shared_desk])"),
    ("mapping for list", HEAD + "  rules: {a: b}\n", "5:10", "rules: expected a list, got a mapping"),
    ("list for mapping", HEAD + "  terms: [a]\n", "5:10", "terms: expected a mapping, got a list"),
    ("text for rule", HEAD + "  rules: [allow]\n", "5:11", "rules[0]: expected a mapping, got 'allow'"),
    ("empty list", ALLOW + "      phase: []\n", "9:14", "phase is empty (leave it out)"),
    ("empty applies_to", spec("applies_to: {tenants: []}"), "5:25", "tenants is empty"),
    ("bad id", spec("rules: [{id: a b, actions: [a], effect: allow}]"), "5:16", "id: 'a b' is not allowed: 1 to 128 letters"),
    ("bad action", ALLOW + "      action_groups: [use]\n      keys: ['a b']\n", "10:14", "1 to 256 characters without blanks"),
    ("bad reason code", spec("reasons: {weekend: {class: POLICY, retry: NEVER, message: {en: x}}}"), "5:13", "'weekend' is not allowed: 1 to 64 capital"),
    ("bad language", DENY + "      message: {en: x, chinese_simplified: x}\n", "10:24", "a language tag such as en or zh-CN"),
    # values
    ("bad period", spec("terms: {grace: 3M}"), "5:18", "grace: '3M' is not a period; write it like P3M"),
    ("number as period", spec("terms: {grace: 90}"), "5:18", "grace: expected text, got the number 90"),
    ("negative grace", spec("terms: {grace: -P3M}"), "5:18", "grace: '-P3M' is negative"),
    ("endless grace", spec("terms: {grace: P101Y}"), "5:18", "longer than 100 years"),
    ("empty period", spec("terms: {expiring_soon: P}"), "5:26", "'P' is not a period"),
    ("dangling T", spec("terms: {expiring_soon: P1DT}"), "5:26", "'P1DT' is not a period"),
    ("no percent sign", spec("terms: {near_quota: 90}"), "5:23", "near_quota: expected text, got the number 90"),
    ("no percentage", spec("terms: {near_quota: most}"), "5:23", "'most' is not a percentage; write it like"),
    ("nearness of 0", spec("terms: {near_quota: 0%}"), "5:23", "'0%' must be 1% to 100%"),
    ("overage too high", spec("terms: {overage: 1001%}"), "5:20", "'1001%' must be 0% to 1000%"),
    ("negative overage", spec("terms: {overage: -5%}"), "5:20", "'-5%' is not a percentage"),
    ("bad duration", spec("freshness: {stale_after: 5m}"), "5:28", "'5m' is not an exact duration"),
    ("day as duration", spec("freshness: {blind_after: P1D}"), "5:28", "a day as PT24H"),
    ("duration of 0", spec("freshness: {stale_after: PT0S}"), "5:28", "must be above 0"),
    ("stale after blind", spec("freshness: {stale_after: PT2H, blind_after: PT1H}"), "5:28", "stale_after is longer than blind_after (STALE"),
    ("stale after default", spec("freshness: {stale_after: PT25H}"), "5:28", "the other is taken from the general policies or the default"),
    ("blind before default", spec("freshness: {blind_after: PT1M}"), "5:28", "stale_after is longer than blind_after"),
    ("cut of no length", spec("cuts: {c: {from: term_end, for: P0D}}"), "5:35", "for: 'P0D' has no length"),
    ("cut from nowhere", spec("cuts: {c: {from: end, for: P1D}}"), "5:20", "from: expected term_start, term_end or grace_end"),
    # messages
    ("no English", DENY + "      message: {zh-CN: x}\n", "10:16", "message: the message has no English text: en"),
    ("unknown placeholder", DENY + '      message: {en: "{usd} used"}\n', "10:21", "en: unknown placeholder {usd}; did you mean 'used'?"),
    ("unlike any placeholder", DENY + '      message: {en: "{zzz}"}\n', "10:21", "there are excess, fits, grace_ends_at,"),
    ("no name in braces", DENY + '      message: {en: "{}"}\n', "10:21", "unknown placeholder {}"),
    ("path in braces", DENY + '      message: {en: "{used.real}"}\n', "10:21", "unknown placeholder {used.real}"),
    ("formatted", DENY + '      message: {en: "{used:>99}"}\n', "10:21", "placeholder {used} cannot be formatted"),
    ("converted", DENY + '      message: {en: "{used!r}"}\n', "10:21", "placeholder {used} cannot be formatted"),
    ("open brace", DENY + '      message: {en: "{used"}\n', "10:21", "the braces do not pair up"),
    ("empty message", DENY + '      message: {en: " "}\n', "10:21", "a message has 1 to 2000 characters"),
    # verdicts and names
    ("no effect", RULES, "6:7", "rule r: the rule has neither effect nor warnings"),
    ("no reason", RULES + "      effect: deny\n", "6:7", "rule r: a rule that denies needs a reason"),
    ("no action", spec("rules: [{id: r, effect: allow}]"), "5:11", "rule r: the rule is for no action (add actions"),
    ("reason to allow", ALLOW + "      reason: OVER_QUOTA\n", "9:7", "reason belongs to effect: deny"),
    ("message to allow", ALLOW + "      message: {en: x}\n", "9:7", "message belongs to effect: deny"),
    ("undeclared reason", DENY.replace("OVER_QUOTA", "OVERQUOTA"), "9:15", "reason OVERQUOTA is neither built in nor declared (did you mean 'OVER_QUOTA'?)"),
    ("unlike any reason", DENY.replace("OVER_QUOTA", "XYZZY"), "9:15", "(declare it under spec.reasons)"),
    ("built-in reason", spec("reasons: {NO_RULE: {class: POLICY, retry: NEVER, message: {en: x}}}"), "5:13", "reason NO_RULE is built in"),
    ("unknown group of keys", HEAD + "  key_groups: {desks: [d]}\n" + ALLOW[len(HEAD) :] + "      judge_by: desk\n", "10:17", "no key group is called 'desk' (did you mean 'desks'?)"),
    ("empty group of keys", spec("key_groups: {desks: []}"), "5:23", "desks is empty"),
    ("unknown cut", HEAD + "  cuts: {early: {from: term_end, for: P1D}}\n" + ALLOW[len(HEAD) :] + "      cuts: {erly: true}\n", "10:14", "no cut is called 'erly' (did you mean 'early'?)"),
    ("cut not true or false", HEAD + "  cuts: {early: {from: term_end, for: P1D}}\n" + ALLOW[len(HEAD) :] + "      cuts: {early: on}\n", "10:21", "early: expected true or false, got the boolean on (write true)"),
    ("duplicate rule id", spec("rules:\n- {id: r, actions: [a], effect: allow}\n- {id: r, actions: [b], effect: allow}"), "7:10", "duplicate rule id 'r' (the first is at"),
    ("override of its own rule", ALLOW + "  overrides: [r]\n", "9:15", "rule 'r' is not in a more general policy"),
    ("override of nothing", ALLOW + "  overrides: [rr]\n", "9:15", "overrides: no rule is called 'rr' (did you mean 'r'?)"),
    # expressions
    ("unknown variable", ALLOW + "      when: \"action == 'a' && tenant.edtion == 'b'\"\n", "9:37", "when: undeclared reference to 'tenant.edtion' (did you mean 'tenant.edition'?)"),
    ("plain expression", ALLOW + "      when: quantity > tenantid\n", "9:24", "when: undeclared reference to 'tenantid' (did you mean 'tenant.id'?)"),
    ("expression in a block", ALLOW + "      when: |\n        quantity > 1 &&\n          quantity < foo\n", "11:22", "undeclared reference to 'foo'"),
    ("folded expression", ALLOW + "      when: >-\n        quantity > 1 &&\n        quantity < foo\n", "9:13", "'foo' (line 1, column 28 of the expression)"),
    ("escaped expression", ALLOW + '      when: "action == \\"a\\" && foo"\n', "9:13", "(line 1, column 18 of the expression)"),
    ("syntax", ALLOW + "      when: quantity >\n", "9:23", "when: Syntax error"),
    ("types", ALLOW + "      when: quantity > 'a'\n", "9:22", "when: found no matching overload"),
    ("not true or false", ALLOW + "      when: tenant.id\n", "9:13", "must be true or false, but it is of type STRING"),
    ("not known to be true or false", ALLOW + "      when: dyn(true)\n", "9:13", "but it is of type DYN"),
    ("division by zero", ALLOW + "      when: quantity / 0 == 1\n", "9:22", "when: divide by zero"),
    ("bad zone", ALLOW + "      when: now.getHours('Mars/Base') == 1\n", "9:25", "when: Invalid timezone"),
    ("bad pattern", ALLOW + "      when: tenant.id.matches('(')\n", "9:30", "when: invalid regular expression"),
    ("bad literal duration", ALLOW + "      when: window.ends_at - window.starts_at > duration('2 hours')\n", "9:57", "String to Duration conversion failed"),
    ("empty expression", ALLOW + '      when: ""\n', "9:14", "an expression has 1 to 4096 characters"),
    ("number as expression", ALLOW + "      when: 1\n", "9:13", "when: expected text, got the number 1"),
]  # fmt: skip
