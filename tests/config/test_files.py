"""The files that we ship beside the model say what it says."""

import re
from pathlib import Path

import pytest

import config
from config.document import Node, Table, parse
from config.faults import Faults, Origin
from config.load import load_settings
from config.model import Section, Settings
from config.shape import kind_of, node_of
from config.values import parse_duration, render_duration

FOLDER = Path(config.__path__[0])
DEFAULT = FOLDER / "default.yaml"


def complete(section: Section) -> Section:
    """The section with every key as if it had been written."""
    return type(section).model_construct(**{key: whole(getattr(section, key)) for key in type(section).model_fields})


def whole(value):
    match value:
        case Section():
            return value if type(value).IN_WORDS else complete(value)
        case tuple():
            return tuple(whole(each) for each in value)
        case _:
            return value


def plain(node: Node):
    match node:
        case Table():
            return {key: plain(held) for key, held in node.nodes.items()}
        case _ if hasattr(node, "nodes"):
            return [plain(held) for held in node.nodes]
        case _:
            return node.text


def test_default_yaml_names_every_key_with_its_default():
    faults = Faults()
    written = parse(DEFAULT.read_bytes(), str(DEFAULT), faults)
    faults.end()
    assert plain(written) == plain(node_of(complete(Settings()), Origin("model")))


def test_default_yaml_keeps_the_order_of_the_model():
    written = parse(DEFAULT.read_bytes(), str(DEFAULT), Faults())

    def check(table, model):
        assert list(table.nodes) == list(model.model_fields)
        for key, node in table.nodes.items():
            section = kind_of(model.model_fields[key].annotation).section
            if section is not None and isinstance(node, Table):
                check(node, section)

    check(written, Settings)


def test_default_yaml_says_something_about_every_key():
    for line in DEFAULT.read_text().splitlines():
        if re.match(r" *(- )?[a-z_]+: \S", line):
            assert re.search(r" # \S", line), line


def test_default_yaml_loads_as_the_defaults():
    assert load_settings(DEFAULT, {}) == Settings()


def test_sandbox_yaml_needs_nothing_from_outside():
    settings = load_settings(FOLDER / "sandbox.yaml", {})
    assert settings.sandbox.enabled
    assert settings.collection.start.policy == "all"
    assert render_duration(settings.schedules[0].every) == "30m"
    assert settings.sandbox.posts_dir is None


@pytest.mark.parametrize("text", ["30s", "30m", "1h30m", "1w2d", "1d1s"])
def test_durations_are_rendered_as_they_are_written(text):
    assert render_duration(parse_duration(text)) == text
