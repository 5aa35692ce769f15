"""Names for types that refer to each other across files. Every cycle between types ends here."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import strawberry


def _ref(name: str, module: str) -> Any:
    return Annotated[name, strawberry.lazy(module)]


def optional(type: Any) -> Any:
    return Optional[type]  # noqa: UP045


def many(type: Any) -> Any:
    return list[type]


Session = _ref("Session", "schema.session")
SessionWindow = _ref("SessionWindow", "schema.window")
Participant = _ref("Participant", "schema.session")
User = _ref("User", "schema.actor")
Agent = _ref("Agent", "schema.actor")
AgentSnapshot = _ref("AgentSnapshot", "schema.actor")
Actor = _ref("Actor", "schema.actor")
Message = _ref("Message", "schema.message")
Thread = _ref("Thread", "schema.message")
ToolCall = _ref("ToolCall", "schema.message")
ToolExecution = _ref("ToolExecution", "schema.tool_execution")
Memory = _ref("Memory", "schema.memory")
MemoryFormation = _ref("MemoryFormation", "schema.chunk")
MemoryVersion = _ref("MemoryVersion", "schema.memory")
MemoryLink = _ref("MemoryLink", "schema.memory")
SessionLink = _ref("SessionLink", "schema.session")
MemoryHit = _ref("MemoryHit", "schema.search")
Recall = _ref("Recall", "schema.search")
MemoryGraph = _ref("MemoryGraph", "schema.graph")
SharedReference = _ref("SharedReference", "schema.graph")
Entity = _ref("Entity", "schema.entity")
Mention = _ref("Mention", "schema.entity")
TraceEvent = _ref("TraceEvent", "schema.trace")
Span = _ref("Span", "schema.trace")
Trace = _ref("Trace", "schema.trace")
AuditEntry = _ref("AuditEntry", "schema.security")
ApiKey = _ref("ApiKey", "schema.security")
StateEntry = _ref("StateEntry", "schema.state")
Blob = _ref("Blob", "schema.blob")
BlobConnection = _ref("BlobConnection", "schema.blob")
Decision = _ref("Decision", "schema.panel")
Insight = _ref("Insight", "schema.panel")
WorkflowState = _ref("WorkflowState", "schema.workflow")
WorkflowExecution = _ref("WorkflowExecution", "schema.workflow")
Experiment = _ref("Experiment", "schema.playground")
ExperimentComparison = _ref("ExperimentComparison", "schema.playground")
