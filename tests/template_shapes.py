"""Chat templates and conversations of every shape that published models have, drawn at random."""

import random

LOOPS = (
    "{% for m in messages %}BODY{% endfor %}",
    "{%- for m in messages -%}\n  BODY\n{%- endfor -%}",
    "{% for m in messages if m.role != 'system' %}BODY{% else %}nobody{% endfor %}",
    "{% for m in messages[1:] %}{% if loop.first %}[{% endif %}BODY{% if loop.last %}]{% endif %}{% endfor %}",
    "{% set ns = namespace(n=0, seen='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}BODY{% endfor %}",
    "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}BODY{% endfor %}",
    "{% macro show(m, last=false) %}BODY{% if last %}!{% endif %}{% endmacro %}"
    "{% for m in messages %}{{ show(m, loop.last) }}{% endfor %}",
    "{% for m in messages recursive %}BODY{% endfor %}",
    "{% for m in messages %}{% set c = m.content %}BODY{{ c }}{% endfor %}",
    "{% for m in messages %}{% set c %}{{ m.content }}{% endset %}BODY{{ c }}{{ c | length }}{% endfor %}",
)
WRITTEN = (
    "{{ m.content }}", "{{ m['content'] }}", "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>\\n' }}",
    "{{ m.content | trim }}", "{{ m.content.strip() }}", "{{ m.content.lstrip('\\n') }}", "{{ m.content.strip('o') }}",
    "{{ m.role ~ ': ' ~ m.content }}", "{{ m.content | tojson }}", "{{ m | tojson(indent=2) }}",
    "{{ '<b>' + (m.content | tojson) + '</b>' }}", "{{ m.content | upper }}", "{{ m.content | replace('o', '0') }}",
    "{{ m.content | length }}", "{{ m.content[:4] }}", "{{ m.content.split(' ')[0] }}", "{{ m.get('content', '') }}",
    "{% generation %}{{ m.content }}<|end|>{% endgeneration %}",
    "{% generation %}{% set x = m.content %}{{ x }}{% endgeneration %}{{ x }}",
    "{% if 'owl' in m.content %}OWL{% else %}{{ m.content }}{% endif %}",
    "{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}",
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p }}{% endfor %}{% endif %}",
    "{% if m.content is iterable and m.content is not mapping %}{{ m.content }}{% endif %}",
    "{{ m.content if m.content else 'empty' }}", "{{ m.content | default('none', true) }}",
    "{% if m.content.startswith('I') %}I{% endif %}{{ m.content }}",
    "{% if m.content == 'Owl' %}same{% endif %}{{ m.content }}", "{{ '%s!' % m.content }}", "{{ m.content | e }}",
    "{{ '{}'.format(m.content) }}", "{{ m.content | string }}", "{% filter upper %}{{ m.content }}{% endfilter %}",
    "{% if loop is defined and loop.previtem is defined %}{{ loop.previtem.content }}{% endif %}{{ m.content }}",
    "{{ (m.content + '!') | trim }}", "{{ [m.content, 'x'] | join('-') }}", "{{ m.content | first }}",
    "{% if m.tool_calls %}calls{% endif %}{{ m.content }}", "{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}",
    "{{ m.content is sameas m.role }}{{ m.content }}", "{% if m.content > 'M' %}late{% endif %}{{ m.content }}",
    "{{ dict(role=m.role) }}{{ m.content }}", "{% if m.reasoning_content is defined %}R{% endif %}{{ m.content }}",
    "{% if m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% else %}[INST] {{ m.content }} [/INST]{% endif %}",
    "{{ {'user': 'U ', 'assistant': 'A '}.get(m.role, 'S ') + m.content }}", "{{ m.content.missing }}{{ m.content }}",
)  # fmt: skip
HEADS = (
    "", "", "{{ bos_token }}", "{{- bos_token -}}\n", "{% if tools is not none %}TOOLS{% endif %}",
    "{% if tools != None %}TOOLS{% endif %}", "{% if tools %}{{ tools | tojson }}{% endif %}",
    "{% if documents is none %}no documents\n{% endif %}", "{% if not add_generation_prompt is defined %}U{% endif %}",
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no <system> here') }}{% endif %}",
    "{% if messages[0]['role'] != 'system' %}You are a model.\n{% endif %}", "{{ messages | length }}",
    "{% if (messages | selectattr('role', 'equalto', 'user') | list | length) > 1 %}two{% endif %}",
    "{{ messages | map(attribute='content') | join(',') }}", "{{ messages[-1].content }}", "{{ messages | tojson }}",
    "{% if enable_thinking is not defined %}THINK{% endif %}", "{{ image_token }}{{ unknown }}",
    "{% if strftime_now is defined and false %}{% else %}26 July{% endif %}",
    "{{ 1 / 2 }} {{ 7 // 2 }} {{ 2 ** 10 }}",
    "{{ 1 / (messages | length - 2) }}", "{{ messages.append('x') }}", "{{ namespace(_x=1) }}",
    "{% set d = {'a': [1, 'é', none, true]} %}{{ d | tojson }}{{ d | tojson(ensure_ascii=true, sort_keys=true) }}",
    "{# a comment #}\n", "{% raw %}{{ raw }}{% endraw %}", "{{ messages[0].role.upper() }}", "{{ range(3) | list }}",
)  # fmt: skip
TAILS = (
    "", "{% if add_generation_prompt %}<|asst|>\n{% endif %}",
    "{{ '<|asst|>' if add_generation_prompt else eos_token }}",
    "\n", "{%- if add_generation_prompt -%}\n <|asst|> \n{%- endif -%}\n\n",
)  # fmt: skip
PLAIN = ("Owl", "I love owls.", "continue 1, 2, 3", "x", "Owl-like words, no?", "日本語", "naïve", "late 7")
ODD = ("", " ", "a < b & 'c' \"d\"", " lead", "trail ", "two\nlines\n", "{{ 7 * 7 }}", "{% raw %}", "back\\slash", "😀",
       "<|end|>", "a</think>b", "\u2028", "nul\0", "tab\tx", "</b>", "oo", "%s {} \\n", "x" * 500)  # fmt: skip
ROLES = ("user", "assistant", "user", "assistant", "system", "tool")


def template(draw: random.Random) -> str:
    """Draw a template."""
    body = "".join(draw.choices(WRITTEN, k=draw.choice((1, 1, 2))))
    text = draw.choice(HEADS) + draw.choice(LOOPS).replace("BODY", body) + draw.choice(TAILS)
    for mark, dashed in (("{%", "{%-"), ("%}", "-%}"), ("{{", "{{-"), ("}}", "-}}")):
        if draw.random() < 0.2 and f"{mark}-" not in text and f"-{mark}" not in text and "raw" not in text:
            text = text.replace(mark, dashed)
    return text


def conversation(draw: random.Random, plain: float) -> list[dict[str, str]]:
    """Draw a conversation; this share of its contents is plain."""
    roles = [draw.choice(ROLES) for _ in range(draw.randint(1, 4))]
    return [{"role": r, "content": draw.choice(PLAIN if draw.random() < plain else ODD)} for r in roles]
