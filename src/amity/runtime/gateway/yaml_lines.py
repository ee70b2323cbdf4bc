"""YAML as plain values with the line of each key: no tags that make objects, no aliases, no key twice."""

import re
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from amity.kernel.errors import ConfigurationError

OCTETS_MAX: Final = 256 << 10
_PLAIN_TAGS: Final = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_NUMBERS: Final = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_PLAIN_NUMBER: Final = re.compile(r"[-+]?(0x[0-9a-fA-F]+|(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?)")
"""YAML 1.1 reads 010 as eight, 1:30 as ninety and 1_0 as ten; nobody who writes them here means that."""

KeyPath = tuple[str | int, ...]


class Read(NamedTuple):
    """A document's value, and the line (from 1) of each key and entry by its path."""

    value: Any
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str, name: str) -> Read:
    """Read one document; raise ConfigurationError that names file and line for what is not plain YAML."""
    if len(text) > OCTETS_MAX:
        raise ConfigurationError(f"{name} is longer than {OCTETS_MAX} octets", next_step="a configuration is small")
    try:
        _refuse_aliases(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader(name)
        return Read(None if node is None else reader.value(node, ()), reader.lines)
    except yaml.MarkedYAMLError as error:
        raise _refusal(name, _line(error.problem_mark), error.problem or "is not YAML") from error
    except yaml.YAMLError as error:  # a character that no text should hold
        raise ConfigurationError(f"{name} is not YAML: {error}", next_step="correct that character") from error
    except RecursionError as error:
        raise ConfigurationError(f"{name} is nested too deeply", next_step="write lists in lists less deep") from error


class _Reader:
    """Nodes to values; `lines` fills on the way."""

    def __init__(self, name: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._name = name
        self._scalars = SafeConstructor()

    def value(self, node: Node, path: KeyPath) -> Any:
        """The value of a node, and of all below it."""
        self.lines.setdefault(path, _line(node.start_mark))
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise _refusal(self._name, _line(node.start_mark), f"{node.tag} is no plain value")
        if isinstance(node, MappingNode):
            return {key: self.value(below, (*path, key)) for key, below in self._pairs(node, path)}
        if isinstance(node, SequenceNode):
            return [self.value(below, (*path, number)) for number, below in enumerate(node.value)]
        return self._scalar(node)

    def _pairs(self, node: MappingNode, path: KeyPath) -> list[tuple[str, Node]]:
        pairs: list[tuple[str, Node]] = []
        for key_node, below in node.value:
            key, line = self._key(key_node), _line(key_node.start_mark)
            if (*path, key) in self.lines:
                before = self.lines[*path, key]
                raise _refusal(self._name, line, f"the key {key} stands in line {before} already")
            self.lines[*path, key] = line
            pairs.append((key, below))
        return pairs

    def _key(self, node: Node) -> str:
        key: Hashable = self._scalar(node) if isinstance(node, ScalarNode) else None
        if not isinstance(key, str):
            raise _refusal(self._name, _line(node.start_mark), "a key is a plain word")
        return key

    def _scalar(self, node: Node) -> Any:
        if node.tag in _NUMBERS and not _PLAIN_NUMBER.fullmatch(node.value):
            raise _refusal(
                self._name,
                _line(node.start_mark),
                f"{node.value} is {self._scalars.construct_object(node)} to YAML: write it so, or as you meant it",
            )
        try:
            return self._scalars.construct_object(node)
        except ConstructorError as error:
            raise _refusal(self._name, _line(node.start_mark), f"{node.tag} is no plain value") from error
        except (ValueError, OverflowError) as error:  # 2026-13-45 looks like a date and is none
            raise _refusal(self._name, _line(node.start_mark), str(error)) from error


def _refuse_aliases(text: str, name: str) -> None:
    """Aliases let a few lines become gigabytes; a configuration needs none."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(name, _line(event.start_mark), f"*{event.anchor} refers to another place")


def _line(mark: Any) -> int:
    return 1 if mark is None else int(mark.line) + 1


def _refusal(name: str, line: int, what: str) -> ConfigurationError:
    return ConfigurationError(f"{name}, line {line}: {what}", next_step=f"correct line {line} of {name}")
