import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_COMPLETE: _ClassVar[Outcome]
    OUTCOME_PARTIAL: _ClassVar[Outcome]
    OUTCOME_PUSHED: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_SILENT: _ClassVar[Outcome]
    OUTCOME_BROKEN: _ClassVar[Outcome]
    OUTCOME_REJECTED: _ClassVar[Outcome]
    OUTCOME_WRONG_KEY: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_COMPLETE: Outcome
OUTCOME_PARTIAL: Outcome
OUTCOME_PUSHED: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_SILENT: Outcome
OUTCOME_BROKEN: Outcome
OUTCOME_REJECTED: Outcome
OUTCOME_WRONG_KEY: Outcome

class Delivery(_message.Message):
    __slots__ = ("format", "message_id", "meter_id", "session_id", "collected_at", "outcome", "detail", "attempts", "duration_ms", "clock_offset_s", "profile", "mapping_version", "intervals", "registers", "events", "unknown", "exchanges_zstd", "correlation_id")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    METER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_S_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MAPPING_VERSION_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    REGISTERS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    EXCHANGES_ZSTD_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    format: int
    message_id: str
    meter_id: str
    session_id: str
    collected_at: _timestamp_pb2.Timestamp
    outcome: Outcome
    detail: _containers.RepeatedScalarFieldContainer[str]
    attempts: int
    duration_ms: int
    clock_offset_s: int
    profile: str
    mapping_version: str
    intervals: _containers.RepeatedCompositeFieldContainer[IntervalSeries]
    registers: _containers.RepeatedCompositeFieldContainer[RegisterReading]
    events: _containers.RepeatedCompositeFieldContainer[MeterEvent]
    unknown: _containers.RepeatedCompositeFieldContainer[UnknownObject]
    exchanges_zstd: bytes
    correlation_id: str
    def __init__(self, format: _Optional[int] = ..., message_id: _Optional[str] = ..., meter_id: _Optional[str] = ..., session_id: _Optional[str] = ..., collected_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., detail: _Optional[_Iterable[str]] = ..., attempts: _Optional[int] = ..., duration_ms: _Optional[int] = ..., clock_offset_s: _Optional[int] = ..., profile: _Optional[str] = ..., mapping_version: _Optional[str] = ..., intervals: _Optional[_Iterable[_Union[IntervalSeries, _Mapping]]] = ..., registers: _Optional[_Iterable[_Union[RegisterReading, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[MeterEvent, _Mapping]]] = ..., unknown: _Optional[_Iterable[_Union[UnknownObject, _Mapping]]] = ..., exchanges_zstd: _Optional[bytes] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class Deliveries(_message.Message):
    __slots__ = ("format", "delivery")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    format: int
    delivery: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, format: _Optional[int] = ..., delivery: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ReadingType(_message.Message):
    __slots__ = ("obis", "unit", "exponent", "interval_s")
    OBIS_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    EXPONENT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    obis: bytes
    unit: int
    exponent: int
    interval_s: int
    def __init__(self, obis: _Optional[bytes] = ..., unit: _Optional[int] = ..., exponent: _Optional[int] = ..., interval_s: _Optional[int] = ...) -> None: ...

class IntervalSeries(_message.Message):
    __slots__ = ("reading_type", "runs", "evidence")
    READING_TYPE_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    reading_type: ReadingType
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    evidence: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, reading_type: _Optional[_Union[ReadingType, _Mapping]] = ..., runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., evidence: _Optional[_Iterable[int]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("start_s", "values", "qualities")
    START_S_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    QUALITIES_FIELD_NUMBER: _ClassVar[int]
    start_s: int
    values: _containers.RepeatedScalarFieldContainer[int]
    qualities: bytes
    def __init__(self, start_s: _Optional[int] = ..., values: _Optional[_Iterable[int]] = ..., qualities: _Optional[bytes] = ...) -> None: ...

class RegisterReading(_message.Message):
    __slots__ = ("reading_type", "value", "at", "evidence")
    READING_TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    reading_type: ReadingType
    value: int
    at: _timestamp_pb2.Timestamp
    evidence: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, reading_type: _Optional[_Union[ReadingType, _Mapping]] = ..., value: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence: _Optional[_Iterable[int]] = ...) -> None: ...

class MeterEvent(_message.Message):
    __slots__ = ("kind", "code", "at", "text", "pushed", "evidence", "log", "occurrence", "event_class", "severity")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PUSHED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    OCCURRENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_CLASS_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    code: int
    at: _timestamp_pb2.Timestamp
    text: str
    pushed: bool
    evidence: _containers.RepeatedScalarFieldContainer[int]
    log: str
    occurrence: int
    event_class: str
    severity: str
    def __init__(self, kind: _Optional[str] = ..., code: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., text: _Optional[str] = ..., pushed: _Optional[bool] = ..., evidence: _Optional[_Iterable[int]] = ..., log: _Optional[str] = ..., occurrence: _Optional[int] = ..., event_class: _Optional[str] = ..., severity: _Optional[str] = ...) -> None: ...

class UnknownObject(_message.Message):
    __slots__ = ("class_id", "obis", "attribute", "octets", "at", "evidence")
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    OBIS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    class_id: int
    obis: bytes
    attribute: int
    octets: bytes
    at: _timestamp_pb2.Timestamp
    evidence: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, class_id: _Optional[int] = ..., obis: _Optional[bytes] = ..., attribute: _Optional[int] = ..., octets: _Optional[bytes] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence: _Optional[_Iterable[int]] = ...) -> None: ...

class Exchanges(_message.Message):
    __slots__ = ("exchange",)
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    exchange: _containers.RepeatedCompositeFieldContainer[Exchange]
    def __init__(self, exchange: _Optional[_Iterable[_Union[Exchange, _Mapping]]] = ...) -> None: ...

class Exchange(_message.Message):
    __slots__ = ("at", "request", "response", "plain")
    AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    PLAIN_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    request: bytes
    response: bytes
    plain: bytes
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request: _Optional[bytes] = ..., response: _Optional[bytes] = ..., plain: _Optional[bytes] = ...) -> None: ...
