"""One transaction: the repositories over one connection."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Connection

from stepline.plugins.state_sql.artifacts import SqlArtifacts
from stepline.plugins.state_sql.file_search import Totals
from stepline.plugins.state_sql.files import SqlFiles
from stepline.plugins.state_sql.ledger import SqlLedger
from stepline.plugins.state_sql.pipelines import SqlPipelines
from stepline.plugins.state_sql.queue import SqlQueue
from stepline.plugins.state_sql.references import SqlReferences
from stepline.plugins.state_sql.values import SqlIntake, SqlValues
from stepline.plugins.state_sql.workflows import SqlWorkflows


class SqlTransaction:
    """A consistent state, to change, or to read where the connection only reads.

    Args:
        connection: Within a transaction, which the caller ends.
        totals: Known totals of searches; None where what is read may not last.
    """

    def __init__(self, connection: Connection, totals: Totals | None = None) -> None:
        self.connection = connection
        self._totals = totals

    @cached_property
    def files(self) -> SqlFiles:
        """File versions."""
        return SqlFiles(self.connection, self._totals)

    @cached_property
    def pipelines(self) -> SqlPipelines:
        """Pipelines."""
        return SqlPipelines(self.connection)

    @cached_property
    def ledger(self) -> SqlLedger:
        """The trigger ledger."""
        return SqlLedger(self.connection)

    @cached_property
    def workflows(self) -> SqlWorkflows:
        """Workflows."""
        return SqlWorkflows(self.connection)

    @cached_property
    def queue(self) -> SqlQueue:
        """Attempts to be made."""
        return SqlQueue(self.connection)

    @cached_property
    def artifacts(self) -> SqlArtifacts:
        """Published versions and builds."""
        return SqlArtifacts(self.connection)

    @cached_property
    def values(self) -> SqlValues:
        """Small named values."""
        return SqlValues(self.connection)

    @cached_property
    def intake(self) -> SqlIntake:
        """Files taken from watched folders."""
        return SqlIntake(self.connection)

    @cached_property
    def references(self) -> SqlReferences:
        """What refers to blobs."""
        return SqlReferences(self.connection)
