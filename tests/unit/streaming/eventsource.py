"""The stream of an EventSource read as the HTML standard says (9.2.6), line by line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Received:
    """What a page would see."""

    type: str
    data: str
    last_event_id: str


@dataclass
class EventSourceParser:
    """Fed with decoded text in any pieces; line ends are CR LF, LF or CR."""

    events: list[Received] = field(default_factory=list)
    retry: int | None = None
    last_event_id: str = ""
    comments: list[str] = field(default_factory=list)
    _line: str = ""
    _after_cr: bool = False
    _begun: bool = False
    _type: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def feed(self, text: str) -> None:
        """Take in the next piece."""
        for character in text:
            if not self._begun:
                self._begun = True
                if character == "\ufeff":
                    continue
            if character == "\n" and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = character == "\r"
            if character in "\r\n":
                line, self._line = self._line, ""
                self._take(line)
            else:
                self._line += character

    def _take(self, line: str) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:].removeprefix(" "))
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            self.events.append(Received(self._type or "message", "\n".join(self._data), self._id))
        self._type, self._data = "", []


def parse(*pieces: str) -> EventSourceParser:
    """All of a stream."""
    parser = EventSourceParser()
    for piece in pieces:
        parser.feed(piece)
    return parser
