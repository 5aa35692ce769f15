"""Transactions: several operations as one write."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from domain.actor import UpsertAgentInput, UpsertUserInput
from domain.annotation import AnnotateInput, DeleteAnnotationsInput
from domain.correction import DeleteMessagesInput, EditMessageInput
from domain.entity import DeleteEntitiesInput, UpsertEntityInput
from domain.experiment import AddExperimentInput, AddResultInput
from domain.link import LinkMemoriesInput, UnlinkMemoriesInput
from domain.memory import (
    ArchiveMemoriesInput,
    CreateMemoriesInput,
    CreateMemoryInput,
    DeleteMemoriesInput,
    RestoreMemoriesInput,
    TouchMemoriesInput,
    UpdateMemoryInput,
)
from domain.message import AddMessageInput, AddMessagesInput
from domain.panel import AddDecisionInput, AddInsightInput
from domain.participant import AddParticipantInput, RemoveParticipantInput
from domain.reasoning import RecordReasoningInput
from domain.session import (
    ArchiveSessionInput,
    CreateSessionInput,
    DeleteSessionInput,
    EndSessionInput,
    UpdateSessionInput,
)
from domain.session_link import LinkSessionsInput, UnlinkSessionsInput
from domain.span import DeleteSpansInput, EndSpanInput, StartSpanInput
from domain.state import DeleteStateInput, SetStateInput, SetStatesInput
from domain.tool_execution import FinishToolExecutionInput, StartToolExecutionInput
from domain.trace import AppendTraceEventsInput, TraceEventInput
from domain.values import MAX_BATCH, Command, Key, Ref
from domain.workflow import AdvanceWorkflowInput, RecordExecutionInput

RESULT = "result:"
"""What an id begins with that names what an earlier operation has made: its place, and of several the place of one."""


class EmitInput(TraceEventInput, frozen=True, kw_only=True):
    """An event of one's own for the log of a session, whose followers see it once the transaction is committed."""

    session: Ref


class Operation(Command, frozen=True, kw_only=True):
    """One operation of a transaction: what the mutation of that name does. An id may be `result:0`, the record that the
    first operation made, or `result:0.2`, the third of those that it made."""

    create_session: CreateSessionInput | None = None
    update_session: UpdateSessionInput | None = None
    end_session: EndSessionInput | None = None
    archive_session: ArchiveSessionInput | None = None
    delete_session: DeleteSessionInput | None = None
    add_participant: AddParticipantInput | None = None
    remove_participant: RemoveParticipantInput | None = None
    upsert_user: UpsertUserInput | None = None
    upsert_agent: UpsertAgentInput | None = None
    add_message: AddMessageInput | None = None
    add_messages: AddMessagesInput | None = None
    edit_message: EditMessageInput | None = None
    delete_messages: DeleteMessagesInput | None = None
    create_memory: CreateMemoryInput | None = None
    create_memories: CreateMemoriesInput | None = None
    update_memory: UpdateMemoryInput | None = None
    archive_memories: ArchiveMemoriesInput | None = None
    restore_memories: RestoreMemoriesInput | None = None
    delete_memories: DeleteMemoriesInput | None = None
    touch_memories: TouchMemoriesInput | None = None
    link_sessions: LinkSessionsInput | None = None
    unlink_sessions: UnlinkSessionsInput | None = None
    link_memories: LinkMemoriesInput | None = None
    unlink_memories: UnlinkMemoriesInput | None = None
    annotate: AnnotateInput | None = None
    delete_annotations: DeleteAnnotationsInput | None = None
    upsert_entity: UpsertEntityInput | None = None
    delete_entities: DeleteEntitiesInput | None = None
    append_trace_events: AppendTraceEventsInput | None = None
    start_span: StartSpanInput | None = None
    end_span: EndSpanInput | None = None
    delete_spans: DeleteSpansInput | None = None
    start_tool_execution: StartToolExecutionInput | None = None
    finish_tool_execution: FinishToolExecutionInput | None = None
    record_reasoning: RecordReasoningInput | None = None
    add_decision: AddDecisionInput | None = None
    add_insight: AddInsightInput | None = None
    advance_workflow: AdvanceWorkflowInput | None = None
    record_execution: RecordExecutionInput | None = None
    add_experiment: AddExperimentInput | None = None
    add_result: AddResultInput | None = None
    set_state: SetStateInput | None = None
    set_states: SetStatesInput | None = None
    delete_state: DeleteStateInput | None = None
    emit: EmitInput | None = None


class TransactionInput(Command, frozen=True, kw_only=True):
    """Operations to run as one write, in their order: all or none. Each sees what those before it have done."""

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=MAX_BATCH)]
    idempotency_key: Key | None = None
