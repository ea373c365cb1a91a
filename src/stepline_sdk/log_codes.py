"""Codes that log records carry, so that machines can tell them apart."""

from __future__ import annotations

import re
from collections import namedtuple

LogCode = namedtuple("LogCode", ["code_message", "code"])

MAX_MESSAGE_CHARACTERS = 32
_PASCAL_CASE = re.compile(r"[A-Z\d][a-z\d]+(?:[A-Z\d][a-z\d]+)*")


class LogCodes:
    """The codes that every task script may use; 5000 to 9999 are for its own."""

    platform_interaction = LogCode("PlatformInteraction", 100)
    generic = LogCode("Generic", 1000)
    input_data_valid = LogCode("InputDataValid", 1100)
    invalid_raw_input_data = LogCode("InvalidRawInputData", 1101)
    invalid_input_file_attribute = LogCode("InvalidInputFileAttribute", 1102)
    output_data_valid = LogCode("OutputDataValid", 1200)
    invalid_ids_data = LogCode("InvalidIdsData", 1201)
    invalid_output_data = LogCode("InvalidOutputData", 1202)
    invalid_output_file_attribute = LogCode("InvalidOutputFileAttribute", 1203)
    configuration = LogCode("Configuration", 1300)
    invalid_pipeline_configuration = LogCode("InvalidPipelineConfiguration", 1301)
    processing_status = LogCode("ProcessingStatus", 1400)
    processing_begin = LogCode("ProcessingBegin", 1401)
    processing_end = LogCode("ProcessingEnd", 1402)
    processing_error = LogCode("ProcessingError", 1403)
    space_odyssey = LogCode("SpaceOdyssey", 2001)
    logger_error = LogCode("LoggerError", 4900)


def problems_of(code: object) -> list[str]:
    """Return why a value is no valid log code; an empty list if it is one."""
    number = getattr(code, "code", None)
    message = getattr(code, "code_message", None)
    if type(number) is not int or not isinstance(message, str):
        return ["expected a LogCode, got %r" % (code,)]
    problems = []
    if not 1 <= number <= 9999:
        problems.append("code %d is not between 1 and 9999" % number)
    if not message.isalnum():
        problems.append("code message %r is not letters and digits" % message)
    elif number < 5000 and not _PASCAL_CASE.fullmatch(message):
        problems.append("code message %r is not in PascalCase" % message)
    if len(message) > MAX_MESSAGE_CHARACTERS:
        problems.append("code message %r is over %d characters" % (message, MAX_MESSAGE_CHARACTERS))
    return problems
