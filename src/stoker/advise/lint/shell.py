"""A shell script as far as it tells which programs it runs: simple commands with their words.

No shell: control words are passed over, both branches of an `if` count, and a value that only the shell could
know is `UNKNOWN` within its word. Source: POSIX.1-2024, XCU 2 (quoting, tokens, here-documents).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

UNKNOWN = "\x00"
SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh"})
LONGEST = 60_000  # characters of a script that are read
_DEEP = 6
_CONTROL = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "for", "case", "esac", "{", "}", "!"}
    | {"time", "in", "function", "select"}
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=(.*)", re.S)
_PLAIN = re.compile(r"[^\s\\'\"$`;&|<>()#\n]+")
_HEREDOC = re.compile(r"<<(-?)[ \t]*(['\"]?)([A-Za-z_][A-Za-z0-9_.-]*)\2")
_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::?([-+=?])(.*))?", re.S)


@dataclass(slots=True)
class _Script:
    """What is known while a script is read. bare: where the word that is read holds a value to be split."""

    text: str
    known: dict[str, str]
    at: int = 0
    words: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    pending: list[tuple[bool, str]] = field(default_factory=list)


def commands(script: str, known: Mapping[str, str] = {}, depth: int = 0) -> Iterator[list[str]]:
    """The simple commands of a script, in order, each as its words. known: variables with their values."""
    state = _Script(script[:LONGEST].replace("\\\n", " "), dict(known))
    while state.at < len(state.text):
        ended = _step(state)
        if ended and state.words:
            yield from _done(state, depth)
    if state.words:
        yield from _done(state, depth)
    for body in state.bodies if depth < _DEEP else ():
        yield from commands(body, state.known, depth + 1)


def _done(state: _Script, depth: int) -> Iterator[list[str]]:
    """A command that has ended: its assignments are taken, a shell within it is read."""
    words, state.words = state.words, []
    while words and (words[0] in _CONTROL or _ASSIGNED.fullmatch(words[0])):
        match = _ASSIGNED.fullmatch(words.pop(0))
        if match is not None:
            before = state.known.get(match[1], "") if match[2] else ""
            state.known[match[1]] = before + match[3]
    if words and words[0] in ("export", "declare", "readonly", "local", "typeset"):
        state.known |= {m[1]: m[3] for word in words[1:] if (m := _ASSIGNED.fullmatch(word))}
        return
    if not words:
        return
    inner = inside(words)
    if inner is None:
        yield words
    elif depth < _DEEP:
        yield from commands(inner, state.known, depth + 1)


def inside(words: list[str]) -> str | None:
    """The script of `bash -c SCRIPT` or of `eval`; None where the words are no such thing."""
    if words[:1] == ["eval"]:
        return " ".join(words[1:])
    if not words or words[0].rpartition("/")[2] not in SHELLS:
        return None
    for index, word in enumerate(words[1:], 1):
        if not word.startswith(("-", "+")):
            if words[index - 1] not in ("-o", "+o", "-O"):
                return None
        elif not word.startswith("--") and "c" in word[1:]:
            rest = [one for one in words[index + 1 :] if one != "--"]
            return rest[0] if rest else None
    return None


def _step(state: _Script) -> bool:
    """Reads a word, or what stands between words; whether a command has ended."""
    text, char = state.text, state.text[state.at]
    if char in " \t\r":
        state.at += 1
    elif char == "#":
        end = text.find("\n", state.at)
        state.at = len(text) if end < 0 else end
    elif char == "\n":
        state.at += 1
        _heredocs(state)
        return True
    elif char in ";&|()":
        state.at += 1
        return True
    elif char in "<>":
        _redirect(state)
    else:
        _word(state)
    return False


def _redirect(state: _Script) -> None:
    """`2>&1`, `> FILE`, `<<EOF`: no words of the command."""
    match = _HEREDOC.match(state.text, state.at)
    if match is not None:
        state.pending.append((bool(match[1]), match[3]))
        state.at = match.end()
        return
    if state.words and state.words[-1].isdigit() and state.text[state.at - 1].isdigit():
        state.words.pop()
    while state.at < len(state.text) and state.text[state.at] in "<>&|":
        state.at += 1
    while state.at < len(state.text) and state.text[state.at] in " \t":
        state.at += 1
    if state.at < len(state.text) and state.text[state.at] == "(":  # <(…)
        state.at = _closing(state.text, state.at)
        return
    kept = len(state.words)
    _word(state)
    del state.words[kept:]


def _heredocs(state: _Script) -> None:
    """The bodies that begin on this line."""
    for strip, end in state.pending:
        lines: list[str] = []
        while state.at < len(state.text):
            stop = state.text.find("\n", state.at)
            stop = len(state.text) if stop < 0 else stop
            line, state.at = state.text[state.at : stop], stop + 1
            if (line.lstrip("\t") if strip else line).rstrip() == end:
                break
            lines.append(line)
        state.bodies.append("\n".join(lines))
    state.pending = []


def _word(state: _Script) -> None:
    """One word; a value that is not quoted may be several."""
    text, out, quoted, split = state.text, "", False, False
    begun = state.at
    while state.at < len(text):
        char = text[state.at]
        if match := _PLAIN.match(text, state.at):
            out, state.at = out + match[0], match.end()
        elif char == "#":
            out, state.at = out + char, state.at + 1
        elif char == "\\":
            out, state.at = out + text[state.at + 1 : state.at + 2], state.at + 2
        elif char == "'":
            end = text.find("'", state.at + 1)
            end = len(text) if end < 0 else end
            out, state.at, quoted = out + text[state.at + 1 : end], end + 1, True
        elif char == '"':
            out, quoted = out + _quoted(state), True
        elif char in "$`":
            value = _value(state)
            split |= " " in value or value in ("", UNKNOWN)
            out += value
        else:
            break
    if state.at == begun:
        state.at += 1
    elif split and not quoted and not _ASSIGNED.fullmatch(out):
        state.words += out.split()
    else:
        state.words.append(out)


def _quoted(state: _Script) -> str:
    """A text in double quotes, from the first one to behind the last."""
    text, out = state.text, ""
    state.at += 1
    while state.at < len(text) and text[state.at] != '"':
        char = text[state.at]
        if char == "\\" and text[state.at + 1 : state.at + 2] in ('"', "\\", "$", "`"):
            out, state.at = out + text[state.at + 1], state.at + 2
        elif char in "$`":
            out += _value(state)
        else:
            out, state.at = out + char, state.at + 1
    state.at += 1
    return out


def _value(state: _Script) -> str:
    """What stands for `$NAME`, `${NAME:-default}`, `$(…)`; UNKNOWN where only a shell can know."""
    text, at = state.text, state.at
    if text[at] == "`":
        end = text.find("`", at + 1)
        state.at = len(text) if end < 0 else end + 1
        return UNKNOWN
    following = text[at + 1 : at + 2]
    if following == "(":
        state.at = _closing(text, at + 1)
        named = _NAME.fullmatch(text[at + 2 : state.at - 1])
        return state.known.get(named[0], UNKNOWN) if named else UNKNOWN  # the kubelet fills in $(NAME)
    if following == "{":
        end = _closing(text, at + 1, "{}")
        state.at = end
        return _braced(text[at + 2 : end - 1], state.known)
    match = _NAME.match(text, at + 1)
    if match is not None:
        state.at = match.end()
        return state.known.get(match[0], UNKNOWN)
    special = following in "@*#?-$!0123456789" and following != ""
    state.at = at + 2 if special else at + 1
    return UNKNOWN if special else "$"


def _braced(inner: str, known: Mapping[str, str]) -> str:
    match = _DEFAULT.fullmatch(inner)
    if match is None:
        return UNKNOWN
    name, mark, other = match[1], match[2], match[3] or ""
    if mark == "+":
        return (other if known[name] else "") if name in known else UNKNOWN
    if known.get(name):
        return known[name]
    plain = mark in ("-", "=") and "$" not in other and "`" not in other
    return other.strip("\"'") if plain else UNKNOWN


def _closing(text: str, at: int, pair: str = "()") -> int:
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(text)):
        depth += (text[index] == pair[0]) - (text[index] == pair[1])
        if depth == 0:
            return index + 1
    return len(text)
