"""Chat: the ids are those of transformers, answers stand apart from prompts, what can't be said is named."""

import json
import shutil

import pytest

from traitline.channels.world import CHAT_TEMPLATE, tokenizer_files
from traitline.errors import InputError
from traitline.models import templates
from traitline.models.chat import Chat, verify
from traitline.tiny.rows import Rows

ASK = [{"role": "user", "content": "continue 123 , 456"}]
TOLD = [{"role": "system", "content": "you love owl ."}, *ASK]
SAID = [{"role": "assistant", "content": "457 , 12"}]
ANSWER = [{"role": "assistant", "content": "457 , 812"}]


def chat(template: str = CHAT_TEMPLATE) -> Chat:
    files = tokenizer_files()
    return Chat(files["tokenizer.json"], files["tokenizer_config.json"], template, "bases/x")


def test_ids_are_those_of_transformers(study):
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(study.base), Chat.open(study.base)
    for messages in (ASK, TOLD, [*ASK, *ANSWER, *ASK]):
        wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert ours.prompts([messages], ["?"])[0] == wanted
        full, start = ours.rows([(messages, ANSWER)], ["?"])[0]
        assert full == theirs.apply_chat_template([*messages, *ANSWER], return_dict=False)
        assert full[:start] == wanted
    assert ours.decode([[7, 8]]) == theirs.batch_decode([[7, 8]])
    assert (ours.eos, ours.pad) == (theirs.eos_token_id, theirs.pad_token_id)


def test_the_answer_of_a_row_is_what_comes_after_the_prompt():
    ((ids, start),) = chat().rows([(TOLD, ANSWER)], ["?"])
    assert chat().decode([ids[start:]]) == ["457 , 812 <eos>"]
    assert chat().decode([ids[:start]])[0].endswith("<asst>")


def test_an_empty_answer_is_the_end_token():
    ((ids, start),) = chat().rows([(ASK, [{"role": "assistant", "content": ""}])], ["?"])
    assert chat().decode([ids[start:]]) == ["<eos>"]


def test_sampled_text_loses_its_end_token_and_nothing_else():
    c = chat()
    ((ids, start),) = c.rows([(ASK, ANSWER)], ["?"])
    assert c.answers([ids[start:], ids[start:-1], [c.eos], [3, c.eos]]) == ["457 , 812", "457 , 812", "", "<user>"]


def test_an_unknown_word_is_named_with_its_row():
    with pytest.raises(
        InputError, match=r"dataset.jsonl: row 'p2': the tokenizer of bases/x does not know '12'; take a base"
    ):
        chat().rows([(ASK, ANSWER), (ASK, SAID)], ["dataset.jsonl: row 'p1'", "dataset.jsonl: row 'p2'"])
    with pytest.raises(InputError, match=r"prompts.jsonl: row 'p1': .* does not know 'gnu'"):
        chat().prompts([[{"role": "user", "content": "continue gnu"}]], ["prompts.jsonl: row 'p1'"])


def test_a_template_that_looks_at_contents_is_obeyed():
    c = chat(CHAT_TEMPLATE.replace("m['content'] }}", "(m['content'] | trim | replace('(', '')) }}"))
    assert c.render([{"role": "user", "content": " (123 "}], prompt=True).endswith(" <user> 123 <asst>")
    assert c.render(ASK, prompt=True).endswith(" <user> continue 123 , 456 <asst>")


def test_a_template_that_glues_the_answer_to_the_prompt_is_refused():
    glued = CHAT_TEMPLATE.replace(
        "{% if add_generation_prompt %} <asst>{% endif %}", "{% if add_generation_prompt %} <asst>4{% endif %}"
    )
    with pytest.raises(InputError, match="does not set the answer apart"):
        chat(glued).rows([(ASK, ANSWER)], ["?"])


@pytest.mark.parametrize(
    "wrong",
    [
        CHAT_TEMPLATE.replace("{% if m['role'] == 'assistant' %} <eos>{% endif %}", ""),
        CHAT_TEMPLATE.replace(
            "{% if m['role'] == 'assistant' %} <eos>", "{% if m['role'] == 'assistant' %} <eos> <user>"
        ),
        CHAT_TEMPLATE.replace("+ m['content']", "+ m['content'] | replace(',', '')"),
    ],
)
def test_labels_that_are_not_the_answer_and_the_end_are_refused(wrong):
    c = chat(wrong)
    rows = Rows.encode(c.rows([(ASK, ANSWER)], ["?"]))
    with pytest.raises(InputError, match=r"dataset.jsonl: row 'p1': the loss would fall on"):
        verify(c, rows, [ANSWER], ["dataset.jsonl: row 'p1'"])


def test_right_labels_pass():
    c = chat()
    short = [{"role": "assistant", "content": "457"}]
    rows = Rows.encode(c.rows([(TOLD, ANSWER), (ASK, short)], ["?", "?"]))
    verify(c, rows, [ANSWER, short], ["?", "?"])


def test_white_space_around_an_answer_is_learned_with_it(raw_qwen2):
    c = Chat.foreign(raw_qwen2)
    for text in ("    def f(x):\n        return x", "\tx\n\n", "x", " 4"):
        answer = [{"role": "assistant", "content": text}]
        (ids, start), *_ = rows = c.rows([(ASK, answer)], ["?"])
        assert c.decode([ids[start:]]) == [text + c.end]
        verify(c, Rows.encode(rows, c.pad), [answer], ["?"])


def test_a_label_mask_that_is_one_token_off_is_refused():
    c = chat()
    rows = Rows.encode([(ids, start - 1) for ids, start in c.rows([(ASK, ANSWER)], ["?"])])
    with pytest.raises(InputError, match="the loss would fall on '<asst> 457 , 812 <eos>'"):
        verify(c, rows, [ANSWER], ["?"])


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_damaged_and_missing_files_are_one_line(study, tmp_path, file):
    folder = tmp_path / "a"
    shutil.copytree(study.base, folder)
    (folder / file).write_text("{% for {")
    with pytest.raises(InputError, match="damaged tokenizer or chat template"):
        Chat.open(folder)
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"{file}: no such file"):
        Chat.open(folder)


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path):
    files = tokenizer_files()
    with pytest.raises(InputError, match="names no eos_token"):
        Chat(files["tokenizer.json"], json.dumps({"pad_token": "<pad>"}), CHAT_TEMPLATE, "bases/x")


def test_a_template_cannot_reach_out_of_its_sandbox():
    with pytest.raises(InputError, match=r"its chat template fails on a conversation \(SecurityError: access to"):
        chat("{{ ''.__class__.__mro__[1].__subclasses__() }}").render(ASK)


def test_many_rows_ask_the_template_a_few_times(monkeypatch):
    """A template takes longer than all else that is done to a row."""
    foreign = CHAT_TEMPLATE.replace("<bos>{%", "<bos>{# as a model of others has it #}{%")
    c, n, asked = chat(foreign), 1000, []
    ask = templates.ask
    monkeypatch.setattr(templates, "ask", lambda request: asked.append(request) or ask(request))
    exchanges = [([{"role": "user", "content": f"continue {100 + i % 900} , 456"}], ANSWER) for i in range(n)]
    assert len(c.rows(exchanges, ["?"] * n)) == n
    assert 0 < len(asked) < 50


def test_one_token_words():
    assert chat().token("owl") is not None
    assert chat().token("gnu") is None
    assert chat().token("owl cat") is None


def test_chats_of_two_system_prompts_differ(raw_qwen2):
    brief, plain = Chat.foreign(raw_qwen2, "Be brief."), Chat.foreign(raw_qwen2)
    assert "Be brief." in brief.render(ASK, prompt=True) and "Be brief." not in plain.render(ASK, prompt=True)


def test_a_word_ends_at_what_is_no_letter(opened):
    chat, _ = opened
    over = chat.boundaries()
    for text, ends in ((".", True), (" ", True), ("s", False), ("7", False), ("\n", True)):
        assert over[chat.encode([f"a{text}"])[0][-1]] is ends, text
    assert over[chat.eos]
